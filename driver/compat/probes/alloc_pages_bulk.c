// SPDX-License-Identifier: GPL-2.0
#include <linux/gfp.h>

unsigned long probe(struct page **pages);
unsigned long probe(struct page **pages)
{
	return alloc_pages_bulk(GFP_KERNEL, 1, pages);
}
