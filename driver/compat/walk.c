// SPDX-License-Identifier: GPL-2.0
/*
 * Today's call of the walker on the kernels before 5.8. What the old walkers
 * answer stays what they answer, with these exceptions, where a driver of their
 * time had to help itself:
 *  - before 5.7 they report every device's private pages. Pages of others are
 *    taken out of a snapshot, and asked home where a fault is wanted.
 *  - before 5.2 a call takes one VMA: there are several calls then, and holes
 *    between VMAs are told from here. So is that a VMA can't be written, which
 *    those walkers don't look at.
 *  - after an error they blank what they did not come to: such entries get back
 *    what they held before.
 */
#include <linux/mm.h>
#include <linux/hmm.h>
#include <linux/slab.h>

#define COMPAT_WALK_C
#include "compat.h"
#include "stack.h"

#ifndef HAVE_HMM_PFNS

static const u64 walk_flags[HMM_PFN_FLAG_MAX] = {
	[HMM_PFN_VALID] = COMPAT_PFN_VALID,
	[HMM_PFN_WRITE] = COMPAT_PFN_WRITE,
#ifndef HAVE_HMM_DEV_PRIVATE_OWNER
	[HMM_PFN_DEVICE_PRIVATE] = COMPAT_PFN_PRIVATE,
#endif
};

static const u64 walk_values[HMM_PFN_VALUE_MAX] = {
	[HMM_PFN_ERROR] = COMPAT_PFN_ERROR,
	[HMM_PFN_NONE] = 0,
	[HMM_PFN_SPECIAL] = COMPAT_PFN_ERROR,
};

#if defined(HAVE_HMM_RANGE_NOTIFIER)
/* 5.5 to 5.7 */
static int walk(struct compat_hmm_range *range)
{
	struct hmm_range real = {
		.notifier = range->notifier,
		.notifier_seq = range->notifier_seq,
		.start = range->start,
		.end = range->end,
		.pfns = (u64 *)range->hmm_pfns,
		.flags = walk_flags,
		.values = walk_values,
		.default_flags = range->default_flags,
		.pfn_flags_mask = range->pfn_flags_mask,
#ifdef HAVE_HMM_DEV_PRIVATE_OWNER
		.dev_private_owner = range->dev_private_owner,
#endif
	};
	long ret;

#ifdef HAVE_HMM_RANGE_FAULT_FLAGS
	ret = hmm_range_fault(&real, range->default_flags | range->pfn_flags_mask ?
				     0 : HMM_FAULT_SNAPSHOT);
#else
	ret = hmm_range_fault(&real);
#endif
	return ret < 0 ? ret : 0;
}
#elif defined(HAVE_HMM_RANGE_DEFAULT_FLAGS)
/* 5.2 to 5.4 */
static int walk_register(struct hmm_range *real, struct compat_hmm_range *range)
{
#if defined(HAVE_HMM_RANGE_REGISTER_MIRROR)
	return hmm_range_register(real, compat_hmm_mirror(range->notifier));
#elif defined(HAVE_HMM_RANGE_REGISTER_MIRROR_SHIFT)
	return hmm_range_register(real, compat_hmm_mirror(range->notifier), range->start,
				  range->end, PAGE_SHIFT);
#else
	return hmm_range_register(real, range->notifier->mm, range->start, range->end,
				  PAGE_SHIFT);
#endif
}

static int walk(struct compat_hmm_range *range)
{
	bool fault = range->default_flags | range->pfn_flags_mask;
	struct hmm_range real = {
		.start = range->start,
		.end = range->end,
		.pfns = (u64 *)range->hmm_pfns,
		.flags = walk_flags,
		.values = walk_values,
		.default_flags = range->default_flags,
		.pfn_flags_mask = range->pfn_flags_mask,
	};
	long ret;

	ret = walk_register(&real, range);
	if (ret)
		return ret;
#ifdef HAVE_HMM_RANGE_FAULT_FLAGS
	ret = hmm_range_fault(&real, fault ? 0 : HMM_FAULT_SNAPSHOT);
#else
	if (fault) {
		ret = hmm_range_fault(&real, true);
		/* this one alone drops the lock, when the range is not valid now */
		if (ret == -EAGAIN)
			down_read(&range->notifier->mm->mmap_sem);
	} else {
		ret = hmm_range_snapshot(&real);
	}
	if (ret == -EAGAIN)
		ret = -EBUSY;
#endif
	hmm_range_unregister(&real);
	return ret < 0 ? ret : 0;
}
#else
/* 5.0 and 5.1 */
static int walk_vma(struct compat_hmm_range *range, struct vm_area_struct *vma,
		    unsigned long start, unsigned long end)
{
	struct hmm_range real = {
		.vma = vma,
		.start = start,
		.end = end,
		.pfns = (u64 *)&range->hmm_pfns[(start - range->start) >> PAGE_SHIFT],
		.flags = walk_flags,
		.values = walk_values,
	};
	unsigned long nr = (end - start) >> PAGE_SHIFT;
	unsigned long i;
	u64 all = 0;
	int ret;

	if (range->default_flags | range->pfn_flags_mask) {
		for (i = 0; i < nr; i++) {
			real.pfns[i] = (real.pfns[i] & range->pfn_flags_mask) |
				       range->default_flags;
			all |= real.pfns[i];
		}
		/* it would fault there for ever, and no signal could end it */
		if (all & COMPAT_PFN_WRITE && !(vma->vm_flags & VM_WRITE))
			return -EPERM;
		compat_clear_stack();
		ret = hmm_vma_fault(&real, true);
		/* a fault that had to wait: it gave the lock back, though asked not to */
		if (ret == -EBUSY)
			down_read(&range->notifier->mm->mmap_sem);
	} else {
		compat_clear_stack();
		ret = hmm_vma_get_pfns(&real);
	}
	if (!ret)
		hmm_vma_range_done(&real);
	return ret;
}

