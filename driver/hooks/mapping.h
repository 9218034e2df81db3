/* SPDX-License-Identifier: GPL-2.0 */
/* The only kind of mapping whose entries the hooks touch. */
#ifndef HMMIRROR_HOOKS_MAPPING_H
#define HMMIRROR_HOOKS_MAPPING_H

#include <linux/mm.h>

#include "compat/compat.h"

/**
 * hmmirror_is_plain_mapping() - is a range part of one private anonymous mapping?
 * @mm: the address space, with its mmap lock held
 * @addr: first byte
 * @size: bytes
 */
static inline bool hmmirror_is_plain_mapping(struct mm_struct *mm, unsigned long addr,
					     unsigned long size)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);

	return vma && vma->vm_end - addr >= size && !vma->vm_ops && !vma->vm_file &&
	       !(vma->vm_flags & (VM_SHARED | VM_HUGETLB | VM_SPECIAL));
}

#endif /* HMMIRROR_HOOKS_MAPPING_H */
