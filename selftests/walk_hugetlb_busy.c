// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on hugetlb pages that others change at the same time: a page table of
 * PMDs that two processes share, pages that move_pages() migrates, write-protect markers of
 * userfaultfd.
 *
 * Hugetlb can take a shared page table away under the walker (huge_pmd_unshare()), and a
 * migration entry makes it wait: a walk must neither use a table that is gone nor deadlock
 * with whoever changes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <numaif.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"
#include "snapshot.h"

#define RW	(PROT_READ | PROT_WRITE)
#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define EDGE	4	/* small pages of a huge page at either end of a walk */

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	0x1000
#endif

static int walker_lacks_hugetlb(struct hmm_area *area)
{
	return expect_when(WHEN_MAPPING_INVALID) ?
	       hmm_skip(area, "the walker of this kernel refuses hugetlb") : 0;
}

/* Map a hugetlb file over the area, with nothing reserved. @size: of its pages */
static int map_file(struct hmm_area *area, int flags, size_t size, long pages)
{
	int fd, ret = walker_lacks_hugetlb(area);

	if (ret)
		return ret;
	ret = hmm_area_need_hugetlb(area, size, pages);
	if (ret)
		return ret;
	fd = hmm_hugetlb_file(size, area->length);
	if (fd < 0)
		return hmm_fail(area, fd, "hugetlb file");
	ret = hmm_area_map(area, area->addr, area->length, RW,
			   flags | MAP_NORESERVE, fd);
	close(fd);
	return ret;
}

/* Check that consecutive pages have the flags @want, and the huge page's order and pfns. */
static int check(struct hmm_area *area, const char *addr, const __u64 *entries,
		 size_t pages, __u64 want)
{
	size_t size = hmm_smaps(addr, "KernelPageSize") * 1024;
	unsigned int order = 0;
	char text[HMM_ENTRY_STR_MAX];
	size_t i;
	__u64 map;

	while (expect_when(WHEN_ORDER) && hmm_page_size() << order < size)
		order++;
	for (i = 0; i < pages; i++) {
		if (hmm_entry_flags(entries[i]) != want)
			return hmm_fail(area, 0, "page %zu: %s, want %#llx", i,
					hmm_entry_str(entries[i], text,
						      sizeof(text)), want);
		if (!(want & VALID))
			continue;
		if (hmm_entry_order(entries[i]) != order)
			return hmm_fail(area, 0, "page %zu: order %u", i,
					hmm_entry_order(entries[i]));
		if (hmm_pagemap_one(addr + i * hmm_page_size(), &map) ||
		    !(map & HMM_PM_PRESENT) ||
		    (map & HMM_PM_PFN_MASK) != hmm_entry_pfn(entries[i]))
			return hmm_fail(area, 0, "page %zu: pfn %#llx, pagemap %#llx",
					i, hmm_entry_pfn(entries[i]), map);
	}
	return 0;
}

/*
 * A page table for 1 GiB that two processes share. Both have used the first page and only
 * we the last: the other process has the last page too, without a fault and with a map
 * count of 1, which proves that the table is shared.
 */
FIXTURE(walk_hugetlb_busy_pmd_sharing)
{
	struct hmm_area area;
	__u64 entries[2 * EDGE];
	char *last;		/* huge page, the last in the table */
	char *border;		/* between the first and the second huge page */
	size_t length;
	pid_t other;
	int fd;
};

FIXTURE_SETUP(walk_hugetlb_busy_pmd_sharing)
{
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pud_size(), hmm_pud_size()));
	self->last = self->area.addr + hmm_pud_size() - hmm_pmd_size();
	self->border = self->area.addr + hmm_pmd_size() - EDGE * hmm_page_size();
	self->length = 2 * EDGE * hmm_page_size();
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_hugetlb_busy_pmd_sharing)
{
	hmm_holder_end(self->other);
	hmm_area_end(&self->area);
}

