// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() while the PMD changes between two reads of it, as when another CPU
 * splits or zaps a huge page.
 *
 * The walker reads the PMD once to see what it is, and once more for what it holds or on
 * the way to the PTEs. If the second read finds nothing, it must start again with this PMD
 * instead of using what it read first. The driver under test empties the PMD at the nth
 * read, by a hardware breakpoint, and restores it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define ZERO	HMMIRROR_PTE_ZERO

/* A read that the walker never gets to. */
#define NEVER_READ	16

FIXTURE(walk_pmd_race)
{
	struct hmm_area area;
	__u64 *entries;
	size_t pmd;
	size_t pages;
	int fd;
};

FIXTURE_VARIANT(walk_pmd_race)
{
	const char *state;
	int table;		/* the PMD points to a page table */
	__u64 flags;
	__u64 written;		/* expected after a write fault */
};

FIXTURE_VARIANT_ADD(walk_pmd_race, huge)
{
	.state = "thp_writable",
	.flags = VALID | WRITE,
	.written = VALID | WRITE,
};

FIXTURE_VARIANT_ADD(walk_pmd_race, huge_readonly)
{
	.state = "thp_readonly",
	.flags = VALID,
};

FIXTURE_VARIANT_ADD(walk_pmd_race, huge_zero)
{
	.state = "thp_zero",
	.flags = VALID | ZERO,
	.written = VALID | WRITE,
};

FIXTURE_VARIANT_ADD(walk_pmd_race, table)
{
	.state = "anon_writable",
	.table = 1,
	.flags = VALID | WRITE,
	.written = VALID | WRITE,
};

FIXTURE_SETUP(walk_pmd_race)
{
	self->pmd = hmm_pmd_size();
	self->pages = self->pmd / hmm_page_size();
	self->entries = hmm_map_anon(self->pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->pmd, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_pmd_race)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, self->pages * sizeof(__u64));
}

static int prepare(struct hmm_area *area, const char *state, int table)
{
	int ret = hmm_area_feature(area, HMMIRROR_FEAT_PMD_RACE);

	if (!ret)
		ret = hmm_state_make_named(area, state, 0, area->length);
	if (!ret && table && !expect_when(WHEN_TABLE_CHECKED))
		ret = hmm_skip(area, "the walker of this kernel does not check tables (6.5)");
	return ret;
}

#define PREPARE()							\
	REQUIRE(prepare(&self->area, variant->state, variant->table), self->area.why)

/*
 * Does the kernel read a huge PMD twice? The second read of a table's PMD is in another
 * function.
 */
static int need_both(struct hmm_area *area, int table)
{
	if (table || !expect_when(WHEN_LOOKS_JOINED))
		return 0;
	return hmm_skip(area, "clang has merged the walker's two reads of a PMD");
}

#define HAS_BOTH_READS()							\
	REQUIRE(need_both(&self->area, variant->table), self->area.why)

/*
 * Walk with the PMD empty at the @nth read, and check how often the walker read it: that
 * shows which of its reads found nothing, and that it started again.
 */
static void walk_racing(struct __test_metadata *_metadata, struct hmm_area *area, int fd,
			__u64 *entries, size_t nr_starts, __u64 request, unsigned int nth,
			int reads, __u64 flags)
{
	size_t size = hmm_page_size(), pages = area->length / size;
	size_t starts[] = { 0, pages / 2, pages - 1 }, i, length;

	for (i = 0; i < nr_starts; i++) {
		length = area->length - starts[i] * size;
		ASSERT_EQ(0, hmm_pmd_race_arm(fd, area->addr, nth));
		ASSERT_EQ(0, hmm_walk(fd, area->addr + starts[i] * size, length,
				      request, entries));
		ASSERT_EQ(reads, hmm_pmd_race_end(fd));
		ASSERT_ENTRIES(entries, pages - starts[i], flags);
	}
}

/* Ranges that start at the first, a middle and the last page. */
#define STARTS	3

#define WALK_RACING(_nr_starts, _request, _nth, _reads, _flags)		\
	walk_racing(_metadata, &self->area, self->fd, self->entries,	\
		_nr_starts, _request, _nth, _reads, _flags)

TEST_F(walk_pmd_race, never)
{
	if (!HAS_BOTH_READS() || !PREPARE())
		return;
	WALK_RACING(STARTS, 0, NEVER_READ, 2, variant->flags);
	WALK_RACING(STARTS, HMMIRROR_REQ_FAULT, NEVER_READ, 2, variant->flags);
}

