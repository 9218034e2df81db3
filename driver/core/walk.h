/* SPDX-License-Identifier: GPL-2.0 */
/* Walks of the mirrored page tables. */
#ifndef HMMIRROR_CORE_WALK_H
#define HMMIRROR_CORE_WALK_H

#include <linux/types.h>

#include "uapi/hmmirror.h"

struct hmmirror;

#define HMMIRROR_MAX_TIMEOUT_MS	60000

/**
 * struct hmmirror_walk_args - one question to the walker
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @entries: room for one entry a page; (out) HMMIRROR_PTE_* answers, also when the walk
 *	failed
 * @requests: HMMIRROR_REQ_* of each page, or NULL
 * @default_flags: HMMIRROR_REQ_* of every page
 * @request_mask: the bits of @requests that count
 * @timeout_ms: how long to retry; 0 is one second, or what a page as large as a PMD's takes
 * @map: write the answers into the device page table
 * @unlocked: the kernel takes the mmap lock, and may drop it to fault
 * @no_limit: with @unlocked, the kernel's own retries have no time limit
 * @system_only: treat pages of this device as another device's
 * @prepare: may add flags to the entries before the walk, or NULL
 * @accept: gets the first @nr entries as the walker answered them, under mirror->pt.lock, or
 *	NULL
 * @retries: (out) walks that were started again
 */
struct hmmirror_walk_args {
	unsigned long start;
	unsigned long end;
	u64 *entries;
	const u64 *requests;
	u64 default_flags;
	u64 request_mask;
	unsigned int timeout_ms;
	bool map;
	bool unlocked;
	bool no_limit;
	bool system_only;
	void (*prepare)(struct hmmirror_walk_args *args);
	void (*accept)(struct hmmirror_walk_args *args, unsigned long nr);
	unsigned int retries;
};

#define HMMIRROR_REQ_UNLOCKED	_BITULL(63)	/* hmmirror_fault_range() only */

bool hmmirror_is_request(u64 request);
int hmmirror_walk_range(struct hmmirror *mirror, struct hmmirror_walk_args *args);
int hmmirror_fault_range(struct hmmirror *mirror, unsigned long start, unsigned long end,
			 u64 request, unsigned long *mapped);

#endif /* HMMIRROR_CORE_WALK_H */
