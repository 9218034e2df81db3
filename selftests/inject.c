// SPDX-License-Identifier: GPL-2.0
/*
 * Failures that the driver injects into itself: an invalidation before the walk, a failed
 * allocation or copy in a migration. And bad arguments of the calls that inject and hold.
 *
 * A walk that is always invalidated must end in time with -EBUSY. A page whose allocation
 * or copy fails must stay where it is, with its data, and all others must migrate.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_test.h"

#define PAGES		8
#define LIMIT_MS	8000

#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define PRIVATE	HMMIRROR_PTE_PRIVATE

FIXTURE(inject)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	__u8 outcomes[PAGES];
	size_t length;
	int fd;
};

FIXTURE_SETUP(inject)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, self->length));
	hmm_pattern_fill(self->area.addr, self->length, 0);
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(inject)
{
	hmm_area_end(&self->area);
}

/* The walk is invalidated n times before it begins: -EBUSY inside, and n retries. */
TEST_F(inject, invalidated_before)
{
	static const unsigned int times[] = { 1, 2, 7 };
	struct hmmirror_range range = {
		.flags = HMMIRROR_RANGE_MAP,
		.addr = (uintptr_t)self->area.addr,
		.length = self->length,
		.entries = (uintptr_t)self->entries,
	};
	size_t i, page;

	for (i = 0; i < ARRAY_SIZE(times); i++) {
		ASSERT_LE(0, hmm_inject(self->fd, HMMIRROR_INJECT_INVALIDATE,
					1, times[i]));
		ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
		ASSERT_EQ(0, range.error);
		ASSERT_EQ(times[i], range.retries);
		for (page = 0; page < PAGES; page++)
			ASSERT_EQ(VALID | WRITE,
				  hmm_entry_flags(self->entries[page]));
	}
}

/* Always invalidated: the call ends in time, without an answer. */
TEST_F(inject, invalidated_always)
{
	struct hmmirror_range range = {
		.addr = (uintptr_t)self->area.addr,
		.length = self->length,
		.entries = (uintptr_t)self->entries,
		.timeout_ms = 50,
	};
	size_t page;
	int hits, ret;

	ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_INVALIDATE, 1, ~0U));
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
	ASSERT_EQ(-EBUSY, range.error);
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, self->entries[page]);
	hits = hmm_inject(self->fd, HMMIRROR_INJECT_INVALIDATE, 1, ~0U);
	ASSERT_EQ((int)range.retries, hits);
	/* so does a request for exclusive access, which walks to each page first */
	ret = hmm_excl_pages(self->fd, HMMIRROR_EXCL_MAKE, self->area.addr,
			     self->length, NULL, NULL);
	if (ret != -EOPNOTSUPP)
		ASSERT_EQ(-EBUSY, ret);
	ASSERT_LE(0, hmm_inject(self->fd, HMMIRROR_INJECT_INVALIDATE, 0, 0));
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, 0,
			      self->entries));
}

/* One page fails, and only that page stays where it is. */
static void fail_each_page(struct __test_metadata *_metadata, struct hmm_area *area, int fd,
			   size_t length, __u8 *outcomes, int to_device,
			   enum hmmirror_event event, __u8 outcome)
{
	size_t nth, page;

	for (nth = 1; nth <= PAGES; nth++) {
		__u64 moved = 0;

		if (!to_device)
			ASSERT_EQ(0, hmm_to_device(fd, area->addr, length,
						   NULL, NULL));
		ASSERT_LE(0, hmm_inject(fd, event, nth, 1));
		ASSERT_EQ(0, to_device ?
			  hmm_to_device(fd, area->addr, length, outcomes,
					&moved) :
			  hmm_to_system(fd, area->addr, length, outcomes,
					&moved));
		ASSERT_EQ(PAGES - 1, moved);
		for (page = 0; page < PAGES; page++)
			ASSERT_EQ(page == nth - 1 ? outcome :
				  HMMIRROR_OUT_MIGRATED, outcomes[page]);
		ASSERT_EQ(1, hmm_inject(fd, event, 0, 0));
		/* CPU faults migrate all pages back with their data */
		ASSERT_EQ(-1, hmm_pattern_check(area->addr, length, 0));
	}
}

