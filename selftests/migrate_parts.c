// SPDX-License-Identifier: GPL-2.0
/*
 * Ranges that migrate only in part: pieces of THPs, KSM pages, several kinds of memory in
 * one call, pages on another CPU's LRU batch.
 *
 * A THP must be split, or stay whole if it can't be; each page must get its own outcome,
 * whatever its neighbours are; and one call for many mappings must do each of them.
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/uio.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

FIXTURE(migrate_parts)
{
	struct hmm_area area;
	__u8 *outcomes;
	size_t pages;
};

FIXTURE_SETUP(migrate_parts)
{
	self->pages = hmm_pmd_size() / hmm_page_size();
	self->outcomes = hmm_map_anon(self->pages, 0);
	ASSERT_NE(NULL, self->outcomes);
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
}

FIXTURE_TEARDOWN(migrate_parts)
{
	hmm_unmap(self->outcomes, self->pages);
	hmm_area_end(&self->area);
}

/* From the middle of one THP to the middle of the next; then the rest. */
TEST_F(migrate_parts, halves_of_two_thps)
{
	size_t page = hmm_page_size(), huge = hmm_pmd_size(), half = huge / 2;
	struct hmm_area *area = &self->area;
	__u64 migrated = 0;
	int fd;

	hmm_area_end(area);
	ASSERT_EQ(0, hmm_area_begin(area, 2 * huge, 0));
	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "thp_writable", 0, 2 * huge), area->why))
		return;
	fd = hmm_area_device(area, 0);
	hmm_pattern_fill(area->addr, 2 * huge, 1);
	ASSERT_EQ(0, hmm_to_device(fd, area->addr + half, huge, NULL, &migrated));
	ASSERT_EQ(huge / page, migrated);
	ASSERT_EQ(0, hmm_to_device(fd, area->addr, 2 * huge, NULL, &migrated));
	ASSERT_EQ(huge / page, migrated);
	ASSERT_EQ(0, hmm_to_system(fd, area->addr + page, 2 * huge - 2 * page, NULL,
				   &migrated));
	ASSERT_EQ(2 * huge / page - 2, migrated);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, 2 * huge, 1));
}

/*
 * A THP can't be split while a pipe has a reference to one of its pages, and then stays
 * whole.
 */
TEST_F(migrate_parts, thp_referenced)
{
	size_t page = hmm_page_size(), huge = hmm_pmd_size();
	struct hmm_area *area = &self->area;
	struct iovec from = { area->addr + 7 * page, page };
	__u64 migrated = 7;
	char *copy = hmm_map_anon(page, 0);
	int ends[2], fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "thp_writable", 0, huge), area->why))
		return;
	ASSERT_NE(NULL, copy);
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ((ssize_t)page, vmsplice(ends[1], &from, 1, 0));
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, hmm_to_device(fd, area->addr, huge, self->outcomes, &migrated));
	ASSERT_EQ(0, migrated);
	ASSERT_EQ(-1, hmm_all_bytes(self->outcomes, self->pages, HMMIRROR_OUT_NONE));
	ASSERT_EQ((ssize_t)page, read(ends[0], copy, page));
	ASSERT_EQ(-1, hmm_pattern_check_as(copy, from.iov_base, page, 0));
	ASSERT_EQ(0, hmm_to_device(fd, area->addr, huge, self->outcomes, &migrated));
	ASSERT_EQ(huge / page, migrated);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, huge, 0));
	close(ends[0]);
	close(ends[1]);
	hmm_unmap(copy, page);
}

/*
 * A THP, part of which is unmapped and part read-only: PTEs map it. Only kernels with huge
 * device pages split it.
 */
TEST_F(migrate_parts, thp_partly_mapped)
{
	size_t page = hmm_page_size(), huge = hmm_pmd_size(), gap = 10 * page;
	struct hmm_area *area = &self->area;
	char *rest = area->addr + gap;
	__u64 migrated = 0;
	int fd, all;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "thp_writable", 0, huge), area->why))
		return;
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, munmap(area->addr, gap));
	ASSERT_EQ(0, mprotect(rest + gap, gap, PROT_READ));
	ASSERT_EQ(0, hmm_to_device(fd, rest, huge - gap, self->outcomes, &migrated));
	all = hmm_area_feature(area, HMMIRROR_FEAT_DEVICE_THP) == 0;
	ASSERT_EQ(all ? (huge - gap) / page : 0, migrated);
	ASSERT_EQ(-1, hmm_all_bytes(self->outcomes, (huge - gap) / page, all ?
				    HMMIRROR_OUT_MIGRATED : HMMIRROR_OUT_NONE));
	ASSERT_EQ(-1, hmm_pattern_check(rest, huge - gap, 0));
}

