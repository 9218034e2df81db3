// SPDX-License-Identifier: GPL-2.0
/* Two huge pages' worth of memory, and a device that can have huge pages. */
#include "huge_case.h"

void huge_begin(struct __test_metadata *_metadata, struct huge_case *h)
{
	h->page = hmm_page_size();
	h->length = HUGE * h->page;
	ASSERT_EQ(hmm_pmd_size(), h->length);
	ASSERT_EQ(0, hmm_area_begin(&h->area, 2 * h->length, 0));
	h->addr = h->area.addr;
	h->copy = hmm_map_anon(2 * h->length, 0);
	ASSERT_NE(NULL, h->copy);
	h->outcomes = hmm_map_anon(PAGES * sizeof(*h->outcomes), 0);
	ASSERT_NE(NULL, h->outcomes);
	h->entries = hmm_map_anon(PAGES * sizeof(*h->entries), 0);
	ASSERT_NE(NULL, h->entries);
	h->setup_ret = hmm_area_huge_memory(&h->area, HMM_DEV_PRIVATE);
	if (h->setup_ret)
		return;
	h->fd = hmm_area_device(&h->area, HMM_DEV_PRIVATE);
	ASSERT_LE(0, h->fd);
	ASSERT_EQ(0, hmm_stats(h->fd, 0, &h->before));
}

void huge_end(struct __test_metadata *_metadata, struct huge_case *h)
{
	/* Unmap first: the mapping holds what is still on the device. */
	hmm_unmap(h->area.guard, h->area.guard_length);
	h->area.guard = NULL;
	/* An ASSERT that fails here would start the teardown again, without end. */
	if (!h->setup_ret)
		EXPECT_EQ(0, hmm_used_since(h->fd, &h->before));
	hmm_area_end(&h->area);
	hmm_unmap(h->copy, 2 * h->length);
	hmm_unmap(h->outcomes, PAGES * sizeof(*h->outcomes));
	hmm_unmap(h->entries, PAGES * sizeof(*h->entries));
}

long huge_used(struct __test_metadata *_metadata, struct huge_case *h)
{
	ASSERT_EQ(0, hmm_stats(h->fd, 0, &h->after));
	return hmm_stats_used(&h->after) - hmm_stats_used(&h->before);
}

void huge_make(struct __test_metadata *_metadata, struct huge_case *h, const char *state,
	       size_t huge)
{
	ASSERT_EQ(0, hmm_state_make_named(&h->area, state, 0, huge * hmm_pmd_size()))
		TH_LOG("%s: %s", state, h->area.why);
}

void huge_prove(struct __test_metadata *_metadata, struct huge_case *h, const char *state,
		size_t huge)
{
	ASSERT_EQ(0, hmm_state_prove(&h->area, hmm_state_find(state), 0, huge * hmm_pmd_size()))
		TH_LOG("%s: %s", state, h->area.why);
}

void huge_migrate(struct __test_metadata *_metadata, struct huge_case *h, unsigned int flags,
		  size_t first, size_t pages, __u8 want)
{
	int moves = want == HMMIRROR_OUT_MIGRATED || want == HMMIRROR_OUT_POPULATED;
	__u64 migrated = 0;
	size_t i;

	ASSERT_EQ(0, hmm_move(h->fd, flags, h->addr + first * h->page, pages * h->page,
			      h->outcomes, &migrated));
	for (i = 0; i < pages; i++) {
		ASSERT_EQ(want, h->outcomes[i])
			TH_LOG("page %zu: %s, want %s", first + i,
			       hmm_outcome_str(h->outcomes[i]), hmm_outcome_str(want));
	}
	ASSERT_EQ(moves ? pages : 0, migrated);
}

void huge_entries(struct __test_metadata *_metadata, struct huge_case *h, size_t first,
		  size_t pages, __u64 want, unsigned int order)
{
	char text[HMM_ENTRY_STR_MAX];
	size_t huge = HUGE, i;
	__u64 entry;

	ASSERT_EQ(0, hmm_walk(h->fd, h->addr + first * h->page, pages * h->page, 0,
			      h->entries));
	for (i = 0; i < pages; i++) {
		entry = h->entries[i];
		ASSERT_EQ(want, hmm_entry_flags(entry))
			TH_LOG("page %zu: %s", first + i,
			       hmm_entry_str(entry, text, sizeof(text)));
		ASSERT_EQ(order, hmm_entry_order(entry))
			TH_LOG("page %zu: %s", first + i,
			       hmm_entry_str(entry, text, sizeof(text)));
		if (!order)
			continue;
		ASSERT_EQ((first + i) % huge, hmm_entry_pfn(entry) % huge);
		ASSERT_EQ(hmm_entry_pfn(h->entries[0]) + i, hmm_entry_pfn(entry));
	}
}

void huge_fail_next(struct __test_metadata *_metadata, struct huge_case *h)
{
	struct hmm_dmirror_cmd cmd = {
		.addr = (uintptr_t)h->addr,
		.npages = HMM_DMIRROR_FLAG_FAIL_ALLOC,
	};

	ASSERT_EQ(0, hmm_ioctl(h->fd, HMM_DMIRROR_FLAGS, &cmd));
}
