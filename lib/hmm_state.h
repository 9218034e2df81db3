/* SPDX-License-Identifier: GPL-2.0 */
/*
 * State makers: each brings all pages of a range into one state of the page
 * tables, for real, and proves afterwards that they are in it.
 *
 * A struct hmm_area is a window of address space and all that its states
 * need outside of it (files, children, knobs to put back). Every maker maps
 * its range anew, so states can stand side by side in one window, page by
 * page, in any mix; a range must start and end at multiples of the state's
 * unit. States with HMM_STATE_EARLY act on the whole process, and have to be
 * made before the others.
 *
 * A new state is one row in a state_*.c table, with its own maker if none of
 * those that are there will do.
 */
#ifndef HMM_STATE_H
#define HMM_STATE_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "hmm_device.h"

/* What hmm_state_make() returns if the machine lacks something. */
#define HMM_SKIP	1

#define HMM_AREA_UNDOS	16

struct hmm_area;

/* One thing to put back when the area ends. */
struct hmm_undo {
	void (*fn)(struct hmm_area *area, const struct hmm_undo *undo);
	const char *path;
	long number;
	size_t size;
	char text[64];
};

/**
 * struct hmm_area - a window of address space, and what its states hold
 * @addr: first byte of the window
 * @length: bytes
 * @guard: the mapping that the window is in the middle of
 * @guard_length: bytes of this
 * @child: a process that shares pages, or 0
 * @device: mirrors, opened by hmm_area_device() as needed; 0 if not open
 * @why: what is missing, or what went wrong, of the last call that failed
 * @undo: what hmm_area_end() has to put back, last one first
 * @undos: number of these
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

/* What ranges of a state must be multiples of, in size and place. */
enum hmm_unit {
	HMM_UNIT_PAGE,
	HMM_UNIT_16K,
	HMM_UNIT_64K,
	HMM_UNIT_1M,
	HMM_UNIT_PMD,
	HMM_UNIT_PUD,
};

/* The state acts on all of the process: make it before others. */
#define HMM_STATE_EARLY		0x1
/* There is no mapping: nothing may touch it, no write can prove anything. */
#define HMM_STATE_NO_VMA	0x2
/* The rest of the process is in the child after making it. */
#define HMM_STATE_SWAPS_PROCESS	0x4

/**
 * struct hmm_state - how to make a state, and how to prove it
 * @name: e.g. "anon_zero"; unique
 * @what: the same for people
 * @unit: what ranges must be multiples of
 * @flags: HMM_STATE_*
 * @prot: protection that the range ends up with (PROT_*)
 * @variant: tells states apart that share a maker
 * @make: brings the range into the state: 0, HMM_SKIP or -errno, the last two
 *	with area->why
 * @prove: looks whether it is in the state: 0 or -errno with area->why. Causes
 *	no page fault and changes nothing.
 */
struct hmm_state {
	const char *name;
	const char *what;
	enum hmm_unit unit;
	unsigned int flags;
	int prot;
	int variant;
	int (*make)(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length);
	int (*prove)(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length);
};

/**
 * hmm_area_begin - get a window
 * @area: what to set up
 * @length: bytes, page multiple
 * @align: alignment of the window; 0 for hmm_pmd_size()
 *
 * The window holds PROT_NONE memory at first, and so does a PMD's size or
 * @align, whichever is more, on either side of it. It starts one @align behind a
 * PUD boundary, and the table for its PMDs is there if it ends before the next.
 *
 * Return: 0 or -errno.
 */
int hmm_area_begin(struct hmm_area *area, size_t length, size_t align);

/**
 * hmm_area_begin_small - get a window of small pages
 * @area: what to set up
 * @length: bytes, page multiple
 *
 * As hmm_area_begin(), and all of the window is private anonymous memory that may be
 * read and written and never gets huge pages. None of them is there yet.
 *
 * Return: 0 or -errno.
 */
int hmm_area_begin_small(struct hmm_area *area, size_t length);

/* hmm_area_end - give back everything; safe to call twice, or on zeroes */
void hmm_area_end(struct hmm_area *area);

/**
 * hmm_area_device - a mirror that lives as long as the area
 * @area: the area
 * @device: 0 to 3
 *
 * Opened at the first call (in the process that calls: a state that goes on
 * as another process closes what was open before).
 *
 * Return: file descriptor or -errno.
 */
int hmm_area_device(struct hmm_area *area, unsigned int device);

/**
 * hmm_area_feature - has the kernel a feature?
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
 * hmm_area_use_memory - a mirror of a device that has memory to migrate to
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
 * hmm_area_huge_memory - can a device have huge pages?
 * @area: the area
 * @device: 0 to 3
 *
 * Return: as hmm_area_memory().
 */
int hmm_area_huge_memory(struct hmm_area *area, unsigned int device);

/**
 * hmm_state_find - a state by its name
 * @name: its name
 *
 * Return: the state, or NULL.
 */
const struct hmm_state *hmm_state_find(const char *name);

