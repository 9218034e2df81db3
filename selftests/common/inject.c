// SPDX-License-Identifier: GPL-2.0
/* Failures of functions of the kernel, for the next migration of a mirror. */
#include "inject.h"

int inject_failure(int fd, enum hmmirror_event event, unsigned int nth, unsigned int times)
{
	int ret = hmm_inject(fd, event, nth, times);

	return ret == -EOPNOTSUPP ? HMM_SKIP : ret;
}
