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

/* A snapshot, and it causes no fault. */
static inline void quiet_snapshot(struct __test_metadata *_metadata, int fd,
				  const void *addr, size_t length, __u64 *entries)
{
	long faults;
	int time;

	/* once for nothing, so that the buffer is there the second time */
	for (time = 0; time < 2; time++) {
		faults = hmm_faults();
		ASSERT_EQ(0, hmm_walk(fd, addr, length, 0, entries));
	}
	ASSERT_EQ(faults, hmm_faults());
}

/* The flags of all entries are the same. */
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
