// SPDX-License-Identifier: GPL-2.0
/*
 * The calls of hmm_range_fault(), and the translation of its answers.
 *
 * Each walk registers a notifier for its own range, calls the walker, and looks under
 * mirror->pt.lock whether that range was invalidated meanwhile. If so, it starts again.
 */
#include <linux/jiffies.h>
#include <linux/memremap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "core/mirror.h"
#include "core/pt.h"
#include "core/walk.h"

/* To copy a page that a PMD maps can take an emulated CPU 20 ms for each MiB. */
#define DEFAULT_TIMEOUT_MS	max(1000U, (unsigned int)(PMD_SIZE >> 20) * 20)

/*
 * The pfn of every entry before the args. No page has this number, so an entry that still
 * holds it was not reached by the walker.
 */
#define UNTOUCHED_PFN	(~(unsigned long)HMM_PFN_FLAGS)

static unsigned long request_to_hmm(u64 request)
{
	return (request & HMMIRROR_REQ_FAULT ? HMM_PFN_REQ_FAULT : 0) |
	       (request & HMMIRROR_REQ_WRITE ? HMM_PFN_REQ_WRITE : 0);
}

static u64 device_flags(struct hmmirror *mirror, struct page *page)
{
	/* device-dax has huge pages, too: of those only the head has a pgmap */
	struct folio *folio = page_folio(page);
	u64 flags;

	if (folio_is_device_private(folio))
		flags = HMMIRROR_PTE_PRIVATE;
	else if (folio_is_device_coherent(folio))
		flags = HMMIRROR_PTE_COHERENT;
	else
		return 0;
	if (page_pgmap(&folio->page)->owner != mirror->device)
		flags |= HMMIRROR_PTE_OTHER;
	return flags;
}

/*
 * The kernel exports no test for the huge zero page. Of all huge pages that can be mapped
 * read-only, only this one has no mapping.
 */
static bool is_huge_zero(struct page *page, unsigned long hmm_pfn)
{
	struct folio *folio = page_folio(page);

	return compound_order(&folio->page) == PMD_SHIFT - PAGE_SHIFT &&
	       !(hmm_pfn & HMM_PFN_WRITE) && !folio->mapping;
}

/*
 * Hold mirror->pt.lock, with no invalidation since the walk began: this reads struct page, and
 * the page could be freed otherwise.
 */
static u64 translate_one(struct hmmirror *mirror, unsigned long hmm_pfn)
{
	unsigned long pfn = hmm_pfn & ~HMM_PFN_FLAGS;
	struct page *page;
	unsigned int order;
	u64 pte;

	if (pfn == UNTOUCHED_PFN)
		return HMMIRROR_PTE_UNTOUCHED;
	if (!(hmm_pfn & HMM_PFN_VALID))
		return hmm_pfn & HMM_PFN_ERROR ? HMMIRROR_PTE_ERROR : 0;

	page = hmm_pfn_to_page(hmm_pfn);
	order = hmm_pfn_to_map_order(hmm_pfn);
	pte = (u64)pfn << HMMIRROR_PTE_PFN_SHIFT |
	      (u64)order << HMMIRROR_PTE_ORDER_SHIFT | HMMIRROR_PTE_VALID;

	if (hmm_pfn & HMM_PFN_WRITE)
		pte |= HMMIRROR_PTE_WRITE;
	if (is_zone_device_page(page))
		pte |= device_flags(mirror, page);
	else if (is_zero_pfn(pfn) || is_huge_zero(page, hmm_pfn))
		pte |= HMMIRROR_PTE_ZERO;
	return pte;
}

/*
 * Two pages of one PMD-sized block of physical memory, with the same flags from the walker,
 * have the same answer but for the pfn: ZONE_DEVICE memory comes in such blocks, and a huge
 * page is one block. The zero page is the exception, so its block is never shared.
 */
#define BLOCK_MASK	((1UL << (PMD_SHIFT - PAGE_SHIFT)) - 1)
#define NO_BLOCK	ULONG_MAX	/* has low bits, so no masked entry equals it */

static bool has_answer_of_block(unsigned long hmm_pfn, u64 pte)
{
	unsigned long zero = page_to_pfn(ZERO_PAGE(0));

	return pte & HMMIRROR_PTE_VALID && ((hmm_pfn ^ zero) & ~(HMM_PFN_FLAGS | BLOCK_MASK));
}

