// SPDX-License-Identifier: GPL-2.0
/*
 * make_device_exclusive(): the device gets exclusive access to anonymous pages, for
 * atomics.
 *
 * The CPU's PTE becomes a device-exclusive entry. Any CPU access, walk with a fault, fork
 * or change of the mapping must call the notifier and restore the PTE; the device must
 * never go on with a page after that, and no write of either side may be lost.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "inject.h"
#include "small_pages.h"

#define PAGES	8

FIXTURE(exclusive)
{
	struct hmm_area area;
	struct hmmirror_stats stats;
	__u8 exclusive[PAGES];
	__u64 pages;
	__u64 value;
	size_t page;
	size_t length;
	char *addr;
	int setup_ret;
	int fd;
};

FIXTURE_SETUP(exclusive)
{
	FILLED_PAGES(PAGES);
	self->setup_ret = hmm_area_feature(&self->area, HMMIRROR_FEAT_EXCLUSIVE);
}

FIXTURE_TEARDOWN(exclusive)
{
	hmm_area_end(&self->area);
}

#define MAKE_EXCLUSIVE() \
	hmm_excl_pages(self->fd, HMMIRROR_EXCL_MAKE, self->addr, \
		       self->length, self->exclusive, &self->pages)

/* Check which pages the device has exclusive access to: one character a page, 'x' if so. */
static void check_exclusive(struct __test_metadata *_metadata, int fd, const char *addr,
			    const char *want)
{
	size_t pages = strlen(want), i;
	__u8 exclusive[PAGES];
	__u64 count = 0;

	memset(exclusive, 0xee, sizeof(exclusive));
	ASSERT_EQ(0, hmm_excl_pages(fd, HMMIRROR_EXCL_TEST, addr,
				    pages * hmm_page_size(), exclusive, &count));
	for (i = 0; i < pages; i++) {
		ASSERT_EQ(want[i] == 'x', exclusive[i]) TH_LOG("page %zu", i);
		count -= exclusive[i];
	}
	ASSERT_EQ(0, count);
}

TEST_F(exclusive, make_exclusive)
{
	__u64 map;
	int i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	check_exclusive(_metadata, self->fd, self->addr, "........");
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(PAGES, self->pages);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(1, self->exclusive[i]);
		/* The CPU has no access any more. */
		ASSERT_EQ(0, hmm_pagemap_one(self->addr + i * self->page,
					     &map));
		ASSERT_EQ(0, map & HMM_PM_PRESENT);
	}
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxxx");
	/* Doing it again does no harm. */
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxxx");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

TEST_F(exclusive, release)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(0, hmm_excl_pages(self->fd, HMMIRROR_EXCL_RELEASE,
				    self->addr + self->page, 3 * self->page,
				    NULL, &self->pages));
	ASSERT_EQ(3, self->pages);
	check_exclusive(_metadata, self->fd, self->addr, "x...xxxx");
	/* The CPU's PTE is restored, and not only the mirror's entry dropped. */
	ASSERT_EQ(0, hmm_pagemap_one(self->addr + self->page, &self->value));
	ASSERT_NE(0, self->value & HMM_PM_PRESENT);
	ASSERT_EQ(0, hmm_excl_pages(self->fd, HMMIRROR_EXCL_RELEASE,
				    self->addr, self->length, NULL,
				    &self->pages));
	ASSERT_EQ(5, self->pages);
	check_exclusive(_metadata, self->fd, self->addr, "........");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

TEST_F(exclusive, cpu_read)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(0, hmm_stats(self->fd, HMMIRROR_STATS_RESET, &self->stats));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 2 * self->page,
					self->page, 1));
	check_exclusive(_metadata, self->fd, self->addr, "xx.xxxxx");
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->stats));
	ASSERT_LE(1, self->stats.invalidations);
	/* Older kernels pass MMU_NOTIFY_EXCLUSIVE. */
	ASSERT_EQ(!expect_when(WHEN_EXCLUSIVE_PAGE),
		  !!self->stats.invalidations_exclusive);
}

TEST_F(exclusive, cpu_write)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	hmm_pattern_fill(self->addr + 7 * self->page, self->page, 2);
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxx.");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 7 * self->page,
					self->page, 2));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 7 * self->page, 1));
}

/*
 * A snapshot leaves exclusive access alone; a walk with a fault ends it, as a CPU access
 * would.
 */
