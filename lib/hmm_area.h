/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A window of address space, with all that its contents need outside of it: mirrors,
 * files, children, knobs of the machine to put back. hmm_area_end() undoes all of it.
 */
#ifndef HMM_AREA_H
#define HMM_AREA_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hmm_device.h"

/* Returned, with area->why, where the machine or the kernel lacks something. */
#define HMM_SKIP	1

#define HMM_AREA_UNDOS	16

struct hmm_area;

/* One thing that hmm_area_end() undoes. */
struct hmm_undo {
	void (*fn)(struct hmm_area *area, const struct hmm_undo *undo);
	const char *path;
	long number;
	size_t size;
	char text[64];
};

/**
 * struct hmm_area - a window of address space, and what its contents need
 * @addr: first byte of the window
 * @length: bytes
 * @guard: the mapping that the window is in the middle of
 * @guard_length: bytes of @guard
 * @child: a process that shares pages, or 0
 * @device: mirrors, opened by hmm_area_device() on demand; 0 if not open
 * @why: what the last call that failed lacked, or what went wrong
 * @undo: what hmm_area_end() undoes, the last one first
 * @undos: number of entries in @undo
 */
struct hmm_area {
	char *addr;
	size_t length;
	char *guard;
	size_t guard_length;
	pid_t child;
	int device[HMM_DEVICES];
	char why[200];
	struct hmm_undo undo[HMM_AREA_UNDOS];
	unsigned int undos;
};

/**
 * hmm_area_begin - set up an area
 * @area: what to set up
 * @length: bytes, page multiple
 * @align: alignment of the window; 0 for hmm_pmd_size()
 *
 * The window is PROT_NONE memory at first, and so is the address space on either side of
 * it, as much as a PMD maps or @align, whichever is more. It starts one @align behind a
 * PUD boundary, and its table of PMDs exists if it ends before the next.
 *
 * Return: 0 or -errno.
 */
int hmm_area_begin(struct hmm_area *area, size_t length, size_t align);

/**
 * hmm_area_begin_small - set up an area of small pages
 * @area: what to set up
 * @length: bytes, page multiple
 *
 * As hmm_area_begin(), but the window is private anonymous memory, readable and writable,
 * that never gets huge pages. No page is present yet.
 *
 * Return: 0 or -errno.
 */
int hmm_area_begin_small(struct hmm_area *area, size_t length);

/* hmm_area_end - undo everything; safe to call twice, or on zeroes */
void hmm_area_end(struct hmm_area *area);

/**
 * hmm_area_device - a mirror that stays open until the area ends
 * @area: the area
 * @device: 0 to 3
 *
 * Opened at the first call, by the process that calls. A state that continues in another
 * process (HMM_STATE_SWAPS_PROCESS) closes the mirrors.
 *
 * Return: file descriptor or -errno.
 */
int hmm_area_device(struct hmm_area *area, unsigned int device);

/**
 * hmm_area_feature - does the kernel have a feature?
 * @area: the area
 * @feature: enum hmmirror_feature, asked of device 0
 *
 * Return: 0 if so; HMM_SKIP with the driver's reason in area->why if not; or
 * -errno with area->why.
 */
int hmm_area_feature(struct hmm_area *area, enum hmmirror_feature feature);

/**
 * hmm_area_memory - does a device have memory to migrate to?
 * @area: the area
 * @device: 0 to 3
 *
 * Return: 0 if so; HMM_SKIP with the driver's reason in area->why if not; or
 * -errno with area->why.
 */
int hmm_area_memory(struct hmm_area *area, unsigned int device);

/**
 * hmm_area_use_memory - open a mirror of a device that has memory to migrate to
 * @area: the area
 * @device: 0 to 3
 * @fd: gets the mirror, as from hmm_area_device()
 * @before: gets the device's counters, for hmm_used_since()
 *
 * Return: as hmm_area_memory(); if not 0, @fd and @before are as they were.
 */
int hmm_area_use_memory(struct hmm_area *area, unsigned int device, int *fd,
			struct hmmirror_stats *before);

/**
 * hmm_area_huge_memory - does a device have memory for huge pages?
 * @area: the area
 * @device: 0 to 3
 *
 * Return: as hmm_area_memory().
 */
