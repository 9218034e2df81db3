/* SPDX-License-Identifier: GPL-2.0 */
/* Failures of the kernel's functions, for fixtures with an fd. */
#ifndef INJECT_H
#define INJECT_H

#include "hmm_test.h"

/* inject - for the next migration. Return: what MISS() takes */
static inline int inject(int fd, enum hmmirror_event event, unsigned int nth,
			 unsigned int times)
{
	int ret = hmm_inject(fd, event, nth, times);

	return ret == -EOPNOTSUPP ? HMM_SKIP : ret;
}

#define INJECT(_event, _nth, _times)					\
	MISS(inject(self->fd, _event, _nth, _times),			\
	     "functions of the kernel can't be made to fail")

/* How many came of it; none comes any more. */
#define HITS(_event)	hmm_inject(self->fd, _event, 0, 0)

#endif /* INJECT_H */
