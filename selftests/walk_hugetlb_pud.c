// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on a hugetlb page of PUD size (1 GiB).
 *
 * It is the only huge page that the walker meets at that level in ordinary memory. Order
 * and pfn of a small page in it must be right wherever the range starts, also across a
 * PMD's boundary. It takes a second to get one in an emulated guest: each test takes the
 * same page through several states.
 */
#include <sys/mman.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define RW	(PROT_READ | PROT_WRITE)
#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define NOTHING	0
#define PAGES	16	/* pages of a walk */
#define LIMIT_S	60	/* the host may have to find the memory first */

FIXTURE(walk_hugetlb_pud)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	char *starts[3];	/* start, across a PMD boundary, end */
	size_t length;
	int fd;
};

FIXTURE_SETUP(walk_hugetlb_pud)
{
	size_t page = hmm_page_size();
	char *addr;

	self->length = PAGES * page;
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pud_size(), hmm_pud_size()));
	addr = self->area.addr;
	self->starts[0] = addr;
	self->starts[1] = addr + 300 * hmm_pmd_size() - 5 * page;
	self->starts[2] = addr + hmm_pud_size() - self->length;
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_hugetlb_pud)
{
	hmm_area_end(&self->area);
}

/* Map it; nothing is populated yet. */
static int map_pud(struct hmm_area *area, const char *state)
{
	if (expect_when(WHEN_MAPPING_INVALID))
		return hmm_skip(area, "the walker of this kernel refuses hugetlb");
	return hmm_state_make_named(area, state, 0, area->length);
}

/* Walk once and check each entry; of a valid one also order and pfn. */
static int walk_for(struct hmm_area *area, int fd, char *addr, __u64 request,
		    __u64 *entries, __u64 want)
{
	unsigned int order = expect_when(WHEN_ORDER) ? hmm_pud_order() : 0;
	char text[HMM_ENTRY_STR_MAX];
	size_t i;
	__u64 map;
	int ret = hmm_walk(fd, addr, PAGES * hmm_page_size(), request, entries);

	if (ret)
		return hmm_fail(area, ret, "HMMIRROR_RANGE");
	if (want == NOTHING && expect_when(WHEN_EMPTY_HUGETLB_VALID))
		return 0;
	for (i = 0; i < PAGES; i++) {
		if (hmm_entry_flags(entries[i]) != want ||
		    (want & VALID && hmm_entry_order(entries[i]) != order))
			return hmm_fail(area, 0, "page %zu: %s, want %#llx", i,
					hmm_entry_str(entries[i], text,
						      sizeof(text)), want);
		if (!(want & VALID))
			continue;
		if (hmm_pagemap_one(addr + i * hmm_page_size(), &map) ||
		    !(map & HMM_PM_PRESENT) ||
		    (map & HMM_PM_PFN_MASK) != hmm_entry_pfn(entries[i]))
			return hmm_fail(area, 0, "page %zu: %s, pagemap %#llx", i,
					hmm_entry_str(entries[i], text,
						      sizeof(text)), map);
	}
	return 0;
}

#define WALK(_addr, _request, _want)					\
	do {								\
		int __ret = walk_for(&self->area, self->fd, _addr,	\
				     _request, self->entries, _want);	\
									\
		ASSERT_EQ(0, __ret)					\
			TH_LOG("%s", self->area.why);			\
	} while (0)

/* A snapshot of a mapping without access. */
#define CHECK_NO_ACCESS()							\
	do {								\
		if (expect_when(WHEN_BY_MAPPING)) {			\
			ASSERT_EQ(-EPERM, hmm_walk(self->fd,		\
						   self->starts[1],	\
						   self->length, 0,	\
						   self->entries));	\
		} else {						\
			WALK(self->starts[1], 0, HMMIRROR_PTE_ERROR);	\
		}							\
	} while (0)

#define CHECK_ERROR(_error, _request)					\
	do {								\
		ASSERT_EQ(_error, hmm_walk(self->fd, self->starts[1],	\
					   self->length, _request,	\
					   self->entries));		\
		for (i = 0; i < PAGES; i++)				\
			ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED,		\
				  self->entries[i]);			\
	} while (0)

