// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages and a device without memory for one, on either side, and a device whose memory
 * is released.
 *
 * The kernel or the driver must fall back to small pages: split the huge page and migrate
 * the pieces, also under a CPU fault that has a reference to the page it faults on. Where
 * huge pages are not supported at all, a request for one must be refused.
 */
#include "huge_case.h"

FIXTURE(migrate_huge_nomem)
{
	struct huge_case h;
};

FIXTURE_SETUP(migrate_huge_nomem)
{
	huge_begin(_metadata, &self->h);
}

FIXTURE_TEARDOWN(migrate_huge_nomem)
{
	huge_end(_metadata, &self->h);
}

/* No huge page of device memory: small ones are used. */
TEST_F(migrate_huge_nomem, to_device)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(30);
	FAIL_NEXT_HUGE();
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	CHECK(30);
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_huge_nomem, unpopulated)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 1);
	FAIL_NEXT_HUGE();
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
}

TEST_F(migrate_huge_nomem, zero_page)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_zero", 1);
	FAIL_NEXT_HUGE();
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
}

TEST_F(migrate_huge_nomem, to_system)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	FAIL_NEXT_HUGE();
	MIGRATE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	CHECK(0);
}

/* In a CPU fault: migrated back as small pages, at least the one that was touched. */
TEST_F(migrate_huge_nomem, cpu_fault)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	FAIL_NEXT_HUGE();
	hmm_touch_read(h->addr + 77 * h->page, h->page);
	ENTRIES(77, 1, W, 0);
	ASSERT_GE(1, USED());
	CHECK(0);
	ASSERT_EQ(0, USED());
}

/* The same with a fault on the head page, which the fault has a reference to. */
TEST_F(migrate_huge_nomem, cpu_fault_head)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	FAIL_NEXT_HUGE();
	FILL(31);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	CHECK(31);
}

/* Shared with another process, it is migrated back whole, as soon as there is a huge page. */
TEST_F(migrate_huge_nomem, cpu_fault_shared)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge_cow", 1);
	FAIL_NEXT_HUGE();
	CHECK(0);
	ENTRIES(0, HUGE, V, ORDER);
	ASSERT_EQ(0, USED());
	FILL(34);
	CHECK(34);
}

TEST_F(migrate_huge_nomem, shared)
{
	struct huge_case *h = &self->h;
	pid_t child;
	int go;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(32);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(h->addr, h->length, 32) != -1);
	ASSERT_LT(0, child);
	FAIL_NEXT_HUGE();
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, V | DEV, 0);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK(32);
	FILL(33);
	CHECK(33);
	ASSERT_EQ(0, USED());
}

/* Release the device's memory. */
static void release(struct __test_metadata *_metadata, struct huge_case *h)
{
	ASSERT_EQ(0, hmm_test_abi(h->fd, HMM_DMIRROR_RELEASE, h->addr, 1, NULL, NULL));
}

TEST_F(migrate_huge_nomem, release_with_memory)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 2);
	release(_metadata, h);
	ASSERT_EQ(0, hmm_stats(h->fd, 0, &h->after));
	ASSERT_EQ(0, h->after.device_pages);
	ASSERT_LE(h->before.evicted + PAGES, h->after.evicted);
	ASSERT_EQ(h->before.cpu_faults, h->after.cpu_faults);
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(-1, hmm_pattern_check(h->addr, 2 * h->length, 0));
}

TEST_F(migrate_huge_nomem, release)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	FAIL_NEXT_HUGE();
	release(_metadata, h);
	ASSERT_EQ(0, hmm_stats(h->fd, 0, &h->after));
	ASSERT_EQ(0, h->after.device_pages);
	ENTRIES(0, HUGE, W, 0);
	CHECK(0);
}

FIXTURE(migrate_huge_nomem_support)
{
	char *addr;
};

FIXTURE_SETUP(migrate_huge_nomem_support)
{
	self->addr = hmm_map_anon(hmm_pmd_size(), hmm_pmd_size());
	ASSERT_NE(NULL, self->addr);
}

FIXTURE_TEARDOWN(migrate_huge_nomem_support)
{
	hmm_unmap(self->addr, hmm_pmd_size());
}

/* Without support, a request for huge pages is refused and does nothing. */
TEST_F(migrate_huge_nomem_support, refused_if_unsupported)
{
	char why[100];
	__u64 migrated = 7;
	unsigned int device;
	int fd, has;

	for (device = 0; device < HMM_DEVICES; device++) {
		fd = hmm_open(device);
		if (fd < 0)
			continue;
		has = hmm_feature(fd, HMMIRROR_FEAT_DEVICE_THP, why, sizeof(why));
		ASSERT_LE(0, has);
		ASSERT_EQ(!has, !!why[0]);
		if (has) {
			ASSERT_EQ(HMMIRROR_MEMORY_PRIVATE, hmm_memory(fd));
		} else {
			ASSERT_EQ(-EOPNOTSUPP, hmm_move(fd, TO_DEVICE | WHOLE, self->addr,
							hmm_pmd_size(), NULL, &migrated));
		}
		ASSERT_EQ(7, migrated);
		close(fd);
	}
}

#include "hmm_main.h"
