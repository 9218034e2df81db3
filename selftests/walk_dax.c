// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on device-dax, mapped with PTEs, PMDs and PUDs.
 *
 * DAX pages have a struct page but are in no page cache, and many kernels mark their
 * entries with a devmap bit: the walker must tell them from special entries and report
 * them. It is also the only way to a huge PUD that is no hugetlb page.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES	8
#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE

FIXTURE(walk_dax)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t unit;
	unsigned int order;
	int fd;
};

FIXTURE_VARIANT(walk_dax)
{
	int level;
};

FIXTURE_VARIANT_ADD(walk_dax, pte)
{
	.level = 0,
};

FIXTURE_VARIANT_ADD(walk_dax, pmd)
{
	.level = 1,
};

FIXTURE_VARIANT_ADD(walk_dax, pud)
{
	.level = 2,
};

FIXTURE_SETUP(walk_dax)
{
	unsigned int orders[] = { 0, hmm_pmd_order(), hmm_pud_order() };

	self->order = orders[variant->level];
	self->unit = hmm_page_size() << self->order;
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->order ? self->unit :
				    PAGES * hmm_page_size(), self->unit));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_dax)
{
	hmm_area_end(&self->area);
}

static int map_dax_at(struct hmm_area *area, char *addr, size_t length, size_t unit, int prot)
{
	int fd, ret;

	if (unit == hmm_pud_size() && expect_when(WHEN_PUD_UNSEEN))
		return hmm_skip(area, "without hugetlb this kernel's walker sees no huge PUD");
	fd = hmm_dax_open(unit);
	if (fd == -ENODEV || fd == -ENOENT)
		return hmm_skip(area, "no unused NVDIMM for device-dax of %zu bytes",
				unit);
	if (fd < 0)
		return hmm_fail(area, fd, "device-dax of %zu bytes", unit);
	ret = hmm_area_map(area, addr, length, prot, MAP_SHARED, fd);
	close(fd);
	/* device-dax logs the reason in the kernel log; no other argument can be wrong */
	if (ret == -EINVAL)
		return hmm_skip(area, "device-dax can't be mapped (CONFIG_FS_DAX)");
	return ret;
}

#define MAP(_prot)	map_dax_at(&self->area, self->area.addr, self->area.length, \
				   self->unit, _prot)

/*
 * Walk PAGES pages at the start, in the middle and at the end of the unit: they must have
 * these flags, the unit's order and consecutive pfns.
 */
static void check_walks(struct __test_metadata *_metadata, struct hmm_area *area, int fd,
			__u64 *entries, unsigned int order, __u64 request, int error,
			__u64 flags)
{
	size_t size = hmm_page_size(), all = area->length / size;
	size_t starts[] = { 0, all / 2 / PAGES * PAGES, all - PAGES }, i, page;
	__u64 first = 0, map;

	if (expect_when(WHEN_MAPPING_INVALID))
		error = -EINVAL;
	for (i = 0; i < ARRAY_SIZE(starts); i++) {
		ASSERT_EQ(error, hmm_walk(fd, area->addr + starts[i] * size,
					  PAGES * size, request, entries));
		for (page = 0; !error && page < PAGES; page++) {
			ASSERT_EQ(flags, hmm_entry_flags(entries[page]));
			if (!flags)
				continue;
			if (hmm_feature(fd, HMMIRROR_FEAT_ORDER, NULL, 0) == 1)
				ASSERT_EQ(order, hmm_entry_order(entries[page]));
			if (!first)
				first = hmm_entry_pfn(entries[0]);
			ASSERT_EQ(first + starts[i] + page,
				  hmm_entry_pfn(entries[page]));
		}
	}
	if (!first)
		return;
	/* pagemap tells whether the first pfn is right, but it would split a huge PUD */
	ASSERT_EQ(0, first & ((1ULL << order) - 1));
	if (order)
		return;
	ASSERT_EQ(0, hmm_pagemap_one(area->addr, &map));
	ASSERT_EQ(map & HMM_PM_PFN_MASK, first);
}

