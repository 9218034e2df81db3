// SPDX-License-Identifier: GPL-2.0
/*
 * A range changes while hmm_range_fault() is in the middle of it: the walker has answered
 * all pages but the last, and waits for a migration of that one, which the driver under
 * test holds.
 *
 * MADV_DONTNEED and migration take the mmap lock for reading and go ahead: the walk must be
 * done again. munmap(), mremap() and mprotect() need it for writing and wait for the walk;
 * when they are done, the mirror must have nothing left of the old mapping.
 */
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES		8
#define LIMIT_MS	8000
#define WAIT_US		50000

#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define ZERO	HMMIRROR_PTE_ZERO
#define PRIVATE	HMMIRROR_PTE_PRIVATE

enum change {
	ZAP,
	MIGRATE,
	UNMAP,
	READONLY,
	MOVE,
};

/* A thread, made before the walk, that changes the range when the test asks. */
struct changer {
	struct hmm_area *area;
	size_t length;
	enum change change;
	pthread_t thread;
	sem_t go;
	int running;
	int called_off;
	int over;
	int error;
};

FIXTURE(walk_concurrent)
{
	struct hmm_area area;
	struct hmm_call holder;
	struct hmm_call walk;
	struct changer changer;
	__u64 *entries;
	size_t length;
	int fd;
};

FIXTURE_SETUP(walk_concurrent)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * self->length, 0));
	ASSERT_EQ(0, hmm_area_map_small(&self->area, self->area.addr,
					self->length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->area.addr, self->length, 0);
	self->entries = hmm_map_anon(PAGES * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	memset(self->entries, 0, PAGES * sizeof(__u64));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	self->changer.area = &self->area;
	self->changer.length = self->length;
}

/* let everything go that still waits */
FIXTURE_TEARDOWN(walk_concurrent)
{
	if (self->holder.running)
		hmm_hold_release(self->holder.fd);
	hmm_call_end(&self->holder);
	hmm_call_end(&self->walk);
	if (self->changer.running) {
		self->changer.called_off = 1;
		sem_post(&self->changer.go);
		pthread_join(self->changer.thread, NULL);
	}
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, PAGES * sizeof(__u64));
}

static int apply_change(const struct changer *changer)
{
	char *addr = changer->area->addr;
	int fd;

	switch (changer->change) {
	case ZAP:
		return madvise(addr, hmm_page_size(), MADV_DONTNEED);
	case MIGRATE:
		fd = hmm_area_device(changer->area, 0);
		return hmm_to_device(fd, addr, hmm_page_size(), NULL, NULL);
	case UNMAP:
		return munmap(addr, changer->length);
	case READONLY:
		return mprotect(addr, changer->length, PROT_READ);
	case MOVE:
		return mremap(addr, changer->length, changer->length,
			      MREMAP_MAYMOVE | MREMAP_FIXED,
			      addr + changer->length) == MAP_FAILED;
	}
	return -1;
}

