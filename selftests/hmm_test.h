/* SPDX-License-Identifier: GPL-2.0 */
/* What every test program starts with: the harness, the library, and assertions of ours. */
#ifndef HMM_TEST_H
#define HMM_TEST_H

#include "kselftest_harness.h"

#include "hmmirror_lib.h"

/*
 * REQUIRE - go on only with what a test needs
 * @_ret: what a function of lib/ or common/ returned that makes or asks for it: 0, HMM_SKIP
 *	if the machine or the kernel lacks it, or -errno
 * @_why: what is lacking, or what went wrong
 *
 * Fails the test for an error. Gives true for 0, and false after it skipped the test:
 *
 *	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
 *		return;
 */
#define REQUIRE(_ret, _why)						\
	({								\
		int __required = (_ret);				\
		const char *__why = (_why);				\
									\
		if (__required == HMM_SKIP) {				\
			SKIP(, "%s", __why);				\
		} else {						\
			ASSERT_EQ(0, __required)			\
				TH_LOG("%s", __why);			\
		}							\
		__required != HMM_SKIP;					\
	})

/* All entries have the same flags. */
#define ASSERT_ENTRIES(_entries, _pages, _want)				\
	do {								\
		const __u64 *__entries = (_entries);			\
		size_t __pages = (_pages), __page;			\
		char __text[HMM_ENTRY_STR_MAX];				\
									\
		for (__page = 0; __page < __pages; __page++) {		\
			ASSERT_EQ(_want, hmm_entry_flags(__entries[__page])) \
				TH_LOG("page %zu: %s", __page,		\
				       hmm_entry_str(__entries[__page], __text, \
						     sizeof(__text)));	\
		}							\
	} while (0)

#endif /* HMM_TEST_H */
