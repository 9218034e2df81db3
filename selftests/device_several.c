// SPDX-License-Identifier: GPL-2.0
/* Pages that go from device to device, and devices whose memory ends or is taken down. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "small_pages.h"

#define PAGES	8

FIXTURE(device_travel)
{
	struct hmm_area area;
	struct hmmirror_stats before[2];
	char *addr;
	char *copy;
	size_t page;
	size_t length;
	int lacking;
	int fd[2];
};

FIXTURE_VARIANT(device_travel)
{
	unsigned int device[2];
};

FIXTURE_VARIANT_ADD(device_travel, private_private)
{
	.device = { HMM_DEV_PRIVATE, HMM_DEV_PRIVATE_OTHER },
};

FIXTURE_VARIANT_ADD(device_travel, private_coherent)
{
	.device = { HMM_DEV_PRIVATE, HMM_DEV_COHERENT },
};

FIXTURE_VARIANT_ADD(device_travel, coherent_private)
{
	.device = { HMM_DEV_COHERENT, HMM_DEV_PRIVATE },
};

FIXTURE_VARIANT_ADD(device_travel, coherent_coherent)
{
	.device = { HMM_DEV_COHERENT, HMM_DEV_COHERENT_OTHER },
};

FIXTURE_SETUP(device_travel)
{
	int i;

	SMALL_PAGES(PAGES);
	self->copy = hmm_map_anon(self->length, 0);
	ASSERT_NE(NULL, self->copy);
	for (i = 0; i < 2 && !self->lacking; i++)
		self->lacking = hmm_area_use_memory(&self->area, variant->device[i],
						    &self->fd[i], &self->before[i]);
}

FIXTURE_TEARDOWN(device_travel)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->copy, self->length);
}

static long used(struct _test_data_device_travel *self, int device)
{
	return hmm_used_since(self->fd[device], &self->before[device]);
}

/* The device has all of the range, writes it, and finds it written. */
static void work_on(struct __test_metadata *_metadata, struct _test_data_device_travel *self,
		    int device, __u64 before, __u64 after)
{
	int fd = self->fd[device];
	__u64 migrated = 0;

	ASSERT_EQ(0, hmm_to_device(fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(PAGES, migrated);
	ASSERT_EQ(PAGES, used(self, device));
	ASSERT_EQ(0, hmm_dev_read(fd, self->addr, self->copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, before));
	hmm_pattern_fill_as(self->copy, self->addr, self->length, after);
	ASSERT_EQ(0, hmm_dev_write(fd, self->addr, self->copy, self->length));
	ASSERT_EQ(PAGES, used(self, device));
}

/* A to B to A, home between: each finds what the other wrote. */
TEST_F(device_travel, there_and_there)
{
	int i;

	if (MISS(self->lacking, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 0);
	for (i = 0; i < 4; i++) {
		work_on(_metadata, self, i % 2, i, i + 1);
		ASSERT_EQ(0, hmm_to_system(self->fd[i % 2], self->addr, self->length, NULL,
					   NULL));
		ASSERT_EQ(0, used(self, i % 2));
	}
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 4));
}

/* The second device writes what the first has, without asking for the pages. */
TEST_F(device_travel, reached_over)
{
	if (MISS(self->lacking, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 0);
	work_on(_metadata, self, 0, 0, 1);
	hmm_pattern_fill_as(self->copy, self->addr, self->page, 2);
	if (hmm_dev_write(self->fd[1], self->addr + self->page, self->copy, 8) == -EFAULT)
		SKIP(return, "the walker of this kernel refuses pages of another device");
	hmm_pattern_fill_as(self->copy, self->addr, self->page, 2);
	ASSERT_EQ(0, hmm_dev_write(self->fd[1], self->addr, self->copy, self->page));
	ASSERT_EQ(0, hmm_dev_read(self->fd[0], self->addr, self->copy, self->page));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->page, 2));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->page, 2));
	ASSERT_EQ(hmm_pattern(self->addr, 2), *(__u64 *)(self->addr + self->page));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 2 * self->page,
					self->length - 2 * self->page, 1));
}

