/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device-private pages that several processes map: before 5.3, migrate_vma()
 * takes the wrong page's map count when it unmaps one. See shared.c.
 */
#ifndef HMMIRROR_COMPAT_SHARED_H
#define HMMIRROR_COMPAT_SHARED_H

#include <linux/mm.h>

#ifdef HAVE_MIGRATE_VMA_SETUP
static inline bool compat_shared_refuses(struct page *page)
{
	return false;
}

static inline bool compat_shared_keep(const struct page *page)
{
	return false;
}
#else
struct compat_shared {
	struct compat_shared_page *pages;
	unsigned long nr;
	bool locked;	/* by this caller */
};

int compat_shared_hide(struct compat_shared *shared, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end);
void compat_shared_show(struct compat_shared *shared, const unsigned long *src);
void compat_shared_hide_references(const struct compat_shared *shared, const unsigned long *src,
				   const unsigned long *dst);
void compat_shared_show_references(void);
void compat_shared_close(struct compat_shared *shared);
/*
 * The copy that goes home would take KSM's list of who maps the page along, and
 * they would be left with migration entries that nobody removes.
 */
static inline bool compat_shared_refuses(struct page *page)
{
	return PageKsm(page);
}

void compat_shared_end(struct compat_shared *shared, const unsigned long *src);
bool compat_shared_keep(const struct page *page);
#endif

#endif /* HMMIRROR_COMPAT_SHARED_H */
