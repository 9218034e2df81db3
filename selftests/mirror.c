// SPDX-License-Identifier: GPL-2.0
/*
 * The device page table of a mirror, and everything that must invalidate entries in it by
 * the mmu interval notifier.
 *
 * An entry that survives munmap(), mprotect(), mremap(), truncation, fork or copy-on-write
 * gives the device a page that the process no longer has. A notifier called for more than
 * the range costs performance and is wrong too: the neighbours must stay mirrored.
 */
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "small_pages.h"

#define PAGES	8

/* The pages in the middle of the range that a test changes. */
#define FIRST	3
#define CHANGED	2

FIXTURE(mirror)
{
	struct hmm_area area;
	struct hmmirror_stats stats;
	__u64 entries[PAGES];
	size_t page;
	size_t length;
	char *addr;
	int fd;
};

FIXTURE_SETUP(mirror)
{
	FILLED_PAGES(PAGES);
	ASSERT_EQ(0, hmm_map(self->fd, self->addr, self->length,
			     HMMIRROR_REQ_ALL, self->entries));
	ASSERT_EQ(0, hmm_stats(self->fd, HMMIRROR_STATS_RESET, &self->stats));
}

FIXTURE_TEARDOWN(mirror)
{
	hmm_area_end(&self->area);
}

/* All pages but @pages from @first on are still mirrored as they were; those are not. */
static void check_invalidated(struct __test_metadata *_metadata, FIXTURE_DATA(mirror) * self,
			      size_t first, size_t pages)
{
	__u64 now[PAGES];
	size_t i;

	ASSERT_EQ(0, hmm_mirror(self->fd, self->addr, self->length, now));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(i >= first && i < first + pages ? 0 :
			  self->entries[i], now[i])
			TH_LOG("page %zu", i);
	}
}

TEST_F(mirror, same_as_walked)
{
	__u64 walked[PAGES];
	size_t i;

	check_invalidated(_metadata, self, 0, 0);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0, walked));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(self->entries[i], walked[i]);
		ASSERT_EQ(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
			  hmm_entry_flags(walked[i]));
	}
}

/* A walk without the flag mirrors nothing. */
TEST_F(mirror, only_when_mapped)
{
	char *other = hmm_map_anon(self->length, 0);
	__u64 entries[PAGES];
	size_t i;

	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, hmm_walk(self->fd, other, self->length, HMMIRROR_REQ_ALL,
			      entries));
	ASSERT_EQ(0, hmm_mirror(self->fd, other, self->length, entries));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(0, entries[i]);
}

/* A snapshot mirrors what is present, and drops what is not. */
TEST_F(mirror, map_snapshot)
{
	char *other = hmm_map_anon(2 * self->page, 0);
	__u64 entries[2];

	ASSERT_NE(NULL, other);
	other[self->page] = 1;
	ASSERT_EQ(0, hmm_map(self->fd, other, 2 * self->page, 0, NULL));
	ASSERT_EQ(0, hmm_mirror(self->fd, other, 2 * self->page, entries));
	ASSERT_EQ(0, entries[0]);
	ASSERT_EQ(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
		  hmm_entry_flags(entries[1]));
}

/* Entries before an error are mirrored, those behind it are not. */
TEST_F(mirror, map_error)
{
	size_t i;

	ASSERT_EQ(0, munmap(self->addr + FIRST * self->page, self->page));
	ASSERT_EQ(-EFAULT, hmm_map(self->fd, self->addr, self->length,
				   HMMIRROR_REQ_FAULT, self->entries));
	for (i = 0; i < FIRST; i++)
		ASSERT_NE(0, self->entries[i] & HMMIRROR_PTE_VALID);
	for (; i < PAGES; i++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, self->entries[i]);
	ASSERT_EQ(0, hmm_mirror(self->fd, self->addr, self->length,
				self->entries));
	ASSERT_NE(0, self->entries[0] & HMMIRROR_PTE_VALID);
	ASSERT_EQ(0, self->entries[FIRST]);
}

