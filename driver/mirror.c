// SPDX-License-Identifier: GPL-2.0
/*
 * A mirror: made by open(), told by the kernel of every change of the opener's
 * address space, gone with the last reference to the file.
 */
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/* Exclusive access that this mirror is just taking is not a reason to lose it. */
static bool own_exclusive_event(struct hmmirror *mirror, const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_EXCLUSIVE && compat_event_owner(range) == mirror;
}

static bool forget(struct hmmirror *mirror, struct mmu_interval_notifier *notifier,
		   const struct mmu_notifier_range *range, unsigned long seq)
{
	if (mmu_notifier_range_blockable(range))
		mutex_lock(&mirror->lock);
	else if (!mutex_trylock(&mirror->lock))
		return false;

	mmu_interval_set_seq(notifier, seq);
	hmmirror_pt_erase(mirror, range->start, range->end);
	hmmirror_dma_invalidate(mirror, range->start, range->end);
	mutex_unlock(&mirror->lock);
	return true;
}

static bool mirror_invalidate(struct mmu_interval_notifier *notifier,
			      const struct mmu_notifier_range *range, unsigned long seq)
{
	struct hmmirror *mirror = container_of(notifier, struct hmmirror, notifier);

	if (own_exclusive_event(mirror, range))
		return true;
	if (!forget(mirror, notifier, range, seq))
		return false;

	atomic64_inc(&mirror->count.invalidations);
	if (range->event == MMU_NOTIFY_EXCLUSIVE)
		atomic64_inc(&mirror->count.invalidations_exclusive);
	else if (range->event == MMU_NOTIFY_MIGRATE)
		atomic64_inc(&mirror->count.invalidations_migrate);
	else if (range->event == MMU_NOTIFY_UNMAP)
		atomic64_inc(&mirror->count.invalidations_unmap);
	return true;
}

static const struct mmu_interval_notifier_ops mirror_ops = {
	.invalidate = mirror_invalidate,
};

/*
 * Erases as well: the mirror's own callback may have run before the walk wrote
 * its answers, and this one after.
 */
static bool watch_invalidate(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range, unsigned long seq)
{
	struct hmmirror_watch *watch = container_of(notifier, struct hmmirror_watch, notifier);

	if (watch->taking && own_exclusive_event(watch->mirror, range))
		return true;
	return forget(watch->mirror, notifier, range, seq);
}

static const struct mmu_interval_notifier_ops watch_ops = {
	.invalidate = watch_invalidate,
};

/**
 * hmmirror_watch_begin() - watch a range for the time of a walk
 * @watch: to be filled
 * @mirror: whose address space; its mm must be held
 * @start: first byte
 * @end: first byte behind
 *
 * The mirror's own notifier covers the whole address space: with it, any
 * invalidation anywhere would make a walk start again.
 *
 * Return: 0, or -ENOMEM. Pair with hmmirror_watch_end().
 */
int hmmirror_watch_begin(struct hmmirror_watch *watch, struct hmmirror *mirror,
			 unsigned long start, unsigned long end)
{
	watch->mirror = mirror;
	watch->taking = false;
	return mmu_interval_notifier_insert(&watch->notifier, mirror->mm, start, end - start,
					    &watch_ops);
}

void hmmirror_watch_end(struct hmmirror_watch *watch)
{
	mmu_interval_notifier_remove(&watch->notifier);
}

/**
 * hmmirror_create() - mirror the current process
 * @device: the device that is opened
 *
 * Return: the mirror, or an ERR_PTR: -ENOMEM, -EINTR.
 */
struct hmmirror *hmmirror_create(struct hmmirror_device *device)
{
	struct hmmirror *mirror;
	int ret;

	mirror = kzalloc(sizeof(*mirror), GFP_KERNEL);
	if (!mirror)
		return ERR_PTR(-ENOMEM);

	mirror->device = device;
	mirror->mm = current->mm;
	mutex_init(&mirror->lock);
	mutex_init(&mirror->plant_lock);
	spin_lock_init(&mirror->inject_lock);
	hmmirror_hold_init(mirror);
	hmmirror_flicker_init(mirror);
	mutex_init(&mirror->dma_lock);
	hmmirror_pt_init(mirror);

	ret = mmu_interval_notifier_insert(&mirror->notifier, current->mm, 0,
					   ULONG_MAX & PAGE_MASK, &mirror_ops);
	if (ret) {
		kfree(mirror);
		return ERR_PTR(ret);
	}
	return mirror;
}

void hmmirror_destroy(struct hmmirror *mirror)
{
	hmmirror_plant_end(mirror);
	hmmirror_flicker_end(mirror);
	mmu_interval_notifier_remove(&mirror->notifier);
	hmmirror_dma_free(mirror);
	hmmirror_pt_destroy(mirror);
	kfree(mirror);
}

/* Keep the address space alive for a call. Pair with mmput(mirror->mm). */
bool hmmirror_mm_get(struct hmmirror *mirror)
{
	return mmget_not_zero(mirror->mm);
}

/**
 * hmmirror_check_span() - is this a range that a call can take?
 * @mirror: whose address space
 * @addr: first byte
 * @length: bytes
 * @align: what both must be a multiple of, a power of two
 *
 * Return: 0, -EINVAL or -EFBIG as the ABI header says.
 */
int hmmirror_check_span(struct hmmirror *mirror, u64 addr, u64 length, u64 align)
{
	if (!length || !IS_ALIGNED(addr | length, align))
		return -EINVAL;
	if (addr + length < addr || addr + length > mirror->mm->task_size)
		return -EINVAL;
	if (length > (u64)hmmirror_max_range_mb << 20)
		return -EFBIG;
	return 0;
}

/*
 * Tell a bad pointer before anything is done. Each page is read and written
 * with the same byte; what happens to it later is still met by copy_to_user().
 */
bool hmmirror_user_writable(u64 uptr, size_t size)
{
	u64 last = uptr + size - 1;
	u8 byte;

	for (;;) {
		u8 __user *p = u64_to_user_ptr(uptr);

		if (get_user(byte, p) || put_user(byte, p))
			return false;
		if (uptr == last)
			return true;
		uptr = min(last, (uptr & PAGE_MASK) + PAGE_SIZE);
	}
}
