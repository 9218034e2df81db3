// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on PMDs that no system call makes: a bad PMD, a non-present PMD of an
 * unknown kind, a PMD migration entry. The driver under test plants them in the page table.
 *
 * The walker must report an error for a PMD that it can't read, fail a fault on it, and
 * wait for a migration; the pages of the PMDs on either side must keep their own answers.
 * What was planted must also be gone after whatever the process does, or the kernel would
 * crash on it.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"
#include "snapshot.h"

#define EDGE	4	/* pages of the PMDs on either side that a range includes */

/*
 * Three PMDs. The middle one gets the entry. The last page of the first is written, so that
 * the tables above exist.
 */
FIXTURE(walk_planted)
{
	struct hmm_area area;
	char *addr;		/* of the planted PMD */
	size_t pmd;
	size_t pages;		/* pages that it maps */
	__u64 *entries;		/* EDGE + pages + EDGE of them */
	int fd;
};

FIXTURE_VARIANT(walk_planted)
{
	enum hmmirror_planted kind;
	__u64 snapshot;
	int waits;
};

FIXTURE_VARIANT_ADD(walk_planted, pmd_bad)
{
	.kind = HMMIRROR_PLANT_PMD_BAD,
	.snapshot = HMMIRROR_PTE_ERROR,
};

FIXTURE_VARIANT_ADD(walk_planted, pmd_unknown)
{
	.kind = HMMIRROR_PLANT_PMD_UNKNOWN,
	.snapshot = HMMIRROR_PTE_ERROR,
};

FIXTURE_VARIANT_ADD(walk_planted, pmd_migration)
{
	.kind = HMMIRROR_PLANT_PMD_MIGRATION,
	.snapshot = 0,
	.waits = 1,
};

static int plant_entry(struct hmm_area *area, int fd, char *addr,
		       enum hmmirror_planted kind)
{
	int ret = hmm_plant(fd, addr, kind);

	if (ret == -EOPNOTSUPP)
		return hmm_skip(area, kind == HMMIRROR_PLANT_PMD_BAD ?
				"every PMD of this machine is one of a table or of a huge page" :
				"no huge pages to migrate (CONFIG_TRANSPARENT_HUGEPAGE)");
	return ret ? hmm_fail(area, ret, "HMMIRROR_PLANT") : 0;
}

FIXTURE_SETUP(walk_planted)
{
	self->pmd = hmm_pmd_size();
	self->pages = self->pmd / hmm_page_size();
	self->entries = hmm_map_anon((self->pages + 2 * EDGE) * sizeof(__u64),
				     0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, 3 * self->pmd));
	self->addr = self->area.addr + self->pmd;
	hmm_touch_write(self->addr - hmm_page_size(), hmm_page_size());
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	/* a bad PMD points at this table */
	if (variant->kind == HMMIRROR_PLANT_PMD_BAD)
		ASSERT_EQ(0, hmm_touch_table(self->addr));
}

FIXTURE_TEARDOWN(walk_planted)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, (self->pages + 2 * EDGE) * sizeof(__u64));
}

/* What a snapshot reports: old walkers pass over a migration entry without a word. */
static __u64 snapshot_entry(__u64 snapshot)
{
	return !snapshot && expect_when(WHEN_BAD_PMD_PASSED) ?
	       HMMIRROR_PTE_UNTOUCHED : snapshot;
}

/* What a read fault of memory that was never used returns. */
static int read_fault_error(void)
{
	return expect_when(WHEN_ZERO_SPECIAL) ? -EFAULT : 0;
}

/* Called by each test, because a test runs even if the setup skipped it. */
#define PLANT()							\
	REQUIRE(plant_entry(&self->area, self->fd, self->addr,		\
			 variant->kind), self->area.why)

static int walk(int fd, const char *addr, size_t pages, __u64 request,
		__u64 *entries)
{
	return hmm_walk(fd, addr, pages * hmm_page_size(), request, entries);
}

