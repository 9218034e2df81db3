/* SPDX-License-Identifier: GPL-2.0 */
/* Migrations and walks in a thread of their own, for what happens while they wait. */
#ifndef HMM_CALL_H
#define HMM_CALL_H

#include <linux/types.h>
#include <pthread.h>
#include <semaphore.h>
#include <stddef.h>

#include "hmm_hooks.h"

/**
 * struct hmm_call - a migration or a walk in a thread of its own
 * @fd: from hmm_open()
 * @addr: first byte
 * @length: bytes
 * @request: of a walk, HMMIRROR_REQ_*
 * @entries: answers of a walk; NULL for a migration
 * @flags: of a walk, HMMIRROR_RANGE_*; of a migration, HMMIRROR_MIGRATE_*, where 0 is
 *	HMMIRROR_MIGRATE_TO_DEVICE
 * @mask: of a walk, HMMIRROR_REQ_* bits of the requests that @entries holds
 * @outcomes: of a migration's pages, as in hmm_move(); may be NULL
 * @error: what it returned, once hmm_call_end() did
 *
 * The caller fills the first eight.
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
 * hmm_call_prepare - create the thread, which then waits for hmm_call_begin()
 * @call: the call; the caller may still fill it afterwards
 *
 * Needed for a call that begins while a migration is held: creating a thread takes the mmap
 * lock for writing.
 *
 * Return: 0 or -errno.
 */
int hmm_call_prepare(struct hmm_call *call);

/* hmm_call_begin - start the call, prepared or not; 0 or -errno */
int hmm_call_begin(struct hmm_call *call);

/**
 * hmm_call_blocks - does the call wait inside the kernel?
 * @call: a call that was begun
 *
 * Return: 1 if its thread is in uninterruptible sleep; 0 if the call has returned, or did
 * not sleep within 2 s.
 */
int hmm_call_blocks(struct hmm_call *call);

/* hmm_call_over - has the call returned? */
int hmm_call_over(const struct hmm_call *call);

/*
 * hmm_call_end - wait for the end of the call, if it was begun; its error. Safe to call
 * twice.
 */
int hmm_call_end(struct hmm_call *call);

/**
 * hmm_hold_migration - start a migration and hold it at a step
 * @call: with fd, addr and length set; and flags, if it is not to the device
 * @stage: the step
 * @limit_ms: for how long at most
 *
 * Return: 0 once it is held; or -errno.
 */
int hmm_hold_migration(struct hmm_call *call, enum hmmirror_stage stage,
		       unsigned int limit_ms);

#endif /* HMM_CALL_H */
