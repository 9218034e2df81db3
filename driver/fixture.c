// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that a test can't make otherwise, by mmap() of the device.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/* What all mappings without pages of their own show. They pin the module. */
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
	/* the mapping has its own reference from here on */
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
	unsigned long flags;	/* that the mapping gets before its pages */
	int (*insert)(struct vm_area_struct *vma, unsigned long addr);
} fixtures[] = {
	{ HMMIRROR_FIXTURE_PAGES, 0, insert_own },
	{ HMMIRROR_FIXTURE_SPECIAL, VM_MIXEDMAP, insert_special },
	{ HMMIRROR_FIXTURE_PFNMAP, VM_PFNMAP, insert_pfn },
	{ HMMIRROR_FIXTURE_IO, VM_IO, insert_own },
};

/**
 * hmmirror_fixture_mmap() - map zeroed pages that the driver put there
 * @file: the opened device
 * @vma: the mapping; its offset is HMMIRROR_FIXTURE_*
 *
 * Return: 0, -EINVAL for an offset that means nothing or a private VM_PFNMAP,
 * -EFBIG, -EINTR, -ENOMEM.
 */
int hmmirror_fixture_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long addr;
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(fixtures); i++)
		if (vma->vm_pgoff == fixtures[i].offset >> PAGE_SHIFT)
			break;
	if (i == ARRAY_SIZE(fixtures))
		return -EINVAL;
	/* the kernel has no entries without a page in a mapping that copies on write */
	if (fixtures[i].flags & VM_PFNMAP && !(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_end - vma->vm_start > (u64)hmmirror_max_range_mb << 20)
		return -EFBIG;

	hmmirror_hold_here(file->private_data, HMMIRROR_STAGE_MMAP);
	vm_flags_set(vma, fixtures[i].flags);
	for (addr = vma->vm_start; addr < vma->vm_end && !ret; addr += PAGE_SIZE)
		ret = fatal_signal_pending(current) ? -EINTR : fixtures[i].insert(vma, addr);
	return ret;
}
