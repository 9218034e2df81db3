// SPDX-License-Identifier: GPL-2.0
/*
 * A migration that the driver holds between two of its steps, while a CPU, another device
 * or a signal comes to the pages.
 *
 * The pages have migration entries: a CPU fault must wait (migration_entry_wait()) and find
 * the data on the right side afterwards; MADV_DONTNEED and exit must free both copies; an
 * empty entry that a CPU populates meanwhile must win over the device's page.
 */
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "small_pages.h"

#define PAGES		8
#define TOUCHED		3	/* the page that is touched meanwhile */
#define LIMIT_MS	5000

/* A thread, made before the hold, that touches a page when the test asks. */
struct toucher {
	char *addr;
	size_t length;
	int writes;	/* writes the pattern 2; else reads the pattern 1 */
	int releases;	/* mirror whose device's memory it releases instead; 0: none */
	long wrong;
	int ends;	/* does nothing of that */
	/* private */
	int over;
	int runs;	/* nobody has joined the thread */
	pthread_t thread;
	sem_t go;
	pid_t tid;
};

FIXTURE(migrate_held)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	struct hmm_call call;
	struct toucher toucher;
	__u8 outcomes[PAGES];
	char *addr;
	char *touched;
	size_t page;
	size_t length;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(migrate_held)
{
	enum hmmirror_stage stage;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(migrate_held, to_device_setup)
{
	.stage = HMMIRROR_STAGE_SETUP,
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
};

FIXTURE_VARIANT_ADD(migrate_held, to_device_copied)
{
	.stage = HMMIRROR_STAGE_COPIED,
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
};

FIXTURE_VARIANT_ADD(migrate_held, to_device_moved)
{
	.stage = HMMIRROR_STAGE_MOVED,
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
};

FIXTURE_VARIANT_ADD(migrate_held, to_system_setup)
{
	.stage = HMMIRROR_STAGE_SETUP,
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
};

FIXTURE_VARIANT_ADD(migrate_held, to_system_copied)
{
	.stage = HMMIRROR_STAGE_COPIED,
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
};

FIXTURE_VARIANT_ADD(migrate_held, to_system_moved)
{
	.stage = HMMIRROR_STAGE_MOVED,
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
};

static void *touch(void *data)
{
	struct toucher *t = data;
	struct hmm_dmirror_cmd cmd = { .addr = (uintptr_t)t->addr, .npages = 1 };

	__atomic_store_n(&t->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (sem_wait(&t->go))
		;
	if (t->ends)
		return NULL;
	if (t->releases)
		t->wrong = hmm_ioctl(t->releases, HMM_DMIRROR_RELEASE, &cmd);
	else if (t->writes)
		hmm_pattern_fill(t->addr, t->length, 2);
	else
		t->wrong = hmm_pattern_check(t->addr, t->length, 1);
	__atomic_store_n(&t->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* Return: 0, also if it was joined before; a positive errno */
static int join_toucher(struct toucher *t)
{
	int ret = t->runs ? pthread_join(t->thread, NULL) : 0;

	t->runs = 0;
	return ret;
}

FIXTURE_SETUP(migrate_held)
{
	self->page = hmm_page_size();
	self->length = PAGES * self->page;
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
	self->addr = self->area.addr;
	self->touched = self->addr + TOUCHED * self->page;
	if (USE_MEMORY(HMM_DEV_PRIVATE))
		return;
	ASSERT_EQ(0, hmm_use_all_cpus());
	ASSERT_EQ(0, hmm_area_map_small(&self->area, self->addr, self->length,
					PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->addr, self->length, 1);
	self->call.fd = self->fd;
	self->call.addr = self->addr;
	self->call.length = self->length;
	self->call.flags = variant->flags;
	self->call.outcomes = self->outcomes;
	ASSERT_EQ(0, hmm_call_prepare(&self->call));
	self->toucher.addr = self->touched;
	self->toucher.length = self->page;
	sem_init(&self->toucher.go, 0, 0);
	ASSERT_EQ(0, pthread_create(&self->toucher.thread, NULL, touch, &self->toucher));
	self->toucher.runs = 1;
}

FIXTURE_TEARDOWN(migrate_held)
{
	if (!self->setup_ret) {
		hmm_hold_release(self->fd);
		hmm_call_end(&self->call);
		/* it uses what is gone when the test is over */
		self->toucher.ends = 1;
		sem_post(&self->toucher.go);
		join_toucher(&self->toucher);
	}
	hmm_area_end(&self->area);
}

#define HOLD()								\
	ASSERT_EQ(0, hmm_hold_migration(&self->call, variant->stage, LIMIT_MS))

/* Start the migration and stop it at the stage; false if the test was skipped. */
#define BEGIN()								\
	({								\
		int __supported = REQUIRE(self->setup_ret, self->area.why); \
									\
		if (__supported) {					\
			if (variant->flags & HMMIRROR_MIGRATE_TO_SYSTEM) \
				ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, \
							   self->length, NULL, NULL)); \
			HOLD();						\
		}							\
		__supported;						\
	})

#define END()								\
	do {								\
		ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd)); \
		ASSERT_EQ(0, hmm_call_end(&self->call));		\
	} while (0)

/* Let the thread touch its page, and wait until it has. */
#define TOUCH()								\
	do {								\
		sem_post(&self->toucher.go);				\
		ASSERT_EQ(0, join_toucher(&self->toucher));		\
	} while (0)

/*
 * Let the thread touch its page: it must wait until the migration is over, which moves all
 * pages.
 */
static void check_touch_waits(struct __test_metadata *_metadata,
			      struct _test_data_migrate_held *self)
{
	sem_post(&self->toucher.go);
	ASSERT_EQ(1, hmm_thread_blocks(&self->toucher.tid));
	END();
	ASSERT_EQ(0, join_toucher(&self->toucher));
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_MIGRATED);
}

