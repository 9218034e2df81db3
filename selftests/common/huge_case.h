/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two huge pages' worth of memory, a device that can have huge pages, and what the tests
 * of migrate_huge*.c assert of both.
 */
#ifndef HUGE_CASE_H
#define HUGE_CASE_H

#include "hmm_test.h"

#define HUGE		((long)(hmm_pmd_size() / hmm_page_size())) /* pages of a huge page */
#define ORDER		hmm_pmd_order()
#define PAGES		(2 * HUGE)

#define TO_DEVICE	HMMIRROR_MIGRATE_TO_DEVICE
#define TO_SYSTEM	HMMIRROR_MIGRATE_TO_SYSTEM
#define WHOLE		HMMIRROR_MIGRATE_HUGE

#define V		HMMIRROR_PTE_VALID
#define W		(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)
#define DEV		HMMIRROR_PTE_PRIVATE

/**
 * struct huge_case - memory for two huge pages, and a device
 * @area: window of two huge pages
 * @before: counters of the device at the start
 * @after: counters of the device as huge_used() found them last
 * @outcomes: of the last migration, for PAGES
 * @entries: of the last walk, for PAGES
 * @copy: as much memory elsewhere
 * @addr: start of the window
 * @page: bytes of a small page
 * @length: bytes of a huge page
 * @setup_ret: 0; or HMM_SKIP or -errno with area.why, for REQUIRE()
 * @fd: mirror of the device
 */
struct huge_case {
	struct hmm_area area;
	struct hmmirror_stats before;
	struct hmmirror_stats after;
	__u8 *outcomes;
	__u64 *entries;
	char *copy;
	char *addr;
	size_t page;
	size_t length;
	int setup_ret;
	int fd;
};

/* huge_begin - for FIXTURE_SETUP() */
void huge_begin(struct __test_metadata *_metadata, struct huge_case *h);

/* huge_end - for FIXTURE_TEARDOWN(); no page of the device may be in use any more */
void huge_end(struct __test_metadata *_metadata, struct huge_case *h);

/* huge_used - pages of the device in use since huge_begin(); updates h->after */
long huge_used(struct __test_metadata *_metadata, struct huge_case *h);

/* huge_make - bring the first @huge huge pages of the window into a state */
void huge_make(struct __test_metadata *_metadata, struct huge_case *h, const char *state,
	       size_t huge);

/* huge_prove - prove that the first @huge huge pages of the window are in a state */
void huge_prove(struct __test_metadata *_metadata, struct huge_case *h, const char *state,
		size_t huge);

/**
 * huge_migrate - migrate pages, all of which must have one outcome
 * @_metadata: of the test
 * @h: the case
 * @flags: HMMIRROR_MIGRATE_*
 * @first: first page
 * @pages: number of pages
 * @want: enum hmmirror_outcome
 */
void huge_migrate(struct __test_metadata *_metadata, struct huge_case *h, unsigned int flags,
		  size_t first, size_t pages, __u8 want);

/**
 * huge_entries - take a snapshot of pages, all of which must have the same flags and order
 * @_metadata: of the test
 * @h: the case
 * @first: first page
 * @pages: number of pages
 * @want: HMMIRROR_PTE_*
 * @order: of each entry; if not 0, the pfns must be consecutive
 */
void huge_entries(struct __test_metadata *_metadata, struct huge_case *h, size_t first,
		  size_t pages, __u64 want, unsigned int order);

/* huge_fail_next - let the next allocation of a huge page fail, for the device or from it */
void huge_fail_next(struct __test_metadata *_metadata, struct huge_case *h);

#define USED()			huge_used(_metadata, h)
#define MAKE(_state, _huge)	huge_make(_metadata, h, _state, _huge)
#define PROVE(_state, _huge)	huge_prove(_metadata, h, _state, _huge)
#define MIGRATE(_flags, _first, _pages, _outcome) \
	huge_migrate(_metadata, h, _flags, _first, _pages, _outcome)
#define ENTRIES(_first, _pages, _flags, _order) \
	huge_entries(_metadata, h, _first, _pages, _flags, _order)
#define FAIL_NEXT_HUGE()	huge_fail_next(_metadata, h)
#define FILL(_seed)		hmm_pattern_fill(h->addr, h->length, _seed)
#define CHECK(_seed)		ASSERT_EQ(-1, hmm_pattern_check(h->addr, h->length, _seed))

#endif /* HUGE_CASE_H */
