// SPDX-License-Identifier: GPL-2.0
/*
 * The life of a mirror: open() makes it, the kernel tells it of every change of the
 * opener's address space, and the last reference to the file ends it.
 */
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "core/mirror.h"
#include "core/pt.h"

/* Does this event come from make_device_exclusive() for this mirror? */
static bool is_own_exclusive(struct hmmirror *mirror, const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_EXCLUSIVE && compat_event_owner(range) == mirror;
}

/* @erased: (out) the device had entries there, or close to it */
static bool invalidate(struct hmmirror *mirror, struct mmu_interval_notifier *notifier,
		       const struct mmu_notifier_range *range, unsigned long seq, bool *erased)
{
	const struct hmmirror_part *const *part;

	if (mmu_notifier_range_blockable(range))
		mutex_lock(&mirror->pt.lock);
	else if (!mutex_trylock(&mirror->pt.lock))
		return false;

	mmu_interval_set_seq(notifier, seq);
	*erased = hmmirror_pt_erase(&mirror->pt, range->start, range->end);
	for (part = mirror->parts; *part; part++)
		if ((*part)->invalidate)
			(*part)->invalidate(mirror, range->start, range->end);
	mutex_unlock(&mirror->pt.lock);
	return true;
}

static bool mirror_invalidate(struct mmu_interval_notifier *notifier,
			      const struct mmu_notifier_range *range, unsigned long seq)
{
	struct hmmirror *mirror = container_of(notifier, struct hmmirror, notifier);
	bool erased;

	/* the device keeps the access that it is just getting */
	if (is_own_exclusive(mirror, range))
		return true;
	if (!invalidate(mirror, notifier, range, seq, &erased))
		return false;

	atomic64_inc(&mirror->count.invalidations);
	if (range->event == MMU_NOTIFY_EXCLUSIVE)
		atomic64_inc(&mirror->count.invalidations_exclusive);
	else if (range->event == MMU_NOTIFY_MIGRATE)
		atomic64_inc(&mirror->count.invalidations_migrate);
	else if (range->event == MMU_NOTIFY_UNMAP)
		atomic64_inc(&mirror->count.invalidations_unmap);
	if (erased && mmu_notifier_range_blockable(range))
		hmmirror_hold_here(&mirror->hooks.hold, HMMIRROR_STAGE_INVALIDATE);
	return true;
}

static const struct mmu_interval_notifier_ops mirror_ops = {
	.invalidate = mirror_invalidate,
};

/*
 * A walk's notifier erases, too. The kernel may call the mirror's notifier first, the walk
 * then store its answers, and the kernel call this one after that.
 */
static bool watch_invalidate(struct mmu_interval_notifier *notifier,
			     const struct mmu_notifier_range *range, unsigned long seq)
{
	struct hmmirror_watch *watch = container_of(notifier, struct hmmirror_watch, notifier);
	bool erased;

	if (watch->ignores_own_exclusive && is_own_exclusive(watch->mirror, range))
		return true;
	return invalidate(watch->mirror, notifier, range, seq, &erased);
}

static const struct mmu_interval_notifier_ops watch_ops = {
	.invalidate = watch_invalidate,
};

/**
 * hmmirror_watch_begin() - register a notifier for the range of a walk
 * @watch: the notifier, not yet set up
 * @mirror: whose address space; the caller holds its mm
 * @start: first byte
 * @end: first byte behind
 *
 * The mirror's own notifier covers the whole address space: with that one, an invalidation
 * anywhere would make every walk start again.
 *
 * Return: 0, -ENOMEM or -EINTR. Pair with hmmirror_watch_end().
 */
int hmmirror_watch_begin(struct hmmirror_watch *watch, struct hmmirror *mirror,
			 unsigned long start, unsigned long end)
{
	watch->mirror = mirror;
	watch->ignores_own_exclusive = false;
	return mmu_interval_notifier_insert(&watch->notifier, mirror->mm, start, end - start,
					    &watch_ops);
}

void hmmirror_watch_end(struct hmmirror_watch *watch)
{
	mmu_interval_notifier_remove(&watch->notifier);
}

static void destroy_parts(struct hmmirror *mirror)
{
	const struct hmmirror_part *const *part;

	for (part = mirror->parts; *part; part++)
		if ((*part)->destroy)
			(*part)->destroy(mirror);
}

/**
 * hmmirror_create() - mirror the address space of the current process
 * @device: the device that is opened
 * @parts: what each mirror consists of beside the page table; NULL ends the array
 *
 * Return: the mirror, or an ERR_PTR: -ENOMEM, -EINTR.
 */
struct hmmirror *hmmirror_create(struct hmmirror_device *device,
				 const struct hmmirror_part *const *parts)
{
	const struct hmmirror_part *const *part;
	struct hmmirror *mirror;
	int ret;

	mirror = kzalloc(sizeof(*mirror), GFP_KERNEL);
	if (!mirror)
		return ERR_PTR(-ENOMEM);

	mirror->device = device;
	mirror->parts = parts;
	mirror->mm = current->mm;
	mutex_init(&mirror->dma_lock);
	hmmirror_pt_init(&mirror->pt);
	for (part = parts; *part; part++)
		if ((*part)->init)
			(*part)->init(mirror);

	ret = mmu_interval_notifier_insert(&mirror->notifier, current->mm, 0,
					   ULONG_MAX & PAGE_MASK, &mirror_ops);
	if (ret) {
		destroy_parts(mirror);
		kfree(mirror);
		return ERR_PTR(ret);
	}
	return mirror;
}

/* flush() of the file: the kernel calls it for each close() of a descriptor. */
void hmmirror_flush_parts(struct hmmirror *mirror)
{
	const struct hmmirror_part *const *part;

	for (part = mirror->parts; *part; part++)
		if ((*part)->flush)
			(*part)->flush(mirror);
}

void hmmirror_destroy(struct hmmirror *mirror)
{
	destroy_parts(mirror);
	mmu_interval_notifier_remove(&mirror->notifier);
	hmmirror_pt_destroy(&mirror->pt);
	kfree(mirror);
}
