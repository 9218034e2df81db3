/* SPDX-License-Identifier: GPL-2.0 */
/* Failures of functions of the kernel, for the next migration of a mirror. */
#ifndef INJECT_H
#define INJECT_H

#include "hmm_test.h"

/**
 * inject_failure - let a function of the kernel fail in the next migration
 * @fd: mirror that migrates
 * @event: which function
 * @nth: first call of it that fails; 1 is the next one
 * @times: how many calls in a row fail
 *
 * Return: 0; HMM_SKIP if functions of this kernel can't be made to fail; or -errno.
 */
int inject_failure(int fd, enum hmmirror_event event, unsigned int nth, unsigned int times);

/* Skips the test, and gives false, where that can't be done. */
#define INJECT(_fd, _event, _nth, _times)				\
	(REQUIRE(inject_failure(_fd, _event, _nth, _times),		\
	       "functions of the kernel can't be made to fail"))

/* How many calls failed; no more will fail. */
#define INJECTED(_fd, _event)	hmm_inject(_fd, _event, 0, 0)

#endif /* INJECT_H */
