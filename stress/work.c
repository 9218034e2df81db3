// SPDX-License-Identifier: GPL-2.0
/*
 * Threads that make all kinds of calls of the driver, on all devices, on memory of their
 * own and on shared memory. The results of the calls are ignored; the data of their own
 * memory must stay right.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

/* Longest range of one operation, pages. */
#define RANGE_PAGES	64
/* A thread's own memory is one huge page, if it is not larger than this, bytes. */
#define OWN_MAX		(32UL << 20)
/* How long a hold lasts, which is in the way of the other threads. */
#define HOLD_MS		20

struct work_thread {
	struct work *work;
	pthread_t thread;
	__u64 random;
	char *own;
	char *plants;		/* of PMD size, and no thread touches it */
	char *buffer;
	/* of the current operation */
	int fd;
	int device;
	char *addr;
	size_t pages;
	size_t length;
	int is_own;
};

static unsigned int below(struct work_thread *t, unsigned int limit)
{
	return stress_below(&t->random, limit);
}

static void wrong(struct work_thread *t, const char *what)
{
	__atomic_store_n(&t->work->wrong, what, __ATOMIC_RELAXED);
}

static void check(struct work_thread *t)
{
	if (t->is_own && hmm_pattern_check(t->addr, t->length, 1) >= 0)
		wrong(t, "memory has not what was written there");
}

static void do_walk(struct work_thread *t)
{
	static const __u64 requests[] = { 0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL };
	struct hmmirror_range range = {
		.flags = below(t, 2) ? HMMIRROR_RANGE_MAP : 0,
		.addr = (uintptr_t)t->addr,
		.length = t->length,
		.entries = (uintptr_t)t->buffer,
		.default_flags = requests[below(t, 3)],
		.timeout_ms = 50,
	};

	if (!below(t, 4))
		range.flags |= HMMIRROR_RANGE_UNLOCKED;
	hmm_ioctl_range(t->fd, &range);
}

static void do_read(struct work_thread *t)
{
	if (!hmm_dev_read(t->fd, t->addr, t->buffer, t->length) && t->is_own &&
	    hmm_pattern_check_as(t->buffer, t->addr, t->length, 1) >= 0)
		wrong(t, "a device has read what is not there");
}

static void do_write(struct work_thread *t)
{
	hmm_pattern_fill_as(t->buffer, t->addr, t->length, 1);
	hmm_dev_write(t->fd, t->addr, t->buffer, t->length);
}

static void do_move(struct work_thread *t)
{
	unsigned int flags = below(t, 3) ? HMMIRROR_MIGRATE_TO_DEVICE :
					   HMMIRROR_MIGRATE_TO_SYSTEM;

	if (!below(t, 4)) {
		flags |= HMMIRROR_MIGRATE_HUGE;
		t->is_own = t->is_own && t->work->own_size == hmm_pmd_size();
		t->addr = t->is_own ? t->own : t->work->shared;
		t->length = hmm_pmd_size();
	}
	hmm_move(t->fd, flags, t->addr, t->length, (__u8 *)t->buffer, NULL);
}

static void do_exclusive(struct work_thread *t)
{
	hmm_excl_pages(t->fd, below(t, 3), t->addr, t->length, NULL, NULL);
	hmm_excl_atomic(t->fd, HMMIRROR_EXCL_ADD, t->addr, 0, 0, NULL);
}

static void do_touch(struct work_thread *t)
{
	if (below(t, 2))
		hmm_touch_write(t->addr, t->length);
	else
		hmm_touch_read(t->addr, t->length);
}

/* This loses the data, so only do it to shared memory. */
static void do_discard(struct work_thread *t)
{
	if (!t->is_own)
		madvise(t->addr, t->length, MADV_DONTNEED);
	else
		madvise(t->addr, t->length, MADV_PAGEOUT);
}

/* Other threads that touch it meanwhile must not die. */
static void do_protect(struct work_thread *t)
{
	if (!t->is_own)
		return;
	mprotect(t->addr, t->length, PROT_READ);
	do_walk(t);
	mprotect(t->addr, t->length, PROT_READ | PROT_WRITE);
}

void work_exec(struct work *work, const char *seconds)
{
	unsigned int i;

	for (i = 0; i < HMM_DEVICES; i++)
		fcntl(__atomic_load_n(&work->fd[i], __ATOMIC_RELAXED), F_SETFD, 0);
	execl("/bin/sleep", "sleep", seconds, NULL);
	_exit(127);
}

