// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of devices, in ways that few drivers move them: from and to small pages, by
 * their numbers, busy, failing, overtaken by others.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>

#include "gup_test.h"
#include "inject.h"
#include "migrate_huge.h"

#define PIECES		(WHOLE | HMMIRROR_MIGRATE_PIECES)
#define POPULATE	(TO_SYSTEM | HMMIRROR_MIGRATE_POPULATE)
#define BY_PFN		(TO_SYSTEM | HMMIRROR_MIGRATE_BY_PFN)
#define BY_RANGE	(TO_SYSTEM | HMMIRROR_MIGRATE_BY_RANGE)
#define LIMIT_MS	5000

/* A huge page, then a huge hole, gets small pages: the kernel splits it on its way. */
TEST_F(migrate_huge, in_pieces)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(40);
	MOVE(TO_DEVICE | PIECES, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	CHECK(40);
	ASSERT_EQ(0, USED());
	PUT("dev_huge", 1);
	FILL(41);
	PUT("dev_huge", 1);
	MOVE(TO_SYSTEM | PIECES, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	PUT("thp_none", 1);
	MOVE(TO_DEVICE | PIECES, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/* It can't be split, which the kernel has to say: the huge page stays. */
TEST_F(migrate_huge, in_pieces_not_split)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(42);
	if (INJECT(HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	ASSERT_EQ(0, hmm_move(self->fd, TO_DEVICE | PIECES, self->addr, self->length,
			      self->outcomes, NULL));
	ASSERT_EQ(1, HITS(HMMIRROR_INJECT_SPLIT));
	ASSERT_EQ(HMMIRROR_OUT_REFUSED, self->outcomes[0]);
	ASSERT_EQ(0, USED());
	CHECK(42);
}

/* Holes become zeroed memory of the system, as huge as they are. */
TEST_F(migrate_huge, populate)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_none", 2);
	ASSERT_EQ(0, mprotect(self->addr + self->length, self->length, PROT_READ));
	MOVE(POPULATE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	MOVE(POPULATE | WHOLE, HUGE, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W, ORDER);
	ENTRIES(HUGE, HUGE, V, ORDER);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, 2 * self->length, 0));
	FILL(43);
	CHECK(43);
}

/* A hole that may not be written, and parts of holes. */
TEST_F(migrate_huge, holes)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_none", 2);
	MOVE(TO_DEVICE | WHOLE, HUGE / 2, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(HUGE / 2, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	PUT("thp_none", 2);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, 2 * self->length, 0));
}

/* Nothing is populated where a userfaultfd waits for it, though it be huge. */
TEST_F(migrate_huge, uffd_missing)
{
	int uffd;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_none", 1);
	uffd = hmm_uffd_register(self->addr, self->length, UFFDIO_REGISTER_MODE_MISSING, 0);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_REFUSED);
	ASSERT_EQ(0, USED());
	close(uffd);
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
}

/* Each allocation for the place of a huge page fails in turn, and its charge. */
TEST_F(migrate_huge, no_table)
{
	unsigned int n;
	int hits = 1;

	if (MISS(self->lacking, self->area.why))
		return;
	for (n = 1; hits && n < 10; n++) {
		PUT("thp_none", 1);
		if (INJECT(HMMIRROR_INJECT_TABLE, n, 1))
			return;
		ASSERT_EQ(0, hmm_move(self->fd, TO_DEVICE | WHOLE, self->addr, self->length,
				      self->outcomes, NULL));
		hits = HITS(HMMIRROR_INJECT_TABLE);
		ASSERT_EQ(-1, hmm_all_bytes(self->outcomes, HUGE,
					    hits ? HMMIRROR_OUT_REFUSED :
						   HMMIRROR_OUT_POPULATED));
		ASSERT_EQ(hits ? 0 : HUGE, USED());
	}
	/* an anon_vma and a table at least, as the PMD's is there already */
	ASSERT_LE(3, n);
	ASSERT_EQ(0, hits);
	PUT("thp_none", 1);
	if (INJECT(HMMIRROR_INJECT_CHARGE, 1, 1))
		return;
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_REFUSED);
	ASSERT_EQ(1, HITS(HMMIRROR_INJECT_CHARGE));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/* By their numbers: whole, cut by the range on either side, with nothing to take its place. */