/* Turns hmm_pfns into HMMIRROR_PTE_*, in place. */
static void translate_all(struct hmmirror *mirror, u64 *entries, unsigned long nr)
{
	unsigned long block = NO_BLOCK;
	u64 base = 0;
	unsigned long i;

	for (i = 0; i < nr; i++) {
		unsigned long hmm_pfn = entries[i];

		if ((hmm_pfn & ~BLOCK_MASK) == block) {
			entries[i] = base | (hmm_pfn & BLOCK_MASK) << HMMIRROR_PTE_PFN_SHIFT;
			continue;
		}
		entries[i] = translate_one(mirror, hmm_pfn);
		block = NO_BLOCK;
		if (has_answer_of_block(hmm_pfn, entries[i])) {
			block = hmm_pfn & ~BLOCK_MASK;
			base = entries[i] & ~((u64)BLOCK_MASK << HMMIRROR_PTE_PFN_SHIFT);
		}
	}
}

/*
 * If the range starts in the middle of a huge page of device-private memory, the walker
 * counts pfns from the head of that page, and the device would use the wrong pages. A huge
 * page is mapped at an aligned address, so the address gives the right pfn.
 */
static void fix_device_pfns(const struct hmmirror_walk_args *args, unsigned long nr)
{
	unsigned long page = args->start >> PAGE_SHIFT;
	unsigned long i;

	for (i = 0; i < nr; i++, page++) {
		u64 pte = args->entries[i];
		u64 inside = (1ULL << hmmirror_pte_order(pte)) - 1;

		if (!(pte & HMMIRROR_PTE_PRIVATE) || !inside)
			continue;
		args->entries[i] = (pte & ~(inside << HMMIRROR_PTE_PFN_SHIFT)) |
				   (page & inside) << HMMIRROR_PTE_PFN_SHIFT;
	}
}

static void prepare_entries(struct hmmirror_walk_args *args, unsigned long nr)
{
	unsigned long *hmm_pfns = (unsigned long *)args->entries;
	unsigned long i;

	memset64((u64 *)hmm_pfns, UNTOUCHED_PFN, nr);
	for (i = 0; args->requests && i < nr; i++)
		hmm_pfns[i] |= request_to_hmm(args->requests[i]);
	if (args->prepare)
		args->prepare(args);
}

/* Before the translation: how many entries did the walker reach? All, unless it failed. */
static unsigned long count_reached(const struct hmmirror_walk_args *args, unsigned long nr)
{
	while (nr && (args->entries[nr - 1] & ~HMM_PFN_FLAGS) == UNTOUCHED_PFN)
		nr--;
	return nr;
}

/* After the translation: the answers before an error are final, those behind are untouched. */
static unsigned long count_answered(const struct hmmirror_walk_args *args)
{
	unsigned long nr = (args->end - args->start) >> PAGE_SHIFT;

	while (nr && args->entries[nr - 1] == HMMIRROR_PTE_UNTOUCHED)
		nr--;
	return nr;
}

/* @deadline: in jiffies, for the kernel's own retries if it makes any */
static int call_walker(struct hmmirror *mirror, const struct hmmirror_walk_args *args,
		       struct hmm_range *range, unsigned long deadline)
{
	int ret;

	if (args->unlocked)
		return hmm_range_fault_unlocked_timeout(range, args->no_limit ? 0 :
							max(1L, (long)(deadline - jiffies)));

	if (mmap_read_lock_killable(mirror->mm))
		return -EINTR;
	if (hmmirror_hit_injection(&mirror->hooks.injections, HMMIRROR_INJECT_INVALIDATE))
		hmmirror_inject_invalidation(mirror->mm, range->start);
	ret = hmm_range_fault(range);
	mmap_read_unlock(mirror->mm);
	return ret;
}

/*
 * @answered: (out) set if the entries hold answers, also those of a walk that failed
 * Return: -EAGAIN if the range was invalidated meanwhile; -ENOMEM; else the walker's answer.
 */
static int walk_once(struct hmmirror *mirror, struct hmmirror_watch *watch,
		     struct hmmirror_walk_args *args, struct hmm_range *range,
		     unsigned long deadline, bool *answered)
{
	unsigned long nr = (args->end - args->start) >> PAGE_SHIFT;
	struct hmmirror_hooks *hooks = &mirror->hooks;
	unsigned long seq;
	int ret;

	atomic64_inc(&mirror->count.walks);
	seq = mmu_interval_read_begin(&watch->notifier);
	prepare_entries(args, nr);
	range->notifier_seq = seq;

	if (args->map) {
		ret = hmmirror_pt_reserve(&mirror->pt, args->start, args->end);
		if (ret)
			return ret;
	}

	hmmirror_hold_here(&hooks->hold, HMMIRROR_STAGE_WALK);
	hmmirror_pmd_race_begin_walk(&hooks->pmd_race, args->start, args->end);
	ret = call_walker(mirror, args, range, deadline);
	hmmirror_pmd_race_end_walk(&hooks->pmd_race);
	hmmirror_hold_here(&hooks->hold, HMMIRROR_STAGE_WALKED);
	if (ret == -EINTR)
		return ret;
	if (ret == -EBUSY)
		return -EAGAIN;

	/*
	 * An unlocked walk retries by itself, and then has its own sequence number. Not with
	 * map: the invalidation may have freed the leaves, so this walk starts again.
	 */
	if (!args->map)
		seq = range->notifier_seq;
	mutex_lock(&mirror->pt.lock);
	if (mmu_interval_read_retry(&watch->notifier, seq)) {
		mutex_unlock(&mirror->pt.lock);
		return -EAGAIN;
	}
	if (args->accept)
		args->accept(args, count_reached(args, nr));
	translate_all(mirror, args->entries, nr);
	if (args->map) {
		fix_device_pfns(args, nr);
		hmmirror_pt_store(&mirror->pt, args->start, args->entries, count_answered(args));
	}
	mutex_unlock(&mirror->pt.lock);
	*answered = true;
	return ret;
}

