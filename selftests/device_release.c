// SPDX-License-Identifier: GPL-2.0
/* Device memory that is taken down while pages are in it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>
#include <unistd.h>

#include "small_pages.h"

#define PAGES	8

/* A device's memory is taken down, by the kernel's test ABI, whoever has the pages. */
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

struct taking {
	int fd;
	char *addr;
	int result;
	int over;
};

static void *take_down(void *data)
{
	struct taking *t = data;
	struct hmm_dmirror_cmd cmd = { .addr = (uintptr_t)t->addr, .npages = 1 };

	t->result = hmm_ioctl(t->fd, HMM_DMIRROR_RELEASE, &cmd);
	__atomic_store_n(&t->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

#define TAKE_DOWN()							\
	do {								\
		struct taking __taking = { self->fd, self->addr, 0, 0 };	\
									\
		take_down(&__taking);					\
		ASSERT_EQ(0, __taking.result);				\
		ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));	\
		ASSERT_EQ(0, self->after.device_pages);			\
	} while (0)

/* Some are free, some have been given back in between, and some in use. */
TEST_F(device_release, part_in_use)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
	ASSERT_EQ(0, madvise(self->addr + self->page, self->page, MADV_DONTNEED));
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr + 4 * self->page, self->page, NULL,
				   NULL));
	TAKE_DOWN();
	ASSERT_EQ(-1, hmm_all_bytes(self->addr + self->page, self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->page, 1));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 2 * self->page,
					self->length - 2 * self->page, 1));
	/* and there is memory again when it is needed */
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->page, 1));
}

/* Shared by a fork, and the child has no mirror. */
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
	TAKE_DOWN();
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* Who moved them is gone; a child of it has them, in memory that it can't access now. */
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
	TAKE_DOWN();
	ASSERT_EQ(1, write(go[1], "", 1));
	ASSERT_EQ(1, read(ends[0], &byte, 1));
	ASSERT_EQ(1, byte);
}

/*
 * No process has them: only a pipe, which holds them as they are. They are waited for,
 * until they are read.
 */
TEST_F(device_release, process_gone)
{
	struct taking taking = { .addr = self->addr };
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
	taking.fd = self->fd;
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
	ASSERT_EQ(0, pthread_create(&thread, NULL, take_down, &taking));
	usleep(30000);
	ASSERT_EQ(0, __atomic_load_n(&taking.over, __ATOMIC_SEQ_CST));
	ASSERT_EQ((ssize_t)self->length, read(ends[0], copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(copy, self->addr, self->length, 1));
	close(ends[0]);
	close(ends[1]);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, taking.result);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(0, self->after.device_pages);
	hmm_unmap(copy, self->length);
}

struct unused {
	int fd;
	char *addr;
	size_t page;
	int result;
};

static void *give_back(void *data)
{
	unsigned int what = HMMIRROR_MISTAKE_GIVEN_BACK << HMMIRROR_MIGRATE_MISTAKE_SHIFT;
	struct unused *unused = data;

	unused->result = hmm_move(unused->fd, HMMIRROR_MIGRATE_TO_DEVICE | what, unused->addr,
				  unused->page, NULL, NULL);
	return NULL;
}

/* Returns once the device has a page more than @pages in use. */
static int wait_for_more(int fd, __u64 pages)
{
	struct hmmirror_stats stats;
	int tries, ret;

	for (tries = 0; tries < 1000; tries++) {
		ret = hmm_stats(fd, 0, &stats);
		if (ret || stats.device_pages - stats.device_pages_free > pages)
			return ret;
		usleep(100);
	}
	return -ETIME;
}

/* The kernel collects 31 pages (7.2) before it looks for their LRU lists. */
#define FEWEST	28
#define MOST	32
#define ATTEMPTS	8

/*
 * A page that nobody has mapped, and that is given back while it is brought home behind
 * others. It takes two CPUs that do this at the same moment.
 */
TEST_F(device_release, freed_meanwhile)
{
	struct unused unused = { .fd = self->fd, .addr = self->addr, .page = self->page };
	char *others = hmm_map_anon(MOST * self->page, 0);
	int n, tries, ret, met = 0;
	pthread_t thread;

	ASSERT_NE(NULL, others);
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (variant->device == HMM_DEV_COHERENT)
		SKIP(return, "for device-private memory");
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "it takes two CPUs");
	hmm_pattern_fill(others, MOST * self->page, 1);
	for (n = FEWEST; n <= MOST; n++) {
		unused.result = -EAGAIN;
		for (tries = 0; unused.result == -EAGAIN && tries < ATTEMPTS; tries++) {
			ASSERT_EQ(0, hmm_to_device(self->fd, others, n * self->page, NULL, NULL));
			ASSERT_EQ(0, pthread_create(&thread, NULL, give_back, &unused));
			ret = wait_for_more(self->fd, n);
			if (!ret)
				TAKE_DOWN();
			ASSERT_EQ(0, pthread_join(thread, NULL));
			if (unused.result == -EOPNOTSUPP)
				SKIP(return, "pages are not brought home by number (before 6.1)");
			ASSERT_EQ(0, ret);
		}
		met += !unused.result;
	}
	ASSERT_EQ(-1, hmm_pattern_check(others, MOST * self->page, 1));
	hmm_unmap(others, MOST * self->page);
	if (!met)
		SKIP(return, "the CPUs never came there together");
}

#include "hmm_main.h"
