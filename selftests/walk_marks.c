// SPDX-License-Identifier: GPL-2.0
/*
 * The walker on entries that the kernel marked: for a look at who uses them (NUMA
 * balancing), because their memory failed, or for userfaultfd.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES		8
#define RW		(PROT_READ | PROT_WRITE)
#define VALID		HMMIRROR_PTE_VALID
#define WRITE		HMMIRROR_PTE_WRITE

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

/* NUMA balancing: an entry is there, and no access is allowed, to see who wants it. */
FIXTURE(walk_numa)
{
	struct hmm_area area;
	__u64 *entries;
	struct hmm_call second;		/* a thread */
	size_t length;
	size_t pages;
	int fd;
};

FIXTURE_VARIANT(walk_numa)
{
	int huge;
};

FIXTURE_VARIANT_ADD(walk_numa, pte)
{
	.huge = 0,
};

FIXTURE_VARIANT_ADD(walk_numa, pmd)
{
	.huge = 1,
};

FIXTURE_SETUP(walk_numa)
{
	self->length = variant->huge ? hmm_pmd_size() :
				       PAGES * hmm_page_size();
	self->pages = self->length / hmm_page_size();
	self->entries = hmm_map_anon(self->pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, hmm_call_prepare(&self->second));
}

FIXTURE_TEARDOWN(walk_numa)
{
	hmm_call_end(&self->second);
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, self->pages * sizeof(__u64));
}

/*
 * Scans begin with a new address space: what was set before counts for it, so the
 * first scan comes sooner where the knobs are set already (the runner's guest).
 */
static int numa_on(struct hmm_area *area)
{
	static const char balancing[] = "/proc/sys/kernel/numa_balancing";
	int ret;

	if (access(balancing, F_OK) ||
	    access("/sys/devices/system/node/node1", F_OK))
		return hmm_skip(area, "no NUMA balancing, or one node only");
	ret = hmm_area_scan_soon(area);
	if (ret == -ENOENT)
		return hmm_skip(area, "no NUMA scan knobs (CONFIG_SCHED_DEBUG)");
	if (!ret)
		ret = hmm_area_set_knob(area, balancing, "1");
	return ret ? hmm_fail(area, ret, "NUMA balancing") : 0;
}

/* What a snapshot has for a hint. */
static __u64 hint_shown(int huge)
{
	return expect_when(huge ? WHEN_HUGE_HINT_VALID : WHEN_HINT_VALID) ?
	       VALID : 0;
}

/*
 * Present in pagemap and in a mapping that can be accessed, and yet not valid for
 * the walker (or not writable), where it was before: that is what a hint is.
 */
static int hinted(int fd, const char *addr, size_t pages, __u64 shown,
		  __u64 *entries)
{
	size_t page = hmm_page_size(), i;

	if (hmm_walk(fd, addr, pages * page, 0, entries))
		return 0;
	for (i = 0; i < pages; i++) {
		__u64 map;

		if (hmm_entry_flags(entries[i]) != shown ||
		    hmm_pagemap_one(addr + i * page, &map) ||
		    !(map & HMM_PM_PRESENT))
			return 0;
	}
	return 1;
}

/*
 * Only begins once the state is made, as a hint would be in its way.
 * Keeps the CPU, so that the ticks come that scan. Pages that are where the only
 * thread of a process runs get no hint, so there must be another thread.
 */
static int numa_hints(struct hmm_area *area, int huge, size_t length, int fd,
		      __u64 *entries)
{
	size_t pages = length / hmm_page_size();
	const char *state = huge ? "thp_writable" : "anon_writable";
	clock_t start = clock();
	int ret;
	long i;

	if (!huge && expect_when(WHEN_HINT_UNSEEN))
		return hmm_skip(area,
				"the walker of this kernel takes a hint for an ordinary entry");
	ret = hmm_state_make(area, hmm_state_find(state), 0, length);
	if (!ret)
		ret = numa_on(area);
	if (ret)
		return ret;
	while (!hinted(fd, area->addr, pages, hint_shown(huge), entries)) {
		if (clock() - start > 5 * CLOCKS_PER_SEC)
			return hmm_fail(area, 0,
					"NUMA balancing did not come here in 5 s");
		for (i = 0; i < 1000000; i++)
			__asm__ volatile("");
	}
	/* no more of it, while a test looks */
	return hmm_write_text("/proc/sys/kernel/numa_balancing", "0");
}

TEST_F(walk_numa, snapshot)
{
	if (MISS(numa_hints(&self->area, variant->huge, self->length,
			    self->fd, self->entries), self->area.why))
		return;
	quiet_snapshot(_metadata, self->fd, self->area.addr, self->length, self->entries);
	ASSERT_ENTRIES(self->entries, self->pages, hint_shown(variant->huge));
}

static void numa_fault(struct __test_metadata *_metadata, int fd, char *addr,
		       size_t length, __u64 *entries, __u64 request)
{
	long faults = expect_faults();

	ASSERT_EQ(0, hmm_walk(fd, addr, length, request, entries));
	if (faults >= 0)
		ASSERT_LT(faults, expect_faults());
	ASSERT_ENTRIES(entries, length / hmm_page_size(), VALID | WRITE);
}