TEST_F(exclusive, walk)
{
	__u64 entries[PAGES];
	int i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0, entries));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(0, entries[i]);
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxxx");
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length,
			      HMMIRROR_REQ_FAULT, entries));
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
			  hmm_entry_flags(entries[i]));
	check_exclusive(_metadata, self->fd, self->addr, "........");
}

TEST_F(exclusive, unpopulated)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxxx");
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

TEST_F(exclusive, zero_page)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "anon_zero", 0, self->length),
		     self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxxx");
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/* A shared page is copied first, and the copy is made exclusive. */
TEST_F(exclusive, cow)
{
	__u64 before, after;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "anon_cow_parent", 0, self->length),
		     self->area.why))
		return;
	ASSERT_EQ(0, hmm_pagemap_one(self->addr, &before));
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxxx");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 0));
	ASSERT_EQ(0, hmm_pagemap_one(self->addr, &after));
	ASSERT_NE(before & HMM_PM_PFN_MASK, after & HMM_PM_PFN_MASK);
}

TEST_F(exclusive, readonly)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ASSERT_EQ(-EFAULT, MAKE_EXCLUSIVE());
	ASSERT_EQ(0, self->pages);
	check_exclusive(_metadata, self->fd, self->addr, "........");
	ASSERT_EQ(-EFAULT, hmm_excl_atomic(self->fd, HMMIRROR_EXCL_ADD,
					   self->addr, 1, 0, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

TEST_F(exclusive, hole)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, munmap(self->addr + 4 * self->page, self->page));
	ASSERT_EQ(-EFAULT, MAKE_EXCLUSIVE());
	check_exclusive(_metadata, self->fd, self->addr, "xxxx....");
	ASSERT_EQ(4, self->pages);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 4 * self->page, 1));
}

/* Only anonymous pages can be made exclusive. */
TEST_F(exclusive, shmem)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "shmem_shared_written", 0,
					  self->length), self->area.why))
		return;
	ASSERT_EQ(expect_when(WHEN_EXCLUSIVE_PAGE) ? -EOPNOTSUPP : -EBUSY,
		  MAKE_EXCLUSIVE());
	ASSERT_EQ(0, self->pages);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 0));
}

TEST_F(exclusive, private_file)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "file_private_read", 0, self->length),
		     self->area.why))
		return;
	/* It is copied as for a write, and then is anonymous. */
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	check_exclusive(_metadata, self->fd, self->addr, "xxxxxxxx");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 0));
}

/*
 * Older kernels make only the first page of a THP exclusive, newer ones all of it. The
 * CPU's entries must be right in both cases.
 */
TEST_F(exclusive, thp)
{
	struct hmm_area *area = &self->area;
	int whole = expect_when(WHEN_EXCLUSIVE_PAGE);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_area_end(area);
	ASSERT_EQ(0, hmm_area_begin(area, hmm_pmd_size(), 0));
	if (!REQUIRE(hmm_state_make_named(area, "thp_writable", 0, hmm_pmd_size()), area->why))
		return;
	self->fd = hmm_area_device(area, 0);
	ASSERT_EQ(whole ? 0 : -EBUSY,
		  hmm_excl_pages(self->fd, HMMIRROR_EXCL_MAKE, area->addr,
				 self->length, self->exclusive, &self->pages));
	check_exclusive(_metadata, self->fd, area->addr, whole ? "xxxxxxxx" : "x.......");
	ASSERT_EQ(whole ? PAGES : 1, self->pages);
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, hmm_pmd_size(), 0));
	check_exclusive(_metadata, self->fd, area->addr, "........");
}

TEST_F(exclusive, mprotect)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	check_exclusive(_metadata, self->fd, self->addr, "........");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->addr, self->length, 3);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 3));
}

TEST_F(exclusive, munmap)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(0, munmap(self->addr + self->page, 2 * self->page));
	check_exclusive(_metadata, self->fd, self->addr, "x..xxxxx");
}

