// SPDX-License-Identifier: GPL-2.0
/* Snapshots that must not cause a page fault. */
#include "snapshot.h"

void snapshot_without_fault(struct __test_metadata *_metadata, int fd, const void *addr,
			    size_t length, __u64 *entries)
{
	long faults;
	int i;

	/* The first walk faults in the buffer of entries, the second one counts. */
	for (i = 0; i < 2; i++) {
		faults = hmm_faults();
		ASSERT_EQ(0, hmm_walk(fd, addr, length, 0, entries));
	}
	ASSERT_EQ(faults, hmm_faults());
}