TEST_F(walk_numa, read_fault)
{
	if (MISS(numa_hints(&self->area, variant->huge, self->length,
			    self->fd, self->entries), self->area.why))
		return;
	numa_fault(_metadata, self->fd, self->area.addr, self->length,
		   self->entries, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_numa, write_fault)
{
	if (MISS(numa_hints(&self->area, variant->huge, self->length,
			    self->fd, self->entries), self->area.why))
		return;
	numa_fault(_metadata, self->fd, self->area.addr, self->length,
		   self->entries, HMMIRROR_REQ_ALL);
}

/* Memory that failed. */
FIXTURE(walk_poison)
{
	struct hmm_area area;
	__u64 entries[512];
	int fd;
};

FIXTURE_SETUP(walk_poison)
{
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * hmm_pmd_size(), 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_poison)
{
	hmm_area_end(&self->area);
}

static void nothing(int sig)
{
	(void)sig;
}

/* Newer kernels tell the caller as if it had touched the page. */
static int poison_pages(char *addr, size_t length)
{
	struct sigaction survive = { .sa_handler = nothing }, before;
	int ret;

	sigaction(SIGBUS, &survive, &before);
	ret = madvise(addr, length, MADV_HWPOISON) ? -errno : 0;
	sigaction(SIGBUS, &before, NULL);
	return ret;
}

/* pagemap tells of an entry in the place of a small page only */
static int poison(struct hmm_area *area, char *addr, size_t length)
{
	struct hmm_proof proof = {
		.set = length == hmm_page_size() ? HMM_PM_SWAP : 0,
		.clear = HMM_PM_PRESENT,
	};
	int ret = poison_pages(addr, length);

	if (!ret)
		return hmm_prove_pages(area, addr, length, &proof);
	if (ret == -EINVAL || ret == -EPERM)
		return hmm_skip(area, "no MADV_HWPOISON (CONFIG_MEMORY_FAILURE, root)");
	return hmm_fail(area, ret, "MADV_HWPOISON");
}

/* A snapshot of pages of which one failed: it passes over, or ends there. */
static void poison_snapshot(struct __test_metadata *_metadata, int fd,
			    char *addr, __u64 *entries, size_t place)
{
	int ends = expect_when(WHEN_BAD_PTE_ENDS), untold = expect_when(WHEN_SNAPSHOT_CUT);
	__u64 behind = ends ? HMMIRROR_PTE_UNTOUCHED : VALID | WRITE;
	__u64 at = untold ? HMMIRROR_PTE_ERROR : ends ? behind : 0;
	size_t page;

	ASSERT_EQ(ends && !untold ? -EFAULT : 0,
		  hmm_walk(fd, addr, PAGES * hmm_page_size(), 0, entries));
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(page < place ? VALID | WRITE :
			  page > place ? behind : at,
			  hmm_entry_flags(entries[page]));
}

/* The first, a middle and the last page of a range: it ends there, or passes over. */
TEST_F(walk_poison, pte)
{
	static const size_t places[] = { 0, PAGES / 2, PAGES - 1 };
	size_t size = hmm_page_size(), length = PAGES * size, i, page;
	struct hmm_area *area = &self->area;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (MISS(hmm_area_map_small(area, area->addr, length, RW),
			 area->why))
			return;
		hmm_pattern_fill(area->addr, length, 0);
		if (MISS(poison(area, area->addr + places[i] * size, size),
			 area->why))
			return;
		poison_snapshot(_metadata, self->fd, area->addr, self->entries,
				places[i]);
		ASSERT_EQ(-EFAULT, hmm_walk(self->fd, area->addr, length,
					    HMMIRROR_REQ_FAULT, self->entries));
		for (page = 0; page < PAGES; page++)
			ASSERT_EQ(page < places[i] ? VALID | WRITE :
				  HMMIRROR_PTE_UNTOUCHED,
				  hmm_entry_flags(self->entries[page]));
		ASSERT_EQ(-EFAULT, hmm_walk(self->fd, area->addr, length,
					    HMMIRROR_REQ_ALL, self->entries));
	}
}

TEST_F(walk_poison, hugetlb)
{
	int refused = expect_when(WHEN_MAPPING_INVALID) ? -EINVAL : 0;
	__u64 valid = expect_when(WHEN_EMPTY_HUGETLB_VALID) ? VALID : 0;
	size_t length = hmm_pmd_size(), page;
	struct hmm_area *area = &self->area;

	if (MISS(hmm_state_make(area, hmm_state_find("hugetlb_writable"), 0,
				length), area->why))
		return;
	if (MISS(poison(area, area->addr, length), area->why))
		return;
	ASSERT_EQ(refused, hmm_walk(self->fd, area->addr, length, 0,
				    self->entries));
	for (page = 0; page < length / hmm_page_size(); page++)
		ASSERT_EQ(valid, self->entries[page] & VALID);
	if (!refused)
		refused = -EFAULT;
	ASSERT_EQ(refused, hmm_walk(self->fd, area->addr, length,
				    HMMIRROR_REQ_FAULT, self->entries));
	ASSERT_EQ(refused, hmm_walk(self->fd, area->addr, length,
				    HMMIRROR_REQ_ALL, self->entries));
}