/* The whole PMD and some pages on either side. */
TEST_F(walk_planted, snapshot)
{
	char *start = self->addr - EDGE * hmm_page_size();
	__u64 want = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;
	size_t i;

	if (!PLANT())
		return;
	snapshot_without_fault(_metadata, self->fd, start, self->pmd + 2 * EDGE *
			       hmm_page_size(), self->entries);
	for (i = 0; i < EDGE - 1; i++)
		ASSERT_EQ(0, self->entries[i]);
	ASSERT_EQ(want, hmm_entry_flags(self->entries[i]));
	for (i = EDGE; i < EDGE + self->pages; i++)
		ASSERT_EQ(snapshot_entry(variant->snapshot), self->entries[i]);
	for (; i < self->pages + 2 * EDGE; i++)
		ASSERT_EQ(0, self->entries[i]);
	ASSERT_EQ(0, hmm_plant_take(self->fd));
}

/* One page: the first, a middle and the last. */
TEST_F(walk_planted, part_of_pmd)
{
	size_t picked[] = { 0, self->pages / 2, self->pages - 1 }, i;

	if (!PLANT())
		return;
	for (i = 0; i < ARRAY_SIZE(picked); i++) {
		self->entries[0] = ~0ULL;
		ASSERT_EQ(0, walk(self->fd, self->addr +
				  picked[i] * hmm_page_size(), 1, 0,
				  self->entries));
		ASSERT_EQ(snapshot_entry(variant->snapshot), self->entries[0]);
	}
}

static void check_fault(struct __test_metadata *_metadata, int fd, char *addr, size_t pages,
			__u64 *entries, __u64 request, int waits)
{
	struct hmm_call call = {
		.fd = fd,
		.addr = addr,
		.length = pages * hmm_page_size(),
		.request = request,
		.entries = entries,
	};
	int passed = expect_when(WHEN_BAD_PMD_PASSED);
	int error = request & HMMIRROR_REQ_WRITE ? 0 : read_fault_error();
	size_t i;

	if (!waits) {
		ASSERT_EQ(passed ? 0 : -EFAULT,
			  walk(fd, addr, pages, request, entries));
		for (i = 0; i < pages; i++)
			ASSERT_EQ(passed ? HMMIRROR_PTE_ERROR :
				  HMMIRROR_PTE_UNTOUCHED, entries[i]);
		ASSERT_EQ(0, hmm_plant_take(fd));
		return;
	}
	/* the fault waits for the end of what looks like a migration */
	ASSERT_EQ(0, hmm_call_begin(&call));
	ASSERT_EQ(1, hmm_call_blocks(&call));
	ASSERT_EQ(0, hmm_plant_take(fd));
	ASSERT_EQ(error, hmm_call_end(&call));
	for (i = 0; i < pages; i++)
		ASSERT_EQ(!error, !!(entries[i] & HMMIRROR_PTE_VALID));
}

TEST_F(walk_planted, read_fault)
{
	if (!PLANT())
		return;
	check_fault(_metadata, self->fd, self->addr, self->pages, self->entries,
		    HMMIRROR_REQ_FAULT, variant->waits);
}

TEST_F(walk_planted, write_fault)
{
	if (!PLANT())
		return;
	check_fault(_metadata, self->fd, self->addr, self->pages, self->entries,
		    HMMIRROR_REQ_ALL, variant->waits);
}

/* One page that asks is enough. A request that the mask clears does not count. */
TEST_F(walk_planted, page_requests)
{
	size_t i;

	if (!PLANT())
		return;
	for (i = 0; i < self->pages; i++)
		self->entries[i] = 0;
	ASSERT_EQ(0, hmm_walk_pages(self->fd, self->addr, self->pmd,
				    HMMIRROR_REQ_ALL, self->entries));
	for (i = 0; i < self->pages; i++)
		ASSERT_EQ(snapshot_entry(variant->snapshot), self->entries[i]);
	if (!variant->waits) {
		for (i = 0; i < self->pages; i++)
			self->entries[i] = 0;
		self->entries[self->pages - 1] = HMMIRROR_REQ_FAULT;
		ASSERT_EQ(expect_when(WHEN_BAD_PMD_PASSED) ? 0 : -EFAULT,
			  hmm_walk_pages(self->fd, self->addr, self->pmd,
					 HMMIRROR_REQ_ALL, self->entries));
	}
	ASSERT_EQ(0, hmm_plant_take(self->fd));
	ASSERT_EQ(0, walk(self->fd, self->addr, 1, HMMIRROR_REQ_ALL,
			  self->entries));
}

