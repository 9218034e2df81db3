// SPDX-License-Identifier: GPL-2.0
/*
 * Today's call of the walker on the kernels before 5.8. What the old walkers
 * answer stays what they answer, with these exceptions, where a driver of their
 * time had to help itself:
 *  - before 5.7 they report every device's private pages. Pages of others are
 *    taken out of a snapshot, and asked home where a fault is wanted.
 *  - before 5.2 a call takes one VMA, and before 5.4 a hole kills the kernel:
 *    up to 5.4 there is a call for each VMA, and holes between them are told
 *    from here. So is that a VMA can't be written, which the walkers before 5.4
 *    don't look at: they fault there for ever.
 *  - after an error they blank what they did not come to: such entries get back
 *    what they held before. So does the entry of the page that ended the walk,
 *    where 5.5 and 5.6 leave an error, and so do all of a mapping that 5.0 has no
 *    answer for and fills with errors.
 */
#include <linux/mm.h>
#include <linux/hmm.h>
#include <linux/slab.h>
#include <linux/string.h>

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
#else
static u64 *pfns_of(const struct compat_hmm_range *range, unsigned long addr)
{
	return (u64 *)&range->hmm_pfns[(addr - range->start) >> PAGE_SHIFT];
}

/* Return: all that is asked of the pages from @start to @end. */
static u64 asked_of(const struct compat_hmm_range *range, unsigned long start, unsigned long end)
{
	u64 all = 0;

	for (; start < end; start += PAGE_SIZE)
		all |= *pfns_of(range, start);
	return (all & range->pfn_flags_mask) | range->default_flags;
}

static bool asks_faults(const struct compat_hmm_range *range)
{
	return range->default_flags | range->pfn_flags_mask;
}

#ifdef HAVE_HMM_RANGE_DEFAULT_FLAGS
/* 5.2 to 5.4 */
static int walk_register(struct hmm_range *real, struct compat_hmm_range *range)
{
#if defined(HAVE_HMM_RANGE_REGISTER_MIRROR)
	return hmm_range_register(real, compat_hmm_mirror(range->notifier));
#elif defined(HAVE_HMM_RANGE_REGISTER_MIRROR_SHIFT)
	return hmm_range_register(real, compat_hmm_mirror(range->notifier), real->start,
				  real->end, PAGE_SHIFT);
#else
	return hmm_range_register(real, range->notifier->mm, real->start, real->end,
				  PAGE_SHIFT);
#endif
}

