/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A range of pages that a device has in one of several ways: in device-private or
 * device-coherent memory, as one huge page there, or as exclusive pages of system memory.
 * The tests of device_*.c do something to the range, and then check with this where the
 * pages are and that no data is lost. Each fixture has a struct device_case of its own.
 */
#ifndef DEVICE_CASE_H
#define DEVICE_CASE_H

#include "hmm_test.h"

/* Pages of a range of small pages. */
#define DEVICE_PAGES	8

/**
 * struct device_case - a range in a state, and what there was before
 * @area: window that the range is in
 * @state: state of the range; device_make() fills it with the pattern 0
 * @before: counters of the device before
 * @addr: start of the range
 * @copy: as much memory elsewhere
 * @frames: what device_record_pfns() found; shared with children
 * @page: bytes of a page
 * @pages: pages of the range
 * @length: bytes of the range
 * @offset: start of the range in the window, bytes
 * @coherent: the pages are in device-coherent memory, which the CPU can use
 * @exclusive: the pages are in system memory, and the device has exclusive access
 * @huge: one PMD maps all of them
 * @setup_ret: 0; or HMM_SKIP or -errno with area.why, for REQUIRE()
 * @fd: mirror of the device
 */
struct device_case {
	struct hmm_area area;
	const struct hmm_state *state;
	struct hmmirror_stats before;
	char *addr;
	char *copy;
	__u64 *frames;
	size_t page;
	size_t pages;
	size_t length;
	size_t offset;
	int coherent;
	int exclusive;
	int huge;
	int setup_ret;
	int fd;
};

/* Where a range of small pages begins. */
enum device_range {
	DEVICE_AT_TABLE_START,
	DEVICE_ACROSS_TABLES,	/* half of it is in the next page table */
};

/**
 * device_begin - for FIXTURE_SETUP()
 * @_metadata: of the test
 * @c: the case
 * @state: name of the state
 * @range: where the range begins; a huge page begins at a multiple of its size
 *
 * Does not make the state: it may be missing, and only a test can be skipped.
 */
void device_begin(struct __test_metadata *_metadata, struct device_case *c,
		  const char *state, enum device_range range);

/* device_end - for FIXTURE_TEARDOWN(); no page of the device may be in use any more */
void device_end(struct __test_metadata *_metadata, struct device_case *c);

/* device_used - pages of the device's memory in use since device_begin() */
long device_used(struct __test_metadata *_metadata, struct device_case *c);

/* device_expected - pages of the device's memory that the range takes in its state */
long device_expected(const struct device_case *c);

/* device_make - bring the range into its state, and prove both that and device_used() */
void device_make(struct __test_metadata *_metadata, struct device_case *c);

/**
 * device_record_pfns - remember which pages the range has, for device_check_freed()
 * @c: the case
 * @fd: mirror of the device, opened by the calling process
 *
 * Only needed for exclusive pages: no counter of the device tells whether those were freed.
 *
 * Return: 0 or -errno.
 */
int device_record_pfns(struct device_case *c, int fd);

/* device_check_freed - nobody has the pages of the range any more */
void device_check_freed(struct __test_metadata *_metadata, struct device_case *c);

/* device_migrate - migrate the range to the device, or make it exclusive, with its data */
void device_migrate(struct __test_metadata *_metadata, struct device_case *c);

/* device_prove - some pages of the range, all of a huge page, are still in the state */
void device_prove(struct __test_metadata *_metadata, struct device_case *c, size_t first,
		  size_t pages);

/**
 * device_check_kept - the device still has some pages, whatever their mapping is by now
 * @_metadata: of the test
 * @c: the case
 * @addr: of the first page; after an mremap(), not in the range
 * @pages: number of pages
 *
 * Private and exclusive pages must not be present. Whether the device still has exclusive
 * access is not checked: a change of the mapping may have ended that.
 */
void device_check_kept(struct __test_metadata *_metadata, struct device_case *c,
		       const char *addr, size_t pages);

/**
 * device_check_cpu_used - some pages are where they must be after the CPU used them
 * @_metadata: of the test
 * @c: the case
 * @first: first page
 * @pages: number of pages
 *
 * Private pages must be in system memory, exclusive access must have ended, and coherent
 * pages must be where they were.
 */
void device_check_cpu_used(struct __test_metadata *_metadata, struct device_case *c,
			   size_t first, size_t pages);

/* Bring the range into its state; false if the test was skipped instead. */
#define MAKE_CASE()							\
	({								\
		int __supported = REQUIRE(self->c.setup_ret, self->c.area.why); \
									\
		if (__supported)					\
			device_make(_metadata, &self->c);		\
		__supported;						\
	})

/* The CPU used the first @_pages of the range. */
#define CHECK_CPU_USED(_pages)	device_check_cpu_used(_metadata, &self->c, 0, _pages)
/* The range has the pattern @_seed, or the copy of the range has. */
#define CHECK_DATA(_seed)						\
	ASSERT_EQ(-1, hmm_pattern_check(self->c.addr, self->c.length, _seed))
#define CHECK_COPY(_seed)						\
	ASSERT_EQ(-1, hmm_pattern_check_as(self->c.copy, self->c.addr,	\
					   self->c.length, _seed))

#endif /* DEVICE_CASE_H */
