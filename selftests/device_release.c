// SPDX-License-Identifier: GPL-2.0
/*
 * A device's memory is removed (HMM_DMIRROR_RELEASE of the kernel's test ABI) while pages
 * are in it, as when a driver unbinds.
 *
 * The driver must migrate every page back to system memory, whichever process maps it, and
 * wait for references that it can't break; after that, memunmap_pages() must not find a
 * page in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "small_pages.h"

#define PAGES	8

FIXTURE(device_release)
{
	struct hmm_area area;
	struct hmmirror_stats after;
	char *addr;
	size_t page;
	size_t length;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(device_release)
{
	unsigned int device;
};

FIXTURE_VARIANT_ADD(device_release, private)
{
	.device = HMM_DEV_PRIVATE,
};

FIXTURE_VARIANT_ADD(device_release, coherent)
{
	.device = HMM_DEV_COHERENT,
};

FIXTURE_SETUP(device_release)
{
	SMALL_PAGES(PAGES);
	hmm_pattern_fill(self->addr, self->length, 1);
	self->setup_ret = hmm_area_memory(&self->area, variant->device);
	if (self->setup_ret)
		return;
	self->fd = hmm_area_device(&self->area, variant->device);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, hmm_use_all_cpus());
}

FIXTURE_TEARDOWN(device_release)
{
	hmm_area_end(&self->area);
}

struct releaser {
	int fd;
	char *addr;
	int result;
	int over;
};

static void *release_memory(void *data)
{
	struct releaser *t = data;
	struct hmm_dmirror_cmd cmd = { .addr = (uintptr_t)t->addr, .npages = 1 };

	t->result = hmm_ioctl(t->fd, HMM_DMIRROR_RELEASE, &cmd);
	__atomic_store_n(&t->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

#define RELEASE_MEMORY()							\
	do {								\
		struct releaser __releaser = { self->fd, self->addr, 0, 0 };	\
									\
		release_memory(&__releaser);					\
		ASSERT_EQ(0, __releaser.result);				\
		ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));	\
		ASSERT_EQ(0, self->after.device_pages);			\
	} while (0)

/* Some pages are free, some were freed in between, some are in use. */
TEST_F(device_release, part_in_use)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
	ASSERT_EQ(0, madvise(self->addr + self->page, self->page, MADV_DONTNEED));
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr + 4 * self->page, self->page, NULL,
				   NULL));
	RELEASE_MEMORY();
	ASSERT_EQ(-1, hmm_all_bytes(self->addr + self->page, self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->page, 1));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 2 * self->page,
					self->length - 2 * self->page, 1));
	/* the device gets new memory when it is needed */
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->page, 1));
}