static int walk_vma(struct compat_hmm_range *range, struct vm_area_struct *vma,
		    unsigned long start, unsigned long end)
{
	struct hmm_range real = {
		.start = start,
		.end = end,
		.pfns = pfns_of(range, start),
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
	ret = hmm_range_fault(&real, asks_faults(range) ? 0 : HMM_FAULT_SNAPSHOT);
#else
	if (asks_faults(range)) {
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
		.pfns = pfns_of(range, start),
		.flags = walk_flags,
		.values = walk_values,
	};
	unsigned long nr = (end - start) >> PAGE_SHIFT;
	unsigned long i;
	int ret;

	if (asks_faults(range)) {
		for (i = 0; i < nr; i++)
			real.pfns[i] = (real.pfns[i] & ~(COMPAT_PFN_FLAGS &
							 ~range->pfn_flags_mask)) |
				       range->default_flags;
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
	else if (ret == -EINVAL)
		memset64(real.pfns, 0, nr);
	return ret;
}
#endif

#ifdef HAVE_MM_WALK_OPS
static int walk_readonly(struct compat_hmm_range *range, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end)
{
	return walk_vma(range, vma, start, end);
}
#else
static bool is_own(const struct compat_hmm_range *range, u64 pfn)
{
	return pfn & COMPAT_PFN_PRIVATE &&
	       page_pgmap(compat_hmm_pfn_to_page(pfn))->owner == range->dev_private_owner;
}

/* It would fault for ever where write access is asked, and no signal could end it. */
static int walk_readonly(struct compat_hmm_range *range, struct vm_area_struct *vma,
			 unsigned long start, unsigned long end)
{
	unsigned long next;
	int ret;

	for (; start < end; start = next) {
		u64 pfn = 0;
		struct compat_hmm_range one = {
			.notifier = range->notifier,
			.start = start,
			.hmm_pfns = (unsigned long *)&pfn,
		};

		for (next = start; next < end; next += PAGE_SIZE)
			if (asked_of(range, next, next + PAGE_SIZE) & COMPAT_PFN_WRITE)
				break;
		if (next > start) {
			ret = walk_vma(range, vma, start, next);
			if (ret)
				return ret;
			continue;
		}

		/* what is on the device is not faulted, whatever is asked */
		next = start + PAGE_SIZE;
		one.end = next;
		ret = walk_vma(&one, vma, start, next);
		if (ret)
			return ret;
		/* its memory may have been taken down */
		if (mmu_interval_read_retry(range->notifier, range->notifier_seq))
			return -EBUSY;
		if (!is_own(range, pfn))
			return -EPERM;
		*pfns_of(range, start) = pfn;
	}
	return 0;
}
#endif

static int walk(struct compat_hmm_range *range)
{
	unsigned long addr = range->start;
	unsigned long end;

	for (; addr < range->end; addr = end) {
		struct vm_area_struct *vma = find_vma(range->notifier->mm, addr);
		bool hole = !vma || addr < vma->vm_start;
		u64 asked;
		int ret;

		end = range->end;
		if (vma)
			end = min(end, hole ? vma->vm_start : vma->vm_end);
		asked = asked_of(range, addr, end);

		if (hole && asked & COMPAT_PFN_VALID)
			return -EFAULT;
		if (hole) {
			memset64(pfns_of(range, addr), COMPAT_PFN_ERROR,
				 (end - addr) >> PAGE_SHIFT);
			continue;
		}
		if (asked & COMPAT_PFN_WRITE && !(vma->vm_flags & VM_WRITE))
			ret = walk_readonly(range, vma, addr, end);
		else
			ret = walk_vma(range, vma, addr, end);
		if (ret)
			return ret;
	}
	return 0;
}
#endif

#ifdef HAVE_HMM_DEV_PRIVATE_OWNER
static int other_pages(struct compat_hmm_range *range, const unsigned long *requests, bool fault)
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

/* @fault: bring home what is asked for; else only take it out of the answers. */
static int other_pages(struct compat_hmm_range *range, const unsigned long *requests, bool fault)
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
		if (!fault || !(request & COMPAT_PFN_VALID))
			continue;
		ret = ask_home(range, range->start + (i << PAGE_SHIFT), request, hmm_pfn);
		if (ret) {
			/* not answered, and what is behind it neither */
			memset(hmm_pfn, 0, (nr - i) * sizeof(*hmm_pfn));
			return ret;
		}
		*hmm_pfn &= ~COMPAT_PFN_PRIVATE;
	}
	return 0;
}
#endif

/* Return: how many entries are left of @nr without those behind the last answer. */
static unsigned long take_back(struct compat_hmm_range *range, unsigned long nr,
			       unsigned long before)
{
	while (nr && (!range->hmm_pfns[nr - 1] ||
		      (range->hmm_pfns[nr - 1] & ~COMPAT_PFN_FLAGS) == before))
		range->hmm_pfns[--nr] = before;
	return nr;
}

int compat_hmm_range_fault(struct compat_hmm_range *range)
{
	unsigned long nr = (range->end - range->start) >> PAGE_SHIFT;
	unsigned long before = range->hmm_pfns[0] & ~COMPAT_PFN_FLAGS;
	unsigned long *requests = NULL;
	int ret, others;

	if (range->pfn_flags_mask) {
		requests = kvmalloc_array(nr, sizeof(*requests), GFP_KERNEL);
		if (!requests)
			return -ENOMEM;
		memcpy(requests, range->hmm_pfns, nr * sizeof(*requests));
	}

	ret = walk(range);
	others = other_pages(range, requests, !ret);
	if (!ret)
		ret = others;
	kvfree(requests);

	/* what was blanked, and requests in VMAs that it did not come to */
	if (ret)
		nr = take_back(range, nr, before);
#if defined(HAVE_HMM_RANGE_NOTIFIER) && defined(HAVE_HMM_RANGE_FAULT_FLAGS)
	/* the page that ended the walk, which the caller would take for an answer */
	if (ret && nr && range->hmm_pfns[nr - 1] == COMPAT_PFN_ERROR) {
		range->hmm_pfns[nr - 1] = before;
		take_back(range, nr - 1, before);
	}
#endif
	return ret;
}

#endif /* HAVE_HMM_PFNS */