/* Can the CPU still populate an entry before the device does? Return: for REQUIRE() */
static int require_empty_entries(struct _test_data_migrate_held *self,
				 const struct _fixture_variant_migrate_held *variant)
{
	if (self->setup_ret)
		return self->setup_ret;
	if (variant->flags & HMMIRROR_MIGRATE_TO_SYSTEM ||
	    variant->stage == HMMIRROR_STAGE_MOVED)
		return hmm_skip(&self->area, "nothing is populated after that");
	return 0;
}

/* The CPU waits for the page at every step, and finds the data. */
TEST_F(migrate_held, cpu_reads)
{
	if (!BEGIN())
		return;
	check_touch_waits(_metadata, self);
	ASSERT_EQ(-1, self->toucher.wrong);
	ASSERT_EQ(variant->flags & HMMIRROR_MIGRATE_TO_SYSTEM ? 0 : PAGES - 1, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

TEST_F(migrate_held, cpu_writes)
{
	self->toucher.writes = 1;
	if (!BEGIN())
		return;
	check_touch_waits(_metadata, self);
	ASSERT_EQ(-1, hmm_pattern_check(self->touched, self->page, 2));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, TOUCHED * self->page, 1));
	ASSERT_EQ(-1, hmm_pattern_check(self->touched + self->page,
					(PAGES - TOUCHED - 1) * self->page, 1));
}

/* MADV_DONTNEED during the migration: both copies are freed. */
TEST_F(migrate_held, dontneed)
{
	if (!BEGIN())
		return;
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	END();
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
	ASSERT_EQ(0, USED());
	TOUCH();
}

/* Another device can't migrate them meanwhile. */
TEST_F(migrate_held, other_device)
{
	int other = hmm_area_device(&self->area, HMM_DEV_PRIVATE_OTHER);
	__u64 migrated = 7;

	ASSERT_LE(0, other);
	if (!BEGIN())
		return;
	ASSERT_EQ(0, hmm_to_device(other, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(0, migrated);
	END();
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(variant->flags & HMMIRROR_MIGRATE_TO_SYSTEM ? 0 : PAGES, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	TOUCH();
}

/*
 * The device's memory is released: that waits for the migration, then all pages are in
 * system memory.
 */
TEST_F(migrate_held, released)
{
	struct hmmirror_stats now;

	self->toucher.releases = self->fd;
	if (!BEGIN())
		return;
	sem_post(&self->toucher.go);
	usleep(30000);
	if (variant->stage != HMMIRROR_STAGE_SETUP ||
	    variant->flags & HMMIRROR_MIGRATE_TO_SYSTEM)
		ASSERT_EQ(0, __atomic_load_n(&self->toucher.over, __ATOMIC_SEQ_CST));
	END();
	ASSERT_EQ(0, join_toucher(&self->toucher));
	ASSERT_EQ(0, self->toucher.wrong);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &now));
	/* a page that had no device memory yet may have got some since */
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &now));
	ASSERT_EQ(now.device_pages, now.device_pages_free);
}

/* In a child: hold a migration of its own, tell the parent, and wait. */
static void hold_and_wait(struct _test_data_migrate_held *self, enum hmmirror_stage stage,
			  unsigned int flags, int tell)
{
	char fine = 0;

	hmm_die_with_parent();
	memset(&self->call, 0, sizeof(self->call));
	memset(self->area.device, 0, sizeof(self->area.device));
	/* unshare the pages */
	hmm_pattern_fill(self->addr, self->length, 3);
	self->call.fd = hmm_open(HMM_DEV_PRIVATE);
	self->call.addr = self->addr;
	self->call.length = self->length;
	self->call.flags = flags;
	if (flags & HMMIRROR_MIGRATE_TO_SYSTEM)
		hmm_to_device(self->call.fd, self->addr, self->length, NULL, NULL);
	fine = !hmm_hold_migration(&self->call, stage, LIMIT_MS);
	if (write(tell, &fine, 1) == 1)
		pause();
	_exit(1);
}

