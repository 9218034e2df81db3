// SPDX-License-Identifier: GPL-2.0
/*
 * Tests for known bugs of the kernel that no other test shows; each bug is in regressions/,
 * with the name of its test.
 *
 * Most lose a bit of the PTE (soft-dirty, uffd-wp, dirty, write) on the way to a device and
 * back, or in a fork in between; the others are a race and an exclusive entry for a kind of
 * page that must not have one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "small_pages.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define PAGES	4
#define SECONDS	2	/* how long to run a race */

FIXTURE(regress)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t page;
	size_t length;
	char *addr;
	int setup_ret;
	int fd;
};

FIXTURE_SETUP(regress)
{
	FILLED_PAGES(PAGES);
	self->setup_ret = hmm_area_memory(&self->area, 0);
}

FIXTURE_TEARDOWN(regress)
{
	hmm_area_end(&self->area);
}

static void to_device(struct __test_metadata *_metadata, struct _test_data_regress *self)
{
	__u64 migrated = 0;

	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(PAGES, migrated);
}

static void to_system(struct __test_metadata *_metadata, struct _test_data_regress *self)
{
	__u64 migrated = 0;

	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(PAGES, migrated);
}

/* All pages must have @want of the pagemap bits @bits. */
static void pagemap_has(struct __test_metadata *_metadata, const void *addr, __u64 bits,
			__u64 want)
{
	__u64 entries[PAGES];
	int i;

	ASSERT_EQ(0, hmm_pagemap(addr, PAGES, entries));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(want, entries[i] & bits)
			TH_LOG("page %d: pagemap says %llx", i,
			       (unsigned long long)entries[i]);
	}
}

/* In a child: do all pages have a bit of @state, and @want of @bits? Return: exit status */
static int child_has(const void *addr, __u64 state, __u64 bits, __u64 want)
{
	__u64 entries[PAGES];
	int i;

	if (hmm_pagemap(addr, PAGES, entries))
		return 1;
	for (i = 0; i < PAGES; i++)
		if (!(entries[i] & state))
			return 2;
	for (i = 0; i < PAGES; i++)
		if ((entries[i] & bits) != want)
			return 3;
	return 0;
}

/* softdirty - clear the soft-dirty bits, then write. Return: does the kernel have them? */
static int softdirty(struct __test_metadata *_metadata, struct _test_data_regress *self)
{
	__u64 entry;

	ASSERT_EQ(0, hmm_pagemap_one(self->addr, &entry));
	if (!(entry & HMM_PM_SOFT_DIRTY))
		return 0;
	/* this trait and the fix are of 5.9; only the test itself tells the fix */
	if (!expect_when(WHEN_HOLES_ANON))
		return 0;
	ASSERT_EQ(0, hmm_write_text("/proc/self/clear_refs", "4"));
	pagemap_has(_metadata, self->addr, HMM_PM_SOFT_DIRTY, 0);
	hmm_pattern_fill(self->addr, self->length, 2);
	pagemap_has(_metadata, self->addr, HMM_PM_SOFT_DIRTY, HMM_PM_SOFT_DIRTY);
	return 1;
}

#define NO_SOFT_DIRTY	"no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY), or lost by kernels before 5.9"

TEST_F(regress, softdirty_on_device)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!softdirty(_metadata, self))
		SKIP(return, NO_SOFT_DIRTY);
	to_device(_metadata, self);
	pagemap_has(_metadata, self->addr, HMM_PM_SWAP | HMM_PM_SOFT_DIRTY,
		    HMM_PM_SWAP | HMM_PM_SOFT_DIRTY);
}

/*
 * A child checks its own pages when it is told to. The kernel unmaps the parent's pages
 * where it collects them, and the child's in the rmap walk.
 */
TEST_F(regress, softdirty_shared_to_system)
{
	pid_t child;
	int go;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!softdirty(_metadata, self))
		SKIP(return, NO_SOFT_DIRTY);
	/* fork() clears the bit in entries that it makes read-only. */
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	to_device(_metadata, self);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(child_has(self->addr, HMM_PM_PRESENT, HMM_PM_SOFT_DIRTY,
				HMM_PM_SOFT_DIRTY));
	ASSERT_LT(0, child);
	to_system(_metadata, self);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
}

