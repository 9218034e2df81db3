// SPDX-License-Identifier: GPL-2.0
/*
 * The calls into hmm_range_fault(), and HMMIRROR_RANGE on top of them.
 */
#include <linux/jiffies.h>
#include <linux/memremap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

#define DEFAULT_TIMEOUT_MS	1000
#define MAX_TIMEOUT_MS		60000

/*
 * What an entry holds before the walk, in the bits of the pfn: no page has this
 * number, so it shows afterwards that the walker did not come here.
 */
#define UNTOUCHED_PFN	(~(unsigned long)HMM_PFN_FLAGS)

static unsigned long request_to_hmm(u64 request)
{
	return (request & HMMIRROR_REQ_FAULT ? HMM_PFN_REQ_FAULT : 0) |
	       (request & HMMIRROR_REQ_WRITE ? HMM_PFN_REQ_WRITE : 0);
}

static u64 device_flags(struct hmmirror *mirror, struct page *page)
{
	u64 flags;

	if (is_device_private_page(page))
		flags = HMMIRROR_PTE_PRIVATE;
	else if (is_device_coherent_page(page))
		flags = HMMIRROR_PTE_COHERENT;
	else
		return 0;
	if (page_pgmap(page)->owner != mirror->device)
		flags |= HMMIRROR_PTE_OTHER;
	return flags;
}

/*
 * The kernel does not export what tells it. Of all huge pages that can be mapped
 * read-only, it alone belongs to no mapping.
 */
static bool is_huge_zero(struct page *page, unsigned long hmm_pfn)
{
	struct folio *folio = page_folio(page);

	return compound_order(&folio->page) == PMD_SHIFT - PAGE_SHIFT &&
	       !(hmm_pfn & HMM_PFN_WRITE) && !folio->mapping;
}

/* Must hold mirror->lock with an unbroken watch: looks at struct page. */
static u64 answer(struct hmmirror *mirror, unsigned long hmm_pfn)
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
 * Entries with the same flags and in the same PMD-sized block of physical
 * memory have the same answer but for the pfn: memory becomes ZONE_DEVICE by
 * such blocks, and one huge page is one block. Only the zero page has neighbours
 * that are not like it.
 */
#define BLOCK_MASK	((1UL << (PMD_SHIFT - PAGE_SHIFT)) - 1)
#define NO_BLOCK	ULONG_MAX	/* no entry without its low bits is that */

static bool speaks_for_block(unsigned long hmm_pfn, u64 pte)
{
	unsigned long zero = page_to_pfn(ZERO_PAGE(0));

	return pte & HMMIRROR_PTE_VALID && ((hmm_pfn ^ zero) & ~(HMM_PFN_FLAGS | BLOCK_MASK));
}

/* In place: hmm_pfns become HMMIRROR_PTE_*. */
static void translate(struct hmmirror *mirror, u64 *entries, unsigned long nr)
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
		entries[i] = answer(mirror, hmm_pfn);
		block = NO_BLOCK;
		if (speaks_for_block(hmm_pfn, entries[i])) {
			block = hmm_pfn & ~BLOCK_MASK;
			base = entries[i] & ~((u64)BLOCK_MASK << HMMIRROR_PTE_PFN_SHIFT);
		}
	}
}

/*
 * For a range that starts inside of a huge page of the device's, the walker
 * counts from the first page of that, so that the device would use the wrong
 * pages. Huge entries map aligned to aligned, which tells the right ones.
 */
static void put_right(const struct hmmirror_walk *walk, unsigned long nr)
{
	unsigned long page = walk->start >> PAGE_SHIFT;
	unsigned long i;

	for (i = 0; i < nr; i++, page++) {
		u64 pte = walk->entries[i];
		u64 inside = (1ULL << hmmirror_pte_order(pte)) - 1;

		if (!(pte & HMMIRROR_PTE_PRIVATE) || !inside)
			continue;
		walk->entries[i] = (pte & ~(inside << HMMIRROR_PTE_PFN_SHIFT)) |
				   (page & inside) << HMMIRROR_PTE_PFN_SHIFT;
	}
}

