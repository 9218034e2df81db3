/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What fixtures with a window of small pages and a device share. The macros fill the
 * fixture's own members, so that its tests can say self->addr: they stay macros.
 */
#ifndef SMALL_PAGES_H
#define SMALL_PAGES_H

#include "hmm_test.h"

/*
 * For FIXTURE_SETUP(): sets area, addr, page and length. The pages are private anonymous
 * memory that may be written; none is present yet.
 */
#define SMALL_PAGES(_pages)						\
	do {								\
		self->page = hmm_page_size();				\
		self->length = (_pages) * self->page;			\
		ASSERT_EQ(0, hmm_area_begin_small(&self->area, self->length)); \
		self->addr = self->area.addr;				\
	} while (0)

/* The same, and writes the pattern 1 to the pages; sets fd to a mirror of device 0. */
#define FILLED_PAGES(_pages)						\
	do {								\
		SMALL_PAGES(_pages);					\
		hmm_pattern_fill(self->addr, self->length, 1);		\
		self->fd = hmm_area_device(&self->area, 0);		\
		ASSERT_LE(0, self->fd);					\
	} while (0)

/*
 * For FIXTURE_SETUP(): sets fd to a mirror of a device with memory, and before to the
 * device's counters. Sets setup_ret, for REQUIRE(), and gives that.
 */
#define USE_MEMORY(_device)						\
	(self->setup_ret = hmm_area_use_memory(&self->area, _device, &self->fd, &self->before))

/* Pages of the device's memory in use since then. */
#define USED()		hmm_used_since(self->fd, &self->before)

/**
 * check_outcomes - assert that pages of a migration had one outcome
 * @_metadata: of the test
 * @outcomes: of the migration
 * @first: first page
 * @pages: number of pages
 * @want: enum hmmirror_outcome
 */
void check_outcomes(struct __test_metadata *_metadata, const __u8 *outcomes, size_t first,
		    size_t pages, __u8 want);

#endif /* SMALL_PAGES_H */
