/* SPDX-License-Identifier: GPL-2.0 */
/* Exclusive access: one page a call since 6.15, a range a call before. */
#ifndef HMMIRROR_COMPAT_EXCLUSIVE_H
#define HMMIRROR_COMPAT_EXCLUSIVE_H

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rmap.h>

#ifndef HAVE_MAKE_DEVICE_EXCLUSIVE
static inline struct page *make_device_exclusive(struct mm_struct *mm, unsigned long addr,
						 void *owner, struct folio **foliop)
{
	struct page *page = NULL;
	int ret;

	ret = make_device_exclusive_range(mm, addr, addr + PAGE_SIZE, &page, owner);
	if (ret < 0)
		return ERR_PTR(ret);
	if (!ret || !page)
		return ERR_PTR(-EBUSY);
	*foliop = page_folio(page);
	return page;
}
#endif

static inline bool compat_has_exclusive(void)
{
	return IS_ENABLED(CONFIG_DEVICE_PRIVATE);
}

#endif /* HMMIRROR_COMPAT_EXCLUSIVE_H */