/*
 * Small pages lie before what is left of a THP, in the same page table. A kernel that splits
 * that on the way has to go on behind the pages that it has collected already.
 */
TEST_F(migrate_parts, thp_behind_small_pages)
{
	size_t page = hmm_page_size(), huge = hmm_pmd_size(), first = 10, i;
	struct hmm_area *area = &self->area;
	__u64 migrated = 0;
	int fd, all;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "thp_writable", 0, huge), area->why))
		return;
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, madvise(area->addr, first * page, MADV_DONTNEED));
	hmm_pattern_fill(area->addr, huge, 1);
	ASSERT_EQ(0, hmm_to_device(fd, area->addr, huge, self->outcomes, &migrated));
	all = hmm_area_feature(area, HMMIRROR_FEAT_DEVICE_THP) == 0;
	for (i = 0; i < self->pages; i++) {
		ASSERT_EQ(all || i < first ? HMMIRROR_OUT_MIGRATED : HMMIRROR_OUT_NONE,
			  self->outcomes[i])
			TH_LOG("page %zu", i);
	}
	ASSERT_EQ(all ? self->pages : first, migrated);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, huge, 1));
}

/*
 * A pipe's reference keeps the kernel from splitting what is left of a THP, and the collecting
 * ends there. The TLB must not have the small pages before it any more, which a child had as well:
 * the CPU would go on reading the old ones. It may lose some for another reason, hence several.
 */
TEST_F(migrate_parts, tlb_flushed_before_referenced_thp)
{
	size_t page = hmm_page_size(), huge = hmm_pmd_size(), first = 16, i, n;
	struct hmm_area *area = &self->area;
	struct iovec from = { area->addr + first * page, page };
	__u64 migrated = 0, entry;
	int ends[2], fd, go;
	pid_t child;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "thp_writable", 0, huge), area->why))
		return;
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ((ssize_t)page, vmsplice(ends[1], &from, 1, 0));
	for (n = 0; n < 5; n++) {
		ASSERT_EQ(0, madvise(area->addr, first * page, MADV_DONTNEED));
		hmm_pattern_fill(area->addr, first * page, 1);
		child = hmm_fork_waiter(&go);
		if (!child)
			_exit(0);
		ASSERT_LT(0, child);
		ASSERT_EQ(0, hmm_waiter_go(child, go));
		hmm_touch_read(area->addr, first * page);
		ASSERT_EQ(0, hmm_to_device(fd, area->addr, huge, self->outcomes, &migrated));
		ASSERT_EQ(first, migrated);
		hmm_touch_read(area->addr, first * page);
		for (i = 0; i < first; i++) {
			ASSERT_EQ(0, hmm_pagemap_one(area->addr + i * page, &entry));
			ASSERT_NE(0, entry & HMM_PM_PRESENT)
				TH_LOG("page %zu, try %zu", i, n);
		}
	}
	close(ends[0]);
	close(ends[1]);
}

/* A KSM page migrates with all its mappings, and is found on the device through each. */
TEST_F(migrate_parts, ksm)
{
	size_t page = hmm_page_size(), length = 8 * page;
	struct hmm_area *area = &self->area;
	__u64 migrated = 0, entry;
	char byte;
	int fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "anon_ksm", 0, length), area->why))
		return;
	byte = *area->addr;
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, hmm_to_device(fd, area->addr + 5 * page, page, self->outcomes, &migrated));
	if (!expect_when(WHEN_HOME_FOR_ALL)) {
		/* it could not be migrated back, and the driver knows that */
		ASSERT_EQ(0, migrated);
		ASSERT_EQ(HMMIRROR_OUT_NONE, self->outcomes[0]);
		ASSERT_EQ(-1, hmm_all_bytes(area->addr, length, byte));
		return;
	}
	ASSERT_EQ(1, migrated);
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[0]);
	ASSERT_EQ(0, hmm_entry(fd, area->addr + 3 * page, &entry));
	ASSERT_NE(0, entry & HMMIRROR_PTE_PRIVATE);
	ASSERT_EQ(-1, hmm_all_bytes(area->addr, length, byte));
	/* all PTEs at once: it is one page, which the first PTE collects and locks */
	ASSERT_EQ(0, hmm_to_device(fd, area->addr, length, self->outcomes, &migrated));
	ASSERT_GE(1, migrated);
	ASSERT_EQ(-1, hmm_all_bytes(self->outcomes + 1, 7, HMMIRROR_OUT_NONE));
	ASSERT_EQ(-1, hmm_all_bytes(area->addr, length, byte));
	hmm_pattern_fill(area->addr, page, 1);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, page, 1));
	ASSERT_EQ(-1, hmm_all_bytes(area->addr + page, length - page, byte));
}

