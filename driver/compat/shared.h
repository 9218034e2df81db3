/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device-private pages that several processes map: before 5.3, migrate_vma()
 * takes the wrong page's map count when it unmaps one. See shared.c.
 */
#ifndef HMMIRROR_COMPAT_SHARED_H
#define HMMIRROR_COMPAT_SHARED_H

#include <linux/mm.h>

#ifdef HAVE_MIGRATE_VMA_SETUP
static inline bool compat_shared_keep(const struct page *page)
{
	return false;
}
#else
void compat_shared_hide(struct vm_area_struct *vma, unsigned long start, unsigned long end);
void compat_shared_hide_references(const unsigned long *src, const unsigned long *dst);
void compat_shared_show_references(void);
void compat_shared_show(const unsigned long *src);
void compat_shared_end(const unsigned long *src);
bool compat_shared_keep(const struct page *page);
#endif

#endif /* HMMIRROR_COMPAT_SHARED_H */
