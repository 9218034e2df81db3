/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's means to bring about what user space alone can't: a migration or
 * a walk that stands still, entries that no system call makes or that change while
 * the walker looks, failures. And
 * calls in a thread of their own, to have something to look at meanwhile.
 */
#ifndef HMM_MEANS_H
#define HMM_MEANS_H

#include <linux/types.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>

#include "hmm_device.h"

int hmm_ioctl_hold(int fd, struct hmmirror_hold *hold);
int hmm_ioctl_plant(int fd, struct hmmirror_plant *plant);
int hmm_ioctl_inject(int fd, struct hmmirror_inject *inject);
int hmm_ioctl_flicker(int fd, struct hmmirror_flicker *flicker);

/**
 * hmm_hold_arm - stop the next migration or walk of a mirror at a stage
 * @fd: from hmm_open()
 * @stage: where
 * @limit_ms: how long at most, 1 to 10000
 *
 * Return: 0 or -errno.
 */
int hmm_hold_arm(int fd, enum hmmirror_stage stage, unsigned int limit_ms);

/**
 * hmm_hold_wait - wait until something came to the stage
 * @fd: from hmm_open()
 * @limit_ms: how long at most, 1 to 10000
 *
 * Return: enum hmmirror_held, or -errno.
 */
int hmm_hold_wait(int fd, unsigned int limit_ms);

/* hmm_hold_release - let it go on; enum hmmirror_held as it was, or -errno */
int hmm_hold_release(int fd);

/**
 * hmm_plant - put an entry into the page table of the opener of a mirror
 * @fd: from hmm_open()
 * @addr: multiple of hmm_pmd_size()
 * @kind: which; a bad PMD wants what hmm_touch_table() leaves
 *
 * Return: 0 or -errno.
 */
int hmm_plant(int fd, const void *addr, enum hmmirror_planted kind);

/* hmm_plant_take - take it back; -ENOENT if it is not there any more */
int hmm_plant_take(int fd);

/**
 * hmm_flicker - have a PMD change while the walker looks at it
 * @fd: from hmm_open()
 * @addr: multiple of hmm_pmd_size(), in private anonymous memory
 * @nth: which of its looks finds nothing there
 *
 * Return: 0 or -errno.
 */
int hmm_flicker(int fd, const void *addr, unsigned int nth);

/* hmm_flicker_end - end that; how often the walker looked, or -errno */
int hmm_flicker_end(int fd);

/**
 * hmm_inject - have something fail, or happen, in a mirror's calls
 * @fd: from hmm_open()
 * @event: what
 * @nth: which one is the first, 1 is the next
 * @times: how many in a row; 0 and @nth 0 end it
 *
 * Return: how often the one before was hit, or -errno.
 */
int hmm_inject(int fd, enum hmmirror_event event, unsigned int nth,
	       unsigned int times);

/**
 * struct hmm_call - a migration or a walk in a thread of its own
 * @fd: from hmm_open()
 * @addr: first byte
 * @length: bytes
 * @request: of a walk, HMMIRROR_REQ_*
 * @entries: answers of a walk; NULL: it is a migration
 * @flags: of a walk, HMMIRROR_RANGE_*; of a migration, HMMIRROR_MIGRATE_*, 0 is to
 *	the device
 * @mask: of a walk, which requests the entries hold, HMMIRROR_REQ_*
 * @outcomes: of a migration's pages, as in hmm_move(); may be NULL
 * @error: what it returned, once hmm_call_end() did
 *
 * The first eight are the caller's to fill.
 */
struct hmm_call {
	int fd;
	void *addr;
	size_t length;
	__u64 request;
	__u64 *entries;
	__u32 flags;
	__u64 mask;
	__u8 *outcomes;
	int error;
	/* private */
	pthread_t thread;
	sem_t go;
	pid_t tid;
	int running;
	int begun;
	int over;
};

/**
 * hmm_call_prepare - make the thread, which then waits for hmm_call_begin()
 * @call: what is the caller's may still be filled afterwards
 *
 * For what is to begin while a migration is held: a new thread needs the mmap
 * lock for writing.
 *
 * Return: 0 or -errno.
 */
int hmm_call_prepare(struct hmm_call *call);

/* hmm_call_begin - start it, prepared or not; 0 or -errno */
int hmm_call_begin(struct hmm_call *call);

/**
 * hmm_call_blocks - does it wait inside the kernel?
 * @call: a call that was begun
 *
 * Return: 1 if it has come to wait for something that no signal ends; 0 if it
 * is over, or did not come to that within 2 s.
 */
int hmm_call_blocks(struct hmm_call *call);

/* hmm_call_over - has it returned? */
int hmm_call_over(const struct hmm_call *call);

/* hmm_call_end - wait for its end, if it was begun; its error. Safe to call twice. */
int hmm_call_end(struct hmm_call *call);

/**
 * hmm_hold_migration - a migration that stands still
 * @call: of which fd, addr and length are set, and flags if it is not to the device
 * @stage: where it stands
 * @limit_ms: for how long at most
 *
 * Return: 0 when it is held; or -errno.
 */
int hmm_hold_migration(struct hmm_call *call, enum hmmirror_stage stage,
		       unsigned int limit_ms);

#endif /* HMM_MEANS_H */