/* At the first read the walker finds nothing; a fault reads the PMD again. */
TEST_F(walk_pmd_race, first_read)
{
	if (!PREPARE())
		return;
	WALK_RACING(STARTS, 0, 1, 1, 0);
	WALK_RACING(STARTS, HMMIRROR_REQ_FAULT, 1, 1, variant->flags);
}

TEST_F(walk_pmd_race, second_read)
{
	if (!HAS_BOTH_READS() || !PREPARE())
		return;
	WALK_RACING(STARTS, 0, 2, 4, variant->flags);
	WALK_RACING(STARTS, HMMIRROR_REQ_FAULT, 2, 4, variant->flags);
}

TEST_F(walk_pmd_race, write_fault)
{
	if (!HAS_BOTH_READS() || !PREPARE())
		return;
	if (!variant->written) {
		ASSERT_EQ(0, hmm_pmd_race_arm(self->fd, self->area.addr, 2));
		ASSERT_EQ(-EPERM, hmm_walk(self->fd, self->area.addr, self->pmd,
					   HMMIRROR_REQ_ALL, self->entries));
		ASSERT_EQ(4, hmm_pmd_race_end(self->fd));
		return;
	}
	/* after the first write the other pages are no longer the zero page's */
	WALK_RACING(variant->flags & ZERO ? 1 : STARTS, HMMIRROR_REQ_ALL, 2, 4,
		    variant->written);
}

/* The PMD is empty for one walk of one mapping in one process. */
TEST_F(walk_pmd_race, once)
{
	pid_t child;

	if (!PREPARE())
		return;
	ASSERT_EQ(0, hmm_pmd_race_arm(self->fd, self->area.addr, 1));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		int fd = hmm_open(0);

		if (fd < 0 || hmm_walk(fd, self->area.addr, self->pmd, 0, self->entries))
			_exit(1);
		_exit(!(self->entries[0] & VALID));
	}
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->pmd, 0, self->entries));
	ASSERT_ENTRIES(self->entries, self->pages, 0);
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->pmd, 0, self->entries));
	ASSERT_EQ(VALID, self->entries[0] & VALID);
	ASSERT_EQ(1, hmm_pmd_race_end(self->fd));
}

FIXTURE(walk_pmd_race_abi)
{
	struct hmm_area area;
	int fd;
};

FIXTURE_SETUP(walk_pmd_race_abi)
{
	size_t pmd = hmm_pmd_size();

	ASSERT_EQ(0, hmm_area_begin_small(&self->area, 2 * pmd));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_pmd_race_abi)
{
	hmm_area_end(&self->area);
}

TEST_F(walk_pmd_race_abi, refused)
{
	struct hmmirror_pmd_race_args race = { .flags = HMMIRROR_PMD_RACE_END };
	size_t pmd = hmm_pmd_size();
	char *addr = self->area.addr;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_PMD_RACE), self->area.why))
		return;
	ASSERT_EQ(-ENOENT, hmm_pmd_race_end(self->fd));
	ASSERT_EQ(-EINVAL, hmm_pmd_race_arm(self->fd, addr, 0));
	ASSERT_EQ(-EINVAL, hmm_pmd_race_arm(self->fd, addr, NEVER_READ + 1));
	ASSERT_EQ(-EINVAL, hmm_pmd_race_arm(self->fd, addr + hmm_page_size(), 1));
	race.nth = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_pmd_race(self->fd, &race));
	race.nth = 0;
	race.reserved = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_pmd_race(self->fd, &race));
	race.reserved = 0;
	race.flags = HMMIRROR_PMD_RACE_ARM | HMMIRROR_PMD_RACE_END;
	ASSERT_EQ(-EINVAL, hmm_ioctl_pmd_race(self->fd, &race));

	ASSERT_EQ(0, hmm_pmd_race_arm(self->fd, addr, 1));
	ASSERT_EQ(-EBUSY, hmm_pmd_race_arm(self->fd, addr + pmd, 1));
	ASSERT_EQ(0, hmm_pmd_race_end(self->fd));
	ASSERT_EQ(-ENOENT, hmm_pmd_race_end(self->fd));

	ASSERT_EQ(0, hmm_area_map(&self->area, addr, pmd, PROT_READ,
				  MAP_SHARED | MAP_ANONYMOUS, -1));
	ASSERT_EQ(-EINVAL, hmm_pmd_race_arm(self->fd, addr, 1));
	ASSERT_EQ(0, munmap(addr, pmd));
	ASSERT_EQ(-EINVAL, hmm_pmd_race_arm(self->fd, addr, 1));
}