/* The PMD is as it was before: empty. */
#define ASSERT_AS_BEFORE()						\
	do {								\
		ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));		\
		ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->pmd, 0));	\
	} while (0)

TEST_F(walk_planted, taken_back)
{
	if (!PLANT())
		return;
	ASSERT_EQ(0, hmm_plant_take(self->fd));
	ASSERT_AS_BEFORE();
}

TEST_F(walk_planted, fork)
{
	pid_t child;

	if (!PLANT())
		return;
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(hmm_all_bytes(self->addr, self->pmd, 0) != -1);
	ASSERT_EQ(0, hmm_child_result(child));
	hmm_plant_take(self->fd);
	ASSERT_AS_BEFORE();
}

TEST_F(walk_planted, munmap)
{
	if (!PLANT())
		return;
	ASSERT_EQ(0, munmap(self->addr, self->pmd));
	ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));
}

TEST_F(walk_planted, dontneed)
{
	if (!PLANT())
		return;
	ASSERT_EQ(0, madvise(self->addr, self->pmd, MADV_DONTNEED));
	ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->pmd, 0));
}

TEST_F(walk_planted, mremap)
{
	char *to = self->area.addr;

	if (!PLANT())
		return;
	ASSERT_EQ(to, mremap(self->addr, self->pmd, self->pmd,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));
	ASSERT_EQ(-1, hmm_all_bytes(to, self->pmd, 0));
}

TEST_F(walk_planted, close)
{
	int fd;

	if (!PLANT())
		return;
	fd = hmm_open(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(self->fd));
	self->area.device[0] = fd;
	self->fd = fd;
	ASSERT_AS_BEFORE();
}

/* A process exits, or is killed, with an entry in its page table. */
TEST_F(walk_planted, exit)
{
	int signals[] = { 0, SIGKILL }, fd, i;
	pid_t child;

	if (!PLANT())
		return;
	ASSERT_EQ(0, hmm_plant_take(self->fd));
	for (i = 0; i < 2; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			fd = hmm_open(0);
			if (variant->kind == HMMIRROR_PLANT_PMD_BAD)
				hmm_touch_table(self->addr);
			if (hmm_plant(fd, self->addr, variant->kind))
				_exit(1);
			if (signals[i])
				raise(signals[i]);
			_exit(0);
		}
		ASSERT_EQ(-signals[i], hmm_child_result(child));
	}
}

FIXTURE(walk_planted_abi)
{
	struct hmm_area area;
	size_t pmd;
	int fd;
};

FIXTURE_SETUP(walk_planted_abi)
{
	self->pmd = hmm_pmd_size();
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, 2 * self->pmd));
	ASSERT_EQ(0, hmm_touch_table(self->area.addr));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_planted_abi)
{
	hmm_area_end(&self->area);
}

TEST_F(walk_planted_abi, refused)
{
	char *used = self->area.addr, *none = used + self->pmd;
	const enum hmmirror_planted unknown = HMMIRROR_PLANT_PMD_UNKNOWN;
	struct hmm_area *area = &self->area;
	struct hmmirror_plant plant = { .flags = HMMIRROR_PLANT_TAKE };

	ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));
	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, used + hmm_page_size(), unknown));
	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, used, HMMIRROR_PLANT_NR));
	/* a table where none is expected */
	ASSERT_EQ(-ENXIO, hmm_plant(self->fd, used, unknown));

	ASSERT_EQ(0, hmm_plant(self->fd, none, unknown));
	ASSERT_EQ(-EBUSY, hmm_plant(self->fd, none, unknown));
	plant.addr = self->pmd;
	ASSERT_EQ(-EINVAL, hmm_ioctl_plant(self->fd, &plant));
	plant.addr = 0;
	plant.reserved = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_plant(self->fd, &plant));
	plant.reserved = 0;
	plant.flags = HMMIRROR_PLANT_PUT | HMMIRROR_PLANT_TAKE;
	ASSERT_EQ(-EINVAL, hmm_ioctl_plant(self->fd, &plant));
	ASSERT_EQ(0, hmm_plant_take(self->fd));

	/* other kinds of mappings, and two mappings in place of one */
	ASSERT_EQ(0, hmm_area_map(area, none, self->pmd, PROT_READ,
				  MAP_SHARED | MAP_ANONYMOUS, -1));
	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, none, unknown));
	ASSERT_EQ(0, munmap(none, self->pmd));
	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, none, unknown));
	ASSERT_EQ(0, munmap(used + self->pmd / 2, hmm_page_size()));
	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, used, unknown));
}