/* Some kernels collect empty entries of files, and refuse them later. */
static __u8 expected_outcome(const char *state, __u8 outcome)
{
	return strstr(state, "none") && !expect_when(WHEN_HOLES_ANON) ?
	       HMMIRROR_OUT_REFUSED : outcome;
}

/* One call for many mappings and kinds of pages. */
TEST_F(migrate_parts, many_mappings)
{
	static const struct {
		const char *state;
		size_t pages;
		__u8 outcome;
	} parts[] = {
		{ "anon_writable", 3, HMMIRROR_OUT_MIGRATED },
		{ "anon_zero", 2, HMMIRROR_OUT_POPULATED },
		{ "anon_readonly", 2, HMMIRROR_OUT_MIGRATED },
		{ "file_shared_written", 2, HMMIRROR_OUT_REFUSED },
		{ "anon_emptied", 1, HMMIRROR_OUT_POPULATED },
		{ "file_private_none", 1, HMMIRROR_OUT_NONE },
		{ "shmem_private_written", 3, HMMIRROR_OUT_MIGRATED },
		{ "anon_swapped", 2, HMMIRROR_OUT_NONE },
		{ "anon_writable", 1, HMMIRROR_OUT_MIGRATED },
	};
	size_t page = hmm_page_size(), n = ARRAY_SIZE(parts), at = 0, i, k;
	struct hmm_area *area = &self->area;
	__u64 migrated = 0, want = 0;
	int fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	for (i = 0; i < n; i++) {
		if (!REQUIRE(hmm_state_make_named(area, parts[i].state, at, parts[i].pages *
						  page), area->why))
			return;
		at += parts[i].pages * page;
	}
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, hmm_to_device(fd, area->addr, at, self->outcomes, &migrated));
	for (i = 0, at = 0; i < n; i++) {
		for (k = 0; k < parts[i].pages; k++, at++) {
			ASSERT_EQ(expected_outcome(parts[i].state, parts[i].outcome),
				  self->outcomes[at])
				TH_LOG("%s: page %zu is %s", parts[i].state, k,
				       hmm_outcome_str(self->outcomes[at]));
		}
		if (parts[i].outcome == HMMIRROR_OUT_MIGRATED ||
		    parts[i].outcome == HMMIRROR_OUT_POPULATED)
			want += parts[i].pages;
	}
	ASSERT_EQ(want, migrated);
	for (i = 0, at = 0; i < n; at += parts[i++].pages * page) {
		if (parts[i].outcome == HMMIRROR_OUT_POPULATED ||
		    strstr(parts[i].state, "none")) {
			ASSERT_EQ(-1, hmm_all_bytes(area->addr + at, parts[i].pages * page, 0));
		} else {
			ASSERT_EQ(-1, hmm_pattern_check(area->addr + at,
							parts[i].pages * page, 0));
		}
	}
}

/* device-dax memory stays where it is. */
TEST_F(migrate_parts, dax)
{
	size_t length = 8 * hmm_page_size();
	struct hmm_area *area = &self->area;
	__u64 migrated = 7;
	int fd, dax;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	dax = hmm_dax_open(hmm_page_size());
	if (dax < 0)
		SKIP(return, "no NVDIMM for device-dax");
	if (hmm_area_map(area, area->addr, length, PROT_READ | PROT_WRITE, MAP_SHARED, dax))
		SKIP(return, "device-dax can't be mapped (CONFIG_FS_DAX)");
	hmm_pattern_fill(area->addr, length, 1);
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(-EINVAL, hmm_to_device(fd, area->addr, length, NULL, &migrated));
	ASSERT_EQ(0, migrated);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, length, 1));
	close(dax);
}

