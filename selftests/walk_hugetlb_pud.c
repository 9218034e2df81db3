// SPDX-License-Identifier: GPL-2.0
/*
 * The walker on one hugetlb page of the size of a PUD. To get one costs a second
 * in an emulated guest, so that a test takes it through several states.
 */
#include <sys/mman.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define RW	(PROT_READ | PROT_WRITE)
#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define NOTHING	0
#define PAGES	16	/* of a walk */
#define LIMIT_S	60	/* where the host has to find the memory first */

FIXTURE(walk_hugetlb_pud)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	char *places[3];	/* start, across a PMD's border, end */
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
	self->places[0] = addr;
	self->places[1] = addr + 300 * hmm_pmd_size() - 5 * page;
	self->places[2] = addr + hmm_pud_size() - self->length;
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_hugetlb_pud)
{
	hmm_area_end(&self->area);
}

/* The mapping, with nothing in it yet. */
static int map_pud(struct hmm_area *area, const char *state)
{
	if (expect_when(WHEN_MAPPING_INVALID))
		return hmm_skip(area, "the walker of this kernel refuses hugetlb");
	return hmm_state_make_named(area, state, 0, area->length);
}

/* One walk, and each entry as it must be; its order and pfn too if it is valid. */
static int walk_for(struct hmm_area *area, int fd, char *addr, __u64 request,
		    __u64 *entries, __u64 want)
{
	unsigned int order = expect_when(WHEN_ORDER) ? 18 : 0;
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

/* A mapping without access. */
#define NOT_SHOWN()							\
	do {								\
		if (expect_when(WHEN_BY_MAPPING)) {			\
			ASSERT_EQ(-EPERM, hmm_walk(self->fd,		\
						   self->places[1],	\
						   self->length, 0,	\
						   self->entries));	\
		} else {						\
			WALK(self->places[1], 0, HMMIRROR_PTE_ERROR);	\
		}							\
	} while (0)

#define REFUSED(_error, _request)					\
	do {								\
		ASSERT_EQ(_error, hmm_walk(self->fd, self->places[1],	\
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
	for (i = 0; i < ARRAY_SIZE(self->places); i++)
		WALK(self->places[i], 0, NOTHING);
	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, PROT_READ));
	REFUSED(-EPERM, HMMIRROR_REQ_ALL);
	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, PROT_NONE));
	NOT_SHOWN();
	REFUSED(expect_when(WHEN_BY_MAPPING) ? -EPERM : -EFAULT,
		HMMIRROR_REQ_FAULT);
	ASSERT_EQ(free, hmm_hugetlb_free(hmm_pud_size()));
}

/* Read, then what the first page asks for, then written, then protected. */
TEST_F_TIMEOUT(walk_hugetlb_pud, private, LIMIT_S)
{
	size_t i, place;
	long faults;

	if (!REQUIRE(map_pud(&self->area, "hugetlb_1g_none"), self->area.why))
		return;
	WALK(self->places[1], HMMIRROR_REQ_FAULT, VALID);
	for (place = 0; place < ARRAY_SIZE(self->places); place++)
		WALK(self->places[place], 0, VALID);
	if (!expect_when(WHEN_REQUESTS_LOST)) {
		for (i = 0; i < PAGES; i++)
			self->entries[i] = i ? HMMIRROR_REQ_ALL : 0;
		ASSERT_EQ(0, hmm_walk_pages(self->fd, self->places[1],
					    self->length, HMMIRROR_REQ_ALL,
					    self->entries));
		ASSERT_ENTRIES(self->entries, PAGES, VALID);
		for (i = 0; i < PAGES; i++)
			self->entries[i] = i ? 0 : HMMIRROR_REQ_ALL;
		ASSERT_EQ(0, hmm_walk_pages(self->fd, self->places[1],
					    self->length, HMMIRROR_REQ_ALL,
					    self->entries));
		ASSERT_ENTRIES(self->entries, PAGES, VALID | WRITE);
	}
	WALK(self->places[2], HMMIRROR_REQ_ALL, VALID | WRITE);
	faults = hmm_faults();
	for (place = 0; place < ARRAY_SIZE(self->places); place++)
		WALK(self->places[place], HMMIRROR_REQ_ALL, VALID | WRITE);
	ASSERT_EQ(faults, hmm_faults());

	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, PROT_READ));
	WALK(self->places[1], HMMIRROR_REQ_FAULT, VALID);
	REFUSED(-EPERM, HMMIRROR_REQ_ALL);
	ASSERT_EQ(0, mprotect(self->area.addr, self->area.length, RW));
	WALK(self->places[1], HMMIRROR_REQ_ALL, VALID | WRITE);

	/* shared with a child, and no other page to copy it to */
	ASSERT_EQ(0, hmm_area_share(&self->area, 0));
	WALK(self->places[1], HMMIRROR_REQ_FAULT, VALID);
	if (!hmm_hugetlb_free(hmm_pud_size()))
		REFUSED(-EFAULT, HMMIRROR_REQ_ALL);
	hmm_holder_end(self->area.child);
	self->area.child = 0;
	WALK(self->places[1], HMMIRROR_REQ_ALL, VALID | WRITE);
}

/* Of a file: a read gives all that a write would. */
TEST_F_TIMEOUT(walk_hugetlb_pud, shared, LIMIT_S)
{
	size_t place;

	if (!REQUIRE(map_pud(&self->area, "hugetlb_1g_shared_none"), self->area.why))
		return;
	WALK(self->places[2], HMMIRROR_REQ_FAULT, VALID | WRITE);
	for (place = 0; place < ARRAY_SIZE(self->places); place++)
		WALK(self->places[place], 0, VALID | WRITE);
	/* something else in its place: no table of it is left */
	ASSERT_EQ(0, hmm_area_map(&self->area, self->area.addr,
				  self->area.length, PROT_NONE, MAP_PRIVATE |
				  MAP_ANONYMOUS | MAP_NORESERVE, -1));
	NOT_SHOWN();
}

#include "hmm_main.h"
