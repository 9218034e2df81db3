/* SPDX-License-Identifier: GPL-2.0 */
/* What every test program starts with. */
#ifndef HMM_TEST_H
#define HMM_TEST_H

#include "kselftest_harness.h"

#include "hmmirror_lib.h"

/*
 * What a state maker or a walk returned, told to the harness: passes, skips
 * with a reason (and returns), or fails with the reason.
 */
#define HMM_NEED(_ret, _why)						\
	do {								\
		int __need = (_ret);					\
									\
		if (__need == HMM_SKIP)					\
			SKIP(return, "%s", _why);			\
		ASSERT_EQ(0, __need)					\
			TH_LOG("%s", _why);				\
	} while (0)

#endif /* HMM_TEST_H */
