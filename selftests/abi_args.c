// SPDX-License-Identifier: GPL-2.0
/*
 * Arguments that only one call of the driver's ABI has: requests of a walk, directions and
 * flags of a migration, operations on exclusive pages.
 *
 * What makes no sense must be refused before the kernel is called; what the kernel may or
 * may not support must be refused only where it does not.
 */
#include "hmm_test.h"
#include "abi_calls.h"

FIXTURE(abi_args_range)
{
	struct abi_case c;
	struct hmmirror_range *range;
	__u64 *requests;
};

FIXTURE_SETUP(abi_args_range)
{
	ASSERT_EQ(0, abi_begin(&self->c, &abi_range));
	self->range = &self->c.arg.range;
	self->requests = (__u64 *)self->c.buffer;
}

FIXTURE_TEARDOWN(abi_args_range)
{
	abi_end(&self->c);
}

TEST_F(abi_args_range, unknown_default_flag)
{
	self->range->default_flags = HMMIRROR_REQ_FAULT | 4;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_args_range, write_without_fault)
{
	self->range->default_flags = HMMIRROR_REQ_WRITE;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_args_range, unknown_mask)
{
	self->range->request_mask = 1ULL << 40;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

/* The buffer's pattern is nonsense as requests, which are read only if request_mask is set. */
TEST_F(abi_args_range, unknown_request)
{
	self->range->request_mask = HMMIRROR_REQ_ALL;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	self->range->request_mask = 0;
	ASSERT_EQ(0, abi_call(&self->c));
}

TEST_F(abi_args_range, request_to_write_without_fault)
{
	int i;

	memset(self->requests, 0, ABI_PAGES * sizeof(__u64));
	self->requests[ABI_PAGES - 1] = HMMIRROR_REQ_WRITE;
	self->range->request_mask = HMMIRROR_REQ_ALL;
	ASSERT_EQ(-EINVAL, abi_call(&self->c));
	ASSERT_EQ(HMMIRROR_REQ_WRITE, self->requests[ABI_PAGES - 1]);
	for (i = 0; i < ABI_PAGES - 1; i++)
		ASSERT_EQ(0, self->requests[i]);
}

TEST_F(abi_args_range, timeout)
{
	self->range->timeout_ms = 60001;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	self->range->timeout_ms = 60000;
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_EQ(0, self->range->error);
}

TEST_F(abi_args_range, mirror_with_request)
{
	self->range->flags = HMMIRROR_RANGE_MIRROR;
	self->range->default_flags = HMMIRROR_REQ_FAULT;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	self->range->default_flags = 0;
	self->range->request_mask = HMMIRROR_REQ_FAULT;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_args_range, mirror_with_map)
{
	self->range->flags = HMMIRROR_RANGE_MIRROR | HMMIRROR_RANGE_MAP;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_args_range, unlocked_if_supported)
{
	int there = hmm_feature(self->c.fd, HMMIRROR_FEAT_UNLOCKED, NULL,
				0);

	self->range->flags = HMMIRROR_RANGE_UNLOCKED;
	self->range->default_flags = HMMIRROR_REQ_FAULT;
	ASSERT_EQ(there ? 0 : -EOPNOTSUPP, there ? abi_call(&self->c) :
		  abi_bad_call(&self->c));
}

/* One answer a page is written, and no more. */
TEST_F(abi_args_range, entries_buffer_size)
{
	size_t page = hmm_page_size();
	char *two = hmm_map_anon(2 * page, 0);
	__u64 *last;

	ASSERT_NE(NULL, two);
	ASSERT_EQ(0, mprotect(two + page, page, PROT_NONE));
	last = (__u64 *)(two + page) - ABI_PAGES;
	self->range->entries = (uintptr_t)last;
	ASSERT_EQ(0, abi_call(&self->c));
	self->range->entries = (uintptr_t)(last + 1);
	self->range->error = 0;
	ASSERT_EQ(-EFAULT, abi_call(&self->c));
}

FIXTURE(abi_args_migrate)
{
	struct abi_case c;
};

FIXTURE_SETUP(abi_args_migrate)
{
	ASSERT_EQ(0, abi_begin(&self->c, &abi_migrate));
}

FIXTURE_TEARDOWN(abi_args_migrate)
{
	abi_end(&self->c);
}

TEST_F(abi_args_migrate, no_direction)
{
	self->c.arg.flags = 0;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_args_migrate, both_directions)
{
	self->c.arg.flags = HMMIRROR_MIGRATE_TO_DEVICE |
				HMMIRROR_MIGRATE_TO_SYSTEM;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

/* Flags that contradict each other. */
TEST_F(abi_args_migrate, flags_that_do_not_go_together)
{
	const unsigned int system = HMMIRROR_MIGRATE_TO_SYSTEM;
	const unsigned int device = HMMIRROR_MIGRATE_TO_DEVICE;
	const unsigned int mistake = HMMIRROR_MISTAKE_EMPTY << HMMIRROR_MIGRATE_MISTAKE_SHIFT;
	const unsigned int flags[] = {
		device | HMMIRROR_MIGRATE_PIECES,
		device | HMMIRROR_MIGRATE_POPULATE,
		device | HMMIRROR_MIGRATE_BY_PFN,
		device | HMMIRROR_MIGRATE_BY_RANGE,
		system | HMMIRROR_MIGRATE_BY_PFN | HMMIRROR_MIGRATE_BY_RANGE,
		system | HMMIRROR_MIGRATE_BY_PFN | HMMIRROR_MIGRATE_HUGE,
		system | HMMIRROR_MIGRATE_BY_RANGE | HMMIRROR_MIGRATE_POPULATE,
		system | HMMIRROR_MIGRATE_POPULATE | mistake,
		device | HMMIRROR_MISTAKE_NR << HMMIRROR_MIGRATE_MISTAKE_SHIFT,
		device | 0xffU << HMMIRROR_MIGRATE_MISTAKE_SHIFT,
		0
	};
	size_t i;

	for (i = 0; flags[i]; i++) {
		self->c.arg.flags = flags[i];
		ASSERT_EQ(-EINVAL, abi_bad_call(&self->c)) TH_LOG("flags %x", flags[i]);
	}
}

TEST_F(abi_args_migrate, huge_if_supported)
{
	int there = hmm_feature(self->c.fd, HMMIRROR_FEAT_DEVICE_THP,
				NULL, 0);

	self->c.arg.flags |= HMMIRROR_MIGRATE_HUGE;
	ASSERT_EQ(there ? 0 : -EOPNOTSUPP, there ? abi_call(&self->c) :
		  abi_bad_call(&self->c));
}

TEST_F(abi_args_migrate, null_outcomes)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	self->c.arg.migrate.outcomes = 0;
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_EQ(0, self->c.arg.migrate.error);
}

/* The array of offers is written like that of outcomes. */
TEST_F(abi_args_migrate, offers)
{
	__u8 offers[ABI_PAGES];

	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	self->c.arg.migrate.offers = (uintptr_t)self->c.none;
	ASSERT_EQ(-EFAULT, abi_bad_call(&self->c));
	self->c.arg.migrate.offers = 0xff00000000000000ULL;
	ASSERT_EQ(-EFAULT, abi_bad_call(&self->c));
	memset(offers, 0xee, sizeof(offers));
	self->c.arg.migrate.offers = (uintptr_t)offers;
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_EQ(0, self->c.arg.migrate.error);
	ASSERT_EQ(-1, hmm_all_bytes(offers, sizeof(offers), offers[0]));
	ASSERT_NE(0, offers[0] & HMMIRROR_OFFER_MOVE);
	ASSERT_EQ(0, offers[0] & ~(HMMIRROR_OFFER_PAGE | HMMIRROR_OFFER_MOVE |
				   HMMIRROR_OFFER_WRITE));
}

FIXTURE(abi_args_exclusive)
{
	struct abi_case c;
	struct hmmirror_exclusive *excl;
};

FIXTURE_SETUP(abi_args_exclusive)
{
	ASSERT_EQ(0, abi_begin(&self->c, &abi_exclusive));
	self->excl = &self->c.arg.exclusive;
}

FIXTURE_TEARDOWN(abi_args_exclusive)
{
	abi_end(&self->c);
}

TEST_F(abi_args_exclusive, unknown_op)
{
	self->excl->op = HMMIRROR_EXCL_CMPXCHG + 1;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	self->excl->op = ~0U;
	ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
}

TEST_F(abi_args_exclusive, atomic_length)
{
	static const __u64 lengths[] = { 0, 4, 7, 9, 16, 4096 };
	size_t i;

	self->excl->op = HMMIRROR_EXCL_ADD;
	self->excl->held = 0;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		self->excl->length = lengths[i];
		ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	}
}

TEST_F(abi_args_exclusive, atomic_alignment)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	self->excl->length = 8;
	self->excl->held = 0;
	for (self->excl->op = HMMIRROR_EXCL_ADD;
	     self->excl->op <= HMMIRROR_EXCL_CMPXCHG; self->excl->op++) {
		self->excl->addr = (uintptr_t)self->c.memory + 4;
		ASSERT_EQ(-EINVAL, abi_bad_call(&self->c));
	}
	/* A good address succeeds with all else unchanged. */
	self->excl->op = HMMIRROR_EXCL_ADD;
	self->excl->addr = (uintptr_t)self->c.memory + 8;
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_EQ(0, self->excl->error);
}

TEST_F(abi_args_exclusive, null_held)
{
	if (!REQUIRE(abi_need(&self->c), self->c.why))
		return;
	self->excl->held = 0;
	ASSERT_EQ(0, abi_call(&self->c));
	ASSERT_EQ(0, self->excl->error);
	ASSERT_EQ(ABI_PAGES, self->excl->pages);
}

#include "hmm_main.h"
