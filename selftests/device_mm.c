// SPDX-License-Identifier: GPL-2.0
/*
 * mprotect(), mremap(), munmap(), mlock() and madvise() on pages that a device has.
 *
 * Each walks page tables that hold device-private or device-exclusive entries in place of
 * present PTEs, and has to move, split, zap or skip those. A device entry handled as a swap
 * entry leaks the page or loses data; one that is dropped leaves a page of the device in
 * use for ever.
 */
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device_case.h"

#ifndef MADV_COLD
#define MADV_COLD		20
#define MADV_PAGEOUT		21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

/* The part of the range that a test changes, in pages of DEVICE_PAGES. */
#define PART		2
#define PART_PAGES	3

FIXTURE(device_mm)
{
	struct device_case c;
	char *part;
	size_t part_length;
	char *elsewhere;	/* PROT_NONE memory to move the range to */
	size_t room;
};

FIXTURE_VARIANT(device_mm)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_mm, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_mm, huge)
{
	.state = "dev_huge",
};

FIXTURE_VARIANT_ADD(device_mm, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_mm, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_mm)
{
	struct device_case *c = &self->c;

	device_begin(_metadata, c, variant->state, DEVICE_ACROSS_TABLES);
	self->part = c->addr + PART * c->page;
	self->part_length = PART_PAGES * c->page;
	self->room = 3 * hmm_pmd_size();
	self->elsewhere = hmm_map_none(self->room, hmm_pmd_size());
	ASSERT_NE(NULL, self->elsewhere);
}

FIXTURE_TEARDOWN(device_mm)
{
	hmm_unmap(self->elsewhere, self->room);
	device_end(_metadata, &self->c);
}

/* All pages but the part have the pattern. */
static void check_others(struct __test_metadata *_metadata, struct device_case *c,
			 __u64 seed)
{
	size_t end = (PART + PART_PAGES) * c->page;

	ASSERT_EQ(-1, hmm_pattern_check(c->addr, PART * c->page, seed));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + end, c->length - end, seed));
}

/* The part's pages are freed at once; those of a huge page when all of it is. */
static void check_part_freed(struct __test_metadata *_metadata, struct device_case *c)
{
	if (!c->huge && !c->exclusive)
		ASSERT_EQ((long)c->pages - PART_PAGES, device_used(_metadata, c));
}

/* Can a CPU read there? Asked of the kernel, so that the test survives. */
static int readable(char *addr)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { addr, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* Return: 0; HMM_SKIP with why for advice that the kernel does not know; or -errno. */
static int advise(struct hmm_area *area, char *addr, size_t length, int advice,
		  const char *name)
{
	if (!madvise(addr, length, advice))
		return 0;
	return errno == EINVAL ? hmm_skip(area, "no %s", name) : hmm_fail(area, errno, "%s", name);
}

#define ADVISE(_addr, _length, _advice) \
	REQUIRE(advise(&self->c.area, _addr, _length, _advice, #_advice), self->c.area.why)

TEST_F(device_mm, mprotect_readonly)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ));
	device_check_kept(_metadata, c, c->addr, c->pages);
	CHECK_DATA(0);
	CHECK_CPU_USED(c->pages);
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(c->addr, c->length, 1);
	CHECK_DATA(1);
}

/* PROT_NONE, and back. */
TEST_F(device_mm, mprotect_none)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_NONE));
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(0, readable(c->addr));
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(0, mprotect(c->addr, c->length, PROT_READ | PROT_WRITE));
	CHECK_DATA(0);
	CHECK_CPU_USED(c->pages);
}

TEST_F(device_mm, mprotect_part)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mprotect(self->part, self->part_length, PROT_READ));
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	CHECK_DATA(0);
	ASSERT_EQ(0, mprotect(self->part, self->part_length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(c->addr, c->length, 2);
	CHECK_DATA(2);
}

TEST_F(device_mm, mremap)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(self->elsewhere, mremap(c->addr, c->length, c->length,
					  MREMAP_MAYMOVE | MREMAP_FIXED, self->elsewhere));
	device_check_kept(_metadata, c, self->elsewhere, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->elsewhere, c->addr, c->length, 0));
	hmm_pattern_fill(self->elsewhere, c->length, 3);
	ASSERT_EQ(-1, hmm_pattern_check(self->elsewhere, c->length, 3));
}

