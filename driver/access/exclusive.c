// SPDX-License-Identifier: GPL-2.0
/*
 * Exclusive access: make_device_exclusive() replaces the CPU's entry of a page by one that
 * faults. Until a CPU touches the page, only the device works on it, with atomics of its own.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "access/copy.h"
#include "access/exclusive.h"
#include "core/mirror.h"
#include "core/pt.h"
#include "core/walk.h"

/* The kernel gives up at once if another task has locked the page. */
#define MAX_TRIES	100
/* How long to retry a page that is always in use, and a walk that is always invalidated. */
#define RETRY_MS	1000
#define WALK_MS		100

static u64 load_pte(struct hmmirror *mirror, unsigned long addr)
{
	u64 pte;

	mutex_lock(&mirror->pt.lock);
	hmmirror_pt_load(&mirror->pt, addr, &pte, 1);
	mutex_unlock(&mirror->pt.lock);
	return pte;
}

/*
 * Return: 0; -EAGAIN if the page was invalidated meanwhile, -ETIME if the walk was
 * invalidated until its time was over; else the kernel's error.
 */
static int make_page_exclusive(struct hmmirror *mirror, struct hmmirror_watch *watch,
			       unsigned long addr)
{
	u64 pte;
	struct hmmirror_walk_args walk = {
		.start = addr,
		.end = addr + PAGE_SIZE,
		.entries = &pte,
		.default_flags = HMMIRROR_REQ_ALL,
		.timeout_ms = WALK_MS,
		.map = true,
	};
	struct folio *folio;
	struct page *page;
	unsigned long seq;
	int ret;

	/*
	 * Fault the page in, unshare it and migrate it to the system first. Under the watch,
	 * that would be an invalidation. If the walk fails, make_device_exclusive() fails as
	 * well, and says why. Only a walk that used up its time must not be repeated for each
	 * page.
	 */
	ret = hmmirror_walk_range(mirror, &walk);
	if (ret == -EBUSY)
		return -ETIME;
	if (COMPAT_EXCLUSIVE_LEAKS && load_pte(mirror, addr) & HMMIRROR_PTE_COHERENT)
		return -EOPNOTSUPP;

	seq = mmu_interval_read_begin(&watch->notifier);
	ret = hmmirror_pt_reserve(&mirror->pt, addr, addr + PAGE_SIZE);
	if (ret)
		return ret;

	if (mmap_read_lock_killable(mirror->mm))
		return -EINTR;
	page = make_device_exclusive(mirror->mm, addr, mirror, &folio);
	mmap_read_unlock(mirror->mm);
	if (IS_ERR(page))
		return PTR_ERR(page);

	/* The page is locked: a CPU fault that ends the access waits until it is unlocked. */
	mutex_lock(&mirror->pt.lock);
	if (mmu_interval_read_retry(&watch->notifier, seq)) {
		ret = -EAGAIN;
	} else {
		pte = (u64)page_to_pfn(page) << HMMIRROR_PTE_PFN_SHIFT |
		      HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE | HMMIRROR_PTE_EXCLUSIVE;
		hmmirror_pt_store(&mirror->pt, addr, &pte, 1);
	}
	mutex_unlock(&mirror->pt.lock);

	folio_unlock(folio);
	folio_put(folio);
	return ret;
}

/**
 * hmmirror_make_exclusive() - get exclusive access to pages
 * @mirror: whose address space; the caller holds its mm
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @pages: (out) pages that were made exclusive, from the start
 *
 * Return: 0; -EBUSY at a page that is not anonymous, or that others use all the time; the
 * kernel's other errors; -EINTR.
 */
