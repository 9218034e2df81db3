/* SPDX-License-Identifier: GPL-2.0 */
/* Calls made again and again, while the first, second, third, ... allocation fails. */
#ifndef FAIL_RUN_H
#define FAIL_RUN_H

#include "hmmirror_lib.h"

/* Pages of the memory that calls are about; some need a page table of its own. */
#define FAIL_PAGES	8

/* A call allocates less often than this, or something allocates for ever. */
#define FAIL_LIMIT	2000

#define FAIL_ERRORS	6

/**
 * struct fail_case - what the calls work on
 * @area: window of 2 MiB
 * @addr: its start: FAIL_PAGES pages, written, or empty if @empty
 * @length: bytes of these
 * @page: bytes of one
 * @buffer: room for whatever a call gives or takes, all there
 * @spare: a file descriptor or address that a call made
 * @fd: mirror of device 0
 * @used: pages of the device that were in use before
 * @nth: this thread's fail-nth
 * @injected: failures so far
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
 * struct fail_call - a call whose allocations are to fail
 * @name: for messages
 * @request: HMMIRROR_REQ_* or the like, for calls that share functions
 * @empty: the memory has no pages before
 * @written: the call writes, so the memory is not looked at afterwards
 * @before: brings about what it needs, and may be NULL
 * @call: makes it: 0, or the call's error or that in its .error
 * @after: takes back what it did, whether it did or not; may be NULL
 * @errors: what it may say, beside -ENOMEM
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

/* fail_begin - set up what all calls need; what is missing, fail_sweep() tells */
void fail_begin(struct fail_case *c);

/* fail_end - take it down */
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
