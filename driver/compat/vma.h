/* SPDX-License-Identifier: GPL-2.0 */
/* What a driver does to a mapping of its own: flags, entries without a struct page. */
#ifndef HMMIRROR_COMPAT_VMA_H
#define HMMIRROR_COMPAT_VMA_H

#include <linux/mm.h>
#ifndef HAVE_INSERT_MIXED_PFN
#include <linux/pfn_t.h>
#endif

#ifndef HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, unsigned long flags)
{
	vma->vm_flags |= flags;
}
#endif

static inline vm_fault_t compat_insert_mixed(struct vm_area_struct *vma, unsigned long addr,
					     unsigned long pfn)
{
#ifdef HAVE_INSERT_MIXED_PFN
	return vmf_insert_mixed(vma, addr, pfn);
#else
	return vmf_insert_mixed(vma, addr, __pfn_to_pfn_t(pfn, PFN_DEV));
#endif
}

#endif /* HMMIRROR_COMPAT_VMA_H */