TEST_F(mirror, munmap)
{
	ASSERT_EQ(0, munmap(self->addr + FIRST * self->page,
			    CHANGED * self->page));
	check_invalidated(_metadata, self, FIRST, CHANGED);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->stats));
	ASSERT_EQ(expect_when(WHEN_UNMAP_TOLD),
		  !!self->stats.invalidations_unmap);
	ASSERT_LE(self->stats.invalidations_unmap, self->stats.invalidations);
}

TEST_F(mirror, mprotect)
{
	ASSERT_EQ(0, mprotect(self->addr + FIRST * self->page,
			      CHANGED * self->page, PROT_READ));
	check_invalidated(_metadata, self, FIRST, CHANGED);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->stats));
	ASSERT_LE(1, self->stats.invalidations);
	ASSERT_EQ(0, self->stats.invalidations_unmap);
	/* It can be mirrored again, but not for writing. */
	ASSERT_EQ(-EPERM, hmm_map(self->fd, self->addr, self->length,
				  HMMIRROR_REQ_ALL, NULL));
	ASSERT_EQ(0, hmm_map(self->fd, self->addr, self->length,
			     HMMIRROR_REQ_FAULT, self->entries));
	ASSERT_EQ(HMMIRROR_PTE_VALID, hmm_entry_flags(self->entries[FIRST]));
}

TEST_F(mirror, mremap)
{
	char *from = self->addr + FIRST * self->page;
	char *to = hmm_map_none(CHANGED * self->page, 0);
	__u64 entries[CHANGED];
	size_t i;

	ASSERT_NE(NULL, to);
	ASSERT_EQ(to, mremap(from, CHANGED * self->page, CHANGED * self->page,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	check_invalidated(_metadata, self, FIRST, CHANGED);
	/* The same pages are found at the new address. */
	ASSERT_EQ(0, hmm_mirror(self->fd, to, CHANGED * self->page, entries));
	for (i = 0; i < CHANGED; i++)
		ASSERT_EQ(0, entries[i]);
	ASSERT_EQ(0, hmm_walk(self->fd, to, CHANGED * self->page, 0, entries));
	for (i = 0; i < CHANGED; i++)
		ASSERT_EQ(self->entries[FIRST + i], entries[i]);
}

TEST_F(mirror, dontneed)
{
	ASSERT_EQ(0, madvise(self->addr + FIRST * self->page,
			     CHANGED * self->page, MADV_DONTNEED));
	check_invalidated(_metadata, self, FIRST, CHANGED);
}

TEST_F(mirror, mmap_fixed)
{
	ASSERT_EQ(0, hmm_area_map_small(&self->area,
					self->addr + FIRST * self->page,
					CHANGED * self->page, PROT_READ));
	check_invalidated(_metadata, self, FIRST, CHANGED);
}

/* fork() write-protects the parent's pages: nothing stays mirrored. */
TEST_F(mirror, fork)
{
	size_t i;

	self->area.child = hmm_fork_holder();
	ASSERT_LT(0, self->area.child);
	check_invalidated(_metadata, self, 0, PAGES);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0,
			      self->entries));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(HMMIRROR_PTE_VALID,
			  hmm_entry_flags(self->entries[i]));
}

/* The CPU's write breaks copy-on-write: the entry for the old page must go. */
TEST_F(mirror, cow)
{
	__u64 before[PAGES];

	self->area.child = hmm_fork_holder();
	ASSERT_LT(0, self->area.child);
	ASSERT_EQ(0, hmm_map(self->fd, self->addr, self->length,
			     HMMIRROR_REQ_FAULT, before));
	memcpy(self->entries, before, sizeof(before));
	self->addr[FIRST * self->page] ^= 1;
	check_invalidated(_metadata, self, FIRST, 1);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0,
			      self->entries));
	ASSERT_NE(before[FIRST], self->entries[FIRST]);
	ASSERT_EQ(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
		  hmm_entry_flags(self->entries[FIRST]));
	ASSERT_EQ(before[FIRST + 1], self->entries[FIRST + 1]);
}

