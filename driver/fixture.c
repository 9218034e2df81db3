// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that a test can't make otherwise, by mmap() of the device.
 */
#include <linux/gfp.h>
#include <linux/mm.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/**
 * hmmirror_fixture_mmap() - map zeroed pages that the driver put there
 * @file: the opened device
 * @vma: the mapping; becomes VM_MIXEDMAP with ordinary struct pages
 *
 * Return: 0, -EINVAL for an offset that means nothing, -ENOMEM.
 */
int hmmirror_fixture_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long addr;

	if (vma->vm_pgoff)
		return -EINVAL;

	for (addr = vma->vm_start; addr < vma->vm_end; addr += PAGE_SIZE) {
		struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
		int ret;

		if (!page)
			return -ENOMEM;
		/* the mapping has its own reference from here on */
		ret = vm_insert_page(vma, addr, page);
		put_page(page);
		if (ret)
			return ret;
	}
	return 0;
}