/**
 * hmm_state_next - go through all states
 * @state: the one before, or NULL for the first
 *
 * Return: the next one, or NULL.
 */
const struct hmm_state *hmm_state_next(const struct hmm_state *state);

/* hmm_state_unit - what ranges of a state must be multiples of, bytes */
size_t hmm_state_unit(const struct hmm_state *state);

/**
 * hmm_state_make - bring a range into a state, and prove it
 * @area: the area
 * @state: the state
 * @offset: first byte of the range in the window
 * @length: bytes
 *
 * Return: 0; HMM_SKIP if the machine lacks something, named in area->why; or
 * -errno if it did not work out, which is a failure, told in area->why.
 */
int hmm_state_make(struct hmm_area *area, const struct hmm_state *state,
		   size_t offset, size_t length);

/* hmm_state_make_named - hmm_state_make() of a state by its name */
int hmm_state_make_named(struct hmm_area *area, const char *name, size_t offset, size_t length);

/* hmm_state_put - the name that hmm_state_make_named() had, kept for one release */
static inline int hmm_state_put(struct hmm_area *area, const char *name, size_t offset,
				size_t length)
{
	return hmm_state_make_named(area, name, offset, length);
}

/* hmm_state_prove - prove once more that a range is in a state */
int hmm_state_prove(struct hmm_area *area, const struct hmm_state *state,
		    size_t offset, size_t length);

/* For makers. */

#define HMM_ATTRIBUTE(_what)	__attribute__(_what)
#define HMM_PRINTF(_text, _first)	HMM_ATTRIBUTE((format(printf, _text, _first)))

/* hmm_skip - set area->why like printf() and return HMM_SKIP */
int hmm_skip(struct hmm_area *area, const char *format, ...)
	HMM_PRINTF(2, 3);

/* hmm_fail - set area->why like printf() and return @error, or -EIO for 0 */
int hmm_fail(struct hmm_area *area, int error, const char *format, ...)
	HMM_PRINTF(3, 4);

/**
 * hmm_area_undo - remember something to put back
 * @area: the area
 * @fn: what does it
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
 * hmm_area_scan_soon - have NUMA balancing scan at once and often, until the area ends
 * @area: the area
 *
 * Does not switch it on. For what begins now: a process takes the delay before its
 * first scan with it from its start.
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
 * @child_side: go on as the child, with a parent that waits, and without the
 *	mirrors that were open; otherwise there is one sleeping child
 *	(area->child), which takes the place of one from before
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_area_share(struct hmm_area *area, int child_side);

/**
 * hmm_area_map - map something at a place in the window
 * @area: the area
 * @addr: where
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
 * hmm_area_pageout - swap a range out, to the machine's swap or one until the area ends
 * @area: the area
 * @addr: first byte
 * @length: bytes
 * @prove: returns 0 when it is; asked after each of several tries
 *
 * Return: 0 also if it did not work out, which the state's proof has to tell;
 * HMM_SKIP or -errno with area->why.
 */
int hmm_area_pageout(struct hmm_area *area, char *addr, size_t length,
		     int (*prove)(struct hmm_area *area, const char *addr,
				  size_t length));

/* hmm_ksm_need - 0, or HMM_SKIP with area->why where there is no KSM */
int hmm_ksm_need(struct hmm_area *area);

/**
 * hmm_ksm_merge - have KSM merge small private anonymous pages
 * @area: the area; keeps a page that they are merged with
 * @addr: first byte
 * @length: bytes
 *
 * Overwrites them: they get the same contents. Returns when all are merged, or
 * after some seconds; the caller's proof tells which.
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_ksm_merge(struct hmm_area *area, char *addr, size_t length);

/* What hmm_prove_pages() asks of every page. */
struct hmm_proof {
	__u64 set;		/* bits of pagemap that must be set */
	__u64 clear;		/* and those that must not be */
	__u64 kpf_set;	/* bits of kpageflags that must be set */
	__u64 kpf_clear;	/* and those that must not be */
	__u64 mapped;	/* how often the page is mapped at least */
};

/**
 * hmm_prove_pages - check pagemap, page flags and map count of a range
 * @area: the area
 * @addr: first byte
 * @length: bytes
 * @proof: what must hold for each page; flags and counts are asked only if
 *	@proof needs them
 *
 * Return: 0, or -errno with area->why naming page and values.
 */
int hmm_prove_pages(struct hmm_area *area, const char *addr, size_t length,
		    const struct hmm_proof *proof);

/**
 * hmm_prove_writable - prove that the page table lets the CPU write now
 * @area: the area
 * @addr: first byte
 * @length: bytes
 *
 * Writes to each page, and checks that not one page fault came of it.
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_prove_writable(struct hmm_area *area, char *addr, size_t length);

/**
 * hmm_prove_mapping - prove how a range is mapped
 * @area: the area
 * @addr: first byte
 * @length: bytes
 * @prot: protection that all of it must have; -1: nothing is mapped there
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_prove_mapping(struct hmm_area *area, const char *addr, size_t length,
		      int prot);

#endif /* HMM_STATE_H */