/* To an address where another page is the first of a page table. */
TEST_F(device_mm, mremap_across_tables)
{
	struct device_case *c = &self->c;
	char *to = self->elsewhere + hmm_pmd_size() - 3 * c->page;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(to, mremap(c->addr, c->length, c->length, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	device_check_kept(_metadata, c, to, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check_as(to, c->addr, c->length, 0));
}

TEST_F(device_mm, mremap_part)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(self->elsewhere, mremap(self->part, self->part_length, self->part_length,
					  MREMAP_MAYMOVE | MREMAP_FIXED, self->elsewhere));
	device_check_kept(_metadata, c, self->elsewhere, PART_PAGES);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->elsewhere, self->part, self->part_length, 0));
	check_others(_metadata, c, 0);
}

/* The old range stays mapped, and is empty. */
TEST_F(device_mm, mremap_dontunmap)
{
	struct device_case *c = &self->c;
	char *to;

	if (!MAKE_CASE())
		return;
	to = mremap(c->addr, c->length, c->length,
		    MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, self->elsewhere);
	if (to == MAP_FAILED)
		SKIP(return, "no MREMAP_DONTUNMAP");
	ASSERT_EQ(-1, hmm_all_bytes(c->addr, c->length, 0));
	device_check_kept(_metadata, c, to, c->pages);
	ASSERT_EQ(-1, hmm_pattern_check_as(to, c->addr, c->length, 0));
}

TEST_F(device_mm, mremap_shrink_and_grow)
{
	struct device_case *c = &self->c;
	size_t left = c->length - self->part_length;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(c->addr, mremap(c->addr, c->length, left, 0));
	check_part_freed(_metadata, c);
	ASSERT_EQ(c->addr, mremap(c->addr, left, c->length, 0));
	ASSERT_EQ(-1, hmm_all_bytes(c->addr + left, self->part_length, 0));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, left, 0));
}

TEST_F(device_mm, munmap_part)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, munmap(self->part, self->part_length));
	check_part_freed(_metadata, c);
	device_check_kept(_metadata, c, c->addr, PART);
	device_check_kept(_metadata, c, self->part + self->part_length, c->pages - PART -
			  PART_PAGES);
	ASSERT_EQ(0, readable(self->part));
	check_others(_metadata, c, 0);
}

TEST_F(device_mm, munmap)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, device_record_pfns(c, c->fd));
	ASSERT_EQ(0, munmap(c->addr, c->length));
	device_check_freed(_metadata, c);
}

/* mmap() with MAP_FIXED over the part. */
TEST_F(device_mm, mmap_fixed_part)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, hmm_area_map_small(&c->area, self->part, self->part_length, PROT_READ));
	check_part_freed(_metadata, c);
	ASSERT_EQ(-1, hmm_all_bytes(self->part, self->part_length, 0));
	check_others(_metadata, c, 0);
}

TEST_F(device_mm, madv_dontneed_part)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, madvise(self->part, self->part_length, MADV_DONTNEED));
	check_part_freed(_metadata, c);
	ASSERT_EQ(-1, hmm_all_bytes(self->part, self->part_length, 0));
	check_others(_metadata, c, 0);
}

/* MADV_FREE marks pages on the LRU as lazily freeable; device pages are not on the LRU. */
TEST_F(device_mm, madv_free)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	if (!ADVISE(c->addr, c->length, MADV_FREE))
		return;
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	CHECK_DATA(0);
}

TEST_F(device_mm, madv_free_part)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	if (!ADVISE(self->part, self->part_length, MADV_FREE))
		return;
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	CHECK_DATA(0);
}

TEST_F(device_mm, madv_cold)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	if (!ADVISE(c->addr, c->length, MADV_COLD))
		return;
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	CHECK_DATA(0);
}

