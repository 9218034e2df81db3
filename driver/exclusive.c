// SPDX-License-Identifier: GPL-2.0
/*
 * Exclusive access: the CPU's entry of a page is taken away until a CPU touches
 * it, so that the device can work on it with atomics of its own.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/mmu_notifier.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/* The kernel gives up at once when another one has the page locked. */
#define TAKE_TRIES	100
/* How long for a page that is in use all the time, and for a walk that never ends. */
#define TAKE_MS		1000
#define WALK_MS		100

static bool is_coherent(struct hmmirror *mirror, unsigned long addr)
{
	u64 pte;

	mutex_lock(&mirror->lock);
	hmmirror_pt_load(mirror, addr, &pte, 1);
	mutex_unlock(&mirror->lock);
	return pte & HMMIRROR_PTE_COHERENT;
}

/*
 * Return: 0, -EAGAIN when invalidated meanwhile, -ETIME when that has no end, or the
 * kernel's error.
 */
static int take_page(struct hmmirror *mirror, struct hmmirror_watch *watch, unsigned long addr)
{
	u64 pte;
	struct hmmirror_walk walk = {
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
	 * Populate, unshare and bring home first: done under the watch, it would
	 * count as an invalidation. What fails here fails below, with its reason;
	 * but if it took all the time there is, the next page's would, too.
	 */
	ret = hmmirror_walk(mirror, &walk);
	if (ret == -EBUSY)
		return -ETIME;
	if (COMPAT_EXCLUSIVE_LEAKS && is_coherent(mirror, addr))
		return -EOPNOTSUPP;

	seq = mmu_interval_read_begin(&watch->notifier);
	ret = hmmirror_pt_reserve(mirror, addr, addr + PAGE_SIZE);
	if (ret)
		return ret;

	if (mmap_read_lock_killable(mirror->mm))
		return -EINTR;
	page = make_device_exclusive(mirror->mm, addr, mirror, &folio);
	mmap_read_unlock(mirror->mm);
	if (IS_ERR(page))
		return PTR_ERR(page);

	/* the page is locked: a CPU fault that ends the access waits for this */
	mutex_lock(&mirror->lock);
	if (mmu_interval_read_retry(&watch->notifier, seq)) {
		ret = -EAGAIN;
	} else {
		pte = (u64)page_to_pfn(page) << HMMIRROR_PTE_PFN_SHIFT |
		      HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE | HMMIRROR_PTE_HELD;
		hmmirror_pt_store(mirror, addr, &pte, 1);
	}
	mutex_unlock(&mirror->lock);

	folio_unlock(folio);
	folio_put(folio);
	return ret;
}

/**
 * hmmirror_take() - get exclusive access to pages
 * @mirror: whose address space; its mm must be held
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @taken: (out) pages taken, from the start
 *
 * Return: 0; -EBUSY for a page that can't be had (not anonymous, or others use
 * it all the time), the kernel's other errors; -EINTR.
 */
int hmmirror_take(struct hmmirror *mirror, unsigned long start, unsigned long end, u64 *taken)
{
	struct hmmirror_watch watch;
	unsigned long addr, deadline = 0;
	unsigned int tries = 0;
	int ret;

	*taken = 0;
	ret = hmmirror_watch_begin(&watch, mirror, start, end);
	if (ret)
		return ret;
	watch.taking = true;

	for (addr = start; addr < end; ) {
		if (!tries)
			deadline = jiffies + msecs_to_jiffies(TAKE_MS);
		ret = take_page(mirror, &watch, addr);
		cond_resched();
		if (!ret) {
			addr += PAGE_SIZE;
			++*taken;
			tries = 0;
		}
		if (fatal_signal_pending(current))
			ret = -EINTR;
		if (!ret)
			continue;
		if ((ret != -EAGAIN && ret != -EBUSY) || ++tries == TAKE_TRIES ||
		    time_after(jiffies, deadline))
			break;
	}

	hmmirror_watch_end(&watch);
	return ret == -EAGAIN || ret == -ETIME ? -EBUSY : ret;
}

/* Return: pages held, -EINTR, -EFAULT. @held: one byte a page, or 0. */
static s64 count_held(struct hmmirror *mirror, unsigned long addr, unsigned long end, u64 held)
{
	s64 total = 0;

	while (addr < end) {
		u8 bytes[64];
		unsigned long nr = min((end - addr) >> PAGE_SHIFT, sizeof(bytes));
		u64 ptes[sizeof(bytes)];
		unsigned long i;

		if (mutex_lock_killable(&mirror->lock))
			return -EINTR;
		hmmirror_pt_load(mirror, addr, ptes, nr);
		mutex_unlock(&mirror->lock);

		for (i = 0; i < nr; i++) {
			bytes[i] = !!(ptes[i] & HMMIRROR_PTE_HELD);
			total += bytes[i];
		}
		if (held) {
			if (copy_to_user(u64_to_user_ptr(held), bytes, nr))
				return -EFAULT;
			held += nr;
		}
		addr += nr << PAGE_SHIFT;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return total;
}

static int do_take(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	s64 held;

	cmd->error = hmmirror_take(mirror, cmd->addr, cmd->addr + cmd->length, &cmd->pages);
	if (cmd->error == -EINTR)
		return -EINTR;

	held = count_held(mirror, cmd->addr, cmd->addr + cmd->length, cmd->held);
	if (held < 0)
		return held;
	cmd->pages = held;
	return 0;
}

static int do_test(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	s64 held = count_held(mirror, cmd->addr, cmd->addr + cmd->length, cmd->held);

	if (held < 0)
		return held;
	cmd->pages = held;
	return 0;
}

/* There is no call to give a page back: what ends the access is a fault. */
static int do_release(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	unsigned long addr = cmd->addr, end = cmd->addr + cmd->length;
	u64 given = 0;
	int ret = 0;

	for (; addr < end && !ret; addr += PAGE_SIZE) {
		unsigned long mapped;
		u64 pte;

		/* there can be millions that are not held */
		cond_resched();
		if (fatal_signal_pending(current) || mutex_lock_killable(&mirror->lock))
			return -EINTR;
		hmmirror_pt_load(mirror, addr, &pte, 1);
		mutex_unlock(&mirror->lock);
		if (!(pte & HMMIRROR_PTE_HELD))
			continue;

		ret = hmmirror_fault(mirror, addr, addr + PAGE_SIZE, HMMIRROR_REQ_FAULT, &mapped);
		if (!ret)
			given++;
	}

	cmd->error = ret;
	cmd->pages = given;
	return ret == -EINTR ? ret : 0;
}

static u64 atomic_apply(atomic64_t *v, const struct hmmirror_exclusive *cmd)
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

/* Return: false if the device does not hold the page. */
static bool atomic_on_held(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	bool held;
	u64 pte;

	mutex_lock(&mirror->lock);
	hmmirror_pt_load(mirror, cmd->addr & PAGE_MASK, &pte, 1);
	held = pte & HMMIRROR_PTE_HELD;
	if (held) {
		cmd->value = atomic_apply(hmmirror_pte_data(pte) + offset_in_page(cmd->addr), cmd);
		hmmirror_pte_dirty(pte);
	}
	mutex_unlock(&mirror->lock);
	return held;
}

static int do_atomic(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	unsigned long page = cmd->addr & PAGE_MASK;
	unsigned int tries;
	u64 taken;

	for (tries = 0; tries < TAKE_TRIES; tries++) {
		if (atomic_on_held(mirror, cmd)) {
			cmd->error = 0;
			return 0;
		}
		cmd->error = hmmirror_take(mirror, page, page + PAGE_SIZE, &taken);
		if (cmd->error)
			return cmd->error == -EINTR ? -EINTR : 0;
	}
	cmd->error = -EBUSY;
	return 0;
}

static int exclusive_check(struct hmmirror *mirror, const struct hmmirror_exclusive *cmd)
{
	int ret;

	if (cmd->flags || cmd->op > HMMIRROR_EXCL_CMPXCHG)
		return -EINVAL;

	if (cmd->op >= HMMIRROR_EXCL_ADD) {
		if (cmd->length != sizeof(u64) || cmd->held)
			return -EINVAL;
		ret = hmmirror_check_span(mirror, cmd->addr, cmd->length, sizeof(u64));
	} else {
		ret = hmmirror_check_span(mirror, cmd->addr, cmd->length, PAGE_SIZE);
	}
	if (ret)
		return ret;
	if (!compat_has_exclusive())
		return -EOPNOTSUPP;
	if (cmd->held && !hmmirror_user_writable(cmd->held, cmd->length >> PAGE_SHIFT))
		return -EFAULT;
	return 0;
}

int hmmirror_ioctl_exclusive(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_exclusive *cmd = arg;
	int ret;

	ret = exclusive_check(mirror, cmd);
	if (ret)
		return ret;
	if (!hmmirror_mm_get(mirror))
		return -ESRCH;

	cmd->error = 0;
	switch (cmd->op) {
	case HMMIRROR_EXCL_TAKE:
		ret = do_take(mirror, cmd);
		break;
	case HMMIRROR_EXCL_TEST:
		ret = do_test(mirror, cmd);
		break;
	case HMMIRROR_EXCL_RELEASE:
		ret = do_release(mirror, cmd);
		break;
	default:
		ret = do_atomic(mirror, cmd);
		break;
	}
	mmput(mirror->mm);
	return ret;
}
