// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on PTE markers: entries without a page, which userfaultfd and
 * MADV_GUARD_INSTALL leave to say what may happen there.
 *
 * A marker looks like a swap entry. The walker must treat a write-protect marker as an
 * empty entry, which a read fault fills and keeps protected, and must fail with -EFAULT on
 * poison and guard markers instead of faulting for ever.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES	8
#define RW	(PROT_READ | PROT_WRITE)
#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE

FIXTURE(walk_pte_marker)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t length;
	int fd;
	int uffd;
};

FIXTURE_SETUP(walk_pte_marker)
{
	self->length = PAGES * hmm_page_size();
	self->uffd = -1;
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_pte_marker)
{
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_area_end(&self->area);
}

/* Map shared memory and register it for @mode. */
static int uffd_register(struct hmm_area *area, int *uffd, __u64 features,
			 __u64 mode)
{
	int ret = hmm_area_map(area, area->addr, area->length, RW,
			       MAP_SHARED | MAP_ANONYMOUS, -1);

	if (ret)
		return ret;
	*uffd = hmm_uffd_register(area->addr, area->length, mode, features);
	if (*uffd == -EOPNOTSUPP)
		return hmm_skip(area, "no userfaultfd with feature %#llx and mode %#llx here",
				features, mode);
	return *uffd < 0 ? hmm_fail(area, *uffd, "userfaultfd") : 0;
}

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	0x1000
#endif

TEST_F(walk_pte_marker, uffd_wp)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)self->area.addr,
			   .len = self->length },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct hmm_area *area = &self->area;
	__u64 map;

	if (!REQUIRE(uffd_register(area, &self->uffd, UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
				   UFFD_FEATURE_PAGEFAULT_FLAG_WP, UFFDIO_REGISTER_MODE_WP),
		     area->why))
		return;
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_WRITEPROTECT, &wp));
	ASSERT_EQ(0, hmm_pagemap_one(area->addr, &map));
	ASSERT_EQ(HMM_PM_UFFD_WP, map & (HMM_PM_UFFD_WP | HMM_PM_PRESENT));

	ASSERT_EQ(0, hmm_walk(self->fd, area->addr, self->length, 0,
			      self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, 0);
	/* a read faults as for an empty entry, and keeps the protection */
	ASSERT_EQ(0, hmm_walk(self->fd, area->addr, self->length,
			      HMMIRROR_REQ_FAULT, self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, VALID);
	ASSERT_EQ(0, hmm_pagemap_one(area->addr, &map));
	ASSERT_NE(0, map & HMM_PM_UFFD_WP);
	/* a write would have to wait for the monitor, which is not allowed */
	ASSERT_EQ(-EFAULT, hmm_walk(self->fd, area->addr, self->length,
				    HMMIRROR_REQ_ALL, self->entries));
}

/* Where a fault may wait after all, it does so until the userfaultfd is closed. */
static void check_fault_waits(struct __test_metadata *_metadata, int fd, struct hmm_area *area,
			      __u64 *entries, int *uffd)
{
	struct hmm_call call = {
		.fd = fd,
		.addr = area->addr,
		.length = area->length,
		.request = HMMIRROR_REQ_FAULT,
		.entries = entries,
	};

	ASSERT_EQ(0, hmm_call_begin(&call));
	ASSERT_EQ(1, hmm_call_blocks(&call));
	ASSERT_EQ(0, close(*uffd));
	*uffd = -1;
	ASSERT_EQ(0, hmm_call_end(&call));
	ASSERT_ENTRIES(entries, PAGES, VALID | WRITE);
}

/* The monitor is not asked: a fault that may not wait fails. */
TEST_F(walk_pte_marker, uffd_missing)
{
	struct hmm_area *area = &self->area;
	size_t page;

	if (!REQUIRE(uffd_register(area, &self->uffd, 0, UFFDIO_REGISTER_MODE_MISSING),
		     area->why))
		return;
	ASSERT_EQ(0, hmm_walk(self->fd, area->addr, self->length, 0,
			      self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, 0);
	if (expect_when(WHEN_FAULTS_WAIT)) {
		check_fault_waits(_metadata, self->fd, area, self->entries, &self->uffd);
		return;
	}
	ASSERT_EQ(-EFAULT, hmm_walk(self->fd, area->addr, self->length,
				    HMMIRROR_REQ_FAULT, self->entries));
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, self->entries[page]);
}

#ifndef UFFDIO_POISON
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};

#define UFFDIO_POISON		_IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON	0x4000
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#endif

static void check_refused(struct __test_metadata *_metadata, int fd, char *addr, size_t length,
			  __u64 *entries)
{
	size_t page;

	ASSERT_EQ(0, hmm_walk(fd, addr, length, 0, entries));
	ASSERT_ENTRIES(entries, PAGES, 0);
	ASSERT_EQ(-EFAULT, hmm_walk(fd, addr, length, HMMIRROR_REQ_FAULT,
				    entries));
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, entries[page]);
	ASSERT_EQ(-EFAULT, hmm_walk(fd, addr, length, HMMIRROR_REQ_ALL,
				    entries));
}

TEST_F(walk_pte_marker, uffd_poison)
{
	struct uffdio_poison bad = {
		.range = { .start = (uintptr_t)self->area.addr,
			   .len = self->length },
	};
	struct hmm_area *area = &self->area;

	if (!REQUIRE(uffd_register(area, &self->uffd, UFFD_FEATURE_POISON,
				   UFFDIO_REGISTER_MODE_MISSING), area->why))
		return;
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_POISON, &bad));
	check_refused(_metadata, self->fd, area->addr, self->length, self->entries);
}

TEST_F(walk_pte_marker, guard)
{
	struct hmm_area *area = &self->area;

	if (!REQUIRE(hmm_area_map_small(area, area->addr, self->length, RW), area->why))
		return;
	if (madvise(area->addr, self->length, MADV_GUARD_INSTALL))
		SKIP(return, "the kernel has no MADV_GUARD_INSTALL");
	check_refused(_metadata, self->fd, area->addr, self->length, self->entries);
}

#include "hmm_main.h"
