/* SPDX-License-Identifier: GPL-2.0 */
/* A device: one node in /dev, with memory of its own. Each open() of it makes a mirror. */
#ifndef HMMIRROR_CORE_DEVICE_H
#define HMMIRROR_CORE_DEVICE_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>

#include "uapi/hmmirror.h"

#define HMMIRROR_NR_DEVICES	4
#define HMMIRROR_NR_PRIVATE	2	/* the first two; the others are coherent */

/* Pages that one step of a long call handles: those of one PMD, or of one huge page. */
#define HMMIRROR_BATCH		PTRS_PER_PTE
/* for arrays: on powerpc the kernel finds out at boot how many they are */
#define HMMIRROR_MAX_BATCH	MAX_PTRS_PER_PTE
#define HMMIRROR_HUGE_ORDER	(PMD_SHIFT - PAGE_SHIFT)

struct hmmirror_device {
	struct miscdevice misc;
	unsigned int id;
	enum hmmirror_memory memory;

	struct mutex chunk_lock;	/* protects the next two */
	struct list_head chunks;
	unsigned int nr_releases;	/* under way: each has taken the chunks off the list */

	/*
	 * Protects the rest of this block. Interrupts are off: the end of a bio can drop
	 * the last reference to a page of the device.
	 */
	spinlock_t free_lock;
	struct list_head whole_blocks;	/* all pages free */
	struct list_head broken_blocks;	/* some pages free */
	u64 nr_pages;
	u64 nr_free;
	u64 nr_ready;			/* free pages of chunks that stay */

	atomic_t fail_huge;		/* so many allocations of a huge page fail */
	atomic64_t cpu_faults;
	atomic64_t cpu_faults_home;
	atomic64_t evicted;
};

/* Each call stands for one allocation. Return: whether that shall fail. */
static inline bool hmmirror_fail_huge_alloc(struct hmmirror_device *device)
{
	return atomic_dec_if_positive(&device->fail_huge) >= 0;
}

#endif /* HMMIRROR_CORE_DEVICE_H */
