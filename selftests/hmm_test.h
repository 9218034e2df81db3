/* SPDX-License-Identifier: GPL-2.0 */
/* What every test program starts with. */
#ifndef HMM_TEST_H
#define HMM_TEST_H

#include "kselftest_harness.h"

#include "hmmirror_lib.h"

/*
 * What a state maker or a walk returned, told to the harness: true after a
 * skip, and then the test has to return; false if all is well; a failure ends
 * the test. The reason is the one other argument.
 */
#define MISS(_ret, ...)							\
	({								\
		int __need = (_ret);					\
									\
		if (__need == HMM_SKIP) {				\
			SKIP(, "%s", ##__VA_ARGS__);			\
		} else {						\
			ASSERT_EQ(0, __need)				\
				TH_LOG("%s", ##__VA_ARGS__);		\
		}							\
		__need == HMM_SKIP;					\
	})

/* All entries have the same flags. */
#define ASSERT_ENTRIES(_entries, _pages, _want)				\
	do {								\
		const __u64 *__entries = (_entries);			\
		size_t __pages = (_pages), __page;			\
		char __text[HMM_ENTRY_STR_MAX];				\
									\
		for (__page = 0; __page < __pages; __page++)		\
			ASSERT_EQ(_want, hmm_entry_flags(__entries[__page])) \
				TH_LOG("page %zu: %s", __page,		\
				       hmm_entry_str(__entries[__page], __text, \
						     sizeof(__text)));	\
	} while (0)

#endif /* HMM_TEST_H */
