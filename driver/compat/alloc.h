/* SPDX-License-Identifier: GPL-2.0 */
/* Pages many at a time, and memory policies. */
#ifndef HMMIRROR_COMPAT_ALLOC_H
#define HMMIRROR_COMPAT_ALLOC_H

#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/hmm.h>
#include <linux/pagemap.h>
#include <linux/sched.h>

/* The array must be zeroed. Return: pages that are in it, from the start. */
static inline unsigned long compat_alloc_pages_bulk(gfp_t gfp, unsigned long nr,
						    struct page **pages)
{
#if defined(HAVE_ALLOC_PAGES_BULK)
	return alloc_pages_bulk(gfp, nr, pages);
#elif defined(HAVE_ALLOC_PAGES_BULK_ARRAY)
	return alloc_pages_bulk_array(gfp, nr, pages);
#else
	return 0;
#endif
}

#ifdef HAVE_HMM_VMA_ALLOC_LOCKED_PAGE
/* Where there is this one, what it is made of is not for modules. */
static inline struct page *compat_alloc_page_vma(gfp_t gfp, struct vm_area_struct *vma,
						 unsigned long addr)
{
	struct page *page = hmm_vma_alloc_locked_page(vma, addr);

	if (page)
		unlock_page(page);
	return page;
}

#undef alloc_page_vma
#define alloc_page_vma compat_alloc_page_vma
#endif

/* Does anything but the local node come into question for a page of @vma? */
static inline bool compat_has_policy(const struct vm_area_struct *vma)
{
#ifdef CONFIG_NUMA
	return current->mempolicy || vma->vm_policy ||
	       (vma->vm_ops && vma->vm_ops->get_policy);
#else
	return false;
#endif
}

#endif /* HMMIRROR_COMPAT_ALLOC_H */
