// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on pages under migration to a device. The driver under test holds the
 * migration between two of its steps, so that the page table has migration entries for as
 * long as the test needs them.
 *
 * A snapshot must report such a page as not present and wait for nobody. A fault must wait
 * until the migration ends, however it ends, and then report what is there. It must not
 * wait for a page that nobody asked for.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"
#include "snapshot.h"

#define PAGES		8
#define LIMIT_MS	8000	/* of a hold that the test ends itself */
#define SHORT_MS	300	/* of a hold that runs into its limit */

#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define PRIVATE	HMMIRROR_PTE_PRIVATE

FIXTURE(walk_held)
{
	struct hmm_area area;
	struct hmm_call holder;
	struct hmm_call walk;	/* a walk that meets the migration */
	__u64 *entries;
	size_t length;
	int fd;		/* mirror that walks */
};

FIXTURE_VARIANT(walk_held)
{
	enum hmmirror_stage stage;
	int prot;
	unsigned int device;	/* device that migrates; device 0 walks */
};

FIXTURE_VARIANT_ADD(walk_held, setup)
{
	.stage = HMMIRROR_STAGE_SETUP,
	.prot = PROT_READ | PROT_WRITE,
};

FIXTURE_VARIANT_ADD(walk_held, copied)
{
	.stage = HMMIRROR_STAGE_COPIED,
	.prot = PROT_READ | PROT_WRITE,
};

FIXTURE_VARIANT_ADD(walk_held, moved)
{
	.stage = HMMIRROR_STAGE_MOVED,
	.prot = PROT_READ | PROT_WRITE,
};

FIXTURE_VARIANT_ADD(walk_held, readonly)
{
	.stage = HMMIRROR_STAGE_SETUP,
	.prot = PROT_READ,
};

FIXTURE_VARIANT_ADD(walk_held, other)
{
	.stage = HMMIRROR_STAGE_COPIED,
	.prot = PROT_READ | PROT_WRITE,
	.device = HMM_DEV_PRIVATE_OTHER,
};

FIXTURE_SETUP(walk_held)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->entries = hmm_map_anon(PAGES * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	self->holder.addr = self->area.addr;
	self->holder.length = self->length;
	self->walk.fd = self->fd;
	self->walk.addr = self->area.addr;
	self->walk.length = self->length;
	self->walk.entries = self->entries;
}

FIXTURE_TEARDOWN(walk_held)
{
	if (self->holder.running) {
		hmm_hold_release(self->holder.fd);
		hmm_call_end(&self->holder);
	}
	hmm_call_end(&self->walk);
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, PAGES * sizeof(__u64));
}

/* Map and write the pages, protect them, and open a mirror to migrate them with. */
static int prepare(struct _test_data_walk_held *self,
		   const struct _fixture_variant_walk_held *variant)
{
	struct hmm_area *area = &self->area;
	int ret = hmm_area_memory(area, variant->device);

	if (!ret)
		ret = hmm_area_map_small(area, area->addr, area->length,
					 PROT_READ | PROT_WRITE);
	if (ret)
		return ret;
	hmm_pattern_fill(area->addr, area->length, 0);
	if (mprotect(area->addr, area->length, variant->prot))
		return hmm_fail(area, errno, "mprotect");
	self->holder.fd = hmm_open(variant->device);
	return self->holder.fd < 0 ? hmm_fail(area, self->holder.fd, "open") : 0;
}

/* Prove that no page is present: pagemap shows migration entries as swap entries. */
static int prove_not_present(struct hmm_area *area)
{
	static const struct hmm_proof away = {
		.set = HMM_PM_SWAP,
		.clear = HMM_PM_PRESENT,
	};

	return hmm_prove_pages(area, area->addr, area->length, &away);
}

/* Start the migration and hold it at the variant's stage. */
static int hold(struct _test_data_walk_held *self,
		const struct _fixture_variant_walk_held *variant, unsigned int limit_ms)
{
	int ret = prepare(self, variant);

	if (ret)
		return ret;
	ret = hmm_hold_migration(&self->holder, variant->stage, limit_ms);
	if (ret)
		return hmm_fail(&self->area, ret, "hold");
	return prove_not_present(&self->area);
}

/* Does a fault on this kernel wait for a migration, and report what is there afterwards? */
static int walker_waits(struct hmm_area *area, unsigned int device)
{
	if (expect_when(WHEN_MIGRATION_IGNORED))
		return hmm_skip(area,
				"the walker of this kernel does not wait for migrations");
	if (device && expect_when(WHEN_OTHER_REFUSED))
		return hmm_skip(area,
				"the walker of this kernel refuses pages of another device");
	return 0;
}

