// SPDX-License-Identifier: GPL-2.0
/*
 * The walker on a PMD that changes between two of its looks, as one does that is
 * split, or emptied, by somebody else.
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

/* A look that the walker never takes. */
#define NEVER	16

FIXTURE(walk_flicker)
{
	struct hmm_area area;
	__u64 *entries;
	size_t pmd;
	size_t pages;
	int fd;
};

FIXTURE_VARIANT(walk_flicker)
{
	const char *state;
	int table;		/* of small pages */
	__u64 flags;
	__u64 written;		/* after a write fault */
};

FIXTURE_VARIANT_ADD(walk_flicker, huge)
{
	.state = "thp_writable",
	.flags = VALID | WRITE,
	.written = VALID | WRITE,
};

FIXTURE_VARIANT_ADD(walk_flicker, huge_readonly)
{
	.state = "thp_readonly",
	.flags = VALID,
};

FIXTURE_VARIANT_ADD(walk_flicker, huge_zero)
{
	.state = "thp_zero",
	.flags = VALID | ZERO,
	.written = VALID | WRITE,
};

FIXTURE_VARIANT_ADD(walk_flicker, table)
{
	.state = "anon_writable",
	.table = 1,
	.flags = VALID | WRITE,
	.written = VALID | WRITE,
};

FIXTURE_SETUP(walk_flicker)
{
	self->pmd = hmm_pmd_size();
	self->pages = self->pmd / hmm_page_size();
	self->entries = hmm_map_anon(self->pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->pmd, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_flicker)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, self->pages * sizeof(__u64));
}

static int prepare(struct hmm_area *area, const char *state, int table)
{
	int ret = hmm_area_feature(area, HMMIRROR_FEAT_FLICKER);

	if (!ret)
		ret = hmm_state_put(area, state, 0, area->length);
	if (!ret && table && !expect_when(WHEN_TABLE_CHECKED))
		ret = hmm_skip(area, "the walker of this kernel does not check tables (6.5)");
	return ret;
}

#define NOT_PREPARED()							\
	MISS(prepare(&self->area, variant->state, variant->table), self->area.why)

/* The second look at a huge page; that at a table is in another function. */
static int need_both(struct hmm_area *area, int table)
{
	if (table || !expect_when(WHEN_LOOKS_JOINED))
		return 0;
	return hmm_skip(area, "clang has made one of the walker's two looks at a PMD");
}

#define NOT_BOTH()							\
	MISS(need_both(&self->area, variant->table), self->area.why)

/*
 * Each walk looks at the PMD once to see what it is, and once more for what it
 * holds (a huge page) or on the way to its table. If there is nothing the second
 * time, it begins anew. How often it looked shows which of the two it was.
 */
static void flicker(struct __test_metadata *_metadata, struct hmm_area *area, int fd,
		    __u64 *entries, size_t places, __u64 request,
		    unsigned int nth, int looks, __u64 flags)
{
	size_t size = hmm_page_size(), pages = area->length / size;
	size_t starts[] = { 0, pages / 2, pages - 1 }, i, length;

	for (i = 0; i < places; i++) {
		length = area->length - starts[i] * size;
		ASSERT_EQ(0, hmm_flicker(fd, area->addr, nth));
		ASSERT_EQ(0, hmm_walk(fd, area->addr + starts[i] * size, length,
				      request, entries));
		ASSERT_EQ(looks, hmm_flicker_end(fd));
		ASSERT_ENTRIES(entries, pages - starts[i], flags);
	}
}

/* From its first page on, from a middle one and the last. */
#define PLACES	3

#define FLICKER(_places, _request, _nth, _looks, _flags)		\
	flicker(_metadata, &self->area, self->fd, self->entries,	\
		_places, _request, _nth, _looks, _flags)

TEST_F(walk_flicker, never)
{
	if (NOT_BOTH() || NOT_PREPARED())
		return;
	FLICKER(PLACES, 0, NEVER, 2, variant->flags);
	FLICKER(PLACES, HMMIRROR_REQ_FAULT, NEVER, 2, variant->flags);
}

/* Nothing is what the walker found; a fault looks again. */
TEST_F(walk_flicker, first_look)
{
	if (NOT_PREPARED())
		return;
	FLICKER(PLACES, 0, 1, 1, 0);
	FLICKER(PLACES, HMMIRROR_REQ_FAULT, 1, 1, variant->flags);
}

TEST_F(walk_flicker, second_look)
{
	if (NOT_BOTH() || NOT_PREPARED())
		return;
	FLICKER(PLACES, 0, 2, 4, variant->flags);
	FLICKER(PLACES, HMMIRROR_REQ_FAULT, 2, 4, variant->flags);
}

TEST_F(walk_flicker, write_fault)
{
	if (NOT_BOTH() || NOT_PREPARED())
		return;
	if (!variant->written) {
		ASSERT_EQ(0, hmm_flicker(self->fd, self->area.addr, 2));
		ASSERT_EQ(-EPERM, hmm_walk(self->fd, self->area.addr, self->pmd,
					   HMMIRROR_REQ_ALL, self->entries));
		ASSERT_EQ(4, hmm_flicker_end(self->fd));
		return;
	}
	/* the zero page is another one after the first write */
	FLICKER(variant->flags & ZERO ? 1 : PLACES, HMMIRROR_REQ_ALL, 2, 4,
		variant->written);
}

