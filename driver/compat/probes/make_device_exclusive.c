// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/rmap.h>

struct page *probe(struct mm_struct *mm, struct folio **foliop);
struct page *probe(struct mm_struct *mm, struct folio **foliop)
{
	return make_device_exclusive(mm, 0, NULL, foliop);
}
