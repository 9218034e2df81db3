/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is asked of pages in every state: a snapshot, faults for the whole range, and
 * requests by page. A walk_*.c program has a variant for each of its states, and calls
 * these from its tests.
 */
#ifndef WALK_CASES_H
#define WALK_CASES_H

#include "hmm_test.h"
#include "walk_run.h"

/**
 * walk_range - put a range into a state and walk all of it
 * @_metadata: of the test
 * @walk: from the fixture
 * @state: name of the state
 * @pages: number of pages; 0 for the few that a state of small pages is tested with
 * @request: HMMIRROR_REQ_*, 0 for a snapshot
 *
 * Skips or fails the test if the range can't be put into the state.
 */
void walk_range(struct __test_metadata *_metadata, struct walk *walk, const char *state,
		size_t pages, __u64 request);

/**
 * walk_page_requests - walk a range in which single pages ask for a fault
 * @_metadata: of the test
 * @walk: from the fixture
 * @state: name of the state
 *
 * The first, a middle and the last page ask, for reads and then for writes. Then pages ask
 * in turn for nothing, a read or a write; and once more so, under a request_mask that
 * leaves only the reads.
 */
void walk_page_requests(struct __test_metadata *_metadata, struct walk *walk,
			const char *state);

/**
 * walk_among_others - walk a range of writable pages, three of which are in a state
 * @_metadata: of the test
 * @walk: from the fixture
 * @state: name of the state of the first, a middle and the last page
 */
void walk_among_others(struct __test_metadata *_metadata, struct walk *walk,
		       const char *state);

#endif /* WALK_CASES_H */