/*
 * Prepare the walk. Its thread is made now: a new thread needs the mmap lock for writing,
 * which a migration that is held has.
 */
static int prepare_walk(struct _test_data_walk_held *self,
			const struct _fixture_variant_walk_held *variant, __u64 request)
{
	int ret = walker_waits(&self->area, variant->device);

	if (ret)
		return ret;
	self->walk.request = request;
	ret = hmm_call_prepare(&self->walk);
	return ret ? hmm_fail(&self->area, ret, "thread") : 0;
}

/* Prepare a walk, then hold a migration for it to meet. */
static int hold_and_prepare_walk(struct _test_data_walk_held *self,
				 const struct _fixture_variant_walk_held *variant,
				 __u64 request, unsigned int limit_ms)
{
	int ret = prepare_walk(self, variant, request);

	return ret ? ret : hold(self, variant, limit_ms);
}

/*
 * The flags that a walk reports once it has waited: device-private for a device's own
 * pages; those of another device are migrated back to system memory.
 */
static __u64 expected_flags(const struct _fixture_variant_walk_held *variant)
{
	return VALID | (variant->prot & PROT_WRITE ? WRITE : 0) |
	       (variant->device ? 0 : PRIVATE);
}

/* A snapshot does not wait, and reports that nothing is present. */
TEST_F(walk_held, snapshot)
{
	if (!REQUIRE(hold(self, variant, LIMIT_MS), self->area.why))
		return;
	snapshot_without_fault(_metadata, self->fd, self->area.addr, self->length, self->entries);
	ASSERT_ENTRIES(self->entries, PAGES, 0);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(self->holder.fd, 1));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->holder.fd));
	ASSERT_EQ(0, hmm_call_end(&self->holder));
}

/* Check that a fault waits until the migration is over, and no longer. */
static void check_fault_waits(struct __test_metadata *_metadata,
			      struct _test_data_walk_held *self,
			      const struct _fixture_variant_walk_held *variant)
{
	ASSERT_EQ(0, hmm_call_begin(&self->walk));
	ASSERT_EQ(1, hmm_call_blocks(&self->walk));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->holder.fd));
	ASSERT_EQ(0, hmm_call_end(&self->walk));
	ASSERT_EQ(0, hmm_call_end(&self->holder));
	ASSERT_EQ(HMMIRROR_HELD_RELEASED, hmm_hold_wait(self->holder.fd, 1));
	ASSERT_ENTRIES(self->entries, PAGES, expected_flags(variant));
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 0));
}

TEST_F(walk_held, read_fault)
{
	if (!REQUIRE(hold_and_prepare_walk(self, variant, HMMIRROR_REQ_FAULT, LIMIT_MS),
		     self->area.why))
		return;
	check_fault_waits(_metadata, self, variant);
}

/* The device's own page is not faulted, even if it is not writable. */
TEST_F(walk_held, write_fault)
{
	if (!REQUIRE(hold_and_prepare_walk(self, variant, HMMIRROR_REQ_ALL, LIMIT_MS),
		     self->area.why))
		return;
	/*
	 * for this kernel the driver checks write access itself, and the page is not yet
	 * the device's
	 */
	if (!(variant->prot & PROT_WRITE) && expect_when(WHEN_WRITE_UNCHECKED)) {
		ASSERT_EQ(-EPERM, hmm_walk(self->fd, self->area.addr, self->length,
					   HMMIRROR_REQ_ALL, self->entries));
		return;
	}
	check_fault_waits(_metadata, self, variant);
}

/* Only a page with a request makes the walk wait. */
TEST_F(walk_held, page_requests)
{
	static const size_t picked[] = { 0, PAGES / 2, PAGES - 1 };
	size_t i, page;

	self->walk.mask = HMMIRROR_REQ_ALL;
	for (i = 0; i < ARRAY_SIZE(picked); i++) {
		struct hmmirror_range range = {
			.addr = (uintptr_t)self->area.addr,
			.length = self->length,
			.entries = (uintptr_t)self->entries,
			.request_mask = HMMIRROR_REQ_ALL,
			.timeout_ms = 30000,
		};

		if (!REQUIRE(hold_and_prepare_walk(self, variant, 0, LIMIT_MS), self->area.why))
			return;
		memset(self->entries, 0, PAGES * sizeof(__u64));
		ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
		ASSERT_EQ(0, range.error);
		ASSERT_ENTRIES(self->entries, PAGES, 0);
		ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(self->holder.fd, 1));

		self->entries[picked[i]] = HMMIRROR_REQ_FAULT;
		ASSERT_EQ(0, hmm_call_begin(&self->walk));
		ASSERT_EQ(1, hmm_call_blocks(&self->walk));
		ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->holder.fd));
		ASSERT_EQ(0, hmm_call_end(&self->walk));
		ASSERT_EQ(0, hmm_call_end(&self->holder));
		/* pages before it were answered while the migration was held */
		for (page = 0; page < picked[i]; page++)
			ASSERT_EQ(0, self->entries[page]);
		ASSERT_EQ(expected_flags(variant),
			  hmm_entry_flags(self->entries[picked[i]]));
		close(self->holder.fd);
	}
}