/* Markers of userfaultfd: an entry that holds nothing but a mark. */
FIXTURE(walk_uffd)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t length;
	int fd;
	int uffd;
};

FIXTURE_SETUP(walk_uffd)
{
	self->length = PAGES * hmm_page_size();
	self->uffd = -1;
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_uffd)
{
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_area_end(&self->area);
}

/* Shared memory that is registered for @mode. */
static int uffd_register(struct hmm_area *area, int *uffd, __u64 features,
			 __u64 mode)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	struct uffdio_register range = {
		.range = { .start = (uintptr_t)area->addr, .len = area->length },
		.mode = mode,
	};
	int ret = hmm_area_map(area, area->addr, area->length, RW,
			       MAP_SHARED | MAP_ANONYMOUS, -1);

	if (ret)
		return ret;
	*uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (*uffd < 0)
		return hmm_skip(area, "no userfaultfd (CONFIG_USERFAULTFD)");
	if (ioctl(*uffd, UFFDIO_API, &api))
		return hmm_skip(area, "userfaultfd without feature %#llx",
				features);
	if (ioctl(*uffd, UFFDIO_REGISTER, &range))
		return hmm_skip(area, "userfaultfd without mode %#llx here",
				mode);
	return 0;
}

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	0x1000
#endif

TEST_F(walk_uffd, wp_marker)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)self->area.addr,
			   .len = self->length },
		.mode = UFFDIO_WRITEPROTECT_MODE_WP,
	};
	struct hmm_area *area = &self->area;
	__u64 map;

	if (MISS(uffd_register(area, &self->uffd,
			       UFFD_FEATURE_WP_HUGETLBFS_SHMEM |
			       UFFD_FEATURE_PAGEFAULT_FLAG_WP,
			       UFFDIO_REGISTER_MODE_WP), area->why))
		return;
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_WRITEPROTECT, &wp));
	ASSERT_EQ(0, hmm_pagemap_one(area->addr, &map));
	ASSERT_EQ(HMM_PM_UFFD_WP, map & (HMM_PM_UFFD_WP | HMM_PM_PRESENT));

	ASSERT_EQ(0, hmm_walk(self->fd, area->addr, self->length, 0,
			      self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, 0);
	/* a read is as good as for an empty entry, and keeps the mark */
	ASSERT_EQ(0, hmm_walk(self->fd, area->addr, self->length,
			      HMMIRROR_REQ_FAULT, self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, VALID);
	ASSERT_EQ(0, hmm_pagemap_one(area->addr, &map));
	ASSERT_NE(0, map & HMM_PM_UFFD_WP);
	/* a write would have to wait for whoever handles it, and can't */
	ASSERT_EQ(-EFAULT, hmm_walk(self->fd, area->addr, self->length,
				    HMMIRROR_REQ_ALL, self->entries));
}

/* Where a fault may wait after all, it does until nobody is there to be asked. */
static void wait_for_nobody(struct __test_metadata *_metadata, int fd,
			    struct hmm_area *area, __u64 *entries, int *uffd)
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

/* Nobody is asked: a fault that may not wait fails. */
TEST_F(walk_uffd, missing)
{
	struct hmm_area *area = &self->area;
	size_t page;

	if (MISS(uffd_register(area, &self->uffd, 0,
			       UFFDIO_REGISTER_MODE_MISSING), area->why))
		return;
	ASSERT_EQ(0, hmm_walk(self->fd, area->addr, self->length, 0,
			      self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, 0);
	if (expect_when(WHEN_FAULTS_WAIT)) {
		wait_for_nobody(_metadata, self->fd, area, self->entries,
				&self->uffd);
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

static void marked_bad(struct __test_metadata *_metadata, int fd, char *addr,
		       size_t length, __u64 *entries)
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

TEST_F(walk_uffd, poison_marker)
{
	struct uffdio_poison bad = {
		.range = { .start = (uintptr_t)self->area.addr,
			   .len = self->length },
	};
	struct hmm_area *area = &self->area;

	if (MISS(uffd_register(area, &self->uffd, UFFD_FEATURE_POISON,
			       UFFDIO_REGISTER_MODE_MISSING), area->why))
		return;
	ASSERT_EQ(0, ioctl(self->uffd, UFFDIO_POISON, &bad));
	marked_bad(_metadata, self->fd, area->addr, self->length,
		   self->entries);
}

TEST_F(walk_uffd, guard_marker)
{
	struct hmm_area *area = &self->area;

	if (MISS(hmm_area_map_small(area, area->addr, self->length, RW),
		 area->why))
		return;
	if (madvise(area->addr, self->length, MADV_GUARD_INSTALL))
		SKIP(return, "the kernel has no MADV_GUARD_INSTALL");
	marked_bad(_metadata, self->fd, area->addr, self->length,
		   self->entries);
}

#include "hmm_main.h"
