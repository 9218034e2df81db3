// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() across the boundary between two ranges that have no page table: none of
 * PTEs, none of PMDs, or none of PUDs.
 *
 * The walker handles such a hole at once, in pte_hole(), up to the end of the range or of
 * the VMA. It must report every page of it, allocate no table for a snapshot, and continue
 * with the right page once a fault has allocated the tables.
 */
#include "expect_kernel.h"
#include "hmm_test.h"

FIXTURE(walk_level)
{
	struct hmm_area area;
	__u64 *entries;
	size_t pages;
	int setup_ret;
};

FIXTURE_VARIANT(walk_level)
{
	int levels;	/* missing levels of tables; 1: only that of the PTEs */
};

FIXTURE_VARIANT_ADD(walk_level, pmd)
{
	.levels = 1,
};

FIXTURE_VARIANT_ADD(walk_level, pud)
{
	.levels = 2,
};

FIXTURE_VARIANT_ADD(walk_level, pgd)
{
	.levels = 3,
};

#define LEVEL_PAGES	64

FIXTURE_SETUP(walk_level)
{
	size_t span = hmm_page_size();
	int i;

	for (i = 0; i < variant->levels; i++)
		span *= hmm_page_size() / 8;
	if (span > hmm_address_space() / 4) {
		self->setup_ret = hmm_skip(&self->area, "there are fewer levels of page tables");
		return;
	}
	self->entries = hmm_map_anon(LEVEL_PAGES * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * span, span));
	ASSERT_EQ(0, hmm_area_map(&self->area, self->area.addr, 2 * span,
				  PROT_READ | PROT_WRITE, MAP_PRIVATE |
				  MAP_ANONYMOUS | MAP_NORESERVE, -1));
	madvise(self->area.addr, 2 * span, MADV_NOHUGEPAGE);
	/* the window is around the boundary between two such ranges */
	self->area.addr += span - LEVEL_PAGES / 2 * hmm_page_size();
}

FIXTURE_TEARDOWN(walk_level)
{
	hmm_unmap(self->entries, LEVEL_PAGES * sizeof(__u64));
	hmm_area_end(&self->area);
}

TEST_F(walk_level, snapshot)
{
	size_t length = LEVEL_PAGES * hmm_page_size(), i;
	int fd = hmm_area_device(&self->area, 0);
	long faults, tables;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_LE(0, fd);
	memset(self->entries, 0xff, LEVEL_PAGES * sizeof(__u64));
	hmm_touch_walk(fd);
	tables = hmm_status("VmPTE:");
	faults = hmm_faults();
	ASSERT_EQ(0, hmm_walk(fd, self->area.addr, length, 0, self->entries));
	ASSERT_EQ(faults, hmm_faults());
	ASSERT_EQ(tables, hmm_status("VmPTE:"));
	for (i = 0; i < LEVEL_PAGES; i++)
		ASSERT_EQ(0, self->entries[i]);
}

static void fault_levels(struct __test_metadata *_metadata,
			 FIXTURE_DATA(walk_level) * self, __u64 request,
			 __u64 want)
{
	size_t length = LEVEL_PAGES * hmm_page_size(), i;
	int fd = hmm_area_device(&self->area, 0);
	char text[HMM_ENTRY_STR_MAX];

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_walk(fd, self->area.addr, length, request,
			      self->entries));
	for (i = 0; i < LEVEL_PAGES; i++) {
		ASSERT_EQ(HMMIRROR_PTE_VALID | want,
			  hmm_entry_flags(self->entries[i]))
			TH_LOG("page %zu: %s", i,
			       hmm_entry_str(self->entries[i], text,
					     sizeof(text)));
	}
}

TEST_F(walk_level, read_fault)
{
	if (!REQUIRE(expect_when(WHEN_ZERO_SPECIAL) ? HMM_SKIP : 0,
		     "the walker of this kernel refuses the zero page"))
		return;
	fault_levels(_metadata, self, HMMIRROR_REQ_FAULT, HMMIRROR_PTE_ZERO);
}

TEST_F(walk_level, write_fault)
{
	fault_levels(_metadata, self, HMMIRROR_REQ_ALL, HMMIRROR_PTE_WRITE);
}

/*
 * Of the first half all pages are present, of the other one none. The requests that decide about
 * the hole are those of its own pages.
 */
TEST_F(walk_level, page_requests)
{
	size_t length = LEVEL_PAGES * hmm_page_size(), i;
	int fd = hmm_area_device(&self->area, 0);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_LE(0, fd);
	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_PAGE_REQUESTS), self->area.why))
		return;
	hmm_pattern_fill(self->area.addr, length / 2, 1);

	for (i = 0; i < LEVEL_PAGES; i++)
		self->entries[i] = i < LEVEL_PAGES / 2 ? HMMIRROR_REQ_ALL : 0;
	ASSERT_EQ(0, hmm_walk_pages(fd, self->area.addr, length, HMMIRROR_REQ_ALL,
				    self->entries));
	for (i = 0; i < LEVEL_PAGES; i++) {
		ASSERT_EQ(i < LEVEL_PAGES / 2 ? HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE : 0,
			  hmm_entry_flags(self->entries[i]))
			TH_LOG("page %zu", i);
	}

	memset(self->entries, 0, LEVEL_PAGES * sizeof(__u64));
	self->entries[LEVEL_PAGES - 1] = HMMIRROR_REQ_ALL;
	ASSERT_EQ(0, hmm_walk_pages(fd, self->area.addr, length, HMMIRROR_REQ_ALL,
				    self->entries));
	ASSERT_EQ(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
		  hmm_entry_flags(self->entries[LEVEL_PAGES - 1]));
}

#include "hmm_main.h"