static int walk(struct compat_hmm_range *range)
{
	unsigned long addr = range->start;

	while (addr < range->end) {
		struct vm_area_struct *vma = find_vma(range->notifier->mm, addr);
		unsigned long end;
		int ret;

		if (vma && vma->vm_start <= addr) {
			end = min(range->end, vma->vm_end);
			ret = walk_vma(range, vma, addr, end);
			if (ret)
				return ret;
			addr = end;
			continue;
		}

		if (range->default_flags)
			return -EFAULT;
		end = vma ? min(range->end, vma->vm_start) : range->end;
		for (; addr < end; addr += PAGE_SIZE)
			range->hmm_pfns[(addr - range->start) >> PAGE_SHIFT] = COMPAT_PFN_ERROR;
	}
	return 0;
}
#endif

#ifdef HAVE_HMM_DEV_PRIVATE_OWNER
static int other_pages(struct compat_hmm_range *range, const unsigned long *requests)
{
	return 0;
}
#else
/* Have the page at @addr brought home. */
static int ask_home(struct compat_hmm_range *range, unsigned long addr, unsigned long request,
		    unsigned long *hmm_pfn)
{
	struct compat_hmm_range one = {
		.notifier = range->notifier,
		.notifier_seq = range->notifier_seq,
		.start = addr,
		.end = addr + PAGE_SIZE,
		.hmm_pfns = hmm_pfn,
		.default_flags = request | COMPAT_PFN_PRIVATE,
	};

	return walk(&one);
}

static int other_pages(struct compat_hmm_range *range, const unsigned long *requests)
{
	unsigned long nr = (range->end - range->start) >> PAGE_SHIFT;
	unsigned long i;

	for (i = 0; i < nr; i++) {
		unsigned long *hmm_pfn = &range->hmm_pfns[i];
		unsigned long request = range->default_flags;
		struct page *page;
		int ret;

		if (!(*hmm_pfn & COMPAT_PFN_PRIVATE))
			continue;
		*hmm_pfn &= ~COMPAT_PFN_PRIVATE;
		page = compat_hmm_pfn_to_page(*hmm_pfn);
		/* it may have gone home, and its memory been taken down */
		if (mmu_interval_read_retry(range->notifier, range->notifier_seq))
			return -EBUSY;
		if (page_pgmap(page)->owner == range->dev_private_owner)
			continue;

		*hmm_pfn = 0;
		if (requests)
			request |= requests[i] & range->pfn_flags_mask;
		if (!(request & COMPAT_PFN_VALID))
			continue;
		ret = ask_home(range, range->start + (i << PAGE_SHIFT), request, hmm_pfn);
		if (ret)
			return ret;
		*hmm_pfn &= ~COMPAT_PFN_PRIVATE;
	}
	return 0;
}
#endif

int compat_hmm_range_fault(struct compat_hmm_range *range)
{
	unsigned long nr = (range->end - range->start) >> PAGE_SHIFT;
	unsigned long before = range->hmm_pfns[0] & ~COMPAT_PFN_FLAGS;
	unsigned long *requests = NULL;
	int ret;

	if (range->pfn_flags_mask) {
		requests = kvmalloc_array(nr, sizeof(*requests), GFP_KERNEL);
		if (!requests)
			return -ENOMEM;
		memcpy(requests, range->hmm_pfns, nr * sizeof(*requests));
	}

	ret = walk(range);
	if (!ret)
		ret = other_pages(range, requests);
	kvfree(requests);

	if (ret)
		while (nr && !range->hmm_pfns[nr - 1])
			range->hmm_pfns[--nr] = before;
	return ret;
}

#endif /* HAVE_HMM_PFNS */
