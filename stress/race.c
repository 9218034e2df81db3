// SPDX-License-Identifier: GPL-2.0
/*
 * Two threads do one thing each with the same pages, at the same time. Each round has a race
 * that is chosen at random, and looks afterwards whether what it finds can be the outcome of
 * one thing after the other.
 *
 * Nothing is held and no error is injected: what one thread does comes into the middle of
 * what the other does wherever the machine lets it. With --exact it is the seed that says
 * where (guest/schedule.c).
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "stress.h"

#define PAGES		8
/* The second thing begins up to about so many ns after the first one. */
#define DELAY_MAX	(1 << 15)
#define VALID		HMMIRROR_PTE_VALID
#define HUGE_BACK	(HMMIRROR_MIGRATE_TO_SYSTEM | HMMIRROR_MIGRATE_HUGE)

struct arena;

/**
 * struct race - two things that are done at the same time
 * @name: for the user
 * @begin: makes the state that both begin with
 * @mine: what the main thread does; 0 or -errno
 * @theirs: what the second thread does
 * @check: what is wrong afterwards, or NULL
 * @lacking: what this machine lacks for it, or NULL
 */
struct race {
	const char *name;
	int (*begin)(struct arena *a);
	int (*mine)(struct arena *a);
	int (*theirs)(struct arena *a);
	const char *(*check)(struct arena *a);
	const char *(*lacking)(struct arena *a);
};

/**
 * struct arena - what all races use
 * @own: mirror of the device that walks
 * @other: mirror of another device with memory of its own
 * @addr: memory, as large as a huge page, aligned to it
 * @length: of the pages that the race is about
 * @mask: which of them the walk asks for
 * @left: bytes that a truncation leaves
 * @unmade: rounds whose pages did not go where the race is about them
 */
struct arena {
	__u64 random;
	size_t page;
	int own;
	int other;
	char *addr;
	size_t length;
	__u64 entries[PAGES];
	unsigned int mask;
	int file;
	size_t left;
	int uffd;
	char *to;
	size_t moved;
	char byte;
	unsigned int unmade;
	int mine_error;
	int their_error;
	char why[128];
	/* the second thread */
	const struct race *race;
	pthread_t thread;
	sem_t go;
	sem_t done;
};

static int fresh(struct arena *a, size_t length, int advice)
{
	void *addr = mmap(a->addr, hmm_pmd_size(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);

	if (addr == MAP_FAILED)
		return -errno;
	a->length = length;
	if (madvise(addr, hmm_pmd_size(), advice) && errno != EINVAL)
		return -errno;
	hmm_pattern_fill(a->addr, length, 0);
	return 0;
}

static int fresh_small(struct arena *a)
{
	return fresh(a, PAGES * a->page, MADV_NOHUGEPAGE);
}

static const char *say(struct arena *a, const char *format, long one, long two)
{
	snprintf(a->why, sizeof(a->why), format, one, two);
	return a->why;
}

static const char *check_pattern(struct arena *a, const char *at, size_t length)
{
	long wrong = hmm_pattern_check_as(at, a->addr, length, 0);

	return wrong < 0 ? NULL : say(a, "byte %ld of %ld is wrong", wrong, length);
}

static const char *check_empty(struct arena *a, size_t from, size_t length)
{
	long wrong = hmm_all_bytes(a->addr + from, length, 0);

	return wrong < 0 ? NULL : say(a, "byte %ld of %ld is not 0", wrong, length);
}

static int to_other_device(struct arena *a)
{
	return hmm_to_device(a->other, a->addr, a->length, NULL, NULL);
}

static int zap(struct arena *a)
{
	return madvise(a->addr, a->length, MADV_DONTNEED) ? -errno : 0;
}

/* A walk with a request for some of the pages, while they go to another device. */
static int begin_walk(struct arena *a)
{
	int page;

	a->mask = 1 + stress_below(&a->random, (1 << PAGES) - 1);
	for (page = 0; page < PAGES; page++)
		a->entries[page] = a->mask & (1 << page) ? HMMIRROR_REQ_FAULT : 0;
	return fresh_small(a);
}

static int walk(struct arena *a)
{
	return hmm_walk_pages(a->own, a->addr, a->length, HMMIRROR_REQ_ALL, a->entries);
}

static const char *check_walk(struct arena *a)
{
	int page;

	for (page = 0; page < PAGES; page++) {
		if (a->mask & (1 << page) && !(a->entries[page] & VALID))
			return say(a, "page %ld was asked for, and the answer is %lx", page,
				   a->entries[page]);
	}
	return check_pattern(a, a->addr, a->length);
}

static const char *lacking_walk(struct arena *a)
{
	struct hmmirror_query query;

	if (hmm_ioctl_query(a->own, &query) || !(query.traits & HMMIRROR_TRAIT_OTHER_FAULTED))
		return "a walker that brings home pages of another device";
	return NULL;
}

/* The end of a file is cut off, while private copies of its pages go to a device. */
static int begin_truncate(struct arena *a)
{
	void *addr;

	a->length = PAGES * a->page;
	a->left = (1 + stress_below(&a->random, PAGES - 1)) * a->page;
	addr = mmap(a->addr, hmm_pmd_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
		    a->file, 0);
	if (addr == MAP_FAILED || ftruncate(a->file, a->length))
		return -errno;
	hmm_pattern_fill(a->addr, a->length, 0);
	return 0;
}

static int truncate_file(struct arena *a)
{
	return ftruncate(a->file, a->left) ? -errno : 0;
}

static const char *check_truncate(struct arena *a)
{
	struct iovec to = { &a->byte, 1 }, from = { a->addr + a->left, 1 };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1)
		return say(a, "page %ld of %ld is behind the end and can be read",
			   a->left / a->page, PAGES);
	return check_pattern(a, a->addr, a->left);
}