static void *run_changer(void *data)
{
	struct changer *changer = data;

	while (sem_wait(&changer->go))
		;
	if (!changer->called_off)
		changer->error = apply_change(changer);
	__atomic_store_n(&changer->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/*
 * Start a walk that waits, with a thread to change the range. No thread and no page may be
 * allocated from here on.
 */
static int begin(struct _test_data_walk_concurrent *self, enum change change, __u32 flags)
{
	size_t page = hmm_page_size();
	int ret;

	if (expect_when(WHEN_MIGRATION_IGNORED))
		return hmm_skip(&self->area,
				"the walker of this kernel does not wait for migrations");
	ret = hmm_area_memory(&self->area, 0);
	if (ret)
		return ret;
	self->changer.change = change;
	sem_init(&self->changer.go, 0, 0);
	ret = -pthread_create(&self->changer.thread, NULL, run_changer, &self->changer);
	if (ret)
		return hmm_fail(&self->area, ret, "thread");
	self->changer.running = 1;

	self->walk.fd = self->fd;
	self->walk.addr = self->area.addr;
	self->walk.length = self->length;
	self->walk.request = HMMIRROR_REQ_FAULT;
	self->walk.entries = self->entries;
	self->walk.flags = flags;
	ret = hmm_call_prepare(&self->walk);
	if (ret)
		return hmm_fail(&self->area, ret, "thread");

	self->holder.fd = hmm_open(0);
	if (self->holder.fd < 0)
		return hmm_fail(&self->area, self->holder.fd, "open");
	self->holder.addr = self->area.addr + self->length - page;
	self->holder.length = page;
	ret = hmm_hold_migration(&self->holder, HMMIRROR_STAGE_SETUP, LIMIT_MS);
	if (ret)
		return hmm_fail(&self->area, ret, "hold");
	ret = hmm_call_begin(&self->walk);
	if (!ret && !hmm_call_blocks(&self->walk))
		ret = hmm_fail(&self->area, 0, "the walk does not wait");
	return ret;
}

#define BEGIN(_deed, _flags)					\
	REQUIRE(begin(self, _deed, _flags), self->area.why)

/*
 * The change goes ahead, because the walk has the lock for reading, and the walk is done
 * again.
 */
static void check_change_at_once(struct __test_metadata *_metadata,
				 struct _test_data_walk_concurrent *self, __u64 first)
{
	struct hmmirror_stats stats;
	__u64 last;

	ASSERT_EQ(0, hmm_stats(self->fd, HMMIRROR_STATS_RESET, &stats));
	sem_post(&self->changer.go);
	pthread_join(self->changer.thread, NULL);
	self->changer.running = 0;
	ASSERT_EQ(0, self->changer.error);
	ASSERT_EQ(0, hmm_call_over(&self->walk));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->holder.fd));
	ASSERT_EQ(0, hmm_call_end(&self->walk));
	ASSERT_EQ(0, hmm_call_end(&self->holder));

	/* the walk that waited was counted before the reset */
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &stats));
	ASSERT_LE(1, stats.walks);
	ASSERT_LE(1, stats.retries);
	ASSERT_EQ(first, hmm_entry_flags(self->entries[0]));
	ASSERT_ENTRIES(self->entries + 1, PAGES - 2, VALID | WRITE);
	/* the fault of the zapped page goes on to the last one, and may migrate that back */
	last = hmm_entry_flags(self->entries[PAGES - 1]);
	ASSERT_EQ(VALID | WRITE | PRIVATE, first & ZERO ? last | PRIVATE : last);
}

TEST_F(walk_concurrent, dontneed)
{
	if (!BEGIN(ZAP, 0))
		return;
	check_change_at_once(_metadata, self, VALID | ZERO);
}

TEST_F(walk_concurrent, migrate)
{
	if (!BEGIN(MIGRATE, 0))
		return;
	check_change_at_once(_metadata, self, VALID | WRITE | PRIVATE);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 0));
}

/* The change waits for the walk, because it needs the lock for writing. */
static void check_change_waits(struct __test_metadata *_metadata,
			       struct _test_data_walk_concurrent *self)
{
	sem_post(&self->changer.go);
	usleep(WAIT_US);
	ASSERT_EQ(0, __atomic_load_n(&self->changer.over, __ATOMIC_SEQ_CST));
	ASSERT_EQ(0, hmm_call_over(&self->walk));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->holder.fd));
	pthread_join(self->changer.thread, NULL);
	self->changer.running = 0;
	ASSERT_EQ(0, self->changer.error);
	/* the walk reports what it found the first or the second time */
	hmm_call_end(&self->walk);
	ASSERT_EQ(0, hmm_call_end(&self->holder));
}

static void check_mirror_empty(struct __test_metadata *_metadata,
			       struct _test_data_walk_concurrent *self)
{
	ASSERT_EQ(0, hmm_mirror(self->fd, self->area.addr, self->length,
				self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, 0);
}

TEST_F(walk_concurrent, munmap)
{
	if (!BEGIN(UNMAP, HMMIRROR_RANGE_MAP))
		return;
	check_change_waits(_metadata, self);
	check_mirror_empty(_metadata, self);
}

TEST_F(walk_concurrent, mremap)
{
	if (!BEGIN(MOVE, HMMIRROR_RANGE_MAP))
		return;
	check_change_waits(_metadata, self);
	check_mirror_empty(_metadata, self);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->area.addr + self->length,
					   self->area.addr, self->length, 0));
}

/* No mirrored page is writable any more. */
TEST_F(walk_concurrent, mprotect)
{
	size_t page;

	if (!BEGIN(READONLY, HMMIRROR_RANGE_MAP))
		return;
	check_change_waits(_metadata, self);
	ASSERT_EQ(0, hmm_mirror(self->fd, self->area.addr, self->length,
				self->entries));
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(0, self->entries[page] & WRITE);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 0));
}

#include "hmm_main.h"