TEST_F(device_mm, madv_pageout)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	if (!ADVISE(c->addr, c->length, MADV_PAGEOUT))
		return;
	if (!ADVISE(self->part, self->part_length, MADV_PAGEOUT))
		return;
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	CHECK_DATA(0);
}

/* MADV_POPULATE faults, and so migrates the pages back. */
TEST_F(device_mm, madv_populate)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	if (!ADVISE(c->addr, c->length, MADV_POPULATE_READ))
		return;
	CHECK_CPU_USED(c->pages);
	CHECK_DATA(0);
	if (!MAKE_CASE())
		return;
	if (!ADVISE(c->addr, c->length, MADV_POPULATE_WRITE))
		return;
	CHECK_CPU_USED(c->pages);
	CHECK_DATA(0);
}

/* MADV_GUARD_INSTALL zaps the pages; MADV_GUARD_REMOVE leaves empty entries. */
TEST_F(device_mm, madv_guard_part)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	if (!ADVISE(self->part, self->part_length, MADV_GUARD_INSTALL))
		return;
	check_part_freed(_metadata, c);
	ASSERT_EQ(0, readable(self->part));
	check_others(_metadata, c, 0);
	ASSERT_EQ(0, madvise(self->part, self->part_length, MADV_GUARD_REMOVE));
	ASSERT_EQ(-1, hmm_all_bytes(self->part, self->part_length, 0));
}

/* mlock() faults the pages in, and so migrates them back. */
TEST_F(device_mm, mlock)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mlock(c->addr, c->length));
	CHECK_CPU_USED(c->pages);
	CHECK_DATA(0);
	/* a locked page still migrates to the device */
	device_migrate(_metadata, c);
	device_prove(_metadata, c, 0, c->pages);
	ASSERT_EQ(0, munlock(c->addr, c->length));
	CHECK_DATA(0);
}

TEST_F(device_mm, mlock2_onfault)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mlock2(c->addr, c->length, MLOCK_ONFAULT));
	device_check_kept(_metadata, c, c->addr, c->pages);
	CHECK_DATA(0);
	CHECK_CPU_USED(c->pages);
	ASSERT_EQ(0, munlock(c->addr, c->length));
}

/* Looking at the range must not migrate it back. */
TEST_F(device_mm, mincore_and_smaps)
{
	struct device_case *c = &self->c;

	if (!MAKE_CASE())
		return;
	ASSERT_LE(0, hmm_in_core(c->addr));
	ASSERT_LE(0, hmm_smaps(c->addr, "Rss"));
	ASSERT_LE(0, hmm_smaps(c->addr, "Swap"));
	device_check_kept(_metadata, c, c->addr, c->pages);
	device_prove(_metadata, c, 0, c->pages);
	CHECK_DATA(0);
}

FIXTURE(device_mm_populated)
{
	struct device_case c;
};

FIXTURE_SETUP(device_mm_populated)
{
	device_begin(_metadata, &self->c, "dev_private_populated", DEVICE_ACROSS_TABLES);
}

FIXTURE_TEARDOWN(device_mm_populated)
{
	device_end(_metadata, &self->c);
}

/*
 * Device entries have no young and no dirty bit: smaps must not make them up of what stands
 * in their place. The pages come from memory that was never used, as a device page keeps
 * the flags of its last use.
 */
TEST_F(device_mm_populated, smaps)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	ASSERT_EQ(0, hmm_test_abi(c->fd, HMM_DMIRROR_RELEASE, c->addr, 1, NULL, NULL));
	ASSERT_EQ(0, hmm_stats(c->fd, 0, &c->before));
	device_make(_metadata, c);
	ASSERT_EQ((long)(c->length / 1024), hmm_smaps(c->addr, "Rss"));
	ASSERT_EQ(0, hmm_smaps(c->addr, "Private_Dirty"));
	ASSERT_EQ(0, hmm_smaps(c->addr, "Referenced"));
	device_prove(_metadata, c, 0, c->pages);
	ASSERT_EQ(-1, hmm_all_bytes(c->addr, c->length, 0));
}

#include "hmm_main.h"