/* There are as many as the CPU has breakpoints, and closing the file frees them. */
TEST_F(walk_pmd_race_abi, ends_with_file)
{
	int fds[8], n, round;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_PMD_RACE), self->area.why))
		return;
	for (round = 0; round < 3; round++) {
		for (n = 0; n < (int)ARRAY_SIZE(fds); n++) {
			fds[n] = hmm_open(0);
			ASSERT_LE(0, fds[n]);
			if (hmm_pmd_race_arm(fds[n], self->area.addr, 1))
				break;
		}
		ASSERT_LE(1, n);
		if (n < (int)ARRAY_SIZE(fds)) {
			ASSERT_EQ(-EBUSY, hmm_pmd_race_arm(fds[n], self->area.addr, 1));
			close(fds[n]);
		}
		while (n)
			close(fds[--n]);
	}
	ASSERT_EQ(0, hmm_pmd_race_arm(self->fd, self->area.addr, 1));
}

/* more than a CPU has breakpoints */
#define PROCESSES	5

/* A process that is killed frees its breakpoint, or there would be none left in the end. */
TEST_F(walk_pmd_race_abi, killed)
{
	pid_t child;
	int i;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_PMD_RACE), self->area.why))
		return;
	for (i = 0; i < PROCESSES; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			int fd = hmm_open(0);

			if (fd < 0 || hmm_pmd_race_arm(fd, self->area.addr, 1))
				_exit(1);
			raise(SIGKILL);
		}
		ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	}
	ASSERT_EQ(0, hmm_pmd_race_arm(self->fd, self->area.addr, 1));
	ASSERT_EQ(0, hmm_pmd_race_end(self->fd));
}

/* Rounds of arming and ending beside a thread that walks, and tries for each of the two. */
#define RACES	100
#define TRIES	2000
/* From one walk to the next, and from one try to the next. */
#define GAP_US	300

struct walks {
	__u64 *entries;
	void *addr;
	size_t length;
	int fd;
	int stop;
	int error;
};

static void *walk_all_the_time(void *data)
{
	struct walks *walks = data;

	while (!walks->error && !__atomic_load_n(&walks->stop, __ATOMIC_RELAXED)) {
		walks->error = hmm_walk(walks->fd, walks->addr, walks->length, 0, walks->entries);
		usleep(GAP_US);
	}
	return NULL;
}

/* Both are refused during a walk. */
static int arm_between_walks(int fd, void *addr)
{
	int i, ret = -EBUSY;

	for (i = 0; i < TRIES && ret == -EBUSY; i++) {
		ret = hmm_pmd_race_arm(fd, addr, NEVER_READ);
		if (ret == -EBUSY)
			usleep(GAP_US / 4);
	}
	return ret;
}

static int end_between_walks(int fd)
{
	int i, ret = -EBUSY;

	for (i = 0; i < TRIES && ret == -EBUSY; i++) {
		ret = hmm_pmd_race_end(fd);
		if (ret == -EBUSY)
			usleep(GAP_US / 4);
	}
	return ret;
}

/*
 * A walk that starts while the copy is being taken away: either the walk has it, and the call
 * is refused, or no walk gets it any more. If one did, it could never be armed again, and its
 * breakpoints were freed twice with the file.
 */
TEST_F(walk_pmd_race_abi, ends_beside_walks)
{
	size_t pmd = hmm_pmd_size();
	struct walks walks = {
		.addr = self->area.addr,
		.length = pmd,
		.fd = self->fd,
	};
	int i, armed = 0, ended = 0;
	pthread_t thread;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_PMD_RACE), self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "thp_writable", 0, pmd), self->area.why))
		return;
	walks.entries = calloc(pmd / hmm_page_size(), sizeof(*walks.entries));
	ASSERT_NE(NULL, walks.entries);
	ASSERT_EQ(0, hmm_use_all_cpus());
	ASSERT_EQ(0, pthread_create(&thread, NULL, walk_all_the_time, &walks));
	for (i = 0; i < RACES && armed >= 0 && ended >= 0; i++) {
		armed = arm_between_walks(self->fd, self->area.addr);
		ended = armed < 0 ? armed : end_between_walks(self->fd);
	}
	__atomic_store_n(&walks.stop, 1, __ATOMIC_RELAXED);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	free(walks.entries);
	ASSERT_EQ(0, walks.error);
	ASSERT_EQ(0, armed);
	ASSERT_LE(0, ended);
	ASSERT_EQ(-ENOENT, hmm_pmd_race_end(self->fd));
}

#include "hmm_main.h"
