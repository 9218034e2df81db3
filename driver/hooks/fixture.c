// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that a test can't make otherwise, by mmap() of a device: VM_MIXEDMAP, VM_PFNMAP
 * and VM_IO.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "hooks/fixture.h"

/* Shown by every mapping without pages of its own. A mapping pins the module. */
static struct page *common;

int hmmirror_fixture_init(void)
{
	common = alloc_page(GFP_KERNEL | __GFP_ZERO);
	return common ? 0 : -ENOMEM;
}

void hmmirror_fixture_exit(void)
{
	__free_page(common);
}

/* The mapping becomes VM_MIXEDMAP. */
static int insert_own(struct vm_area_struct *vma, unsigned long addr)
{
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	int ret;

	if (!page)
		return -ENOMEM;
	/* the mapping holds a reference now */
	ret = vm_insert_page(vma, addr, page);
	put_page(page);
	return ret;
}

static int insert_special(struct vm_area_struct *vma, unsigned long addr)
{
	return vm_fault_to_errno(compat_insert_mixed(vma, addr, page_to_pfn(common)), 0);
}

static int insert_pfn(struct vm_area_struct *vma, unsigned long addr)
{
	return vm_fault_to_errno(vmf_insert_pfn(vma, addr, page_to_pfn(common)), 0);
}

static const struct {
	unsigned long offset;
	unsigned long flags;	/* of the VMA, set before it gets pages */
	int (*insert)(struct vm_area_struct *vma, unsigned long addr);
} fixtures[] = {
	{ HMMIRROR_FIXTURE_PAGES, 0, insert_own },
	{ HMMIRROR_FIXTURE_SPECIAL, VM_MIXEDMAP, insert_special },
	{ HMMIRROR_FIXTURE_PFNMAP, VM_PFNMAP, insert_pfn },
	{ HMMIRROR_FIXTURE_IO, VM_IO, insert_own },
};

/**
 * hmmirror_fixture_mmap() - map zeroed pages
 * @vma: the mapping; its offset is HMMIRROR_FIXTURE_*
 * @hold: the hold of the mirror
 * @max_length: longest mapping, in bytes
 *
 * Return: 0; -EINVAL for an unknown offset or a private VM_PFNMAP, -EFBIG, -EINTR, -ENOMEM.
 */
int hmmirror_fixture_mmap(struct vm_area_struct *vma, struct hmmirror_hold_point *hold,
			  u64 max_length)
{
	unsigned long addr;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(fixtures); i++)
		if (vma->vm_pgoff == fixtures[i].offset >> PAGE_SHIFT)
			break;
	if (i == ARRAY_SIZE(fixtures))
		return -EINVAL;
	/* the kernel refuses entries without a page in a mapping that copies on write */
	if (fixtures[i].flags & VM_PFNMAP && !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_end - vma->vm_start > max_length)
		return -EFBIG;

	hmmirror_hold_here(hold, HMMIRROR_STAGE_MMAP);
	vm_flags_set(vma, fixtures[i].flags);
	for (addr = vma->vm_start; addr < vma->vm_end && !ret; addr += PAGE_SIZE)
		ret = fatal_signal_pending(current) ? -EINTR : fixtures[i].insert(vma, addr);
	return ret;
}