/* wp_begin - write-protect by userfaultfd. Return: for REQUIRE() */
static int wp_begin(struct _test_data_regress *self, int *uffd)
{
	__u64 entry;
	int fd, ret;

	if (self->setup_ret)
		return self->setup_ret;
	fd = hmm_uffd_register(self->addr, self->length, UFFDIO_REGISTER_MODE_WP,
			       UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	if (fd < 0 || hmm_uffd_protect(fd, self->addr, self->length)) {
		close(fd);
		return hmm_skip(&self->area, "no write protection by userfaultfd");
	}
	*uffd = fd;
	ret = hmm_pagemap_one(self->addr, &entry);
	if (ret)
		return hmm_fail(&self->area, ret, "pagemap");
	if (!(entry & HMM_PM_UFFD_WP))
		return hmm_skip(&self->area,
				"pagemap does not show write protection by userfaultfd");
	return 0;
}

TEST_F(regress, uffd_wp_on_device)
{
	int uffd;

	if (!REQUIRE(wp_begin(self, &uffd), self->area.why))
		return;
	to_device(_metadata, self);
	pagemap_has(_metadata, self->addr, HMM_PM_SWAP | HMM_PM_UFFD_WP,
		    HMM_PM_SWAP | HMM_PM_UFFD_WP);
	to_system(_metadata, self);
	pagemap_has(_metadata, self->addr, HMM_PM_PRESENT | HMM_PM_UFFD_WP,
		    HMM_PM_PRESENT | HMM_PM_UFFD_WP);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	close(uffd);
}

/* The child is not registered with userfaultfd, and must not have the bit. */
TEST_F(regress, uffd_wp_fork)
{
	pid_t child;
	int uffd, go;

	if (!REQUIRE(wp_begin(self, &uffd), self->area.why))
		return;
	to_device(_metadata, self);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(child_has(self->addr, HMM_PM_SWAP, HMM_PM_UFFD_WP, 0));
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	pagemap_has(_metadata, self->addr, HMM_PM_UFFD_WP, HMM_PM_UFFD_WP);
	close(uffd);
}

/*
 * mremap() moves pages out of the range that userfaultfd has registered. Without
 * UFFD_FEATURE_EVENT_REMAP the pages must lose the bit.
 */
TEST_F(regress, uffd_wp_mremap)
{
	char *to = hmm_map_none(self->length, 0), *moved;
	int uffd;

	ASSERT_NE(NULL, to);
	if (!REQUIRE(wp_begin(self, &uffd), self->area.why))
		return;
	to_device(_metadata, self);
	pagemap_has(_metadata, self->addr, HMM_PM_UFFD_WP, HMM_PM_UFFD_WP);
	moved = mremap(self->addr, self->length, self->length, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	ASSERT_EQ(to, moved);
	pagemap_has(_metadata, to, HMM_PM_SWAP | HMM_PM_UFFD_WP, HMM_PM_SWAP);
	hmm_pattern_fill(to, self->length, 2);
	ASSERT_EQ(-1, hmm_pattern_check(to, self->length, 2));
	close(uffd);
	hmm_unmap(to, self->length);
}

/*
 * A reused device page belongs to its new owner: the rmap walk must find both processes
 * that share it.
 */
TEST_F(regress, reused_page_shared)
{
	pid_t child = fork();
	__u64 migrated = 0;
	int go;

	if (!child) {
		if (self->setup_ret)
			_exit(0);
		self->fd = hmm_open(0);
		if (self->fd < 0)
			_exit(1);
		hmm_pattern_fill(self->addr, self->length, 3);
		_exit(hmm_to_device(self->fd, self->addr, self->length, NULL, &migrated) ||
		      migrated != PAGES ? 2 : 0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	to_device(_metadata, self);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_all_bytes(self->addr, self->length, 0) != -1);
	ASSERT_LT(0, child);
	to_system(_metadata, self);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/* Pages that were populated on the device, writable, stay writable when they migrate back. */
TEST_F(regress, populated_to_system_writable)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	to_device(_metadata, self);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0, self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE |
		       HMMIRROR_PTE_PRIVATE);
	to_system(_metadata, self);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0, self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
}

/*
 * Pages that were populated on the device and that nobody wrote come back clean. A page of
 * the device may be dirty from its last use, so they are the first of new memory.
 */
TEST_F(regress, populated_to_system_clean)
{
	__u64 flags;
	int i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_test_abi(self->fd, HMM_DMIRROR_RELEASE, self->addr, 1, NULL, NULL));
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	to_device(_metadata, self);
	to_system(_metadata, self);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, hmm_flags_at(self->addr + i * self->page, &flags));
		ASSERT_EQ(0, flags & hmm_kpf(KPF_DIRTY))
			TH_LOG("page %d is dirty", i);
	}
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/* Drain the per-CPU LRU batches, in which changes of pages wait. */
static void drain_lru_batches(void)
{
	hmm_write_text("/proc/sys/vm/compact_memory", "1");
}