static void prepare(struct hmmirror_walk *walk, unsigned long nr)
{
	unsigned long *hmm_pfns = (unsigned long *)walk->entries;
	unsigned long i;

	memset64((u64 *)hmm_pfns, UNTOUCHED_PFN, nr);
	for (i = 0; walk->requests && i < nr; i++)
		hmm_pfns[i] |= request_to_hmm(walk->requests[i]);
	if (walk->prepare)
		walk->prepare(walk);
}

/* Entries as the walker answered them: all of them, or up to an error. */
static unsigned long raw_answers(const struct hmmirror_walk *walk, unsigned long nr)
{
	while (nr && (walk->entries[nr - 1] & ~HMM_PFN_FLAGS) == UNTOUCHED_PFN)
		nr--;
	return nr;
}

/* After an error, the answers up to it are final and the rest was not looked at. */
static unsigned long answered_pages(const struct hmmirror_walk *walk)
{
	unsigned long nr = (walk->end - walk->start) >> PAGE_SHIFT;

	while (nr && walk->entries[nr - 1] == HMMIRROR_PTE_UNTOUCHED)
		nr--;
	return nr;
}

/* The call itself. @deadline: for the kernel's own tries, where it makes them. */
static int call_walker(struct hmmirror *mirror, const struct hmmirror_walk *walk,
		       struct hmm_range *range, unsigned long deadline)
{
	int ret;

	if (walk->unlocked)
		return hmm_range_fault_unlocked_timeout(range, walk->no_limit ? 0 :
							max(1L, (long)(deadline - jiffies)));

	if (mmap_read_lock_killable(mirror->mm))
		return -EINTR;
	if (hmmirror_injected(mirror, HMMIRROR_INJECT_INVALIDATE))
		hmmirror_inject_invalidation(mirror, range->start);
	ret = hmm_range_fault(range);
	mmap_read_unlock(mirror->mm);
	return ret;
}

/* One try. -EAGAIN: invalidated meanwhile. @answered: the entries say something. */
static int walk_once(struct hmmirror *mirror, struct hmmirror_watch *watch,
		     struct hmmirror_walk *walk, struct hmm_range *range,
		     unsigned long deadline, bool *answered)
{
	unsigned long nr = (walk->end - walk->start) >> PAGE_SHIFT;
	unsigned long seq;
	int ret;

	atomic64_inc(&mirror->count.walks);
	seq = mmu_interval_read_begin(&watch->notifier);
	prepare(walk, nr);
	range->notifier_seq = seq;

	if (walk->map) {
		ret = hmmirror_pt_reserve(mirror, walk->start, walk->end);
		if (ret)
			return ret;
	}

	hmmirror_hold_here(mirror, HMMIRROR_STAGE_WALK);
	hmmirror_flicker_walk(mirror, walk->start, walk->end);
	ret = call_walker(mirror, walk, range, deadline);
	hmmirror_flicker_walked(mirror);
	hmmirror_hold_here(mirror, HMMIRROR_STAGE_WALKED);
	if (ret == -EINTR)
		return ret;
	if (ret == -EBUSY)
		return -EAGAIN;

	/* what was reserved is gone when the walker began anew by itself */
	if (!walk->map)
		seq = range->notifier_seq;
	mutex_lock(&mirror->lock);
	if (mmu_interval_read_retry(&watch->notifier, seq)) {
		mutex_unlock(&mirror->lock);
		return -EAGAIN;
	}
	if (walk->accept)
		walk->accept(walk, raw_answers(walk, nr));
	translate(mirror, walk->entries, nr);
	if (walk->map) {
		put_right(walk, nr);
		hmmirror_pt_store(mirror, walk->start, walk->entries, answered_pages(walk));
	}
	mutex_unlock(&mirror->lock);
	*answered = true;
	return ret;
}