TEST_F(migrate_huge, by_number)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	MOVE(BY_PFN, 0, HUGE / 2, HMMIRROR_OUT_NONE);
	MOVE(BY_PFN, HUGE / 2, HUGE / 2, HMMIRROR_OUT_NONE);
	MOVE(BY_RANGE, 0, HUGE / 2, HMMIRROR_OUT_NONE);
	MOVE(BY_RANGE, HUGE / 2, HUGE / 2, HMMIRROR_OUT_NONE);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	FAIL_NEXT_HUGE();
	ASSERT_EQ(0, hmm_move(self->fd, BY_PFN, self->addr, self->length, self->outcomes, NULL));
	ASSERT_EQ(HMMIRROR_OUT_REFUSED, self->outcomes[0]);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	MOVE(BY_PFN, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(0, USED());
	CHECK(0);
	PUT("dev_huge", 1);
	MOVE(BY_RANGE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(0, USED());
}

/* A huge page that somebody has locked, or holds for long. */
TEST_F(migrate_huge, busy)
{
	struct pin_longterm_test pin = {
		.addr = (uintptr_t)self->addr,
		.size = self->page,
	};
	int file;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(44);
	if (INJECT(HMMIRROR_INJECT_LOCKED, 1, 1))
		return;
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	ASSERT_EQ(1, HITS(HMMIRROR_INJECT_LOCKED));
	/* nor is one of the system brought home */
	MOVE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	PROVE("thp_writable", 1);
	file = open(GUP_TEST, O_RDWR | O_CLOEXEC);
	if (file < 0)
		SKIP(return, NO_GUP_TEST);
	ASSERT_EQ(0, ioctl(file, PIN_START, &pin));
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	PROVE("thp_writable", 1);
	ASSERT_EQ(0, ioctl(file, PIN_STOP));
	close(file);
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	CHECK(44);
}

/*
 * Huge pages that small entries map, behind small pages or not, can't be split: what is
 * before them moves, they and what is behind them stay.
 */
TEST_F(migrate_huge, cut_not_split)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(45);
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ));
	/* one of its pages is another's */
	ASSERT_EQ(0, madvise(self->addr + self->page, self->page, MADV_DONTNEED));
	hmm_pattern_fill(self->addr + self->page, self->page, 45);
	if (INJECT(HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	MOVE(TO_DEVICE, 2, HUGE - 2, HMMIRROR_OUT_NONE);
	ASSERT_EQ(1, HITS(HMMIRROR_INJECT_SPLIT));
	if (INJECT(HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	ASSERT_EQ(0, hmm_move(self->fd, TO_DEVICE, self->addr + self->page, 4 * self->page,
			      self->outcomes, NULL));
	ASSERT_EQ(1, HITS(HMMIRROR_INJECT_SPLIT));
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[0]);
	ASSERT_EQ(-1, hmm_all_bytes(self->outcomes + 1, 3, HMMIRROR_OUT_NONE));
	CHECK(45);

	PUT("dev_huge", 1);
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ));
	if (INJECT(HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	MOVE(TO_SYSTEM, 1, HUGE - 1, HMMIRROR_OUT_NONE);
	ASSERT_EQ(1, HITS(HMMIRROR_INJECT_SPLIT));
	ASSERT_EQ(HUGE, USED());
	CHECK(0);
}

/* Others populate what was to be populated whole. */
TEST_F(migrate_huge, populated_meanwhile)
{
	struct hmm_call call = {
		.fd = self->fd,
		.addr = self->addr,
		.length = self->length,
		.flags = TO_DEVICE | WHOLE,
		.outcomes = self->outcomes,
	};

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_none", 1);
	ASSERT_EQ(0, hmm_hold_migration(&call, HMMIRROR_STAGE_COPIED, LIMIT_MS));
	FILL(46);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
	ASSERT_EQ(0, hmm_call_end(&call));
	ASSERT_EQ(HMMIRROR_OUT_REFUSED, self->outcomes[0]);
	ASSERT_EQ(0, USED());
	CHECK(46);
}

#include "hmm_main.h"