/*
 * Data written after MADV_FREE must be kept. Only the PTE's dirty bit tells that it was
 * written, so that a migration must not lose it; here one that fails. The last two pages are
 * not written again, and must be freed. The last one is not migrated, and shows whether the
 * kernel frees such pages at all.
 */
TEST_F(regress, lazyfree_written)
{
	size_t moved = self->length - self->page;
	size_t kept = moved - self->page;
	__u64 flags, migrated = 0;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (madvise(self->addr, self->length, MADV_FREE))
		SKIP(return, "no MADV_FREE");
	drain_lru_batches();
	ASSERT_EQ(0, hmm_flags_at(self->addr, &flags));
	if (flags & hmm_kpf(KPF_SWAPBACKED))
		SKIP(return, "MADV_FREE was not done at once");
	hmm_pattern_fill(self->addr, kept, 2);
	ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 1, PAGES));
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, moved, NULL, &migrated));
	ASSERT_EQ(0, migrated);
	drain_lru_batches();
	if (madvise(self->addr, self->length, MADV_PAGEOUT))
		SKIP(return, "no MADV_PAGEOUT");
	if (hmm_all_bytes(self->addr + moved, self->page, 0) != -1)
		SKIP(return, "pages that are free to go did not go");
	ASSERT_EQ(-1, hmm_all_bytes(self->addr + kept, self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, kept, 2));
}

/*
 * A page that MADV_FREE may discard stays so on its way to a device and back: clean and not
 * swap-backed. Another use of the same device pages, dirty and swap-backed, came before. The
 * last page is not migrated, and shows whether the kernel discards such pages at all.
 */
TEST_F(regress, lazyfree_round_trip)
{
	size_t moved = self->length - self->page;
	__u64 lazy = hmm_kpf(KPF_SWAPBACKED) | hmm_kpf(KPF_DIRTY);
	__u64 before[PAGES], flags, migrated = 0;
	int i, j;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	to_device(_metadata, self);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0, before));
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));

	hmm_pattern_fill(self->addr, self->length, 2);
	if (madvise(self->addr, self->length, MADV_FREE))
		SKIP(return, "no MADV_FREE");
	drain_lru_batches();
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, hmm_flags_at(self->addr + i * self->page, &flags));
		if (flags & lazy)
			SKIP(return, "MADV_FREE was not done at once");
	}
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, moved, NULL, &migrated));
	ASSERT_EQ(PAGES - 1, migrated);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, moved, 0, self->entries));
	for (i = 0; i < PAGES - 1; i++) {
		ASSERT_NE(0, self->entries[i] & HMMIRROR_PTE_PRIVATE);
		for (j = 0; j < PAGES; j++)
			if (hmm_entry_pfn(before[j]) == hmm_entry_pfn(self->entries[i]))
				break;
		ASSERT_NE(PAGES, j)
			TH_LOG("page %d is on a device page that was not used before", i);
	}
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr, moved, NULL, &migrated));
	ASSERT_EQ(PAGES - 1, migrated);
	for (i = 0; i < PAGES - 1; i++) {
		ASSERT_EQ(0, hmm_flags_at(self->addr + i * self->page, &flags));
		EXPECT_EQ(0, flags & hmm_kpf(KPF_DIRTY))
			TH_LOG("page %d is dirty", i);
		ASSERT_EQ(0, flags & hmm_kpf(KPF_SWAPBACKED))
			TH_LOG("page %d is swap-backed", i);
	}
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, moved, 2));
	drain_lru_batches();
	if (madvise(self->addr, self->length, MADV_PAGEOUT) ||
	    hmm_all_bytes(self->addr + moved, self->page, 0) != -1)
		SKIP(return, "the flags are right, but MADV_PAGEOUT does not discard pages");
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, moved, 0));
}