/**
 * hmmirror_walk_range() - walk the mirrored page tables
 * @mirror: whose address space; the caller holds its mm
 * @args: the question, and room for the answers
 *
 * Return: the walker's answer, 0 or a negative errno; -EBUSY if the range was invalidated
 * again and again until the time was over, -EINTR when killed, -ENOMEM. Whatever it
 * returns, every entry is filled: those without an answer are HMMIRROR_PTE_UNTOUCHED.
 */
int hmmirror_walk_range(struct hmmirror *mirror, struct hmmirror_walk_args *args)
{
	unsigned int timeout_ms = args->timeout_ms ?: DEFAULT_TIMEOUT_MS;
	unsigned long deadline = jiffies + msecs_to_jiffies(timeout_ms);
	struct hmmirror_watch watch;
	struct hmm_range range = {
		.notifier = &watch.notifier,
		.start = args->start,
		.end = args->end,
		.hmm_pfns = (unsigned long *)args->entries,
		.default_flags = request_to_hmm(args->default_flags),
		.pfn_flags_mask = request_to_hmm(args->request_mask),
		.dev_private_owner = args->system_only ? NULL : mirror->device,
	};
	bool answered = false;
	int ret;

	BUILD_BUG_ON(sizeof(unsigned long) != sizeof(u64));

	args->retries = 0;
	ret = hmmirror_watch_begin(&watch, mirror, args->start, args->end);
	if (ret)
		goto out;

	while ((ret = walk_once(mirror, &watch, args, &range, deadline, &answered)) == -EAGAIN) {
		args->retries++;
		atomic64_inc(&mirror->count.retries);
		if (fatal_signal_pending(current))
			ret = -EINTR;
		else if (time_after(jiffies, deadline))
			ret = -EBUSY;
		if (ret != -EAGAIN)
			break;
	}
	hmmirror_watch_end(&watch);
out:
	if (!answered)
		memset64(args->entries, HMMIRROR_PTE_UNTOUCHED,
			 (args->end - args->start) >> PAGE_SHIFT);
	return ret;
}

/**
 * hmmirror_fault_range() - fault a range into the device page table
 * @mirror: whose address space; the caller holds its mm
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @request: HMMIRROR_REQ_*; 0 is a snapshot; with HMMIRROR_REQ_UNLOCKED, the kernel takes
 *	the mmap lock
 * @mapped: (out) first byte that the walker did not reach
 *
 * Walks one batch at a time, so the memory for entries does not grow with the range.
 *
 * Return: 0 or the walker's error. Pages before *@mapped are in the device page table.
 */
int hmmirror_fault_range(struct hmmirror *mirror, unsigned long start, unsigned long end,
			 u64 request, unsigned long *mapped)
{
	struct hmmirror_walk_args args = {
		.default_flags = request & HMMIRROR_REQ_ALL,
		.map = true,
		.unlocked = request & HMMIRROR_REQ_UNLOCKED,
	};
	int ret = 0;

	*mapped = start;
	args.entries = kmalloc_array(HMMIRROR_BATCH, sizeof(*args.entries), GFP_KERNEL);
	if (!args.entries)
		return -ENOMEM;

	for (args.start = start; args.start < end && !ret; args.start = args.end) {
		args.end = min(end, ALIGN(args.start + 1, HMMIRROR_BATCH << PAGE_SHIFT));
		ret = hmmirror_walk_range(mirror, &args);
		*mapped += count_answered(&args) << PAGE_SHIFT;
		cond_resched();
	}

	kfree(args.entries);
	return ret;
}

/* Is it a set of HMMIRROR_REQ_* that makes sense? */
bool hmmirror_is_request(u64 request)
{
	if (request & ~HMMIRROR_REQ_ALL)
		return false;
	return !(request & HMMIRROR_REQ_WRITE) || request & HMMIRROR_REQ_FAULT;
}