/* For the one mapping, the one walk, and the one process that it was asked for. */
TEST_F(walk_flicker, once)
{
	pid_t child;

	if (NOT_PREPARED())
		return;
	ASSERT_EQ(0, hmm_flicker(self->fd, self->area.addr, 1));
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
	ASSERT_EQ(1, hmm_flicker_end(self->fd));
}

FIXTURE(flicker)
{
	struct hmm_area area;
	int fd;
};

FIXTURE_SETUP(flicker)
{
	size_t pmd = hmm_pmd_size();

	ASSERT_EQ(0, hmm_area_begin_small(&self->area, 2 * pmd));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(flicker)
{
	hmm_area_end(&self->area);
}

TEST_F(flicker, refused)
{
	struct hmmirror_flicker flicker = { .flags = HMMIRROR_FLICKER_END };
	size_t pmd = hmm_pmd_size();
	char *addr = self->area.addr;

	if (MISS(hmm_area_feature(&self->area, HMMIRROR_FEAT_FLICKER), self->area.why))
		return;
	ASSERT_EQ(-ENOENT, hmm_flicker_end(self->fd));
	ASSERT_EQ(-EINVAL, hmm_flicker(self->fd, addr, 0));
	ASSERT_EQ(-EINVAL, hmm_flicker(self->fd, addr, NEVER + 1));
	ASSERT_EQ(-EINVAL, hmm_flicker(self->fd, addr + hmm_page_size(), 1));
	flicker.nth = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_flicker(self->fd, &flicker));
	flicker.nth = 0;
	flicker.reserved = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_flicker(self->fd, &flicker));
	flicker.reserved = 0;
	flicker.flags = HMMIRROR_FLICKER_ARM | HMMIRROR_FLICKER_END;
	ASSERT_EQ(-EINVAL, hmm_ioctl_flicker(self->fd, &flicker));

	ASSERT_EQ(0, hmm_flicker(self->fd, addr, 1));
	ASSERT_EQ(-EBUSY, hmm_flicker(self->fd, addr + pmd, 1));
	ASSERT_EQ(0, hmm_flicker_end(self->fd));
	ASSERT_EQ(-ENOENT, hmm_flicker_end(self->fd));

	ASSERT_EQ(0, hmm_area_map(&self->area, addr, pmd, PROT_READ,
				  MAP_SHARED | MAP_ANONYMOUS, -1));
	ASSERT_EQ(-EINVAL, hmm_flicker(self->fd, addr, 1));
	ASSERT_EQ(0, munmap(addr, pmd));
	ASSERT_EQ(-EINVAL, hmm_flicker(self->fd, addr, 1));
}

/* As many as the CPU has breakpoints; and they are free again with their files. */
TEST_F(flicker, ends_with_file)
{
	int fds[8], n, round;

	if (MISS(hmm_area_feature(&self->area, HMMIRROR_FEAT_FLICKER), self->area.why))
		return;
	for (round = 0; round < 3; round++) {
		for (n = 0; n < (int)ARRAY_SIZE(fds); n++) {
			fds[n] = hmm_open(0);
			ASSERT_LE(0, fds[n]);
			if (hmm_flicker(fds[n], self->area.addr, 1))
				break;
		}
		ASSERT_LE(1, n);
		if (n < (int)ARRAY_SIZE(fds)) {
			ASSERT_EQ(-EBUSY, hmm_flicker(fds[n], self->area.addr, 1));
			close(fds[n]);
		}
		while (n)
			close(fds[--n]);
	}
	ASSERT_EQ(0, hmm_flicker(self->fd, self->area.addr, 1));
}

/* More than a CPU has breakpoints. */
#define ENOUGH	5

/* A process that is killed leaves none behind, or there were none left in the end. */
TEST_F(flicker, killed)
{
	pid_t child;
	int i;

	if (MISS(hmm_area_feature(&self->area, HMMIRROR_FEAT_FLICKER), self->area.why))
		return;
	for (i = 0; i < ENOUGH; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			int fd = hmm_open(0);

			if (fd < 0 || hmm_flicker(fd, self->area.addr, 1))
				_exit(1);
			raise(SIGKILL);
		}
		ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	}
	ASSERT_EQ(0, hmm_flicker(self->fd, self->area.addr, 1));
	ASSERT_EQ(0, hmm_flicker_end(self->fd));
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
		ret = hmm_flicker(fd, addr, NEVER);
		if (ret == -EBUSY)
			usleep(GAP_US / 4);
	}
	return ret;
}

static int end_between_walks(int fd)
{
	int i, ret = -EBUSY;

	for (i = 0; i < TRIES && ret == -EBUSY; i++) {
		ret = hmm_flicker_end(fd);
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
TEST_F(flicker, ends_beside_walks)
{
	size_t pmd = hmm_pmd_size();
	struct walks walks = {
		.addr = self->area.addr,
		.length = pmd,
		.fd = self->fd,
	};
	int i, armed = 0, ended = 0;
	pthread_t thread;

	if (MISS(hmm_area_feature(&self->area, HMMIRROR_FEAT_FLICKER), self->area.why))
		return;
	if (MISS(hmm_state_make(&self->area, hmm_state_find("thp_writable"), 0, pmd),
		 self->area.why))
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
	ASSERT_EQ(-ENOENT, hmm_flicker_end(self->fd));
}

#include "hmm_main.h"