TEST_F(inject, alloc_fails)
{
	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	fail_each_page(_metadata, &self->area, self->fd, self->length, self->outcomes, 1,
		       HMMIRROR_INJECT_ALLOC, HMMIRROR_OUT_NOMEM);
	fail_each_page(_metadata, &self->area, self->fd, self->length, self->outcomes, 0,
		       HMMIRROR_INJECT_ALLOC, HMMIRROR_OUT_NOMEM);
}

TEST_F(inject, copy_fails)
{
	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	fail_each_page(_metadata, &self->area, self->fd, self->length, self->outcomes, 1,
		       HMMIRROR_INJECT_COPY, HMMIRROR_OUT_NOCOPY);
	fail_each_page(_metadata, &self->area, self->fd, self->length, self->outcomes, 0,
		       HMMIRROR_INJECT_COPY, HMMIRROR_OUT_NOCOPY);
}

/* A call with bad arguments changes nothing that was set before. */
TEST_F(inject, bad_arguments)
{
	struct hmmirror_inject inject = { .nth = 1, .times = 1 };
	struct hmmirror_hold hold = { .limit_ms = 1 };

	ASSERT_EQ(-ENOENT, hmm_hold_wait(self->fd, 1));
	ASSERT_EQ(HMMIRROR_HELD_NO, hmm_hold_release(self->fd));
	ASSERT_EQ(-EINVAL, hmm_ioctl_hold(self->fd, &hold));
	hold.flags = HMMIRROR_HOLD_ARM | HMMIRROR_HOLD_WAIT;
	ASSERT_EQ(-EINVAL, hmm_ioctl_hold(self->fd, &hold));
	hold.flags = 1 << 3;
	ASSERT_EQ(-EINVAL, hmm_ioctl_hold(self->fd, &hold));
	hold.flags = HMMIRROR_HOLD_WAIT;
	hold.stage = HMMIRROR_STAGE_COPIED;
	ASSERT_EQ(-EINVAL, hmm_ioctl_hold(self->fd, &hold));
	hold.flags = HMMIRROR_HOLD_ARM;
	hold.reserved = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_hold(self->fd, &hold));
	ASSERT_EQ(-EINVAL, hmm_hold_arm(self->fd, HMMIRROR_STAGE_NR, 1));
	ASSERT_EQ(-EINVAL, hmm_hold_arm(self->fd, HMMIRROR_STAGE_SETUP, 0));
	ASSERT_EQ(-EINVAL, hmm_hold_arm(self->fd, HMMIRROR_STAGE_SETUP, 10001));

	ASSERT_EQ(0, hmm_hold_arm(self->fd, HMMIRROR_STAGE_SETUP, 1));
	ASSERT_EQ(-EBUSY, hmm_hold_arm(self->fd, HMMIRROR_STAGE_WALK, 1));
	ASSERT_EQ(HMMIRROR_HELD_ARMED, hmm_hold_wait(self->fd, 1));
	ASSERT_EQ(HMMIRROR_HELD_ARMED, hmm_hold_release(self->fd));
	ASSERT_EQ(-ENOENT, hmm_hold_wait(self->fd, 1));

	ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 1, 1));
	inject.flags = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_inject(self->fd, &inject));
	ASSERT_EQ(-EINVAL, hmm_inject(self->fd, HMMIRROR_INJECT_NR, 1, 1));
	ASSERT_EQ(-EINVAL, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 0, 1));
	ASSERT_EQ(-EINVAL, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 1, 0));
	ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 0, 0));
}

#include "hmm_main.h"
