/* SPDX-License-Identifier: GPL-2.0 */
/* A window of small pages, and what a device has of them, for fixtures that hold both. */
#ifndef SMALL_PAGES_H
#define SMALL_PAGES_H

#include "hmm_test.h"

/* Sets area, addr, page and length: the pages may be written, and none is there yet. */
#define SMALL_PAGES(_pages)						\
	do {								\
		self->page = hmm_page_size();				\
		self->length = (_pages) * self->page;			\
		ASSERT_EQ(0, hmm_area_begin_small(&self->area, self->length)); \
		self->addr = self->area.addr;				\
	} while (0)

/* The same with data in them, the pattern 1, and fd: a mirror of device 0. */
#define FILLED_PAGES(_pages)						\
	do {								\
		SMALL_PAGES(_pages);					\
		hmm_pattern_fill(self->addr, self->length, 1);		\
		self->fd = hmm_area_device(&self->area, 0);		\
		ASSERT_LE(0, self->fd);					\
	} while (0)

/* Sets fd and before, or lacking, which MISS() takes. */
#define USE_MEMORY(_device)						\
	(self->lacking = hmm_area_use_memory(&self->area, _device, &self->fd, &self->before))

/* Pages of the device that are in use since then. */
#define USED()		hmm_used_since(self->fd, &self->before)

/* Pages of a migration have one outcome. */
static inline void all_outcomes(struct __test_metadata *_metadata, const __u8 *outcomes,
				size_t first, size_t pages, __u8 want)
{
	size_t i;

	for (i = first; i < first + pages; i++)
		ASSERT_EQ(want, outcomes[i])
			TH_LOG("page %zu: %s, want %s", i, hmm_outcome_str(outcomes[i]),
			       hmm_outcome_str(want));
}

#endif /* SMALL_PAGES_H */
