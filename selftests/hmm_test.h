/* SPDX-License-Identifier: GPL-2.0 */
/* What every test program starts with. */
#ifndef HMM_TEST_H
#define HMM_TEST_H

#include "kselftest_harness.h"

#include "hmmirror_lib.h"

/*
 * What a state maker or a walk returned, told to the harness: goes on, skips
 * with a reason and returns, or fails with it. The reason is the one other
 * argument.
 */
#define HMM_NEED(_ret, ...)						\
	do {								\
		int __need = (_ret);					\
									\
		if (__need == HMM_SKIP)					\
			SKIP(return, "%s", ##__VA_ARGS__);		\
		ASSERT_EQ(0, __need)					\
			TH_LOG("%s", ##__VA_ARGS__);			\
	} while (0)

#endif /* HMM_TEST_H */
