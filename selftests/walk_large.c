// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on 2^18 pages in one call, or 4 GiB if that is less: some of them are mapped,
 * or all of them by huge zero pages.
 *
 * Hundreds of thousands of answers must be right, also where the walker resumes after a
 * fault, and the driver must free what it allocated for them.
 */
#include "expect_kernel.h"
#include "hmm_test.h"

FIXTURE(walk_large)
{
	struct hmm_area area;
	__u64 *entries;
	size_t length;
};

FIXTURE_SETUP(walk_large)
{
	size_t pages;

	pages = 1UL << 18;
	while (pages * hmm_page_size() > 4UL << 30)
		pages /= 2;
	self->length = pages * hmm_page_size();
	self->entries = hmm_map_anon(pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	hmm_touch_write(self->entries, pages * sizeof(__u64));
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
}

FIXTURE_TEARDOWN(walk_large)
{
	hmm_unmap(self->entries,
		  self->length / hmm_page_size() * sizeof(__u64));
	hmm_area_end(&self->area);
}

/*
 * Memory that calls may leave allocated by chance, in KiB: per-CPU caches of the
 * allocators. The calls need 8 MiB altogether.
 */
#define LEFT_OVER	6144

TEST_F(walk_large, snapshot)
{
	size_t pages = self->length / hmm_page_size(), i, mapped = 1024;
	size_t calls = (8 << 20) / (pages * sizeof(__u64));
	int fd = hmm_area_device(&self->area, 0);
	__u64 want = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;
	long before, after;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_area_map_small(&self->area, self->area.addr,
					self->length,
					PROT_READ | PROT_WRITE));
	for (i = 0; i < pages; i += pages / mapped)
		self->area.addr[i * hmm_page_size()] = 1;
	ASSERT_EQ(0, hmm_walk(fd, self->area.addr, self->length, 0,
			      self->entries));
	for (i = 0; i < pages; i++)
		if (hmm_entry_flags(self->entries[i]) !=
		    (i % (pages / mapped) ? 0 : want))
			break;
	ASSERT_EQ(pages, i);

	before = hmm_meminfo("MemFree:");
	for (i = 0; i < calls; i++)
		ASSERT_EQ(0, hmm_walk(fd, self->area.addr, self->length, 0,
				      self->entries));
	/* some is freed later, or other tasks use it briefly */
	for (i = 0; i < 200; i++) {
		after = hmm_meminfo("MemFree:");
		if (before - after < LEFT_OVER)
			break;
		usleep(10000);
	}
	EXPECT_GT(LEFT_OVER, before - after);
}

/*
 * The huge zero page costs no memory. Every second one is mapped before, the others are
 * faulted in by the walk.
 */
TEST_F(walk_large, read_fault)
{
	size_t pages = self->length / hmm_page_size(), i;
	const struct hmm_state *state = hmm_state_find("thp_zero");
	__u64 want = HMMIRROR_PTE_VALID | HMMIRROR_PTE_ZERO;
	unsigned int order = expect_when(WHEN_ORDER) ? hmm_pmd_order() : 0;
	int fd = hmm_area_device(&self->area, 0);
	struct hmm_area *area = &self->area;
	size_t pmd = hmm_pmd_size();

	ASSERT_LE(0, fd);
	if (!REQUIRE(hmm_state_make(area, state, 0, pmd), area->why))
		return;
	if (!REQUIRE(hmm_state_make(area, hmm_state_find("thp_none"), 0, self->length),
		     area->why))
		return;
	for (i = 0; i < self->length; i += 2 * pmd)
		hmm_touch_read(area->addr + i, 1);
	ASSERT_EQ(0, hmm_walk(fd, area->addr, self->length, HMMIRROR_REQ_FAULT,
			      self->entries));
	for (i = 0; i < pages; i++)
		if (hmm_entry_flags(self->entries[i]) != want ||
		    hmm_entry_order(self->entries[i]) != order)
			break;
	ASSERT_EQ(pages, i);
	/* Consecutive pfns in each, and the same ones in all. */
	for (i = 1; i < pages; i++)
		if (self->entries[i] != (i % (pmd / hmm_page_size()) ?
		    self->entries[i - 1] + (1ULL << HMMIRROR_PTE_PFN_SHIFT) :
		    self->entries[0]))
			break;
	ASSERT_EQ(pages, i);
}

#include "hmm_main.h"