static void do_fork(struct work_thread *t)
{
	pid_t pid = fork();

	if (!pid) {
		if (!below(t, 4))
			work_exec(t->work, "0");
		hmm_touch_read(t->addr, t->length);
		if (below(t, 2))
			hmm_touch_write(t->addr, t->length);
		_exit(0);
	}
	if (below(t, 2))
		hmm_touch_write(t->addr, t->length);
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void do_hold(struct work_thread *t)
{
	struct hmmirror_hold hold = {
		.size = sizeof(hold),
		.flags = HMMIRROR_HOLD_ARM,
		.stage = below(t, STRESS_STAGES),
		.limit_ms = t->work->check ? 1 + below(t, HOLD_MS) : 1 + below(t, 10000),
	};

	hmm_ioctl(t->fd, HMMIRROR_HOLD, &hold);
	if (hold.stage >= HMMIRROR_STAGE_WALK)
		do_walk(t);
	else
		do_move(t);
	/* another thread may have mapped it again, or none */
	hold.flags = HMMIRROR_HOLD_RELEASE;
	hold.stage = 0;
	hold.limit_ms = 0;
	hmm_ioctl(t->fd, HMMIRROR_HOLD, &hold);
}

static void do_plant(struct work_thread *t)
{
	struct hmmirror_plant plant = {
		.size = sizeof(plant),
		.flags = HMMIRROR_PLANT_PUT,
		.addr = (uintptr_t)t->plants,
		.kind = below(t, HMMIRROR_PLANT_PUD_HUGE),
	};
	struct hmmirror_range range = {
		.addr = (uintptr_t)t->plants,
		.length = RANGE_PAGES * t->work->page,
		.entries = (uintptr_t)t->buffer,
		.timeout_ms = 20,
	};

	/*
	 * Without a page table, or with an empty one. Map over what is there: another
	 * thread's memory could come to lie in a gap, and be touched.
	 */
	if (mmap(t->plants, hmm_pmd_size(), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return;
	madvise(t->plants, hmm_pmd_size(), MADV_NOHUGEPAGE);
	if (plant.kind == HMMIRROR_PLANT_PMD_BAD)
		hmm_touch_table(t->plants);
	if (hmm_ioctl(t->fd, HMMIRROR_PLANT, &plant))
		return;
	/* a walk that meets a migration waits for its end */
	if (plant.kind != HMMIRROR_PLANT_PMD_MIGRATION)
		hmm_ioctl_range(t->fd, &range);
	if (!below(t, 4))
		return;
	plant.flags = HMMIRROR_PLANT_TAKE;
	plant.addr = 0;
	plant.kind = 0;
	hmm_ioctl(t->fd, HMMIRROR_PLANT, &plant);
}

static void do_dma(struct work_thread *t)
{
	struct hmmirror_dma dma = {
		.op = below(t, 4),
		.addr = (uintptr_t)t->addr,
		.length = t->length,
		.results = (uintptr_t)t->buffer,
	};

	if (dma.op == HMMIRROR_DMA_ALLOC)
		dma.flags = below(t, 2) ? HMMIRROR_DMA_IOMMU : 0;
	if (dma.op == HMMIRROR_DMA_MAP)
		dma.request = below(t, 2) ? HMMIRROR_REQ_FAULT : 0;
	if (dma.op == HMMIRROR_DMA_FREE) {
		dma.addr = 0;
		dma.length = 0;
	}
	hmm_ioctl_dma(t->fd, &dma);
}

/* Other threads may be in a call on the mirror that is closed. */
static void do_reopen(struct work_thread *t)
{
	int fd = hmm_open(t->device);

	if (fd >= 0)
		close(__atomic_exchange_n(&t->work->fd[t->device], fd, __ATOMIC_RELAXED));
}

static void do_test_abi(struct work_thread *t)
{
	static const unsigned long calls[] = {
		HMM_DMIRROR_READ, HMM_DMIRROR_MIGRATE_TO_DEV, HMM_DMIRROR_MIGRATE_TO_SYS,
		HMM_DMIRROR_SNAPSHOT, HMM_DMIRROR_EXCLUSIVE, HMM_DMIRROR_CHECK_EXCLUSIVE,
		HMM_DMIRROR_READ_UNLOCKED,
	};

	hmm_test_abi(t->fd, calls[below(t, ARRAY_SIZE(calls))], t->addr,
		     t->pages, t->buffer, NULL);
}

static void do_release(struct work_thread *t)
{
	if (!t->work->quiet && !below(t, 8))
		hmm_test_abi(t->fd, HMM_DMIRROR_RELEASE, t->addr, 1, NULL, NULL);
}

static void do_fixture(struct work_thread *t)
{
	static const unsigned long fixtures[] = {
		HMMIRROR_FIXTURE_PAGES, HMMIRROR_FIXTURE_SPECIAL, HMMIRROR_FIXTURE_PFNMAP,
		HMMIRROR_FIXTURE_IO,
	};
	char *addr = mmap(NULL, t->length, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd,
			  fixtures[below(t, 4)]);

	if (addr == MAP_FAILED)
		return;
	t->addr = addr;
	t->is_own = 0;
	do_walk(t);
	munmap(addr, t->length);
}

static void do_inject(struct work_thread *t)
{
	struct hmmirror_inject inject = {
		.size = sizeof(inject),
		.event = below(t, STRESS_EVENTS),
		.nth = 1 + below(t, 8),
		.times = 1 + below(t, 4),
	};

	hmm_ioctl(t->fd, HMMIRROR_INJECT, &inject);
}

static void do_stats(struct work_thread *t)
{
	struct hmmirror_stats stats;

	hmm_stats(t->fd, below(t, 2), &stats);
}

static void (*const operations[])(struct work_thread *t) = {
	do_walk, do_walk, do_read, do_read, do_write, do_write, do_move, do_move, do_move,
	do_exclusive, do_touch, do_touch, do_discard, do_protect, do_fork, do_hold,
	do_plant, do_dma, do_dma, do_reopen, do_test_abi, do_test_abi, do_release,
	do_fixture, do_inject, do_stats,
};

static void choose(struct work_thread *t)
{
	struct work *work = t->work;
	size_t all;

	do {
		t->device = below(t, HMM_DEVICES);
		t->fd = __atomic_load_n(&work->fd[t->device], __ATOMIC_RELAXED);
	} while (t->fd < 0);
	t->is_own = !!below(t, 3);
	all = (t->is_own ? work->own_size : hmm_pmd_size()) / work->page;
	t->pages = 1 + below(t, RANGE_PAGES);
	t->addr = (t->is_own ? t->own : work->shared) +
		  below(t, all - t->pages + 1) * work->page;
	t->length = t->pages * work->page;
}

static void *run(void *arg)
{
	struct work_thread *t = arg;
	struct work *work = t->work;

	while (!__atomic_load_n(&work->stop, __ATOMIC_RELAXED) && !work->wrong) {
		choose(t);
		operations[below(t, ARRAY_SIZE(operations))](t);
		__atomic_add_fetch(&work->done, 1, __ATOMIC_RELAXED);
		if (work->check && !below(t, 4)) {
			choose(t);
			check(t);
		}
	}
	return NULL;
}

static int start_thread(struct work *work, unsigned int i)
{
	struct work_thread *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	work->thread[i] = t;
	t->work = work;
	t->random = work->seed + i * 0x1234567;
	t->own = hmm_map_anon(work->own_size, hmm_pmd_size());
	t->plants = hmm_map_anon(hmm_pmd_size(), hmm_pmd_size());
	/* for a huge page there is one byte a small page */
	t->buffer = hmm_map_anon(RANGE_PAGES * work->page, 0);
	if (!t->own || !t->plants || !t->buffer)
		return -ENOMEM;
	madvise(t->own, work->own_size, below(t, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	hmm_pattern_fill(t->own, work->own_size, 1);
	return -pthread_create(&t->thread, NULL, run, t);
}

int work_start(struct work *work)
{
	unsigned int i, there = 0;
	int ret;

	work->page = hmm_page_size();
	for (i = 0; i < HMM_DEVICES; i++) {
		work->fd[i] = hmm_open(i);
		there += work->fd[i] >= 0;
	}
	if (!there)
		return -ENOENT;
	work->own_size = hmm_pmd_size() <= OWN_MAX ? hmm_pmd_size() : 4 * RANGE_PAGES * work->page;
	work->shared = hmm_map_anon(hmm_pmd_size(), hmm_pmd_size());
	if (!work->shared)
		return -ENOMEM;
	madvise(work->shared, hmm_pmd_size(), MADV_HUGEPAGE);
	for (i = 0; i < work->threads; i++) {
		ret = start_thread(work, i);
		if (ret)
			return ret;
	}
	return 0;
}

int work_end(struct work *work)
{
	unsigned int i;

	__atomic_store_n(&work->stop, 1, __ATOMIC_RELAXED);
	for (i = 0; i < work->threads; i++)
		pthread_join(work->thread[i]->thread, NULL);
	return work->wrong ? -EIO : 0;
}