/**
 * hmmirror_walk() - ask the walker
 * @mirror: whose address space; its mm must be held
 * @walk: the question, and room for the answers
 *
 * Return: the walker's answer: 0 or a negative errno; -EBUSY when the time was
 * over, -EINTR when killed. The entries are filled in all these cases.
 */
int hmmirror_walk(struct hmmirror *mirror, struct hmmirror_walk *walk)
{
	unsigned int timeout_ms = walk->timeout_ms ?: DEFAULT_TIMEOUT_MS;
	unsigned long deadline = jiffies + msecs_to_jiffies(timeout_ms);
	struct hmmirror_watch watch;
	struct hmm_range range = {
		.notifier = &watch.notifier,
		.start = walk->start,
		.end = walk->end,
		.hmm_pfns = (unsigned long *)walk->entries,
		.default_flags = request_to_hmm(walk->default_flags),
		.pfn_flags_mask = request_to_hmm(walk->request_mask),
		.dev_private_owner = walk->system_only ? NULL : mirror->device,
	};
	bool answered = false;
	int ret;

	BUILD_BUG_ON(sizeof(unsigned long) != sizeof(u64));

	walk->retries = 0;
	ret = hmmirror_watch_begin(&watch, mirror, walk->start, walk->end);
	if (ret)
		return ret;

	while ((ret = walk_once(mirror, &watch, walk, &range, deadline, &answered)) == -EAGAIN) {
		walk->retries++;
		atomic64_inc(&mirror->count.retries);
		if (fatal_signal_pending(current))
			ret = -EINTR;
		else if (time_after(jiffies, deadline))
			ret = -EBUSY;
		if (ret != -EAGAIN)
			break;
	}
	hmmirror_watch_end(&watch);

	if (!answered)
		memset64(walk->entries, HMMIRROR_PTE_UNTOUCHED,
			 (walk->end - walk->start) >> PAGE_SHIFT);
	return ret;
}

/**
 * hmmirror_fault() - fault a range into the device page table
 * @mirror: whose address space; its mm must be held
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @request: HMMIRROR_REQ_*; 0 takes what is there; or'ed with
 *	HMMIRROR_REQ_UNLOCKED, the kernel takes the mmap lock
 * @mapped: (out) first byte that was not reached
 *
 * In steps, so that the memory it needs does not grow with the range.
 *
 * Return: 0 or the walker's error; what is before *@mapped has its answer.
 */
int hmmirror_fault(struct hmmirror *mirror, unsigned long start, unsigned long end,
		   u64 request, unsigned long *mapped)
{
	struct hmmirror_walk walk = {
		.default_flags = request & HMMIRROR_REQ_ALL,
		.map = true,
		.unlocked = request & HMMIRROR_REQ_UNLOCKED,
	};
	int ret = 0;

	*mapped = start;
	walk.entries = kmalloc_array(HMMIRROR_BATCH, sizeof(*walk.entries), GFP_KERNEL);
	if (!walk.entries)
		return -ENOMEM;

	for (walk.start = start; walk.start < end && !ret; walk.start = walk.end) {
		walk.end = min(end, ALIGN(walk.start + 1, HMMIRROR_BATCH << PAGE_SHIFT));
		ret = hmmirror_walk(mirror, &walk);
		*mapped += answered_pages(&walk) << PAGE_SHIFT;
		cond_resched();
	}

	kfree(walk.entries);
	return ret;
}

bool hmmirror_request_ok(u64 request)
{
	if (request & ~HMMIRROR_REQ_ALL)
		return false;
	return !(request & HMMIRROR_REQ_WRITE) || request & HMMIRROR_REQ_FAULT;
}

