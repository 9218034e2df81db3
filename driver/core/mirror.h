/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mirror: one open() of a device, with the opener's address space as the device sees it.
 *
 * Locks, outer to inner:
 *	dma_lock > targets_lock of access/dma.c > pt.lock
 *	dma_lock > hooks.pmd_race.walks > mmap lock > page lock > pt.lock
 *	hooks.plant.lock > mmap lock > lock of the planted entry > page table lock
 *	device->chunk_lock > memory hotplug > mmap lock > device->free_lock
 * Nothing is taken under hooks.injections.lock, hooks.hold.lock and device->free_lock.
 */
#ifndef HMMIRROR_CORE_MIRROR_H
#define HMMIRROR_CORE_MIRROR_H

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>

#include "compat/compat.h"
#include "core/device.h"
#include "core/pt.h"
#include "hooks/hooks.h"

struct hmmirror_counters {
	atomic64_t walks;
	atomic64_t retries;
	atomic64_t invalidations;
	atomic64_t invalidations_migrate;
	atomic64_t invalidations_unmap;
	atomic64_t invalidations_exclusive;
	atomic64_t to_device;
	atomic64_t to_system;
};

struct hmmirror;

/**
 * struct hmmirror_part - what belongs to each mirror, and core/ knows nothing of
 * @init: open() makes the mirror
 * @invalidate: the device must not reach the pages of a range any more; pt.lock is held
 * @flush: a descriptor of the file is closed, also by the exit of a process
 * @destroy: the last reference to the file is gone
 *
 * Each of them can be NULL. Name the fields when filling one: a kernel with
 * CONFIG_RANDSTRUCT shuffles structs of function pointers.
 */
struct hmmirror_part {
	void (*init)(struct hmmirror *mirror);
	void (*invalidate)(struct hmmirror *mirror, unsigned long start, unsigned long end);
	void (*flush)(struct hmmirror *mirror);
	void (*destroy)(struct hmmirror *mirror);
};

struct hmmirror_dma_map;

struct hmmirror {
	struct hmmirror_device *device;
	const struct hmmirror_part *const *parts;	/* NULL ends them */
	struct mm_struct *mm;		/* the notifier keeps the struct, not the memory */
	struct mmu_interval_notifier notifier;
	struct hmmirror_pt pt;
	struct hmmirror_dma_map *dma;	/* changed under both locks, freed under dma_lock */
	struct mutex dma_lock;		/* held for a whole call */
	struct hmmirror_counters count;
	struct hmmirror_hooks hooks;
};

struct hmmirror *hmmirror_create(struct hmmirror_device *device,
				 const struct hmmirror_part *const *parts);
void hmmirror_flush_parts(struct hmmirror *mirror);
void hmmirror_destroy(struct hmmirror *mirror);

static inline void hmmirror_count_migrated(struct hmmirror *mirror, bool to_device, u64 pages)
{
	atomic64_add(pages, to_device ? &mirror->count.to_device : &mirror->count.to_system);
}

/**
 * struct hmmirror_watch - a notifier for the range of one walk
 * @notifier: passed to hmm_range_fault() and mmu_interval_read_retry()
 * @mirror: whose address space
 * @ignores_own_exclusive: making a page exclusive for this mirror is no reason to retry
 */
struct hmmirror_watch {
	struct mmu_interval_notifier notifier;
	struct hmmirror *mirror;
	bool ignores_own_exclusive;
};

int hmmirror_watch_begin(struct hmmirror_watch *watch, struct hmmirror *mirror,
			 unsigned long start, unsigned long end);
void hmmirror_watch_end(struct hmmirror_watch *watch);

#endif /* HMMIRROR_CORE_MIRROR_H */