int hmm_area_huge_memory(struct hmm_area *area, unsigned int device);

#define HMM_ATTRIBUTE(_what)	__attribute__(_what)
#define HMM_PRINTF(_text, _first)	HMM_ATTRIBUTE((format(printf, _text, _first)))

/* hmm_skip - set area->why like printf() and return HMM_SKIP */
int hmm_skip(struct hmm_area *area, const char *format, ...)
	HMM_PRINTF(2, 3);

/* hmm_fail - set area->why like printf() and return @error, or -EIO for 0 */
int hmm_fail(struct hmm_area *area, int error, const char *format, ...)
	HMM_PRINTF(3, 4);

/**
 * hmm_area_undo - remember something for hmm_area_end() to undo
 * @area: the area
 * @fn: undoes it
 *
 * Return: the entry, for fn's arguments; NULL if there are too many.
 */
struct hmm_undo *
hmm_area_undo(struct hmm_area *area,
	      void (*fn)(struct hmm_area *area, const struct hmm_undo *undo));

/**
 * hmm_area_set_knob - write a knob of /proc or /sys until the area ends
 * @area: the area
 * @path: the knob; must stay valid until then
 * @text: what to write
 *
 * Nothing is written if it has this value. A knob that shows its choices with
 * the current one in brackets is read accordingly.
 *
 * Return: 0 or -errno.
 */
int hmm_area_set_knob(struct hmm_area *area, const char *path,
		      const char *text);

/**
 * hmm_area_need_hugetlb - have free huge pages in a pool until the area ends
 * @area: the area
 * @size: size of the huge pages
 * @pages: how many must be free
 *
 * The pool is enlarged if need be, but not that of pages larger than a PMD's.
 *
 * Return: 0, HMM_SKIP if there are not so many, or -errno; with a reason.
 */
int hmm_area_need_hugetlb(struct hmm_area *area, size_t size, long pages);

/**
 * hmm_area_scan_soon - make NUMA balancing scan at once and often, until the area ends
 * @area: the area
 *
 * Does not switch it on. A process takes the delay before its first scan from the knobs
 * when it is forked: this is for processes that are forked later.
 *
 * Return: 0; -ENOENT if there are no knobs (CONFIG_SCHED_DEBUG); or -errno.
 */
int hmm_area_scan_soon(struct hmm_area *area);

/**
 * hmm_area_close_later - close a file when the area ends
 * @area: the area
 * @fd: the file
 *
 * Return: 0 or -errno; on error @fd is closed.
 */
int hmm_area_close_later(struct hmm_area *area, int fd);

/**
 * hmm_area_share - share all memory of the process by fork
 * @area: the area
 * @child_side: continue as the child, while the parent waits, and without the mirrors that
 *	were open; otherwise fork a child that sleeps (area->child), and end an earlier one
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_area_share(struct hmm_area *area, int child_side);

/**
 * hmm_area_map - map something at an address in the window
 * @area: the area
 * @addr: first byte
 * @length: bytes
 * @prot: PROT_*
 * @flags: MAP_*, MAP_FIXED is added
 * @fd: file, or -1
 *
 * Return: 0 or -errno with area->why.
 */
int hmm_area_map(struct hmm_area *area, char *addr, size_t length, int prot,
		 int flags, int fd);

/* hmm_area_map_small - private anonymous memory that never gets huge pages */
int hmm_area_map_small(struct hmm_area *area, char *addr, size_t length,
		       int prot);

/**
 * hmm_area_pageout - swap a range out
 * @area: the area
 * @addr: first byte
 * @length: bytes
 * @prove: returns 0 if the range is swapped out; called after each of several tries
 *
 * Uses the machine's swap; without any, a zram device until the area ends.
 *
 * Return: 0, also if the range is still not swapped out, which the caller must check; or
 * HMM_SKIP or -errno with area->why.
 */
int hmm_area_pageout(struct hmm_area *area, char *addr, size_t length,
		     int (*prove)(struct hmm_area *area, const char *addr,
				  size_t length));

#endif /* HMM_AREA_H */