#define CHECK_WALKS(_request, _error, _flags)					\
	check_walks(_metadata, &self->area, self->fd, self->entries,		\
	    self->order, _request, _error, _flags)

/*
 * Nothing is present, then a fault. device-dax is not told of the first write: it inserts
 * entries with the mapping's vm_page_prot, so that a read fault makes a shared mapping
 * writable.
 */
TEST_F(walk_dax, read_fault)
{
	if (!REQUIRE(MAP(PROT_READ | PROT_WRITE), self->area.why))
		return;
	CHECK_WALKS(0, 0, 0);
	CHECK_WALKS(HMMIRROR_REQ_FAULT, 0, VALID | WRITE);
	CHECK_WALKS(0, 0, VALID | WRITE);
}

TEST_F(walk_dax, write_fault)
{
	if (!REQUIRE(MAP(PROT_READ | PROT_WRITE), self->area.why))
		return;
	CHECK_WALKS(0, 0, 0);
	CHECK_WALKS(HMMIRROR_REQ_ALL, 0, VALID | WRITE);
	CHECK_WALKS(0, 0, VALID | WRITE);
}

/* The CPU touched the memory before. */
TEST_F(walk_dax, touched)
{
	if (!REQUIRE(MAP(PROT_READ | PROT_WRITE), self->area.why))
		return;
	hmm_touch_write(self->area.addr, self->area.length > self->unit ?
			self->area.length : 1);
	CHECK_WALKS(0, 0, VALID | WRITE);
	CHECK_WALKS(HMMIRROR_REQ_ALL, 0, VALID | WRITE);
}

TEST_F(walk_dax, readonly)
{
	if (!REQUIRE(MAP(PROT_READ), self->area.why))
		return;
	CHECK_WALKS(HMMIRROR_REQ_FAULT, 0, VALID);
	CHECK_WALKS(0, 0, VALID);
	CHECK_WALKS(HMMIRROR_REQ_ALL, -EPERM, 0);
}

/* In front of the device's memory is anonymous memory that was never used. */
FIXTURE(walk_dax_behind)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t half;
	size_t unit;
	int fd;
};

FIXTURE_VARIANT(walk_dax_behind)
{
	int level;
};

FIXTURE_VARIANT_ADD(walk_dax_behind, pte)
{
	.level = 0,
};

FIXTURE_VARIANT_ADD(walk_dax_behind, pmd)
{
	.level = 1,
};

FIXTURE_VARIANT_ADD(walk_dax_behind, pud)
{
	.level = 2,
};

FIXTURE_SETUP(walk_dax_behind)
{
	unsigned int orders[] = { 0, hmm_pmd_order(), hmm_pud_order() };

	self->unit = hmm_page_size() << orders[variant->level];
	self->half = variant->level ? self->unit : PAGES * self->unit;
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * self->half, self->half));
	ASSERT_EQ(0, hmm_area_map(&self->area, self->area.addr, self->half, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_dax_behind)
{
	hmm_area_end(&self->area);
}

/* The answers for an entry begin where its pages are in the range, and not where that starts. */
TEST_F(walk_dax_behind, snapshot)
{
	char *start = self->area.addr + self->half;
	size_t page;

	if (!REQUIRE(map_dax_at(&self->area, start, self->half, self->unit,
				PROT_READ | PROT_WRITE), self->area.why))
		return;
	if (expect_when(WHEN_MAPPING_INVALID))
		SKIP(return, "this kernel's walker refuses DAX memory");
	ASSERT_EQ(0, hmm_walk(self->fd, start, PAGES / 2 * hmm_page_size(), HMMIRROR_REQ_ALL,
			      self->entries));
	ASSERT_EQ(0, hmm_walk(self->fd, start - PAGES / 2 * hmm_page_size(),
			      PAGES * hmm_page_size(), 0, self->entries));
	for (page = 0; page < PAGES; page++) {
		ASSERT_EQ(page < PAGES / 2 ? 0 : VALID | WRITE,
			  hmm_entry_flags(self->entries[page]))
			TH_LOG("page %zu", page);
	}
}

#include "hmm_main.h"