/* UFFDIO_MOVE of pages, while they come back from a device. */
static int begin_uffd_move(struct arena *a)
{
	int ret = fresh_small(a);

	if (!ret && madvise(a->to, hmm_pmd_size(), MADV_DONTNEED))
		ret = -errno;
	return ret ? ret : to_other_device(a);
}

static int back_from_other_device(struct arena *a)
{
	return hmm_to_system(a->other, a->addr, a->length, NULL, NULL);
}

static int uffd_move(struct arena *a)
{
	int error = hmm_uffd_move(a->uffd, a->to, a->addr, a->length, &a->moved);

	/* of a page that is on the device still, as far as it got */
	return error == -EFAULT ? 0 : error;
}

static const char *check_uffd_move(struct arena *a)
{
	const char *why = check_pattern(a, a->to, a->moved);

	if (why || a->moved == a->length)
		return why;
	a->addr += a->moved;
	why = check_pattern(a, a->addr, a->length - a->moved);
	a->addr -= a->moved;
	return why;
}

static const char *lacking_uffd_move(struct arena *a)
{
	return a->uffd < 0 ? "UFFDIO_MOVE" : NULL;
}

/* A CPU ends exclusive access to pages that are given up. */
static int begin_exclusive(struct arena *a)
{
	int ret = fresh_small(a);
	__u64 pages = 0;

	if (!ret)
		ret = hmm_excl_pages(a->own, HMMIRROR_EXCL_MAKE, a->addr, a->length, NULL, &pages);
	return ret ? ret : pages == PAGES ? 0 : -ENODATA;
}

static int read_all(struct arena *a)
{
	size_t offset;

	for (offset = 0; offset < a->length; offset += a->page)
		a->byte = __atomic_load_n(a->addr + offset, __ATOMIC_RELAXED);
	return 0;
}

static const char *check_zapped(struct arena *a)
{
	return check_empty(a, 0, a->length);
}

static const char *lacking_exclusive(struct arena *a)
{
	return hmm_feature(a->own, HMMIRROR_FEAT_EXCLUSIVE, NULL, 0) == 1 ? NULL :
		"exclusive access";
}

/* A huge page of a device comes back, and is given up. */
static int begin_huge(struct arena *a)
{
	int ret = fresh(a, hmm_pmd_size(), MADV_HUGEPAGE);
	__u64 entry = 0;

	if (!ret)
		ret = hmm_move(a->other, HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
			       a->addr, a->length, NULL, NULL);
	if (!ret)
		ret = hmm_entry(a->other, a->addr, &entry);
	return ret ? ret : entry & HMMIRROR_PTE_PRIVATE &&
		hmm_entry_order(entry) == hmm_pmd_order() ? 0 : -ENODATA;
}

static int huge_back(struct arena *a)
{
	return hmm_move(a->other, HUGE_BACK, a->addr, a->length, NULL, NULL);
}