int hmmirror_make_exclusive(struct hmmirror *mirror, unsigned long start, unsigned long end,
			    u64 *pages)
{
	struct hmmirror_watch watch;
	unsigned long addr, deadline = 0;
	unsigned int tries = 0;
	int ret;

	*pages = 0;
	ret = hmmirror_watch_begin(&watch, mirror, start, end);
	if (ret)
		return ret;
	watch.ignores_own_exclusive = true;

	for (addr = start; addr < end; ) {
		if (!tries)
			deadline = jiffies + msecs_to_jiffies(RETRY_MS);
		ret = make_page_exclusive(mirror, &watch, addr);
		cond_resched();
		if (!ret) {
			addr += PAGE_SIZE;
			++*pages;
			tries = 0;
		}
		if (fatal_signal_pending(current))
			ret = -EINTR;
		if (!ret)
			continue;
		if ((ret != -EAGAIN && ret != -EBUSY) || ++tries == MAX_TRIES ||
		    time_after(jiffies, deadline))
			break;
	}

	hmmirror_watch_end(&watch);
	return ret == -EAGAIN || ret == -ETIME ? -EBUSY : ret;
}

/**
 * hmmirror_end_exclusive() - give pages back to the CPU
 * @mirror: whose address space; the caller holds its mm
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @pages: (out) pages that were exclusive and are no more
 *
 * The kernel has no call for that: a fault ends the access.
 *
 * Return: 0, the walker's error, or -EINTR.
 */
int hmmirror_end_exclusive(struct hmmirror *mirror, unsigned long start, unsigned long end,
			   u64 *pages)
{
	unsigned long addr, mapped;
	int ret = 0;
	u64 pte;

	*pages = 0;
	for (addr = start; addr < end && !ret; addr += PAGE_SIZE) {
		/* the range can have millions of pages that are not exclusive */
		cond_resched();
		if (fatal_signal_pending(current) || mutex_lock_killable(&mirror->pt.lock))
			return -EINTR;
		hmmirror_pt_load(&mirror->pt, addr, &pte, 1);
		mutex_unlock(&mirror->pt.lock);
		if (!(pte & HMMIRROR_PTE_EXCLUSIVE))
			continue;

		ret = hmmirror_fault_range(mirror, addr, addr + PAGE_SIZE, HMMIRROR_REQ_FAULT,
					   &mapped);
		if (!ret)
			++*pages;
	}
	return ret;
}

static u64 apply(atomic64_t *v, const struct hmmirror_exclusive *cmd)
{
	switch (cmd->op) {
	case HMMIRROR_EXCL_ADD:
		return atomic64_fetch_add(cmd->operand, v);
	case HMMIRROR_EXCL_XCHG:
		return atomic64_xchg(v, cmd->operand);
	default:
		return atomic64_cmpxchg(v, cmd->compare, cmd->operand);
	}
}

/* Return: false if the device has no exclusive access to the page. */
static bool try_atomic(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	bool exclusive;
	u64 pte;

	mutex_lock(&mirror->pt.lock);
	hmmirror_pt_load(&mirror->pt, cmd->addr & PAGE_MASK, &pte, 1);
	exclusive = pte & HMMIRROR_PTE_EXCLUSIVE;
	if (exclusive) {
		cmd->value = apply(hmmirror_pte_data(pte) + offset_in_page(cmd->addr), cmd);
		hmmirror_set_pte_page_dirty(pte);
	}
	mutex_unlock(&mirror->pt.lock);
	return exclusive;
}

/**
 * hmmirror_do_atomic() - an atomic operation of the device
 * @mirror: whose address space; the caller holds its mm
 * @cmd: address, operation and operands; (out) value
 *
 * Return: 0; -EBUSY if a CPU took the page back before each try; the kernel's error; -EINTR.
 */
int hmmirror_do_atomic(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	unsigned long page = cmd->addr & PAGE_MASK;
	unsigned int tries;
	u64 pages;
	int ret;

	for (tries = 0; tries < MAX_TRIES; tries++) {
		if (try_atomic(mirror, cmd))
			return 0;
		ret = hmmirror_make_exclusive(mirror, page, page + PAGE_SIZE, &pages);
		if (ret)
			return ret;
	}
	return -EBUSY;
}