/* A write replaces the zero page. */
TEST_F(mirror, zero_page_written)
{
	char *other = hmm_map_anon(self->page, 0);
	__u64 entry;

	if (!REQUIRE(expect_when(WHEN_ZERO_SPECIAL) ? HMM_SKIP : 0,
		     "the walker of this kernel refuses the zero page"))
		return;
	ASSERT_NE(NULL, other);
	ASSERT_EQ(0, hmm_map(self->fd, other, self->page, HMMIRROR_REQ_FAULT,
			     &entry));
	ASSERT_NE(0, entry & HMMIRROR_PTE_ZERO);
	*other = 1;
	ASSERT_EQ(0, hmm_mirror(self->fd, other, self->page, &entry));
	ASSERT_EQ(0, entry);
}

/* Map and mirror a file. Return: the file, which the area closes. */
static int mirror_file(struct __test_metadata *_metadata, FIXTURE_DATA(mirror) * self)
{
	int file = hmm_file_memfd(self->length, 0);

	ASSERT_LE(0, file);
	ASSERT_EQ(0, hmm_area_close_later(&self->area, file));
	ASSERT_EQ(0, hmm_area_map(&self->area, self->addr, self->length,
				  PROT_READ | PROT_WRITE, MAP_SHARED, file));
	hmm_pattern_fill(self->addr, self->length, 2);
	ASSERT_EQ(0, hmm_map(self->fd, self->addr, self->length,
			     HMMIRROR_REQ_ALL, self->entries));
	return file;
}

TEST_F(mirror, truncate)
{
	int file = mirror_file(_metadata, self);

	ASSERT_EQ(0, ftruncate(file, FIRST * self->page));
	check_invalidated(_metadata, self, FIRST, PAGES - FIRST);
	ASSERT_EQ(-EFAULT, hmm_walk(self->fd, self->addr, self->length,
				    HMMIRROR_REQ_FAULT, self->entries));
}

TEST_F(mirror, punch_hole)
{
	int file = mirror_file(_metadata, self);

	ASSERT_EQ(0, fallocate(file, FALLOC_FL_PUNCH_HOLE |
			       FALLOC_FL_KEEP_SIZE, FIRST * self->page,
			       CHANGED * self->page));
	check_invalidated(_metadata, self, FIRST, CHANGED);
}

/* CPU reads and writes invalidate nothing. */
TEST_F(mirror, cpu_access)
{
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	hmm_pattern_fill(self->addr, self->length, 2);
	check_invalidated(_metadata, self, 0, 0);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->stats));
	ASSERT_EQ(0, self->stats.invalidations);
}

TEST_F(mirror, two_of_one_process)
{
	int second = hmm_open(0), other = hmm_open(1);
	__u64 entries[PAGES];
	size_t i;

	ASSERT_LE(0, second);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, hmm_map(second, self->addr, self->length,
			     HMMIRROR_REQ_ALL, entries));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(self->entries[i], entries[i]);
	ASSERT_EQ(0, hmm_map(other, self->addr, self->length,
			     HMMIRROR_REQ_ALL, entries));
	/* One event invalidates all three. */
	ASSERT_EQ(0, munmap(self->addr + FIRST * self->page,
			    CHANGED * self->page));
	check_invalidated(_metadata, self, FIRST, CHANGED);
	ASSERT_EQ(0, hmm_mirror(second, self->addr, self->length, entries));
	ASSERT_EQ(0, entries[FIRST]);
	ASSERT_EQ(self->entries[0], entries[0]);
	ASSERT_EQ(0, hmm_mirror(other, self->addr, self->length, entries));
	ASSERT_EQ(0, entries[FIRST]);
	ASSERT_EQ(self->entries[0], entries[0]);
	/* Closing one leaves the others alone. */
	ASSERT_EQ(0, close(second));
	ASSERT_EQ(0, close(other));
	check_invalidated(_metadata, self, FIRST, CHANGED);
}

#define LIMIT_MS	5000

/* A thread that zaps pages or closes a mirror once @go is posted. */
struct helper {
	char *addr;	/* NULL: closes @fd */
	size_t length;
	int fd;
	pthread_t thread;
	sem_t go;
	pid_t tid;
	int over;
};