TEST_F(walk_held, holder_limit)
{
	if (!REQUIRE(hold_and_prepare_walk(self, variant, HMMIRROR_REQ_FAULT, SHORT_MS),
		     self->area.why))
		return;
	ASSERT_EQ(0, hmm_call_begin(&self->walk));
	ASSERT_EQ(0, hmm_call_end(&self->walk));
	ASSERT_EQ(HMMIRROR_HELD_LIMIT, hmm_hold_wait(self->holder.fd, 1));
	ASSERT_ENTRIES(self->entries, PAGES, expected_flags(variant));
}

/* Closing the file ends the hold, though the held call has a reference to it. */
TEST_F(walk_held, holder_closes)
{
	if (!REQUIRE(hold_and_prepare_walk(self, variant, HMMIRROR_REQ_FAULT, LIMIT_MS),
		     self->area.why))
		return;
	ASSERT_EQ(0, hmm_call_begin(&self->walk));
	ASSERT_EQ(1, hmm_call_blocks(&self->walk));
	ASSERT_EQ(0, close(self->holder.fd));
	ASSERT_EQ(0, hmm_call_end(&self->holder));
	ASSERT_EQ(0, hmm_call_end(&self->walk));
	ASSERT_ENTRIES(self->entries, PAGES, expected_flags(variant));
}

/* Another process migrates our pages, and is killed while the migration is held. */
TEST_F(walk_held, holder_killed)
{
	pid_t child;

	if (!REQUIRE(prepare_walk(self, variant, HMMIRROR_REQ_FAULT), self->area.why))
		return;
	if (!REQUIRE(prepare(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, hmm_hold_arm(self->holder.fd, variant->stage, LIMIT_MS));
	/* otherwise the child shares the pages, and they become read-only */
	ASSERT_EQ(0, madvise(self->area.addr, self->length, MADV_DONTFORK));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		hmm_to_device(self->holder.fd, self->area.addr, self->length,
			      NULL, NULL);
		_exit(0);
	}
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(self->holder.fd, 2000));
	ASSERT_EQ(0, prove_not_present(&self->area));
	ASSERT_EQ(0, hmm_call_begin(&self->walk));
	ASSERT_EQ(1, hmm_call_blocks(&self->walk));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	ASSERT_EQ(HMMIRROR_HELD_KILLED, hmm_hold_wait(self->holder.fd, 1));
	ASSERT_EQ(0, hmm_call_end(&self->walk));
	ASSERT_ENTRIES(self->entries, PAGES, expected_flags(variant));
}

/* A process whose walk waits for its own migration can be killed all the same. */
TEST_F(walk_held, process_killed)
{
	int ready[2];
	pid_t child;
	char byte;

	if (!REQUIRE(walker_waits(&self->area, 0), self->area.why))
		return;
	if (!REQUIRE(prepare(self, variant), self->area.why))
		return;
	self->walk.request = HMMIRROR_REQ_FAULT;
	ASSERT_EQ(0, pipe(ready));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		/* the mirrors are of the parent's mm: open new ones */
		hmm_pattern_fill(self->entries, PAGES * sizeof(__u64), 0);
		if (mprotect(self->area.addr, self->length,
			     PROT_READ | PROT_WRITE))
			_exit(1);
		hmm_touch_write(self->area.addr, self->length);
		self->holder.fd = hmm_open(variant->device);
		self->walk.fd = hmm_open(0);
		if (hmm_call_prepare(&self->walk) ||
		    hmm_hold_migration(&self->holder, variant->stage,
				       LIMIT_MS) ||
		    hmm_call_begin(&self->walk) || !hmm_call_blocks(&self->walk) ||
		    write(ready[1], "", 1) != 1)
			_exit(1);
		hmm_call_end(&self->walk);
		_exit(2);
	}
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &byte, 1));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	close(ready[0]);
}

/* The mirror must not keep the entries from before the migration. */
TEST_F(walk_held, mirror_forgets)
{
	if (!REQUIRE(prepare(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, hmm_map(self->fd, self->area.addr, self->length, 0,
			     self->entries));
	ASSERT_EQ(0, hmm_hold_migration(&self->holder, variant->stage,
					LIMIT_MS));
	ASSERT_EQ(0, hmm_mirror(self->fd, self->area.addr, self->length,
				self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, 0);
}

#include "hmm_main.h"
