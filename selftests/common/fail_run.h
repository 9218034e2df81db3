/* SPDX-License-Identifier: GPL-2.0 */
/* Calls that are repeated while their first, second, third, ... memory allocation fails. */
#ifndef FAIL_RUN_H
#define FAIL_RUN_H

#include "hmmirror_lib.h"

/* Pages of the memory that the calls are about. */
#define FAIL_PAGES	8

/* A call allocates less often than this; more means without end. */
#define FAIL_LIMIT	2000

#define FAIL_ERRORS	6

/**
 * struct fail_case - what the calls are about
 * @area: window of 2 MiB
 * @addr: start of the window: FAIL_PAGES pages, written; empty if the call wants that
 * @length: bytes of these pages
 * @page: bytes of a page
 * @buffer: room for what a call reads or writes, populated
 * @spare: a file descriptor or address that a call made
 * @fd: mirror of device 0
 * @used: pages of the device that were in use before
 * @nth: fail-nth of the thread that makes the call
 * @injected: failed allocations so far
 * @setup_ret: what fail_begin() returned
 * @why: what was missing or wrong
 */
struct fail_case {
	struct hmm_area area;
	char *addr;
	size_t length;
	size_t page;
	void *buffer;
	long spare;
	long used;
	int fd;
	int nth;
	unsigned int injected;
	int setup_ret;
	char why[256];
};

/**
 * struct fail_call - a call whose allocations fail one after the other
 * @name: for messages
 * @request: HMMIRROR_REQ_* or the like, for calls that share functions
 * @empty: the memory is not populated before the call
 * @written: the call may write the memory, so that its data is not checked afterwards
 * @before: prepares the call; may be NULL
 * @call: makes the call: 0, its error, or the error in its struct's .error
 * @after: undoes the call, whether it succeeded or not; may be NULL
 * @errors: errors that it may return, beside -ENOMEM
 */
struct fail_call {
	const char *name;
	unsigned long request;
	int empty;
	int written;
	int (*before)(struct fail_case *c, const struct fail_call *call);
	int (*call)(struct fail_case *c, const struct fail_call *call);
	void (*after)(struct fail_case *c, const struct fail_call *call);
	int errors[FAIL_ERRORS];
};

/* fail_begin - for FIXTURE_SETUP(); fail_sweep() tells what is missing */
void fail_begin(struct fail_case *c);

/* fail_end - for FIXTURE_TEARDOWN() */
void fail_end(struct fail_case *c);

/**
 * fail_sweep - make each of several calls until none of its allocations is left to fail
 * @c: from fail_begin()
 * @feature: what the kernel must have for the calls
 * @calls: the calls
 * @nr: number of calls
 *
 * Return: 0; HMM_SKIP or -errno with c->why.
 */
int fail_sweep(struct fail_case *c, enum hmmirror_feature feature,
	       const struct fail_call *calls, size_t nr);

#endif /* FAIL_RUN_H */
