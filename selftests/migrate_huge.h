/* SPDX-License-Identifier: GPL-2.0 */
/* Two huge pages, a device with room for them, and what the tests say of both. */
#ifndef MIGRATE_HUGE_H
#define MIGRATE_HUGE_H

#include "hmm_test.h"

#define HUGE		512	/* pages of a huge page */
#define ORDER		9
#define PAGES		(2 * HUGE)

#define TO_DEVICE	HMMIRROR_MIGRATE_TO_DEVICE
#define TO_SYSTEM	HMMIRROR_MIGRATE_TO_SYSTEM
#define WHOLE		HMMIRROR_MIGRATE_HUGE

#define V		HMMIRROR_PTE_VALID
#define W		(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)
#define DEV		HMMIRROR_PTE_PRIVATE

FIXTURE(migrate_huge)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	struct hmmirror_stats after;
	__u8 outcomes[PAGES];
	__u64 entries[PAGES];
	char *copy;
	char *addr;
	size_t page;
	size_t length;	/* of a huge page */
	int lacking;
	int fd;
};

FIXTURE_SETUP(migrate_huge)
{
	self->page = hmm_page_size();
	self->length = HUGE * self->page;
	ASSERT_EQ(hmm_pmd_size(), self->length);
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * self->length, 0));
	self->addr = self->area.addr;
	self->copy = hmm_map_anon(2 * self->length, 0);
	ASSERT_NE(NULL, self->copy);
	self->lacking = hmm_area_huge_memory(&self->area, HMM_DEV_PRIVATE);
	if (self->lacking)
		return;
	self->fd = hmm_area_device(&self->area, HMM_DEV_PRIVATE);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
}

FIXTURE_TEARDOWN(migrate_huge)
{
	/*
	 * Whatever was done to them, all pages are given back in the end. No ASSERT here:
	 * after one that failed, it would begin the teardown anew for ever.
	 */
	hmm_unmap(self->area.guard, self->area.guard_length);
	self->area.guard = NULL;
	if (!self->lacking)
		EXPECT_EQ(0, hmm_used_since(self->fd, &self->before));
	hmm_area_end(&self->area);
	hmm_unmap(self->copy, 2 * self->length);
}

#define USED()								\
	({								\
		ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));	\
		hmm_stats_used(&self->after) - hmm_stats_used(&self->before); \
	})

/* Brings huge pages of the window into a state. */
#define PUT(_state, _huge)	put(_metadata, &self->area, _state, _huge)
#define PROVE(_state, _huge)	prove(_metadata, &self->area, _state, _huge)

static inline void put(struct __test_metadata *_metadata, struct hmm_area *area,
		       const char *state, size_t huge)
{
	ASSERT_EQ(0, hmm_state_put(area, state, 0, huge * hmm_pmd_size()))
		TH_LOG("%s: %s", state, area->why);
}

static inline void prove(struct __test_metadata *_metadata, struct hmm_area *area,
			 const char *state, size_t huge)
{
	ASSERT_EQ(0, hmm_state_prove(area, hmm_state_find(state), 0, huge * hmm_pmd_size()))
		TH_LOG("%s: %s", state, area->why);
}

/* Moves pages, all of which have to have one outcome. */
#define MOVE(_flags, _first, _pages, _outcome)				\
	move(_metadata, self, _flags, _first, _pages, _outcome)

static inline void move(struct __test_metadata *_metadata,
			struct _test_data_migrate_huge *self, unsigned int flags,
			size_t first, size_t pages, __u8 want)
{
	int arrives = want == HMMIRROR_OUT_MIGRATED || want == HMMIRROR_OUT_POPULATED;
	__u64 migrated = 0;
	size_t i;

	ASSERT_EQ(0, hmm_move(self->fd, flags, self->addr + first * self->page,
			      pages * self->page, self->outcomes, &migrated));
	for (i = 0; i < pages; i++) {
		__u8 outcome = self->outcomes[i];

		ASSERT_EQ(want, outcome)
			TH_LOG("page %zu: %s, want %s", first + i,
			       hmm_outcome_str(outcome), hmm_outcome_str(want));
	}
	ASSERT_EQ(arrives ? pages : 0, migrated);
}

/* The walker's answer for pages. Those of a huge page lie one behind the other. */
#define ENTRIES(_first, _pages, _flags, _order) \
	entries(_metadata, self, _first, _pages, _flags, _order)

static inline void entries(struct __test_metadata *_metadata,
			   struct _test_data_migrate_huge *self, size_t first,
			   size_t pages, __u64 want, unsigned int order)
{
	char text[HMM_ENTRY_STR_MAX];
	__u64 entry;
	size_t i;

	ASSERT_EQ(0, hmm_walk(self->fd, self->addr + first * self->page,
			      pages * self->page, 0, self->entries));
	for (i = 0; i < pages; i++) {
		entry = self->entries[i];
		ASSERT_EQ(want, hmm_entry_flags(entry))
			TH_LOG("page %zu: %s", first + i,
			       hmm_entry_str(entry, text, sizeof(text)));
		ASSERT_EQ(order, hmm_entry_order(entry))
			TH_LOG("page %zu: %s", first + i,
			       hmm_entry_str(entry, text, sizeof(text)));
		if (!order)
			continue;
		ASSERT_EQ((first + i) % HUGE, hmm_entry_pfn(entry) % HUGE);
		ASSERT_EQ(hmm_entry_pfn(self->entries[0]) + i, hmm_entry_pfn(entry));
	}
}

/* The next huge page that the device is to have, or to give, is not to be had. */
static inline void fail_next_huge(struct __test_metadata *_metadata, int fd, char *addr)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)addr,
		.npages = HMM_DMIRROR_FLAG_FAIL_ALLOC,
	};

	ASSERT_EQ(0, hmm_ioctl(fd, HMM_DMIRROR_FLAGS, &cmd));
}

#define FAIL_NEXT_HUGE()	fail_next_huge(_metadata, self->fd, self->addr)

#define FILL(_seed)		hmm_pattern_fill(self->addr, self->length, _seed)
#define CHECK(_seed) \
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, _seed))

#endif /* MIGRATE_HUGE_H */
