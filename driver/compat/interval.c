// SPDX-License-Identifier: GPL-2.0
/*
 * Interval notifiers for kernels that only have a notifier for a whole address
 * space. The walkers of these kernels also want a struct hmm_mirror to be there;
 * it has nothing to do, since what it would be told comes by the notifier.
 *
 * An invalidation between its start and its end is "active". Who begins to read
 * waits until none is, having taken down the sequence number before: one that
 * starts later changes the number.
 */
#include <linux/mm.h>
#include <linux/hmm.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#define COMPAT_INTERVAL_C
#include "compat.h"

#ifndef HAVE_MMU_INTERVAL_NOTIFIER

struct compat_watcher {
	struct mmu_notifier notifier;
	struct hmm_mirror mirror;
	struct mm_struct *mm;
	struct list_head list;		/* under watchers_lock */
	unsigned int users;		/* under watchers_lock */

	struct rw_semaphore sem;	/* protects intervals */
	struct list_head intervals;

	spinlock_t lock;		/* protects the next two */
	unsigned long seq;
	unsigned int active;
	wait_queue_head_t idle;
};

/* outside of the mmap lock */
static DEFINE_MUTEX(watchers_lock);
static LIST_HEAD(watchers);

static void end_one(struct compat_watcher *watcher)
{
	spin_lock(&watcher->lock);
	watcher->active--;
	spin_unlock(&watcher->lock);
	wake_up_all(&watcher->idle);
}

static bool tell(struct compat_watcher *watcher, const struct compat_notifier_range *range,
		 unsigned long seq)
{
	struct mmu_interval_notifier *notifier;
	bool ok = true;

	if (range->blockable)
		down_read(&watcher->sem);
	else if (!down_read_trylock(&watcher->sem))
		return false;

	list_for_each_entry(notifier, &watcher->intervals, list) {
		if (range->end <= notifier->start || range->start > notifier->last)
			continue;
		ok = notifier->ops->invalidate(notifier, range, seq);
		if (!ok)
			break;
	}
	up_read(&watcher->sem);
	return ok;
}

static int start_one(struct compat_watcher *watcher, const struct compat_notifier_range *range)
{
	unsigned long seq;

	spin_lock(&watcher->lock);
	seq = ++watcher->seq;
	watcher->active++;
	spin_unlock(&watcher->lock);

	if (tell(watcher, range, seq))
		return 0;
	end_one(watcher);
	return -EAGAIN;
}

static int range_start(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	struct compat_notifier_range told = {
		.start = range->start,
		.end = range->end,
#ifdef HAVE_NOTIFY_UNMAP
		.event = range->event,
		.blockable = mmu_notifier_range_blockable(range),
#else
		.event = MMU_NOTIFY_CLEAR,
		.blockable = range->blockable,
#endif
	};

	return start_one(container_of(notifier, struct compat_watcher, notifier), &told);
}

static void range_end(struct mmu_notifier *notifier, const struct mmu_notifier_range *range)
{
	end_one(container_of(notifier, struct compat_watcher, notifier));
}

/* The address space ends. */
static void address_space_ends(struct mmu_notifier *notifier, struct mm_struct *mm)
{
	struct compat_watcher *watcher = container_of(notifier, struct compat_watcher, notifier);
	struct compat_notifier_range all = {
		.end = ULONG_MAX,
		.event = MMU_NOTIFY_CLEAR,
		.blockable = true,
	};

	start_one(watcher, &all);
	end_one(watcher);
}

static const struct mmu_notifier_ops notifier_ops = {
	.release = address_space_ends,
	.invalidate_range_start = range_start,
	.invalidate_range_end = range_end,
};

static void mirror_release(struct hmm_mirror *mirror)
{
}

#ifdef HAVE_HMM_UPDATE
static int mirror_sync(struct hmm_mirror *mirror, const struct hmm_update *update)
#else
static int mirror_sync(struct hmm_mirror *mirror, const struct mmu_notifier_range *update)
#endif
{
	return 0;
}