/* Pages that another CPU faulted in are on its LRU batch. */
TEST_F(migrate_parts, lru_batch_of_other_cpu)
{
	size_t length = 8 * hmm_page_size();
	struct hmm_area *area = &self->area;
	cpu_set_t one, other;
	__u64 migrated = 0;
	int fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	CPU_ZERO(&other);
	CPU_SET(1, &other);
	if (sched_setaffinity(0, sizeof(other), &other))
		SKIP(return, "one CPU only");
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, hmm_area_map_small(area, area->addr, length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(area->addr, length, 1);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	ASSERT_EQ(0, hmm_to_device(fd, area->addr, length, NULL, &migrated));
	ASSERT_EQ(8, migrated);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, length, 1));
}

/* Only device pages migrate back: no zero page, no empty entry, no page of system memory. */
TEST_F(migrate_parts, to_system_nothing)
{
	size_t page = hmm_page_size(), length = 8 * page;
	struct hmm_area *area = &self->area;
	__u64 migrated = 7;
	int fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "anon_zero", 0, 3 * page), area->why) ||
	    !REQUIRE(hmm_state_make_named(area, "anon_emptied", 3 * page, 3 * page), area->why) ||
	    !REQUIRE(hmm_state_make_named(area, "anon_writable", 6 * page, 2 * page), area->why))
		return;
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, hmm_to_system(fd, area->addr, length, self->outcomes, &migrated));
	ASSERT_EQ(0, migrated);
	ASSERT_EQ(-1, hmm_all_bytes(self->outcomes, 8, HMMIRROR_OUT_NONE));
	ASSERT_EQ(0, hmm_state_prove(area, hmm_state_find("anon_zero"), 0, 3 * page));
	ASSERT_EQ(0, hmm_state_prove(area, hmm_state_find("anon_emptied"), 3 * page, 3 * page));
	ASSERT_EQ(-1, hmm_pattern_check(area->addr + 6 * page, 2 * page, 0));
}

/* One small page of a THP. */
TEST_F(migrate_parts, one_page_of_thp)
{
	struct hmm_area *area = &self->area;
	size_t page = hmm_page_size();
	__u64 migrated = 0, entry;
	int fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "thp_writable", 0, hmm_pmd_size()), area->why))
		return;
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, hmm_to_device(fd, area->addr + 100 * page, page,
				   self->outcomes, &migrated));
	ASSERT_EQ(1, migrated);
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[0]);
	ASSERT_EQ(0, hmm_entry(fd, area->addr + 100 * page, &entry));
	ASSERT_NE(0, entry & HMMIRROR_PTE_PRIVATE);
	ASSERT_EQ(0, hmm_entry(fd, area->addr + 101 * page, &entry));
	ASSERT_EQ(0, entry & HMMIRROR_PTE_PRIVATE);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, hmm_pmd_size(), 0));
}

/*
 * migrate_vma.cpages counts every page that is offered: present ones, holes, and zero pages.
 * Drivers compare it with the length of the range, to see whether all of it can migrate.
 */
TEST_F(migrate_parts, cpages)
{
	size_t page = hmm_page_size(), length = 8 * page, i, offered = 0;
	struct hmm_area *area = &self->area;
	struct hmmirror_migrate m = {
		.flags = HMMIRROR_MIGRATE_TO_DEVICE,
		.addr = (uintptr_t)area->addr,
		.length = length,
		.outcomes = (uintptr_t)self->outcomes,
	};
	int fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	ASSERT_EQ(0, hmm_area_map_small(area, area->addr, length, PROT_READ | PROT_WRITE));
	fd = hmm_area_device(area, 0);
	hmm_pattern_fill(area->addr, 3 * page, 1);
	hmm_touch_read(area->addr + 3 * page, page);
	ASSERT_EQ(0, hmm_ioctl_migrate(fd, &m));
	ASSERT_EQ(0, m.error);
	for (i = 0; i < 8; i++)
		offered += self->outcomes[i] != HMMIRROR_OUT_NONE;
	ASSERT_EQ(8, offered);
	if (!expect_when(WHEN_HOLES_ANON))
		SKIP(return, "the kernel's migrate_vma has no flags (5.9), and hides cpages");
	ASSERT_EQ(offered, m.cpages);
	/* the rest is there already */
	ASSERT_EQ(0, madvise(area->addr + 6 * page, 2 * page, MADV_DONTNEED));
	ASSERT_EQ(0, hmm_ioctl_migrate(fd, &m));
	ASSERT_EQ(2, m.migrated);
	ASSERT_EQ(2, m.cpages);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, 3 * page, 1));
}

#include "hmm_main.h"