static u64 *read_requests(const struct hmmirror_range *cmd, unsigned long nr)
{
	u64 *requests;
	unsigned long i;

	requests = vmemdup_user(u64_to_user_ptr(cmd->entries), nr * sizeof(*requests));
	if (IS_ERR(requests))
		return requests;

	for (i = 0; i < nr; i++) {
		if (hmmirror_request_ok(requests[i]))
			continue;
		kvfree(requests);
		return ERR_PTR(-EINVAL);
	}
	return requests;
}

static int range_check(struct hmmirror *mirror, const struct hmmirror_range *cmd)
{
	if (cmd->flags & ~(HMMIRROR_RANGE_MAP | HMMIRROR_RANGE_UNLOCKED | HMMIRROR_RANGE_MIRROR |
			   HMMIRROR_RANGE_NO_LIMIT))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_RANGE_NO_LIMIT &&
	    (!(cmd->flags & HMMIRROR_RANGE_UNLOCKED) || cmd->timeout_ms))
		return -EINVAL;
	if (cmd->reserved || cmd->timeout_ms > MAX_TIMEOUT_MS)
		return -EINVAL;
	if (!hmmirror_request_ok(cmd->default_flags) || cmd->request_mask & ~HMMIRROR_REQ_ALL)
		return -EINVAL;
	if (cmd->flags & HMMIRROR_RANGE_MIRROR &&
	    (cmd->flags != HMMIRROR_RANGE_MIRROR || cmd->default_flags || cmd->request_mask))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_RANGE_UNLOCKED && compat_no_unlocked())
		return -EOPNOTSUPP;
	return hmmirror_check_span(mirror, cmd->addr, cmd->length, PAGE_SIZE);
}

static int range_report(struct hmmirror *mirror, u64 addr, u64 *entries, unsigned long nr)
{
	unsigned long i;

	if (mutex_lock_killable(&mirror->lock))
		return -EINTR;
	hmmirror_pt_load(mirror, addr, entries, nr);
	mutex_unlock(&mirror->lock);

	for (i = 0; i < nr; i++)
		entries[i] &= ~HMMIRROR_PTE_HELD;
	return 0;
}

int hmmirror_ioctl_range(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_range *cmd = arg;
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	struct hmmirror_walk walk = {
		.start = cmd->addr,
		.end = cmd->addr + cmd->length,
		.default_flags = cmd->default_flags,
		.request_mask = cmd->request_mask,
		.timeout_ms = cmd->timeout_ms,
		.map = cmd->flags & HMMIRROR_RANGE_MAP,
		.unlocked = cmd->flags & HMMIRROR_RANGE_UNLOCKED,
		.no_limit = cmd->flags & HMMIRROR_RANGE_NO_LIMIT,
	};
	u64 *requests = NULL;
	int ret;

	ret = range_check(mirror, cmd);
	if (ret)
		return ret;
	if (!hmmirror_user_writable(cmd->entries, nr * sizeof(u64)))
		return -EFAULT;

	if (cmd->request_mask) {
		requests = read_requests(cmd, nr);
		if (IS_ERR(requests))
			return PTR_ERR(requests);
		walk.requests = requests;
	}

	ret = -ENOMEM;
	walk.entries = kvmalloc_array(nr, sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!walk.entries)
		goto out;

	ret = -ESRCH;
	if (!hmmirror_mm_get(mirror))
		goto out;
	if (cmd->flags & HMMIRROR_RANGE_MIRROR)
		ret = range_report(mirror, cmd->addr, walk.entries, nr);
	else
		ret = hmmirror_walk(mirror, &walk);
	mmput(mirror->mm);
	if (ret == -EINTR)
		goto out;

	cmd->error = ret;
	cmd->retries = walk.retries;
	ret = 0;
	if (copy_to_user(u64_to_user_ptr(cmd->entries), walk.entries, nr * sizeof(u64)))
		ret = -EFAULT;
out:
	kvfree(walk.entries);
	kvfree(requests);
	return ret;
}