/* Some here, some there, some at home: each call takes what it may. */
TEST_F(device_travel, mixed)
{
	__u64 migrated = 0;

	if (MISS(self->lacking, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 3);
	ASSERT_EQ(0, hmm_to_device(self->fd[0], self->addr, 3 * self->page, NULL, NULL));
	ASSERT_EQ(0, hmm_to_device(self->fd[1], self->addr, 6 * self->page, NULL, &migrated));
	ASSERT_EQ(3, migrated);
	ASSERT_EQ(0, hmm_to_device(self->fd[0], self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(2, migrated);
	ASSERT_EQ(5, used(self, 0));
	ASSERT_EQ(3, used(self, 1));
	ASSERT_EQ(0, hmm_to_system(self->fd[0], self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(5, migrated);
	ASSERT_EQ(3, used(self, 1));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 3));
}

/* Two processes share them, each with a device of its own that wants them. */
TEST_F(device_travel, two_processes)
{
	pid_t child;
	int go, fd;

	if (MISS(self->lacking, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 4);
	ASSERT_EQ(0, hmm_to_device(self->fd[0], self->addr, self->length, NULL, NULL));
	child = hmm_fork_waiter(&go);
	if (!child) {
		fd = hmm_open(variant->device[1]);
		if (fd < 0 || hmm_to_device(fd, self->addr, self->length, NULL, NULL))
			_exit(1);
		if (hmm_pattern_check(self->addr, self->length, 4) != -1)
			_exit(2);
		hmm_pattern_fill(self->addr, self->length, 5);
		if (hmm_to_device(fd, self->addr, self->length, NULL, NULL))
			_exit(3);
		_exit(hmm_pattern_check(self->addr, self->length, 5) == -1 ? 0 : 4);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(0, hmm_dev_read(self->fd[0], self->addr, self->copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, 4));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 4));
	ASSERT_EQ(0, used(self, 1));
}

/* A device's memory is taken down, by the kernel's test ABI, whoever has the pages. */
FIXTURE(device_taken)
{
	struct hmm_area area;
	struct hmmirror_stats after;
	char *addr;
	size_t page;
	size_t length;
	int lacking;
	int fd;
};

FIXTURE_VARIANT(device_taken)
{
	unsigned int device;
};

FIXTURE_VARIANT_ADD(device_taken, private)
{
	.device = HMM_DEV_PRIVATE,
};

FIXTURE_VARIANT_ADD(device_taken, coherent)
{
	.device = HMM_DEV_COHERENT,
};

FIXTURE_SETUP(device_taken)
{
	SMALL_PAGES(PAGES);
	hmm_pattern_fill(self->addr, self->length, 1);
	self->lacking = hmm_area_memory(&self->area, variant->device);
	if (self->lacking)
		return;
	self->fd = hmm_area_device(&self->area, variant->device);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, hmm_use_all_cpus());
}

FIXTURE_TEARDOWN(device_taken)
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
TEST_F(device_taken, some)
{
	if (MISS(self->lacking, self->area.why))
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
TEST_F(device_taken, shared)
{
	pid_t child;
	int go;

	if (MISS(self->lacking, self->area.why))
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
TEST_F(device_taken, opener_gone)
{
	int ends[2], go[2], fd;
	pid_t child;
	char byte;

	if (MISS(self->lacking, self->area.why))
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
TEST_F(device_taken, process_gone)
{
	struct taking taking = { .addr = self->addr };
	struct iovec from = { self->addr, self->length };
	pthread_t thread;
	char *copy = hmm_map_anon(self->length, 0);
	int ends[2], fd;
	pid_t child;

	ASSERT_NE(NULL, copy);
	if (MISS(self->lacking, self->area.why))
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
TEST_F(device_taken, unused)
{
	struct unused unused = { .fd = self->fd, .addr = self->addr, .page = self->page };
	char *others = hmm_map_anon(MOST * self->page, 0);
	int n, tries, ret, met = 0;
	pthread_t thread;

	ASSERT_NE(NULL, others);
	if (MISS(self->lacking, self->area.why))
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

/* Pages of the window of which there is a closer look, at its end. */
#define LOOKED_AT	300

struct filled {
	struct hmm_area area;
	size_t pages;
	size_t moved;
	size_t refused;		/* for want of memory */
	__u64 migrated;
	struct hmmirror_stats stats;
};

/*
 * More pages than the device has room for, none of which was ever written: what fits
 * goes, and the rest stays right.
 */
static int fill_up(struct filled *filled, unsigned int device, size_t pages)
{
	size_t page = hmm_page_size(), i;
	__u8 *outcomes = hmm_map_anon(pages, 0);
	int ret, fd;

	filled->pages = pages;
	if (!outcomes)
		return -ENOMEM;
	ret = hmm_area_begin_small(&filled->area, pages * page);
	if (ret)
		return ret;
	fd = hmm_area_device(&filled->area, device);
	ret = hmm_to_device(fd, filled->area.addr, pages * page, outcomes, &filled->migrated);
	for (i = 0; i < pages; i++) {
		filled->moved += outcomes[i] == HMMIRROR_OUT_POPULATED;
		filled->refused += outcomes[i] == HMMIRROR_OUT_NOMEM;
	}
	hmm_unmap(outcomes, pages);
	return ret ? ret : hmm_stats(fd, 0, &filled->stats);
}

/* Return: what is not as it must be when there is no more memory, or NULL. */
static const char *not_full(const struct filled *filled)
{
	size_t page = hmm_page_size(), i;

	if (filled->moved + filled->refused != filled->pages)
		return "pages that neither moved nor were refused";
	if (filled->moved != filled->migrated)
		return "not as many moved as are told of";
	if (filled->stats.device_pages_free)
		return "some memory is free";
	/* where the memory ended: pages of both kinds can be used */
	for (i = filled->pages - LOOKED_AT; i < filled->pages; i++)
		if (hmm_all_bytes(filled->area.addr + i * page, 64, 0) >= 0)
			return "pages are not empty";
	return NULL;
}

#define ASSERT_FULL(filled)						\
	do {								\
		const char *__why = not_full(filled);			\
									\
		ASSERT_EQ(NULL, __why) TH_LOG("%s", __why);		\
	} while (0)

TEST(device_full)
{
	struct hmm_area area = { 0 };
	struct filled filled = { 0 };
	struct hmmirror_stats stats;
	__u64 migrated = 0;
	size_t pages;
	int fd;

	ASSERT_EQ(0, hmm_area_begin_small(&area, hmm_pmd_size()));
	if (MISS(hmm_area_memory(&area, HMM_DEV_COHERENT), area.why))
		return;
	fd = hmm_area_device(&area, HMM_DEV_COHERENT);
	/* the first page brings the memory */
	ASSERT_EQ(0, hmm_to_device(fd, area.addr, hmm_page_size(), NULL, &migrated));
	ASSERT_EQ(1, migrated);
	ASSERT_EQ(0, hmm_stats(fd, 0, &stats));
	pages = stats.device_pages_free + 100;
	if (pages > 64 << 10)
		SKIP(return, "more than 256 MiB of device memory: it would take too long");
	hmm_area_end(&area);

	ASSERT_EQ(0, fill_up(&filled, HMM_DEV_COHERENT, pages));
	ASSERT_FULL(&filled);
	ASSERT_LE(99, filled.refused);
	hmm_area_end(&filled.area);
	fd = hmm_open(HMM_DEV_COHERENT);
	ASSERT_EQ(0, hmm_stats(fd, 0, &stats));
	ASSERT_EQ(stats.device_pages, stats.device_pages_free);
	close(fd);
}

#define PARAMETERS	"/sys/module/hmmirror/parameters/"

/* A device takes no more of the machine's memory than it is let, whoever asks. */
TEST(device_limit)
{
	struct hmm_area area = { 0 };
	struct filled filled = { 0 };
	char chunk[16];
	size_t most;
	int fd;

	ASSERT_EQ(0, hmm_area_begin_small(&area, hmm_pmd_size()));
	if (MISS(hmm_area_memory(&area, HMM_DEV_PRIVATE), area.why))
		return;
	ASSERT_EQ(0, hmm_read_text(PARAMETERS "chunk_mb", chunk, sizeof(chunk)));
	most = (size_t)atol(chunk) << 20;
	if (most > 256 << 20)
		SKIP(return, "chunk_mb is more than 256: it would take too long");
	fd = hmm_area_device(&area, HMM_DEV_PRIVATE);
	/* what others left of it */
	ASSERT_EQ(0, hmm_test_abi(fd, HMM_DMIRROR_RELEASE, area.addr, 1, NULL, NULL));
	ASSERT_EQ(0, hmm_area_set_knob(&area, PARAMETERS "max_device_mb", chunk));

	ASSERT_EQ(0, fill_up(&filled, HMM_DEV_PRIVATE, most / hmm_page_size() + 100));
	ASSERT_FULL(&filled);
	ASSERT_EQ(most, filled.stats.device_pages * hmm_page_size());
	ASSERT_EQ(100, filled.refused);
	hmm_area_end(&filled.area);

	/* none at all */
	ASSERT_EQ(0, hmm_test_abi(fd, HMM_DMIRROR_RELEASE, area.addr, 1, NULL, NULL));
	ASSERT_EQ(0, hmm_write_text(PARAMETERS "max_device_mb", "1"));
	memset(&filled, 0, sizeof(filled));
	ASSERT_EQ(0, fill_up(&filled, HMM_DEV_PRIVATE, 2 * LOOKED_AT));
	ASSERT_FULL(&filled);
	ASSERT_EQ(0, filled.migrated);
	ASSERT_EQ(0, filled.stats.device_pages);
	hmm_area_end(&filled.area);
	hmm_area_end(&area);
}

#include "hmm_main.h"