/* The process is killed: the migration ends, and all pages are freed. */
TEST_F(migrate_held, killed)
{
	long isolated = hmm_isolated(LONG_MAX);
	int ends[2];
	pid_t child;
	char fine;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, pipe(ends));
	child = fork();
	if (!child)
		hold_and_wait(self, variant->stage, variant->flags, ends[1]);
	ASSERT_LT(0, child);
	ASSERT_EQ(1, read(ends[0], &fine, 1));
	ASSERT_EQ(1, fine);
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	ASSERT_EQ(0, USED());
	ASSERT_GE(isolated + 1, hmm_isolated(isolated + 1));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	close(ends[0]);
	close(ends[1]);
	TOUCH();
}

/* A CPU populates the entry before the device does: the CPU's page stays. */
TEST_F(migrate_held, populated_by_cpu)
{
	self->toucher.writes = 1;
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (variant->flags & HMMIRROR_MIGRATE_TO_SYSTEM)
		SKIP(return, "nothing is populated on the way back");
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	HOLD();
	sem_post(&self->toucher.go);
	if (variant->stage != HMMIRROR_STAGE_MOVED) {
		ASSERT_EQ(0, join_toucher(&self->toucher));
		END();
		check_outcomes(_metadata, self->outcomes, TOUCHED, 1, HMMIRROR_OUT_REFUSED);
	} else {
		END();
		ASSERT_EQ(0, join_toucher(&self->toucher));
		check_outcomes(_metadata, self->outcomes, TOUCHED, 1, HMMIRROR_OUT_POPULATED);
	}
	check_outcomes(_metadata, self->outcomes, 0, TOUCHED, HMMIRROR_OUT_POPULATED);
	check_outcomes(_metadata, self->outcomes, TOUCHED + 1, PAGES - TOUCHED - 1,
		       HMMIRROR_OUT_POPULATED);
	ASSERT_EQ(PAGES - 1, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->touched, self->page, 2));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, TOUCHED * self->page, 0));
	ASSERT_EQ(-1, hmm_all_bytes(self->touched + self->page,
				    (PAGES - TOUCHED - 1) * self->page, 0));
}

/* Two devices populate the same entries: the first one wins. */
TEST_F(migrate_held, populated_by_other)
{
	int other = hmm_area_device(&self->area, HMM_DEV_PRIVATE_OTHER);
	__u64 migrated = 0;

	ASSERT_LE(0, other);
	if (!REQUIRE(require_empty_entries(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	HOLD();
	ASSERT_EQ(0, hmm_to_device(other, self->addr, 2 * self->page, NULL, &migrated));
	ASSERT_EQ(2, migrated);
	END();
	check_outcomes(_metadata, self->outcomes, 0, 2, HMMIRROR_OUT_REFUSED);
	check_outcomes(_metadata, self->outcomes, 2, PAGES - 2, HMMIRROR_OUT_POPULATED);
	ASSERT_EQ(PAGES - 2, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
	TOUCH();
}

/* A read maps the zero page meanwhile, which the device's page replaces. */
TEST_F(migrate_held, zero_page_mapped)
{
	if (!REQUIRE(require_empty_entries(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	HOLD();
	TOUCH();
	END();
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_POPULATED);
	ASSERT_EQ(PAGES, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/*
 * Another device reads it there. It was not told of the migration at the time, so it must be
 * told when the page replaces the one that it has.
 */
TEST_F(migrate_held, zero_page_read_by_other)
{
	int other = hmm_area_device(&self->area, HMM_DEV_PRIVATE_OTHER);
	__u64 entries[PAGES];
	size_t i;

	ASSERT_LE(0, other);
	if (!REQUIRE(require_empty_entries(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	HOLD();
	ASSERT_EQ(0, hmm_map(other, self->addr, self->length, HMMIRROR_REQ_FAULT, entries));
	ASSERT_ENTRIES(entries, PAGES, HMMIRROR_PTE_VALID | HMMIRROR_PTE_ZERO);
	END();
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_POPULATED);
	ASSERT_EQ(0, hmm_mirror(other, self->addr, self->length, entries));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, entries[i])
			TH_LOG("page %zu", i);
	}
	TOUCH();
}

/* A THP is faulted in where small pages were to be populated. */
TEST_F(migrate_held, populated_by_thp)
{
	size_t huge = hmm_pmd_size(), i;
	__u8 outcome;

	if (!REQUIRE(require_empty_entries(self, variant), self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "thp_none", 0, huge), self->area.why))
		return;
	self->toucher.addr = self->addr + 100 * self->page;
	self->toucher.writes = 1;
	HOLD();
	TOUCH();
	END();
	/* entries inside the THP can't be populated any more */
	outcome = hmm_smaps(self->addr, "AnonHugePages") > 0 ? HMMIRROR_OUT_REFUSED :
							       HMMIRROR_OUT_POPULATED;
	check_outcomes(_metadata, self->outcomes, 0, PAGES, outcome);
	ASSERT_EQ(outcome == HMMIRROR_OUT_REFUSED ? 0 : PAGES, USED());
	for (i = 0; i < huge; i += self->page) {
		if (i == 100 * self->page)
			continue;
		ASSERT_EQ(-1, hmm_all_bytes(self->addr + i, self->page, 0));
	}
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 100 * self->page, self->page, 2));
}

#include "hmm_main.h"