static void *zap_or_close(void *data)
{
	struct helper *h = data;

	__atomic_store_n(&h->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (sem_wait(&h->go))
		;
	if (h->addr)
		madvise(h->addr, h->length, MADV_DONTNEED);
	else
		close(h->fd);
	__atomic_store_n(&h->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/*
 * A mirror is closed during an invalidation, here one that waits for another mirror. The
 * notifier must stay until the invalidation is over, and mmu_interval_notifier_remove()
 * waits for that: the kernel still has it on a list.
 */
TEST_F(mirror, closed_during_invalidation)
{
	struct helper zapper = { .addr = self->addr, .length = self->page };
	struct helper closer = { .fd = hmm_open(0) };
	int sleeps, over;

	ASSERT_LE(0, closer.fd);
	ASSERT_EQ(0, hmm_use_all_cpus());
	ASSERT_EQ(0, sem_init(&zapper.go, 0, 0));
	ASSERT_EQ(0, sem_init(&closer.go, 0, 0));
	ASSERT_EQ(0, pthread_create(&zapper.thread, NULL, zap_or_close, &zapper));
	ASSERT_EQ(0, pthread_create(&closer.thread, NULL, zap_or_close, &closer));
	ASSERT_EQ(0, hmm_hold_arm(self->fd, HMMIRROR_STAGE_INVALIDATE, LIMIT_MS));
	sem_post(&zapper.go);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(self->fd, LIMIT_MS));
	sem_post(&closer.go);
	sleeps = hmm_thread_blocks(&closer.tid);
	over = __atomic_load_n(&closer.over, __ATOMIC_SEQ_CST);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
	ASSERT_EQ(0, pthread_join(zapper.thread, NULL));
	ASSERT_EQ(0, pthread_join(closer.thread, NULL));
	ASSERT_EQ(0, over) TH_LOG("the close did not wait");
	ASSERT_EQ(1, sleeps);
	check_invalidated(_metadata, self, 0, 1);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->page, 0));
}

TEST_F(mirror, counters)
{
	struct hmmirror_stats *stats = &self->stats;

	/* FIXTURE_SETUP() has reset them. */
	ASSERT_EQ(0, hmm_stats(self->fd, 0, stats));
	ASSERT_EQ(0, stats->walks);
	ASSERT_EQ(0, stats->invalidations);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0,
			      self->entries));
	ASSERT_EQ(0, hmm_stats(self->fd, HMMIRROR_STATS_RESET, stats));
	ASSERT_EQ(1, stats->walks - stats->retries);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, stats));
	ASSERT_EQ(0, stats->walks);
	ASSERT_LE(stats->device_pages_free, stats->device_pages);
}

/* A mirrored THP, one small page of which is unmapped. */
TEST_F(mirror, part_of_thp)
{
	size_t pages = hmm_pmd_size() / self->page, i;
	__u64 *entries = hmm_map_anon(pages * sizeof(__u64), 0);
	int fd;

	ASSERT_NE(NULL, entries);
	hmm_area_end(&self->area);
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
	if (!REQUIRE(hmm_state_make_named(&self->area, "thp_writable", 0, hmm_pmd_size()),
		     self->area.why))
		return;
	fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_map(fd, self->area.addr, hmm_pmd_size(),
			     HMMIRROR_REQ_ALL, entries));
	ASSERT_EQ(expect_when(WHEN_ORDER) ? hmm_pmd_order() : 0,
		  hmm_entry_order(entries[pages - 1]));
	ASSERT_EQ(0, munmap(self->area.addr + self->page, self->page));
	ASSERT_EQ(0, hmm_mirror(fd, self->area.addr, hmm_pmd_size(), entries));
	ASSERT_EQ(0, entries[1]);
	/* What is still mirrored must be true. */
	for (i = 0; i < pages; i++)
		if (entries[i])
			ASSERT_NE(1, i);
	ASSERT_EQ(0, hmm_map(fd, self->area.addr + 2 * self->page,
			     hmm_pmd_size() - 2 * self->page,
			     HMMIRROR_REQ_ALL, entries));
	for (i = 0; i < pages - 2; i++)
		ASSERT_EQ(0, hmm_entry_order(entries[i]));
}

#include "hmm_main.h"
