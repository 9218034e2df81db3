// SPDX-License-Identifier: GPL-2.0
#include <linux/mm_types.h>

void *probe(struct page *page);
void *probe(struct page *page)
{
	return page->zone_device_data;
}