TEST_F(exclusive, mremap)
{
	char *to = hmm_map_none(self->length, 0);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_NE(NULL, to);
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(to, mremap(self->addr, self->length, self->length,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	check_exclusive(_metadata, self->fd, to, "........");
	ASSERT_EQ(-1, hmm_pattern_check_as(to, self->addr, self->length, 1));
}

TEST_F(exclusive, fork)
{
	pid_t child;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	child = fork();
	if (!child)
		_exit(hmm_pattern_check(self->addr, self->length, 1) >= 0);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	check_exclusive(_metadata, self->fd, self->addr, "........");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

TEST_F(exclusive, close)
{
	int fd;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	fd = hmm_open(0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_excl_pages(fd, HMMIRROR_EXCL_MAKE, self->addr,
				    self->length, NULL, &self->pages));
	ASSERT_EQ(PAGES, self->pages);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	hmm_pattern_fill(self->addr, self->length, 2);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 2));
}

/* A second device's request ends the first one's access. */
TEST_F(exclusive, two_devices)
{
	int other = hmm_area_device(&self->area, 1);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_LE(0, other);
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(0, hmm_excl_pages(other, HMMIRROR_EXCL_MAKE, self->addr,
				    self->page, NULL, &self->pages));
	ASSERT_EQ(1, self->pages);
	check_exclusive(_metadata, self->fd, self->addr, ".xxxxxxx");
	check_exclusive(_metadata, other, self->addr, "x.......");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* Device-coherent memory can be made exclusive too, and can be released while it is. */
TEST_F(exclusive, coherent)
{
	int fd = hmm_area_device(&self->area, HMM_DEV_COHERENT);

	if (!REQUIRE(self->setup_ret, self->area.why) ||
	    !REQUIRE(hmm_area_memory(&self->area, HMM_DEV_COHERENT), self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(fd, self->addr, self->length, NULL, &self->pages));
	ASSERT_EQ(PAGES, self->pages);
	ASSERT_EQ(expect_when(WHEN_EXCLUSIVE_PAGE) ? 0 : -EOPNOTSUPP,
		  hmm_excl_pages(fd, HMMIRROR_EXCL_MAKE, self->addr, self->length,
				 self->exclusive, &self->pages));
	ASSERT_EQ(expect_when(WHEN_EXCLUSIVE_PAGE) ? PAGES : 0, self->pages);
	ASSERT_EQ(0, hmm_test_abi(fd, HMM_DMIRROR_RELEASE, self->addr, 1, NULL, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	ASSERT_EQ(0, hmm_stats(fd, 0, &self->stats));
	ASSERT_EQ(self->stats.device_pages, self->stats.device_pages_free);
}

TEST_F(exclusive, add)
{
	__u64 *word = (__u64 *)(self->addr + self->page - 8);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	*word = 40;
	ASSERT_EQ(0, hmm_excl_atomic(self->fd, HMMIRROR_EXCL_ADD, word, 2, 0,
				     &self->value));
	ASSERT_EQ(40, self->value);
	/* The atomic made this page exclusive, and no other. */
	check_exclusive(_metadata, self->fd, self->addr, "x.......");
	ASSERT_EQ(0, hmm_excl_atomic(self->fd, HMMIRROR_EXCL_ADD, word, -1, 0,
				     &self->value));
	ASSERT_EQ(42, self->value);
	ASSERT_EQ(41, *word);
	check_exclusive(_metadata, self->fd, self->addr, "........");
}

TEST_F(exclusive, xchg)
{
	__u64 *word = (__u64 *)self->addr, old = *word;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_excl_atomic(self->fd, HMMIRROR_EXCL_XCHG, word, 7, 0,
				     &self->value));
	ASSERT_EQ(old, self->value);
	ASSERT_EQ(7, *word);
	/* The next word is unchanged. */
	ASSERT_EQ(hmm_pattern(word + 1, 1), word[1]);
}

TEST_F(exclusive, cmpxchg)
{
	__u64 *word = (__u64 *)self->addr;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	*word = 5;
	ASSERT_EQ(0, hmm_excl_atomic(self->fd, HMMIRROR_EXCL_CMPXCHG, word, 9,
				     5, &self->value));
	ASSERT_EQ(5, self->value);
	ASSERT_EQ(0, hmm_excl_atomic(self->fd, HMMIRROR_EXCL_CMPXCHG, word, 1,
				     5, &self->value));
	ASSERT_EQ(9, self->value);
	ASSERT_EQ(9, *word);
}

#define ADDS	200

static void *cpu_adds(void *word)
{
	int i;

	for (i = 0; i < ADDS; i++)
		__atomic_fetch_add((__u64 *)word, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* CPU and device add to the same word, and no addition is lost. */
TEST_F(exclusive, add_against_cpu)
{
	__u64 *word = (__u64 *)self->addr;
	pthread_t thread;
	int i, ret = 0;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	*word = 0;
	ASSERT_EQ(0, pthread_create(&thread, NULL, cpu_adds, word));
	for (i = 0; i < ADDS; i++) {
		do {
			ret = hmm_excl_atomic(self->fd, HMMIRROR_EXCL_ADD,
					      word, 1, 0, NULL);
		} while (ret == -EBUSY);
		if (ret)
			break;
	}
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, ret);
	ASSERT_EQ(2 * ADDS, *word);
}

#define LIMIT_MS	5000

/* A thread that reads a page once @go is posted. */
struct reader {
	char *addr;
	pthread_t thread;
	sem_t go;
	char byte;
};

static void *read_byte(void *data)
{
	struct reader *r = data;

	while (sem_wait(&r->go))
		;
	r->byte = __atomic_load_n(r->addr, __ATOMIC_RELAXED);
	return NULL;
}

/*
 * The page is zapped while a CPU fault ends the exclusive access to it. The fault has the
 * page locked, and waits for the device: it needs a reference of its own, as that of the
 * entry goes with the entry.
 */
TEST_F(exclusive, dontneed_during_fault)
{
	char *addr = self->addr + 2 * self->page;
	struct reader reader = { .addr = addr, .byte = 1 };
	__u64 map, flags = 0;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	/* the per-CPU LRU batches hold references, too; compaction drains them */
	hmm_write_text("/proc/sys/vm/compact_memory", "1");
	ASSERT_EQ(0, hmm_pagemap_one(addr, &map));
	ASSERT_EQ(0, sem_init(&reader.go, 0, 0));
	ASSERT_EQ(0, pthread_create(&reader.thread, NULL, read_byte, &reader));
	ASSERT_EQ(0, MAKE_EXCLUSIVE());
	ASSERT_EQ(PAGES, self->pages);
	ASSERT_EQ(0, hmm_hold_arm(self->fd, HMMIRROR_STAGE_INVALIDATE, LIMIT_MS));
	sem_post(&reader.go);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(self->fd, LIMIT_MS));
	ASSERT_EQ(0, madvise(addr, self->page, MADV_DONTNEED));
	ASSERT_EQ(0, hmm_page_flags(map & HMM_PM_PFN_MASK, 1, &flags));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
	ASSERT_EQ(0, pthread_join(reader.thread, NULL));
	ASSERT_NE(0, flags & hmm_kpf(KPF_LOCKED))
		TH_LOG("the page that the fault has locked was freed: flags %llx",
		       (unsigned long long)flags);
	ASSERT_EQ(0, reader.byte);
	ASSERT_EQ(-1, hmm_all_bytes(addr, self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 2 * self->page, 1));
}

/* A thread that makes a page exclusive once @go is posted. */
struct maker {
	char *addr;
	size_t length;
	int fd;
	pthread_t thread;
	sem_t go;
	pid_t tid;
	int ret;
};

static void *make_page_exclusive(void *data)
{
	struct maker *m = data;

	__atomic_store_n(&m->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (sem_wait(&m->go))
		;
	m->ret = hmm_excl_pages(m->fd, HMMIRROR_EXCL_MAKE, m->addr, m->length, NULL, NULL);
	return NULL;
}

/*
 * Another task has the page locked, here beside a migration that is held: the device waits
 * for the lock.
 */
TEST_F(exclusive, locked_page)
{
	struct maker maker = { .addr = self->addr, .length = self->page, .fd = self->fd };
	struct hmm_call call = {
		.fd = self->fd,
		.addr = self->addr,
		.length = self->length,
	};

	if (!REQUIRE(self->setup_ret, self->area.why) ||
	    !REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	if (!INJECT(self->fd, HMMIRROR_INJECT_LOCKED, 1, 1))
		return;
	/* make the threads first: that needs the mmap lock for writing */
	ASSERT_EQ(0, sem_init(&maker.go, 0, 0));
	ASSERT_EQ(0, pthread_create(&maker.thread, NULL, make_page_exclusive, &maker));
	ASSERT_EQ(0, hmm_hold_migration(&call, HMMIRROR_STAGE_SETUP, LIMIT_MS));
	sem_post(&maker.go);
	ASSERT_EQ(1, hmm_thread_blocks(&maker.tid));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
	ASSERT_EQ(0, hmm_call_end(&call));
	ASSERT_EQ(0, pthread_join(maker.thread, NULL));
	ASSERT_EQ(1, INJECTED(self->fd, HMMIRROR_INJECT_LOCKED));
	ASSERT_EQ(0, maker.ret);
	check_exclusive(_metadata, self->fd, self->addr, "x.......");
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

#include "hmm_main.h"
