// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to a range while the walker is in the middle of it: it has answered
 * all pages but the last, and waits for the migration of that one.
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

enum deed {
	EMPTY,
	MIGRATE,
	UNMAP,
	READONLY,
	MOVE,
};

/* One of them, by a thread that was made before. */
struct doer {
	struct hmm_area *area;
	size_t length;
	enum deed deed;
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
	struct doer doer;
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
	self->doer.area = &self->area;
	self->doer.length = self->length;
}

/* Whatever still waits for something is let go. */
FIXTURE_TEARDOWN(walk_concurrent)
{
	if (self->holder.running)
		hmm_hold_release(self->holder.fd);
	hmm_call_end(&self->holder);
	hmm_call_end(&self->walk);
	if (self->doer.running) {
		self->doer.called_off = 1;
		sem_post(&self->doer.go);
		pthread_join(self->doer.thread, NULL);
	}
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, PAGES * sizeof(__u64));
}

static int do_deed(const struct doer *doer)
{
	char *addr = doer->area->addr;
	int fd;

	switch (doer->deed) {
	case EMPTY:
		return madvise(addr, hmm_page_size(), MADV_DONTNEED);
	case MIGRATE:
		fd = hmm_area_device(doer->area, 0);
		return hmm_to_device(fd, addr, hmm_page_size(), NULL, NULL);
	case UNMAP:
		return munmap(addr, doer->length);
	case READONLY:
		return mprotect(addr, doer->length, PROT_READ);
	case MOVE:
		return mremap(addr, doer->length, doer->length,
			      MREMAP_MAYMOVE | MREMAP_FIXED,
			      addr + doer->length) == MAP_FAILED;
	}
	return -1;
}

static void *doer_run(void *data)
{
	struct doer *doer = data;

	while (sem_wait(&doer->go))
		;
	if (!doer->called_off)
		doer->error = do_deed(doer);
	__atomic_store_n(&doer->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* The walk that waits, and its doer. No new thread and no new page from here on. */
static int begin(struct _test_data_walk_concurrent *self, enum deed deed, __u32 flags)
{
	size_t page = hmm_page_size();
	int ret;

	if (expect_when(WHEN_MIGRATION_IGNORED))
		return hmm_skip(&self->area,
				"the walker of this kernel does not wait for migrations");
	ret = hmm_area_memory(&self->area, 0);
	if (ret)
		return ret;
	self->doer.deed = deed;
	sem_init(&self->doer.go, 0, 0);
	ret = -pthread_create(&self->doer.thread, NULL, doer_run, &self->doer);
	if (ret)
		return hmm_fail(&self->area, ret, "thread");
	self->doer.running = 1;

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

/* The lock is held for reading: this goes on at once, and the walk begins anew. */
static void at_once(struct __test_metadata *_metadata,
		    struct _test_data_walk_concurrent *self, __u64 first)
{
	struct hmmirror_stats stats;
	__u64 last;

	ASSERT_EQ(0, hmm_stats(self->fd, HMMIRROR_STATS_RESET, &stats));
	sem_post(&self->doer.go);
	pthread_join(self->doer.thread, NULL);
	self->doer.running = 0;
	ASSERT_EQ(0, self->doer.error);
	ASSERT_EQ(0, hmm_call_over(&self->walk));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->holder.fd));
	ASSERT_EQ(0, hmm_call_end(&self->walk));
	ASSERT_EQ(0, hmm_call_end(&self->holder));

	/* the one that waited was counted before */
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &stats));
	ASSERT_LE(1, stats.walks);
	ASSERT_LE(1, stats.retries);
	ASSERT_EQ(first, hmm_entry_flags(self->entries[0]));
	ASSERT_ENTRIES(self->entries + 1, PAGES - 2, VALID | WRITE);
	/* the fault of an empty page goes on to the last, and may fetch it home */
	last = hmm_entry_flags(self->entries[PAGES - 1]);
	ASSERT_EQ(VALID | WRITE | PRIVATE, first & ZERO ? last | PRIVATE : last);
}

TEST_F(walk_concurrent, dontneed)
{
	if (!BEGIN(EMPTY, 0))
		return;
	at_once(_metadata, self, VALID | ZERO);
}

TEST_F(walk_concurrent, migrate)
{
	if (!BEGIN(MIGRATE, 0))
		return;
	at_once(_metadata, self, VALID | WRITE | PRIVATE);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 0));
}

/* This needs the lock for writing, and waits; then the device must know of it. */
static void later(struct __test_metadata *_metadata,
		  struct _test_data_walk_concurrent *self)
{
	sem_post(&self->doer.go);
	usleep(WAIT_US);
	ASSERT_EQ(0, __atomic_load_n(&self->doer.over, __ATOMIC_SEQ_CST));
	ASSERT_EQ(0, hmm_call_over(&self->walk));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->holder.fd));
	pthread_join(self->doer.thread, NULL);
	self->doer.running = 0;
	ASSERT_EQ(0, self->doer.error);
	/* with what was there before, or was found the second time */
	hmm_call_end(&self->walk);
	ASSERT_EQ(0, hmm_call_end(&self->holder));
}

static void forgotten(struct __test_metadata *_metadata,
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
	later(_metadata, self);
	forgotten(_metadata, self);
}

TEST_F(walk_concurrent, mremap)
{
	if (!BEGIN(MOVE, HMMIRROR_RANGE_MAP))
		return;
	later(_metadata, self);
	forgotten(_metadata, self);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->area.addr + self->length,
					   self->area.addr, self->length, 0));
}

/* No page of it can be written any more. */
TEST_F(walk_concurrent, mprotect)
{
	size_t page;

	if (!BEGIN(READONLY, HMMIRROR_RANGE_MAP))
		return;
	later(_metadata, self);
	ASSERT_EQ(0, hmm_mirror(self->fd, self->area.addr, self->length,
				self->entries));
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(0, self->entries[page] & WRITE);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 0));
}

#include "hmm_main.h"