TEST_F(walk_hugetlb_pud, none)
{
	long free = hmm_hugetlb_free(hmm_pud_size());
	size_t i;

	if (!REQUIRE(map_pud(&self->area, "hugetlb_1g_none"), self->area.why))
		return;
	for (i = 0; i < ARRAY_SIZE(self->starts); i++)
		WALK(self->starts[i], 0, NOTHING);
	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, PROT_READ));
	CHECK_ERROR(-EPERM, HMMIRROR_REQ_ALL);
	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, PROT_NONE));
	CHECK_NO_ACCESS();
	CHECK_ERROR(expect_when(WHEN_BY_MAPPING) ? -EPERM : -EFAULT, HMMIRROR_REQ_FAULT);
	ASSERT_EQ(free, hmm_hugetlb_free(hmm_pud_size()));
}

/* Read, then written at the first page's request, then protected. */
TEST_F_TIMEOUT(walk_hugetlb_pud, private, LIMIT_S)
{
	size_t i, k;
	long faults;

	if (!REQUIRE(map_pud(&self->area, "hugetlb_1g_none"), self->area.why))
		return;
	WALK(self->starts[1], HMMIRROR_REQ_FAULT, VALID);
	for (k = 0; k < ARRAY_SIZE(self->starts); k++)
		WALK(self->starts[k], 0, VALID);
	if (!expect_when(WHEN_REQUESTS_LOST)) {
		for (i = 0; i < PAGES; i++)
			self->entries[i] = i ? HMMIRROR_REQ_ALL : 0;
		ASSERT_EQ(0, hmm_walk_pages(self->fd, self->starts[1],
					    self->length, HMMIRROR_REQ_ALL,
					    self->entries));
		ASSERT_ENTRIES(self->entries, PAGES, VALID);
		for (i = 0; i < PAGES; i++)
			self->entries[i] = i ? 0 : HMMIRROR_REQ_ALL;
		ASSERT_EQ(0, hmm_walk_pages(self->fd, self->starts[1],
					    self->length, HMMIRROR_REQ_ALL,
					    self->entries));
		ASSERT_ENTRIES(self->entries, PAGES, VALID | WRITE);
	}
	WALK(self->starts[2], HMMIRROR_REQ_ALL, VALID | WRITE);
	faults = hmm_faults();
	for (k = 0; k < ARRAY_SIZE(self->starts); k++)
		WALK(self->starts[k], HMMIRROR_REQ_ALL, VALID | WRITE);
	ASSERT_EQ(faults, hmm_faults());

	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, PROT_READ));
	WALK(self->starts[1], HMMIRROR_REQ_FAULT, VALID);
	CHECK_ERROR(-EPERM, HMMIRROR_REQ_ALL);
	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, RW));
	WALK(self->starts[1], HMMIRROR_REQ_ALL, VALID | WRITE);

	/* shared with a child; there is no other page to copy it to */
	ASSERT_EQ(0, hmm_area_share(&self->area, 0));
	WALK(self->starts[1], HMMIRROR_REQ_FAULT, VALID);
	if (!hmm_hugetlb_free(hmm_pud_size()))
		CHECK_ERROR(-EFAULT, HMMIRROR_REQ_ALL);
	hmm_holder_end(self->area.child);
	self->area.child = 0;
	WALK(self->starts[1], HMMIRROR_REQ_ALL, VALID | WRITE);
}

/* In a file mapping a read fault makes the entry writable. */
TEST_F_TIMEOUT(walk_hugetlb_pud, shared, LIMIT_S)
{
	size_t k;

	if (!REQUIRE(map_pud(&self->area, "hugetlb_1g_shared_none"), self->area.why))
		return;
	WALK(self->starts[2], HMMIRROR_REQ_FAULT, VALID | WRITE);
	for (k = 0; k < ARRAY_SIZE(self->starts); k++)
		WALK(self->starts[k], 0, VALID | WRITE);
	/* map over it: no table of it is left */
	ASSERT_EQ(0, hmm_area_map(&self->area, self->area.addr,
				  self->area.length, PROT_NONE, MAP_PRIVATE |
				  MAP_ANONYMOUS | MAP_NORESERVE, -1));
	CHECK_NO_ACCESS();
}

#include "hmm_main.h"