/* Only an empty table can be made bad: reclaim would find the pages of another. */
TEST_F(walk_planted_abi, bad_pmd_refused)
{
	char *used = self->area.addr, *none = used + self->pmd;
	const enum hmmirror_planted bad = HMMIRROR_PLANT_PMD_BAD;

	if (!REQUIRE(plant_entry(&self->area, self->fd, used, bad), self->area.why))
		return;
	ASSERT_EQ(-EBUSY, hmm_plant(self->fd, used, bad));
	ASSERT_EQ(-EBUSY, hmm_plant(self->fd, none, HMMIRROR_PLANT_PMD_UNKNOWN));
	ASSERT_EQ(0, hmm_plant_take(self->fd));

	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, used + hmm_page_size(), bad));
	ASSERT_EQ(-ENXIO, hmm_plant(self->fd, none, bad));
	hmm_touch_write(used + self->pmd - hmm_page_size(), 1);
	ASSERT_EQ(-ENXIO, hmm_plant(self->fd, used, bad));
}

/* Much less than the ten seconds after which the driver takes an entry back. */
#define FEW_SECONDS	5

/* A thread that waits for the entry can't be killed: the entry must go with the process. */
TEST_F(walk_planted_abi, waiter_killed)
{
	__u64 entry = 0;
	struct hmm_call walk = {
		.addr = self->area.addr + self->pmd,
		.length = hmm_page_size(),
		.request = HMMIRROR_REQ_FAULT,
		.entries = &entry,
	};
	struct timespec begin, end;
	pid_t child;

	if (!REQUIRE(plant_entry(&self->area, self->fd, walk.addr,
				 HMMIRROR_PLANT_PMD_MIGRATION), self->area.why))
		return;
	ASSERT_EQ(0, hmm_plant_take(self->fd));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		hmm_touch_write(self->area.addr, 1);
		walk.fd = hmm_open(0);
		if (hmm_plant(walk.fd, walk.addr,
			      HMMIRROR_PLANT_PMD_MIGRATION) ||
		    hmm_call_begin(&walk) || !hmm_call_blocks(&walk))
			_exit(1);
		raise(SIGKILL);
	}
	ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	clock_gettime(CLOCK_MONOTONIC, &end);
	ASSERT_GT(FEW_SECONDS, end.tv_sec - begin.tv_sec);
}

TEST_F(walk_planted_abi, closed_under_waiter)
{
	__u64 entry = 0;
	struct hmm_call walk = {
		.fd = self->fd,
		.addr = self->area.addr + self->pmd,
		.length = hmm_page_size(),
		.request = HMMIRROR_REQ_FAULT,
		.entries = &entry,
	};

	if (!REQUIRE(plant_entry(&self->area, self->fd, walk.addr,
				 HMMIRROR_PLANT_PMD_MIGRATION), self->area.why))
		return;
	ASSERT_EQ(0, hmm_call_begin(&walk));
	ASSERT_EQ(1, hmm_call_blocks(&walk));
	ASSERT_EQ(0, close(self->fd));
	self->area.device[0] = 0;
	ASSERT_EQ(read_fault_error(), hmm_call_end(&walk));
	ASSERT_EQ(read_fault_error() ? HMMIRROR_PTE_UNTOUCHED :
		  HMMIRROR_PTE_VALID | HMMIRROR_PTE_ZERO,
		  hmm_entry_flags(entry));
}

#include "hmm_main.h"