/* The other process's pagemap entry for an address of ours. */
static __u64 other_pagemap(pid_t other, const char *addr)
{
	__u64 entry = 0;
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", other);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), (uintptr_t)addr / hmm_page_size() *
		  sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

/* Prove that the page is present in both, the same in both, and counted once. */
static int prove_shared(struct hmm_area *area, pid_t other, const char *addr)
{
	__u64 ours, theirs = other_pagemap(other, addr), count;
	int ret = hmm_pagemap_one(addr, &ours);

	if (!ret && ours & HMM_PM_PRESENT)
		ret = hmm_page_count(ours & HMM_PM_PFN_MASK, 1, &count);
	if (ret)
		return hmm_fail(area, ret, "pagemap");
	if (!(ours & theirs & HMM_PM_PRESENT) ||
	    (ours ^ theirs) & HMM_PM_PFN_MASK)
		return hmm_fail(area, 0, "pagemap %#llx, the other's %#llx",
				ours, theirs);
	if (count > 1)
		return hmm_skip(area, "page tables of hugetlb are not shared");
	return 0;
}

static int share_table(struct hmm_area *area, const char *last, pid_t *other)
{
	int ret = map_file(area, MAP_SHARED, hmm_pmd_size(), 4), ends[2];
	char byte;

	if (ret)
		return ret;
	hmm_pattern_fill(area->addr, hmm_page_size(), 0);
	hmm_pattern_fill((char *)last, hmm_page_size(), 0);
	if (pipe(ends))
		return hmm_fail(area, errno, "pipe");
	*other = fork();
	if (!*other) {
		hmm_die_with_parent();
		hmm_touch_read(area->addr, 1);
		if (write(ends[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	ret = *other < 0 ? hmm_fail(area, errno, "fork") : 0;
	if (!ret && read(ends[0], &byte, 1) != 1)
		ret = hmm_fail(area, 0, "the other process is gone");
	close(ends[0]);
	close(ends[1]);
	if (!ret)
		ret = prove_shared(area, *other, area->addr);
	return ret ? ret : prove_shared(area, *other, last);
}

#define SHARE_TABLE()							\
	REQUIRE(share_table(&self->area, self->last, &self->other), self->area.why)

TEST_F(walk_hugetlb_busy_pmd_sharing, snapshot)
{
	if (!SHARE_TABLE())
		return;
	snapshot_without_fault(_metadata, self->fd, self->border, self->length, self->entries);
	ASSERT_EQ(0, check(&self->area, self->border, self->entries, EDGE,
			   VALID | WRITE))
		TH_LOG("%s", self->area.why);
	if (!expect_when(WHEN_EMPTY_HUGETLB_VALID))
		ASSERT_EQ(0, self->entries[EDGE] & VALID);
	ASSERT_EQ(0, hmm_walk(self->fd, self->last + hmm_pmd_size() -
			      self->length, self->length, 0, self->entries));
	ASSERT_EQ(0, check(&self->area, self->last + hmm_pmd_size() -
			   self->length, self->entries, 2 * EDGE, VALID | WRITE))
		TH_LOG("%s", self->area.why);
	ASSERT_EQ(0, other_pagemap(self->other, self->border +
				  EDGE * hmm_page_size()) & HMM_PM_PRESENT);
}

/* A page that our fault maps is mapped for the other process at once. */
static void check_shared_fault(struct __test_metadata *_metadata,
			       FIXTURE_DATA(walk_hugetlb_busy_pmd_sharing) * self,
			       __u64 request)
{
	char *second = self->border + EDGE * hmm_page_size();

	if (!SHARE_TABLE())
		return;
	ASSERT_EQ(0, hmm_walk(self->fd, self->border, self->length, request,
			      self->entries));
	ASSERT_EQ(0, check(&self->area, self->border, self->entries, 2 * EDGE,
			   VALID | WRITE))
		TH_LOG("%s", self->area.why);
	ASSERT_EQ(0, prove_shared(&self->area, self->other, second))
		TH_LOG("%s", self->area.why);
}

TEST_F(walk_hugetlb_busy_pmd_sharing, read_fault)
{
	check_shared_fault(_metadata, self, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_hugetlb_busy_pmd_sharing, write_fault)
{
	check_shared_fault(_metadata, self, HMMIRROR_REQ_ALL);
}

/*
 * A change of protection unshares our table: the entries are gone from it until they are
 * faulted again, and the mirror is invalidated.
 */
TEST_F(walk_hugetlb_busy_pmd_sharing, unshared)
{
	struct hmm_area *area = &self->area;
	char *addr = area->addr;
	size_t length = EDGE * hmm_page_size();

	if (!SHARE_TABLE())
		return;
	ASSERT_EQ(0, hmm_map(self->fd, addr, length, 0, self->entries));
	ASSERT_EQ(0, check(area, addr, self->entries, EDGE, VALID | WRITE))
		TH_LOG("%s", area->why);
	ASSERT_EQ(0, mprotect(addr, area->length, PROT_READ));
	ASSERT_NE(0, other_pagemap(self->other, addr) & HMM_PM_PRESENT);

	ASSERT_EQ(0, hmm_mirror(self->fd, addr, length, self->entries));
	ASSERT_ENTRIES(self->entries, EDGE, 0);
	ASSERT_EQ(0, hmm_walk(self->fd, addr, length, 0, self->entries));
	ASSERT_ENTRIES(self->entries, EDGE, 0);
	ASSERT_EQ(-EPERM, hmm_walk(self->fd, addr, length, HMMIRROR_REQ_ALL,
				   self->entries));
	ASSERT_EQ(0, hmm_walk(self->fd, addr, length, HMMIRROR_REQ_FAULT,
			      self->entries));
	ASSERT_EQ(0, check(area, addr, self->entries, EDGE, VALID))
		TH_LOG("%s", area->why);
	ASSERT_EQ(-1, hmm_pattern_check(addr, hmm_page_size(), 0));
}

/* The other process exits; the table and what is mirrored stay. */
TEST_F(walk_hugetlb_busy_pmd_sharing, other_ends)
{
	struct hmm_area *area = &self->area;

	if (!SHARE_TABLE())
		return;
	ASSERT_EQ(0, hmm_map(self->fd, area->addr, self->length, 0,
			     self->entries));
	hmm_holder_end(self->other);
	self->other = 0;
	ASSERT_EQ(0, hmm_mirror(self->fd, area->addr, self->length,
				self->entries));
	ASSERT_EQ(0, check(area, area->addr, self->entries, 2 * EDGE,
			   VALID | WRITE))
		TH_LOG("%s", area->why);
	ASSERT_EQ(0, hmm_walk(self->fd, self->last, self->length,
			      HMMIRROR_REQ_ALL, self->entries));
	ASSERT_EQ(0, check(area, self->last, self->entries, 2 * EDGE,
			   VALID | WRITE))
		TH_LOG("%s", area->why);
}

/*
 * A thread migrates two pages between two NUMA nodes. Nothing else takes them away: a
 * snapshot that finds one not present, or a fault, met a migration entry.
 */
FIXTURE(walk_hugetlb_busy_move_pages)
{
	struct hmm_area area;
	__u64 entries[2 * EDGE];
	pthread_t thread;
	char *border;
	size_t huge;	/* bytes of a page that moves */
	size_t length;
	int running;
	int stop;
	long moves;	/* completed moves of both pages */
	int fd;
};

FIXTURE_VARIANT(walk_hugetlb_busy_move_pages)
{
	int flags;
};

FIXTURE_VARIANT_ADD(walk_hugetlb_busy_move_pages, private)
{
	.flags = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(walk_hugetlb_busy_move_pages, shared)
{
	.flags = MAP_SHARED,
};

/* How long to wait for a walk that meets a migration entry. */
#define MOVE_MS	20000

/* A page of a PMD, or of several PTEs if an emulated CPU would copy the other for seconds. */
static size_t size_to_move(void)
{
	size_t smaller = hmm_hugetlb_between(hmm_page_size(), hmm_pmd_size());

	return smaller && hmm_pmd_size() > 64UL << 20 ? smaller : hmm_pmd_size();
}

FIXTURE_SETUP(walk_hugetlb_busy_move_pages)
{
	self->huge = size_to_move();
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * self->huge, 0));
	self->border = self->area.addr + self->huge - EDGE * hmm_page_size();
	self->length = 2 * EDGE * hmm_page_size();
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_hugetlb_busy_move_pages)
{
	__atomic_store_n(&self->stop, 1, __ATOMIC_SEQ_CST);
	if (self->running)
		pthread_join(self->thread, NULL);
	hmm_area_end(&self->area);
}

static void *move_to_and_fro(void *data)
{
	struct _test_data_walk_hugetlb_busy_move_pages *self = data;
	void *pages[] = { self->area.addr, self->area.addr + self->huge };
	int nodes[2] = { 0, 0 }, status[2];

	while (!__atomic_load_n(&self->stop, __ATOMIC_SEQ_CST)) {
		nodes[0] = !nodes[0];
		nodes[1] = !nodes[0];
		if (!move_pages(0, 2, pages, nodes, status, MPOL_MF_MOVE) &&
		    status[0] == nodes[0] && status[1] == nodes[1])
			__atomic_fetch_add(&self->moves, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static int start_moving(struct _test_data_walk_hugetlb_busy_move_pages *self, int flags)
{
	struct hmm_area *area = &self->area;
	int ret = map_file(area, flags, self->huge, 4);
	cpu_set_t all;
	int cpu;

	if (ret)
		return ret;
	if (access("/sys/devices/system/node/node1", F_OK))
		return hmm_skip(area, "one node only");
	hmm_pattern_fill(area->addr, area->length, 0);
	CPU_ZERO(&all);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		CPU_SET(cpu, &all);
	sched_setaffinity(0, sizeof(all), &all);
	ret = pthread_create(&self->thread, NULL, move_to_and_fro, self);
	self->running = !ret;
	return ret ? hmm_fail(area, ret, "thread") : 0;
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int all_moved(const long *moves)
{
	return __atomic_load_n(moves, __ATOMIC_SEQ_CST) > 1;
}

TEST_F(walk_hugetlb_busy_move_pages, snapshot)
{
	long end = now_ms() + MOVE_MS, there = 0, away = 0;
	size_t i;

	if (!REQUIRE(start_moving(self, variant->flags), self->area.why))
		return;
	if (!REQUIRE(expect_when(WHEN_EMPTY_HUGETLB_VALID) ? HMM_SKIP : 0,
		     "the walker of this kernel takes any hugetlb entry for valid"))
		return;
	while ((!there || !away || !all_moved(&self->moves)) && now_ms() < end) {
		ASSERT_EQ(0, hmm_walk(self->fd, self->border, self->length, 0,
				      self->entries));
		/* all small pages of a huge page have one answer */
		for (i = 0; i < 2 * EDGE; i++)
			ASSERT_EQ(hmm_entry_flags(self->entries[i / EDGE * EDGE]),
				  hmm_entry_flags(self->entries[i]));
		for (i = 0; i < 2 * EDGE; i += EDGE) {
			if (hmm_entry_flags(self->entries[i]))
				ASSERT_EQ(VALID | WRITE,
					  hmm_entry_flags(self->entries[i]));
			if (self->entries[i] & VALID)
				there++;
			else
				away++;
		}
	}
	ASSERT_TRUE(all_moved(&self->moves));
	ASSERT_LT(0, there);
	ASSERT_LT(0, away);
}

static void check_fault(struct __test_metadata *_metadata,
			struct _test_data_walk_hugetlb_busy_move_pages *self, int flags,
			__u64 request)
{
	struct hmmirror_range range = {
		.flags = HMMIRROR_RANGE_MAP,
		.addr = (uintptr_t)self->border,
		.length = self->length,
		.entries = (uintptr_t)self->entries,
		.default_flags = request,
		.timeout_ms = 30000,
	};
	long end = now_ms() + MOVE_MS, met = 0, faults;

	if (!REQUIRE(start_moving(self, flags), self->area.why))
		return;
	while ((!met || !all_moved(&self->moves)) && now_ms() < end) {
		faults = expect_faults();
		ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
		ASSERT_EQ(0, range.error);
		/*
		 * other tasks' faults count too where the walker's are not counted for the
		 * process
		 */
		met += expect_when(WHEN_FAULTS_COUNTED) ?
		       expect_faults() - faults : 1;
		ASSERT_ENTRIES(self->entries, 2 * EDGE, VALID | WRITE);
	}
	ASSERT_TRUE(all_moved(&self->moves));
	ASSERT_LT(0, met);
	__atomic_store_n(&self->stop, 1, __ATOMIC_SEQ_CST);
	pthread_join(self->thread, NULL);
	self->running = 0;

	/* the mirror has the pages where they are now */
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
	ASSERT_EQ(0, check(&self->area, self->border, self->entries, 2 * EDGE,
			   VALID | WRITE))
		TH_LOG("%s", self->area.why);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->area.length, 0));
}

TEST_F(walk_hugetlb_busy_move_pages, read_fault)
{
	check_fault(_metadata, self, variant->flags, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_hugetlb_busy_move_pages, write_fault)
{
	check_fault(_metadata, self, variant->flags, HMMIRROR_REQ_ALL);
}

/* A write-protect marker in the place of a page that is not present. */
FIXTURE(walk_hugetlb_busy_pte_marker)
{
	struct hmm_area area;
	__u64 entries[2 * EDGE];
	char *border;
	size_t length;
	int uffd;
	int fd;
};

FIXTURE_SETUP(walk_hugetlb_busy_pte_marker)
{
	self->uffd = -1;
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * hmm_pmd_size(), 0));
	self->border = self->area.addr + hmm_pmd_size() - EDGE * hmm_page_size();
	self->length = 2 * EDGE * hmm_page_size();
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_hugetlb_busy_pte_marker)
{
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_area_end(&self->area);
}

static int make_marker(struct hmm_area *area, int *uffd)
{
	static const struct hmm_proof marked = {
		.set = HMM_PM_UFFD_WP,
		.clear = HMM_PM_PRESENT,
	};
	int ret = map_file(area, MAP_SHARED, hmm_pmd_size(), 4);

	if (ret)
		return ret;
	*uffd = hmm_uffd_register(area->addr, area->length,
				  UFFDIO_REGISTER_MODE_WP,
				  UFFD_FEATURE_WP_HUGETLBFS_SHMEM);
	if (*uffd == -EOPNOTSUPP)
		return hmm_skip(area, "no userfaultfd that protects hugetlb pages");
	if (*uffd < 0)
		return hmm_fail(area, *uffd, "userfaultfd");
	ret = hmm_uffd_protect(*uffd, area->addr, area->length);
	if (ret)
		return hmm_fail(area, ret, "UFFDIO_WRITEPROTECT");
	return hmm_prove_pages(area, area->addr, area->length, &marked);
}

/* A snapshot and a read treat it as an empty entry, and keep the protection; a write fails. */
TEST_F(walk_hugetlb_busy_pte_marker, uffd_wp)
{
	struct hmm_area *area = &self->area;
	size_t i;
	__u64 map;

	if (!REQUIRE(make_marker(area, &self->uffd), area->why))
		return;
	ASSERT_EQ(0, hmm_walk(self->fd, self->border, self->length, 0,
			      self->entries));
	ASSERT_ENTRIES(self->entries, 2 * EDGE, 0);
	ASSERT_EQ(-EFAULT, hmm_walk(self->fd, self->border, self->length,
				    HMMIRROR_REQ_ALL, self->entries));
	for (i = 0; i < 2 * EDGE; i++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, self->entries[i]);
	ASSERT_EQ(0, hmm_walk(self->fd, self->border, self->length,
			      HMMIRROR_REQ_FAULT, self->entries));
	ASSERT_EQ(0, check(area, self->border, self->entries, 2 * EDGE, VALID))
		TH_LOG("%s", area->why);
	ASSERT_EQ(0, hmm_pagemap_one(area->addr, &map));
	ASSERT_EQ(HMM_PM_UFFD_WP | HMM_PM_PRESENT,
		  map & (HMM_PM_UFFD_WP | HMM_PM_PRESENT));
}

#include "hmm_main.h"