static const char *lacking_huge(struct arena *a)
{
	return hmm_feature(a->other, HMMIRROR_FEAT_DEVICE_THP, NULL, 0) == 1 ? NULL :
		"huge pages of a device";
}

static const char *lacking_memory(struct arena *a)
{
	return hmm_memory(a->other) > HMMIRROR_MEMORY_NONE ? NULL : "device memory";
}

static const struct race races[] = {
	{ "walk", begin_walk, walk, to_other_device, check_walk, lacking_walk },
	{ "truncate", begin_truncate, truncate_file, to_other_device, check_truncate, NULL },
	{ "uffd_move", begin_uffd_move, uffd_move, back_from_other_device, check_uffd_move,
	  lacking_uffd_move },
	{ "exclusive", begin_exclusive, zap, read_all, check_zapped, lacking_exclusive },
	{ "huge", begin_huge, zap, huge_back, check_zapped, lacking_huge },
};

static void *second_thread(void *data)
{
	struct arena *a = data;

	for (;;) {
		while (sem_wait(&a->go))
			;
		a->their_error = a->race->theirs(a);
		sem_post(&a->done);
	}
	return NULL;
}

static void wait_a_little(struct arena *a)
{
	unsigned int rounds = stress_below(&a->random, 1 + stress_below(&a->random, DELAY_MAX));

	while (rounds--)
		asm volatile("");
}

/* What is wrong, or NULL. */
static const char *run(struct arena *a, const struct race *race)
{
	int error = race->begin(a);

	if (error == -ENODATA) {
		a->unmade++;
		return NULL;
	}
	if (error)
		return say(a, "its state cannot be made: error %ld", error, 0);
	a->race = race;
	sem_post(&a->go);
	wait_a_little(a);
	a->mine_error = race->mine(a);
	while (sem_wait(&a->done))
		;
	if (a->mine_error || a->their_error)
		return say(a, "errors %ld and %ld", a->mine_error, a->their_error);
	return race->check(a);
}

static int open_all(struct arena *a)
{
	a->page = hmm_page_size();
	a->addr = hmm_map_anon(hmm_pmd_size(), hmm_pmd_size());
	a->to = hmm_map_anon(hmm_pmd_size(), hmm_pmd_size());
	a->own = hmm_open(HMM_DEV_PRIVATE);
	a->other = hmm_open(HMM_DEV_PRIVATE_OTHER);
	a->file = hmm_file_memfd(0, 0);
	if (!a->addr || !a->to || a->own < 0 || a->other < 0 || a->file < 0)
		return -1;
	a->uffd = hmm_uffd_register(a->to, hmm_pmd_size(), UFFDIO_REGISTER_MODE_MISSING,
				    HMM_UFFD_FEATURE_MOVE);
	sem_init(&a->go, 0, 0);
	sem_init(&a->done, 0, 0);
	errno = pthread_create(&a->thread, NULL, second_thread, a);
	return errno ? -1 : 0;
}

int main(int argc, char **argv)
{
	const struct race *chosen[ARRAY_SIZE(races)], *race;
	unsigned int count = 0, rounds;
	struct stress stress;
	struct arena a = {};
	const char *why;

	stress_begin(&stress, "stress.race", argc, argv);
	a.random = stress.seed;
	stress_empty(&stress);
	if (open_all(&a))
		stress_fail(&stress, "no mirrors, memory or thread: %s", strerror(errno));
	if (lacking_memory(&a))
		stress_skip(&stress, "needs %s", lacking_memory(&a));
	for (race = races; race < races + ARRAY_SIZE(races); race++) {
		if (*stress.extra && strcmp(*stress.extra, race->name))
			continue;
		if (race->lacking && race->lacking(&a))
			printf("# %s needs %s\n", race->name, race->lacking(&a));
		else
			chosen[count++] = race;
	}
	if (!count)
		stress_skip(&stress, "needs more of the kernel");
	for (rounds = 0; !stress_over(&stress); rounds++) {
		race = chosen[stress_below(&a.random, count)];
		why = run(&a, race);
		if (why)
			stress_fail(&stress, "%s, round %u: %s", race->name, rounds, why);
	}
	if (2 * a.unmade > rounds)
		stress_fail(&stress, "in %u of %u rounds the state was not there", a.unmade,
			    rounds);
	munmap(a.addr, hmm_pmd_size());
	munmap(a.to, hmm_pmd_size());
	stress_empty(&stress);
	stress_ok(&stress, "%u rounds of %u races", rounds, count);
}
