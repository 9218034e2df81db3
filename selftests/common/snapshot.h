/* SPDX-License-Identifier: GPL-2.0 */
/* Snapshots that must not cause a page fault. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include "hmm_test.h"

/**
 * snapshot_without_fault - walk without requests, and assert that no page fault came of it
 * @_metadata: of the test
 * @fd: mirror
 * @addr: first byte, page aligned
 * @length: bytes
 * @entries: gets one answer a page
 */
void snapshot_without_fault(struct __test_metadata *_metadata, int fd, const void *addr,
			    size_t length, __u64 *entries);

#endif /* SNAPSHOT_H */
