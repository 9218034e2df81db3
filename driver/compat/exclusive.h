/* SPDX-License-Identifier: GPL-2.0 */
/* Exclusive access: a range a call up to 6.12, a page a call in newer kernels. */
#ifndef HMMIRROR_COMPAT_EXCLUSIVE_H
#define HMMIRROR_COMPAT_EXCLUSIVE_H

#include <linux/err.h>
#include <linux/mm.h>
#include <linux/rmap.h>

#include "coherent.h"
#include "folio.h"

#if defined(HAVE_MAKE_DEVICE_EXCLUSIVE) && defined(HAVE_MAKE_DEVICE_EXCLUSIVE_ENTRY)
#define COMPAT_HAS_EXCLUSIVE	1
#define COMPAT_EXCLUSIVE_LEAKS	0
#elif defined(HAVE_MAKE_DEVICE_EXCLUSIVE) || defined(HAVE_MAKE_DEVICE_EXCLUSIVE_RANGE)
/*
 * The end of a migration takes entries of exclusive access for its own: migrate_device_range() of
 * a page that has one puts the page back, with one reference more than before. Only
 * device-coherent pages can meet with that. make_device_exclusive() is a few commits older than
 * the fix, which came right after entries of exclusive access got one type instead of two.
 */
#define COMPAT_HAS_EXCLUSIVE	1
#define COMPAT_EXCLUSIVE_LEAKS	1

static inline struct page *compat_make_exclusive(struct mm_struct *mm, unsigned long addr,
						 void *owner, struct folio **foliop)
{
#ifdef HAVE_MAKE_DEVICE_EXCLUSIVE
	return make_device_exclusive(mm, addr, owner, foliop);
#else
	struct page *page = NULL;
	int ret;

	ret = make_device_exclusive_range(mm, addr, addr + PAGE_SIZE, &page, owner);
	if (ret < 0)
		return ERR_PTR(ret);
	if (!ret || !page)
		return ERR_PTR(-EBUSY);
	*foliop = page_folio(page);
	return page;
#endif
}

static inline struct page *compat_make_device_exclusive(struct mm_struct *mm, unsigned long addr,
							void *owner, struct folio **foliop)
{
	struct page *page = compat_make_exclusive(mm, addr, owner, foliop);

	if (!IS_ERR(page) && is_device_coherent_page(page)) {
		/* it came here just now; a fault ends the access again */
		unlock_page(page);
		put_page(page);
		fixup_user_fault(mm, addr, FAULT_FLAG_WRITE, NULL);
		return ERR_PTR(-EOPNOTSUPP);
	}
	return page;
}

#define make_device_exclusive compat_make_device_exclusive
#else
#define COMPAT_HAS_EXCLUSIVE	0
#define COMPAT_EXCLUSIVE_LEAKS	0

static inline struct page *make_device_exclusive(struct mm_struct *mm, unsigned long addr,
						 void *owner, struct folio **foliop)
{
	return ERR_PTR(-EOPNOTSUPP);
}
#endif

#ifndef CONFIG_DEVICE_PRIVATE
/* The headers declare it all the same; a module with a call to it doesn't load. */
static inline struct page *compat_make_nothing_exclusive(struct mm_struct *mm, unsigned long addr,
							 void *owner, struct folio **foliop)
{
	return ERR_PTR(-EOPNOTSUPP);
}

#undef make_device_exclusive
#define make_device_exclusive compat_make_nothing_exclusive
#endif

/* Return: why the kernel can't do it, NULL if it can. */
static inline const char *compat_no_exclusive(void)
{
	if (!COMPAT_HAS_EXCLUSIVE)
		return "the kernel has no make_device_exclusive() and none for a range";
	if (!IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		return "the kernel was built without CONFIG_DEVICE_PRIVATE";
	return NULL;
}

static inline bool compat_has_exclusive(void)
{
	return !compat_no_exclusive();
}

#endif /* HMMIRROR_COMPAT_EXCLUSIVE_H */