/* A hugetlb page can't be made exclusive: it is refused and unchanged. */
TEST_F(regress, exclusive_hugetlb)
{
	struct hmm_area *area = &self->area;
	__u64 taken = 0, entry;
	int ret;

	if (!REQUIRE(hmm_area_feature(area, HMMIRROR_FEAT_EXCLUSIVE), area->why))
		return;
	hmm_area_end(area);
	ASSERT_EQ(0, hmm_area_begin(area, hmm_pmd_size(), 0));
	if (!REQUIRE(hmm_state_make_named(area, "hugetlb_writable", 0, hmm_pmd_size()), area->why))
		return;
	self->fd = hmm_area_device(area, 0);
	ret = hmm_excl_pages(self->fd, HMMIRROR_EXCL_MAKE, area->addr, self->page, NULL,
			     &taken);
	ASSERT_GT(0, ret);
	ASSERT_EQ(0, taken);
	ASSERT_EQ(0, hmm_entry(self->fd, area->addr, &entry));
	ASSERT_EQ(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE, hmm_entry_flags(entry));
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, self->page, 0));
}

/*
 * Neither a CPU nor a device reaches device-private memory by its address: it must not raise
 * max_pfn, by which drivers decide whether they need bounce buffers. /proc/kpageflags ends
 * at max_pfn.
 */
TEST_F(regress, device_memory_max_pfn)
{
	int flags = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	__u64 flag, map;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (flags < 0)
		SKIP(return, "no kpageflags (CONFIG_PROC_PAGE_MONITOR)");
	ASSERT_EQ(0, hmm_pagemap_one(self->addr, &map));
	ASSERT_NE(0, map & HMM_PM_PFN_MASK);
	ASSERT_EQ(8, pread(flags, &flag, 8, (map & HMM_PM_PFN_MASK) * 8));
	to_device(_metadata, self);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->page, 0, self->entries));
	ASSERT_NE(0, self->entries[0] & HMMIRROR_PTE_PRIVATE);
	ASSERT_EQ(0, pread(flags, &flag, 8, hmm_entry_pfn(self->entries[0]) * 8))
		TH_LOG("max_pfn is beyond the device's page %llx",
		       (unsigned long long)hmm_entry_pfn(self->entries[0]));
	close(flags);
}

struct zapper {
	char *addr;
	size_t length;
	int stop;
	int error;
	unsigned long rounds;
};

static void *zap(void *data)
{
	struct zapper *zapper = data;

	while (!__atomic_load_n(&zapper->stop, __ATOMIC_RELAXED)) {
		if (madvise(zapper->addr, zapper->length, MADV_DONTNEED)) {
			zapper->error = errno;
			break;
		}
		zapper->rounds++;
		usleep(200);
	}
	return NULL;
}

/*
 * A device fault on a hugetlb page takes a lock that MADV_DONTNEED takes too. The walker
 * faults for each small page of the range, so that a whole huge page is the worst case.
 */
TEST_F(regress, hugetlb_zap_race)
{
	struct hmm_area *area = &self->area;
	size_t pages = hmm_pmd_size() / self->page;
	__u64 *entries = hmm_map_anon(pages * sizeof(*entries), 0);
	struct zapper zapper = { .length = hmm_pmd_size() };
	struct timespec begin, now;
	unsigned long walks = 0;
	pthread_t thread;
	cpu_set_t cpus;
	int ret;

	ASSERT_NE(NULL, entries);
	hmm_area_end(area);
	ASSERT_EQ(0, hmm_area_begin(area, hmm_pmd_size(), 0));
	if (!REQUIRE(hmm_state_make_named(area, "hugetlb_shared", 0, hmm_pmd_size()), area->why))
		return;
	if (madvise(area->addr, hmm_pmd_size(), MADV_DONTNEED))
		SKIP(return, "MADV_DONTNEED refuses hugetlb");
	memset(&cpus, 0xff, sizeof(cpus));
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpus), &cpus));
	zapper.addr = area->addr;
	self->fd = hmm_area_device(area, 0);
	ASSERT_EQ(0, pthread_create(&thread, NULL, zap, &zapper));
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		struct hmmirror_range range = {
			.addr = (uintptr_t)area->addr,
			.length = hmm_pmd_size(),
			.entries = (uintptr_t)entries,
			.default_flags = HMMIRROR_REQ_FAULT,
			.timeout_ms = 500,
		};

		ret = hmm_ioctl_range(self->fd, &range);
		walks += !range.error;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (!ret && now.tv_sec - begin.tv_sec < SECONDS);
	__atomic_store_n(&zapper.stop, 1, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, ret);
	ASSERT_LT(0, walks);
	ASSERT_EQ(0, zapper.error);
	ASSERT_LT(0, zapper.rounds);
	hmm_unmap(entries, pages * sizeof(*entries));
}

#include "hmm_main.h"