static const struct hmm_mirror_ops mirror_ops = {
	.release = mirror_release,
	.sync_cpu_device_pagetables = mirror_sync,
};

static struct compat_watcher *watcher_create(struct mm_struct *mm)
{
	struct compat_watcher *watcher;
	int ret;

	watcher = kzalloc(sizeof(*watcher), GFP_KERNEL);
	if (!watcher)
		return ERR_PTR(-ENOMEM);

	watcher->mm = mm;
	init_rwsem(&watcher->sem);
	INIT_LIST_HEAD(&watcher->intervals);
	spin_lock_init(&watcher->lock);
	init_waitqueue_head(&watcher->idle);
	watcher->notifier.ops = &notifier_ops;
	watcher->mirror.ops = &mirror_ops;

	ret = mmu_notifier_register(&watcher->notifier, mm);
	if (ret)
		goto err_free;

	down_write(&mm->mmap_sem);
	ret = hmm_mirror_register(&watcher->mirror, mm);
	up_write(&mm->mmap_sem);
	if (ret)
		goto err_unregister;
	return watcher;

err_unregister:
	mmu_notifier_unregister(&watcher->notifier, mm);
err_free:
	kfree(watcher);
	return ERR_PTR(ret);
}

static struct compat_watcher *watcher_get(struct mm_struct *mm)
{
	struct compat_watcher *watcher;

	mutex_lock(&watchers_lock);
	list_for_each_entry(watcher, &watchers, list) {
		if (watcher->mm == mm) {
			watcher->users++;
			goto out;
		}
	}
	watcher = watcher_create(mm);
	if (!IS_ERR(watcher)) {
		watcher->users = 1;
		list_add(&watcher->list, &watchers);
	}
out:
	mutex_unlock(&watchers_lock);
	return watcher;
}

static void watcher_put(struct compat_watcher *watcher)
{
	mutex_lock(&watchers_lock);
	if (!--watcher->users) {
		list_del(&watcher->list);
		hmm_mirror_unregister(&watcher->mirror);
		mmu_notifier_unregister(&watcher->notifier, watcher->mm);
		kfree(watcher);
	}
	mutex_unlock(&watchers_lock);
}

int mmu_interval_notifier_insert(struct mmu_interval_notifier *notifier, struct mm_struct *mm,
				 unsigned long start, unsigned long length,
				 const struct mmu_interval_notifier_ops *ops)
{
	struct compat_watcher *watcher = watcher_get(mm);

	if (IS_ERR(watcher))
		return PTR_ERR(watcher);

	notifier->ops = ops;
	notifier->mm = mm;
	notifier->watcher = watcher;
	notifier->start = start;
	notifier->last = start + length - 1;
	notifier->seq = 0;
	down_write(&watcher->sem);
	list_add(&notifier->list, &watcher->intervals);
	up_write(&watcher->sem);
	return 0;
}

void mmu_interval_notifier_remove(struct mmu_interval_notifier *notifier)
{
	struct compat_watcher *watcher = notifier->watcher;

	down_write(&watcher->sem);
	list_del(&notifier->list);
	up_write(&watcher->sem);
	watcher_put(watcher);
}

static bool is_idle(struct compat_watcher *watcher)
{
	bool idle;

	spin_lock(&watcher->lock);
	idle = !watcher->active;
	spin_unlock(&watcher->lock);
	return idle;
}

unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *notifier)
{
	unsigned long seq = READ_ONCE(notifier->seq);

	wait_event(notifier->watcher->idle, is_idle(notifier->watcher));
	return seq;
}

struct hmm_mirror *compat_hmm_mirror(struct mmu_interval_notifier *notifier)
{
	return &notifier->watcher->mirror;
}

#endif /* HAVE_MMU_INTERVAL_NOTIFIER */