/* A forked child without a mirror shares the pages. */
TEST_F(device_release, forked)
{
	pid_t child;
	int go;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(self->addr, self->length, 1) == -1 ? 0 : 1);
	ASSERT_LT(0, child);
	RELEASE_MEMORY();
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* The process that migrated them is gone; a child of it has them, mapped PROT_NONE. */
TEST_F(device_release, opener_gone)
{
	int ends[2], go[2], fd;
	pid_t child;
	char byte;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ(0, pipe(go));
	child = fork();
	if (!child) {
		fd = hmm_open(variant->device);
		if (fd < 0 || hmm_to_device(fd, self->addr, self->length, NULL, NULL) ||
		    mprotect(self->addr, self->length, PROT_NONE))
			_exit(1);
		close(fd);
		if (fork())
			_exit(0);
		if (read(go[0], &byte, 1) != 1 ||
		    mprotect(self->addr, self->length, PROT_READ))
			_exit(1);
		byte = hmm_pattern_check(self->addr, self->length, 1) == -1;
		_exit(write(ends[1], &byte, 1) != 1);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	RELEASE_MEMORY();
	ASSERT_EQ(1, write(go[1], "", 1));
	ASSERT_EQ(1, read(ends[0], &byte, 1));
	ASSERT_EQ(1, byte);
}

/*
 * No process maps the pages; only a pipe has references. The release must wait until the
 * pipe is read.
 */
TEST_F(device_release, process_gone)
{
	struct releaser releaser = { .addr = self->addr };
	struct iovec from = { self->addr, self->length };
	pthread_t thread;
	char *copy = hmm_map_anon(self->length, 0);
	int ends[2], fd;
	pid_t child;

	ASSERT_NE(NULL, copy);
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (variant->device == HMM_DEV_PRIVATE)
		SKIP(return, "nothing but a page table can hold device-private pages");
	releaser.fd = self->fd;
	ASSERT_EQ(0, pipe(ends));
	child = fork();
	if (!child) {
		fd = hmm_open(variant->device);
		if (fd < 0 || hmm_to_device(fd, self->addr, self->length, NULL, NULL))
			_exit(1);
		_exit(vmsplice(ends[1], &from, 1, 0) != (ssize_t)self->length);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, pthread_create(&thread, NULL, release_memory, &releaser));
	usleep(30000);
	ASSERT_EQ(0, __atomic_load_n(&releaser.over, __ATOMIC_SEQ_CST));
	ASSERT_EQ((ssize_t)self->length, read(ends[0], copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(copy, self->addr, self->length, 1));
	close(ends[0]);
	close(ends[1]);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, releaser.result);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(0, self->after.device_pages);
	hmm_unmap(copy, self->length);
}

#define LIMIT_MS	10000

struct unmapped {
	int fd;
	char *addr;
	size_t page;
	int result;
	pid_t tid;
	sem_t freed;
	sem_t end;
};

static void *free_unmapped(void *data)
{
	unsigned int what = HMMIRROR_MISTAKE_GIVEN_BACK << HMMIRROR_MIGRATE_MISTAKE_SHIFT;
	struct unmapped *unmapped = data;
	int result;

	__atomic_store_n(&unmapped->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	result = hmm_move(unmapped->fd, HMMIRROR_MIGRATE_TO_DEVICE | what, unmapped->addr,
			  unmapped->page, NULL, NULL);
	__atomic_store_n(&unmapped->result, result, __ATOMIC_SEQ_CST);
	sem_post(&unmapped->freed);
	/*
	 * The end of a thread invalidates its stack, close to what the device has: that would
	 * be held in the place of the release.
	 */
	while (sem_wait(&unmapped->end))
		;
	return NULL;
}

/* Wait until more than @pages pages of the device are in use, or until the thread has ended. */
static int wait_for_more(const struct unmapped *unmapped, __u64 pages)
{
	struct hmmirror_stats stats;
	int ms, ret;

	for (ms = 0; ms < LIMIT_MS; ms++) {
		ret = hmm_stats(unmapped->fd, 0, &stats);
		if (ret || stats.device_pages - stats.device_pages_free > pages)
			return ret;
		ret = __atomic_load_n(&unmapped->result, __ATOMIC_SEQ_CST);
		if (ret)
			return ret;
		usleep(1000);
	}
	return -ETIME;
}

/* A thread that is there, with its stack, before it has something to do. */
struct waiting_releaser {
	struct releaser releaser;
	sem_t ready;
	sem_t go;
};

/* Each CPU has a batch of its own of pages that go onto an LRU list. */
static void *release_on_one_cpu(void *data)
{
	struct waiting_releaser *waiting = data;
	int ret = hmm_use_nth_cpu(0);

	sem_post(&waiting->ready);
	sem_wait(&waiting->go);
	if (!ret)
		return release_memory(&waiting->releaser);
	waiting->releaser.result = ret;
	return NULL;
}

/* The kernel batches 31 pages (7.2) before it puts them on their LRU lists. */
#define MIN_FILLER	28
#define MAX_FILLER	32

/*
 * A page that is mapped nowhere, and that is freed while the release migrates it behind
 * others. The release has a reference to each page when it invalidates the first one, where it
 * is held.
 */
TEST_F(device_release, freed_meanwhile)
{
	struct unmapped unmapped = { .fd = self->fd, .addr = self->addr, .page = self->page };
	struct waiting_releaser waiting = { .releaser = { .fd = self->fd, .addr = self->addr } };
	char *filler = hmm_map_anon(MAX_FILLER * self->page, 0);
	pthread_t freer, releasing;
	int n, ret;

	ASSERT_NE(NULL, filler);
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (variant->device == HMM_DEV_COHERENT)
		SKIP(return, "for device-private memory");
	hmm_pattern_fill(filler, MAX_FILLER * self->page, 1);
	sem_init(&unmapped.freed, 0, 0);
	sem_init(&unmapped.end, 0, 0);
	sem_init(&waiting.ready, 0, 0);
	sem_init(&waiting.go, 0, 0);
	/* pages of new memory are side by side, and the release takes them in one batch */
	RELEASE_MEMORY();
	for (n = MIN_FILLER; n <= MAX_FILLER; n++) {
		ASSERT_EQ(0, hmm_to_device(self->fd, filler, n * self->page, NULL, NULL));
		/* only what the device has mapped is invalidated */
		ASSERT_EQ(0, hmm_map(self->fd, filler, self->page, 0, NULL));
		unmapped.tid = 0;
		ASSERT_EQ(0, pthread_create(&freer, NULL, free_unmapped, &unmapped));
		ret = wait_for_more(&unmapped, n);
		if (ret == -EOPNOTSUPP) {
			/* it uses what is on this stack */
			sem_post(&unmapped.end);
			pthread_join(freer, NULL);
			SKIP(return, "pages are not brought home by number (before 6.1)");
		}
		ASSERT_EQ(0, ret);
		/* the page is in use before it is unlocked, and a release skips what is locked */
		ASSERT_EQ(1, hmm_thread_blocks(&unmapped.tid));
		/* to make a thread's stack invalidates, too */
		ASSERT_EQ(0, pthread_create(&releasing, NULL, release_on_one_cpu, &waiting));
		ASSERT_EQ(0, sem_wait(&waiting.ready));
		ASSERT_EQ(0, hmm_hold_arm(self->fd, HMMIRROR_STAGE_INVALIDATE, LIMIT_MS));
		sem_post(&waiting.go);
		ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(self->fd, LIMIT_MS));
		ASSERT_EQ(0, sem_wait(&unmapped.freed));
		ASSERT_EQ(0, unmapped.result);
		ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
		sem_post(&unmapped.end);
		ASSERT_EQ(0, pthread_join(freer, NULL));
		ASSERT_EQ(0, pthread_join(releasing, NULL));
		ASSERT_EQ(0, waiting.releaser.result);
		ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
		ASSERT_EQ(0, self->after.device_pages);
	}
	ASSERT_EQ(-1, hmm_pattern_check(filler, MAX_FILLER * self->page, 1));
	hmm_unmap(filler, MAX_FILLER * self->page);
}

#include "hmm_main.h"
