// SPDX-License-Identifier: GPL-2.0
/*
 * migrate_vma_*() on huge pages, to device-private memory and back as a whole
 * (MIGRATE_VMA_SELECT_COMPOUND, 6.19).
 *
 * The device's folio must be split wherever the kernel splits a PMD: partial munmap(),
 * mprotect(), mremap() or migration. Rmap, reference counts and pfns must be right for the
 * head page and for tail pages, and freed blocks must be usable again as huge or as small
 * pages.
 */
#include <sys/mman.h>
#include <sys/uio.h>

#include "huge_case.h"

FIXTURE(migrate_huge)
{
	struct huge_case h;
};

FIXTURE_SETUP(migrate_huge)
{
	huge_begin(_metadata, &self->h);
}

FIXTURE_TEARDOWN(migrate_huge)
{
	huge_end(_metadata, &self->h);
}

TEST_F(migrate_huge, round_trip)
{
	struct huge_case *h = &self->h;
	int i;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	for (i = 0; i < 3; i++) {
		FILL(i);
		MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
		PROVE("dev_huge", 1);
		ENTRIES(0, HUGE, W | DEV, ORDER);
		ASSERT_EQ(HUGE, USED());
		ASSERT_EQ(0, hmm_dev_read(h->fd, h->addr, h->copy, h->length));
		ASSERT_EQ(-1, hmm_pattern_check_as(h->copy, h->addr, h->length, i));
		PROVE("dev_huge", 1);

		MIGRATE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
		ENTRIES(0, HUGE, W, ORDER);
		ASSERT_EQ(0, USED());
		ASSERT_EQ(h->before.cpu_faults, h->after.cpu_faults);
		CHECK(i);
	}
	ASSERT_EQ(3 * HUGE, h->after.to_device);
	ASSERT_EQ(3 * HUGE, h->after.to_system);
}

/* The CPU sees the device's write, and the rest is unchanged. */
TEST_F(migrate_huge, device_writes)
{
	struct huge_case *h = &self->h;
	char *at = h->addr + 300 * h->page;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	hmm_pattern_fill_as(h->copy, at, 3 * h->page, 5);
	ASSERT_EQ(0, hmm_dev_write(h->fd, at, h->copy, 3 * h->page));
	PROVE("dev_huge", 1);
	ASSERT_EQ(0, hmm_dev_read(h->fd, at, h->copy, 3 * h->page));
	ASSERT_EQ(-1, hmm_pattern_check_as(h->copy, at, 3 * h->page, 5));
	ASSERT_EQ(-1, hmm_pattern_check(at, 3 * h->page, 5));
	ASSERT_EQ(-1, hmm_pattern_check(h->addr, 300 * h->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(at + 3 * h->page, 209 * h->page, 0));
	ENTRIES(0, HUGE, W, ORDER);
}

/* A range that was never written has nothing to migrate back. */
TEST_F(migrate_huge, to_system_nothing)
{
	struct huge_case *h = &self->h;
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	ASSERT_EQ(0, hmm_area_map(&h->area, h->addr, 2 * h->length,
				  PROT_READ | PROT_WRITE, flags, -1));
	ASSERT_EQ(0, madvise(h->addr, 2 * h->length, MADV_HUGEPAGE));
	MIGRATE(TO_SYSTEM | WHOLE, 0, PAGES, HMMIRROR_OUT_NONE);
	ENTRIES(0, PAGES, 0, 0);
	ASSERT_EQ(0, USED());
}

/* One call for two huge pages. */
TEST_F(migrate_huge, two_huge_pages)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 2);
	hmm_pattern_fill(h->addr, 2 * h->length, 1);
	MIGRATE(TO_DEVICE | WHOLE, 0, PAGES, HMMIRROR_OUT_MIGRATED);
	PROVE("dev_huge", 2);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	ENTRIES(HUGE, HUGE, W | DEV, ORDER);
	ASSERT_EQ(PAGES, USED());
	MIGRATE(TO_SYSTEM | WHOLE, 0, PAGES, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, ORDER);
	ENTRIES(HUGE, HUGE, W, ORDER);
	ASSERT_EQ(-1, hmm_pattern_check(h->addr, 2 * h->length, 1));
}

/* Without the flag for huge pages the kernel splits them, in both directions. */
TEST_F(migrate_huge, without_huge_flag)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(1);
	MIGRATE(TO_DEVICE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	MIGRATE(TO_SYSTEM, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	CHECK(1);

	MAKE("dev_huge", 1);
	MIGRATE(TO_SYSTEM, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	CHECK(0);
}

/* An empty PMD or the huge zero page: a device page that reads as zeroes. */
TEST_F(migrate_huge, unpopulated)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 1);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	PROVE("dev_huge", 1);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
}

TEST_F(migrate_huge, zero_page)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_zero", 1);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	PROVE("dev_huge", 1);
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
	FILL(2);
	CHECK(2);
}

TEST_F(migrate_huge, readonly)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge_readonly", 1);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	MIGRATE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, V, ORDER);
	CHECK(0);
	ASSERT_EQ(0, mprotect(h->addr, h->length, PROT_READ | PROT_WRITE));
	FILL(3);
	CHECK(3);
}

/* A CPU fault on one byte migrates the whole huge page back. */
TEST_F(migrate_huge, cpu_read)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(HUGE, USED());
	hmm_touch_read(h->addr + 300 * h->page, h->page);
	ASSERT_EQ(0, USED());
	ASSERT_EQ(h->before.cpu_faults_home + 1, h->after.cpu_faults_home);
	ENTRIES(0, HUGE, W, ORDER);
	CHECK(0);
}

TEST_F(migrate_huge, cpu_write)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	hmm_pattern_fill(h->addr + 511 * h->page, h->page, 7);
	ASSERT_EQ(0, USED());
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(-1, hmm_pattern_check(h->addr, 511 * h->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(h->addr + 511 * h->page, h->page, 7));
}

/* The kernel reads it for process_vm_readv(). */
TEST_F(migrate_huge, process_vm_readv)
{
	struct huge_case *h = &self->h;
	struct iovec to = { h->copy, h->length };
	struct iovec from = { h->addr, h->length };

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ((ssize_t)h->length, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_pattern_check_as(h->copy, h->addr, h->length, 0));
}

/* Migrating some pages back splits the device's huge page. */
TEST_F(migrate_huge, to_system_part)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	MIGRATE(TO_SYSTEM | WHOLE, 100, 5, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(HUGE - 5, USED());
	ENTRIES(0, 100, W | DEV, 0);
	ENTRIES(100, 5, W, 0);
	ENTRIES(105, HUGE - 105, W | DEV, 0);
	ASSERT_EQ(0, hmm_dev_read(h->fd, h->addr, h->copy, h->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(h->copy, h->addr, h->length, 0));
	ASSERT_EQ(HUGE - 5, USED());
	CHECK(0);
	ASSERT_EQ(0, USED());
}

/* From the middle of one huge page to the middle of the next. */
TEST_F(migrate_huge, unaligned)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 2);
	hmm_pattern_fill(h->addr, 2 * h->length, 1);
	MIGRATE(TO_DEVICE | WHOLE, 200, HUGE, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(HUGE, USED());
	ENTRIES(0, 200, W, 0);
	ENTRIES(200, HUGE, W | DEV, 0);
	ENTRIES(200 + HUGE, HUGE - 200, W, 0);
	ASSERT_EQ(-1, hmm_pattern_check(h->addr, 2 * h->length, 1));
}

/* A block of device memory is used for a huge page, for small pages, and again. */
TEST_F(migrate_huge, block_reused)
{
	struct huge_case *h = &self->h;
	int i;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	for (i = 0; i < 3; i++) {
		MAKE("dev_huge", 2);
		ASSERT_EQ(PAGES, USED());
		ASSERT_EQ(0, hmm_area_map_small(&h->area, h->addr, 2 * h->length,
						PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, USED());
		hmm_pattern_fill(h->addr, 2 * h->length, i);
		MIGRATE(TO_DEVICE, 0, PAGES, HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ(PAGES, USED());
		ENTRIES(0, PAGES, W | DEV, 0);
		MIGRATE(TO_SYSTEM, 3, PAGES - 7, HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ(7, USED());
		ASSERT_EQ(-1, hmm_pattern_check(h->addr, 2 * h->length, i));
	}
}

TEST_F(migrate_huge, munmap)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(0, munmap(h->addr, h->length));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(h->before.cpu_faults, h->after.cpu_faults);
}

TEST_F(migrate_huge, dontneed)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(0, madvise(h->addr, h->length, MADV_DONTNEED));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
}

/* Half of it is unmapped; PTEs map the rest, and no data is lost. */
TEST_F(migrate_huge, munmap_half)
{
	struct huge_case *h = &self->h;
	size_t half = h->length / 2;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(0, munmap(h->addr + half, half));
	ENTRIES(0, HUGE / 2, W | DEV, 0);
	ASSERT_EQ(0, hmm_dev_read(h->fd, h->addr, h->copy, half));
	ASSERT_EQ(-1, hmm_pattern_check_as(h->copy, h->addr, half, 0));
	ASSERT_EQ(-1, hmm_pattern_check(h->addr, half, 0));
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_huge, dontneed_page)
{
	struct huge_case *h = &self->h;
	char *at = h->addr + 17 * h->page;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(0, madvise(at, h->page, MADV_DONTNEED));
	ENTRIES(0, 17, W | DEV, 0);
	ENTRIES(17, 1, 0, 0);
	ENTRIES(18, HUGE - 18, W | DEV, 0);
	ASSERT_EQ(-1, hmm_all_bytes(at, h->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(h->addr, 17 * h->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(at + h->page, (HUGE - 18) * h->page, 0));
}

TEST_F(migrate_huge, mprotect_part)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(0, mprotect(h->addr + 10 * h->page, 20 * h->page, PROT_READ));
	ENTRIES(0, 10, W | DEV, 0);
	ENTRIES(10, 20, V | DEV, 0);
	ENTRIES(30, HUGE - 30, W | DEV, 0);
	CHECK(0);
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_huge, mprotect)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(0, mprotect(h->addr, h->length, PROT_READ));
	ENTRIES(0, HUGE, V | DEV, ORDER);
	ASSERT_EQ(0, mprotect(h->addr, h->length, PROT_READ | PROT_WRITE));
	ENTRIES(0, HUGE, V | DEV, ORDER);
	FILL(4);
	CHECK(4);
	ASSERT_EQ(0, USED());
}

/* Migrate back a huge page whose mapping was split. */
TEST_F(migrate_huge, mprotect_part_to_system)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(0, mprotect(h->addr + 10 * h->page, 20 * h->page, PROT_READ));
	MIGRATE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(0, USED());
	ENTRIES(0, 10, W, 0);
	ENTRIES(10, 20, V, 0);
	CHECK(0);
}

TEST_F(migrate_huge, mremap)
{
	struct huge_case *h = &self->h;
	char *to = h->addr + h->length;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(to, mremap(h->addr, h->length, h->length,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ENTRIES(HUGE, HUGE, W | DEV, ORDER);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(-1, hmm_pattern_check_as(to, h->addr, h->length, 0));
	ASSERT_EQ(0, USED());
}

/* Moved to an address where no PMD can map it. */
TEST_F(migrate_huge, mremap_unaligned)
{
	struct huge_case *h = &self->h;
	char *to = h->addr + h->length - 3 * h->page;
	size_t half = h->length / 2;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	ASSERT_EQ(to, mremap(h->addr, half, half, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ENTRIES(HUGE - 3, HUGE / 2, W | DEV, 0);
	ENTRIES(HUGE / 2, HUGE / 2 - 3, W | DEV, 0);
	ASSERT_EQ(-1, hmm_pattern_check_as(to, h->addr, half, 0));
	ASSERT_EQ(-1, hmm_pattern_check(h->addr + half, half - 3 * h->page, 0));
	ASSERT_EQ(0, USED());
}

/* Both processes write, and neither sees the other's data. */
TEST_F(migrate_huge, fork_and_write)
{
	struct huge_case *h = &self->h;
	pid_t child;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	child = fork();
	if (!child) {
		if (hmm_pattern_check(h->addr, h->length, 0) != -1)
			_exit(1);
		FILL(21);
		usleep(1000);
		_exit(hmm_pattern_check(h->addr, h->length, 21) == -1 ? 0 : 2);
	}
	ASSERT_LT(0, child);
	FILL(20);
	CHECK(20);
	ASSERT_EQ(0, hmm_child_result(child));
	CHECK(20);
	ASSERT_EQ(0, USED());
}

/* The device writes to a shared page: it gets its own copy. */
TEST_F(migrate_huge, fork_and_device_writes)
{
	struct huge_case *h = &self->h;
	pid_t child;
	int go;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(h->addr, h->length, 0) != -1);
	ASSERT_LT(0, child);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	hmm_pattern_fill_as(h->copy, h->addr, h->length, 22);
	ASSERT_EQ(0, hmm_dev_write(h->fd, h->addr, h->copy, h->length));
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK(22);
	ASSERT_EQ(0, USED());
}

/* Shared by fork before it migrates: both processes see it on the device, and get it back. */
TEST_F(migrate_huge, shared)
{
	struct huge_case *h = &self->h;
	pid_t child;
	int go;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(23);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(h->addr, h->length, 23) != -1);
	ASSERT_LT(0, child);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK(23);
	FILL(24);
	CHECK(24);
	ASSERT_EQ(0, USED());
}

/*
 * Shared by fork before it migrates. The kernel must still know on the device that two
 * processes have the page: what the parent writes later must not show in the child.
 */
TEST_F(migrate_huge, shared_and_written)
{
	struct huge_case *h = &self->h;
	pid_t child;
	int go;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(25);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(h->addr, h->length, 25) != -1);
	ASSERT_LT(0, child);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(HUGE, USED());
	FILL(26);
	ASSERT_EQ(0, hmm_waiter_go(child, go))
		TH_LOG("the child sees what its parent wrote");
	CHECK(26);
	ASSERT_EQ(0, USED());
}

/* In a child: migrate a copy of its own of the huge page, tell the parent, and wait. */
static void have_own_copy(struct huge_case *h, int tell, int go)
{
	char fine;
	int fd;

	FILL(28);
	fd = hmm_open(HMM_DEV_PRIVATE);
	fine = !hmm_move(fd, TO_DEVICE | WHOLE, h->addr, h->length, NULL, NULL);
	if (write(tell, &fine, 1) != 1 || read(go, &fine, 1) != 1)
		_exit(1);
	_exit(hmm_pattern_check(h->addr, h->length, 28) == -1 ? 0 : 2);
}

/*
 * A parent and its child have a huge page each on the device, at the same address. Each page
 * is looked for in both processes (rmap), and the entry there is another page's.
 */
TEST_F(migrate_huge, relatives_at_one_address)
{
	struct huge_case *h = &self->h;
	int told[2], go[2];
	char byte = 0;
	pid_t child;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(27);
	ASSERT_EQ(0, pipe(told));
	ASSERT_EQ(0, pipe(go));
	child = fork();
	if (!child)
		have_own_copy(h, told[1], go[0]);
	ASSERT_LT(0, child);
	ASSERT_EQ(1, read(told[0], &byte, 1));
	ASSERT_EQ(1, byte);
	ASSERT_EQ(HUGE, USED());
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(2 * HUGE, USED());
	/* read-only since the fork, though the child has a copy */
	ENTRIES(0, HUGE, V | DEV, ORDER);
	MIGRATE(TO_SYSTEM | HMMIRROR_MIGRATE_BY_PFN, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(HUGE, USED());
	CHECK(27);
	ASSERT_EQ(1, write(go[1], &byte, 1));
	ASSERT_EQ(0, hmm_child_result(child))
		TH_LOG("the child's huge page has the data of another");
	ASSERT_EQ(0, USED());
	CHECK(27);
	close(told[0]);
	close(told[1]);
	close(go[0]);
	close(go[1]);
}

TEST_F(migrate_huge, exit)
{
	struct huge_case *h = &self->h;
	pid_t child = fork();

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	if (!child) {
		h->area.device[0] = 0;
		if (hmm_state_make(&h->area, hmm_state_find("dev_huge"), 0, h->length))
			_exit(1);
		_exit(0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, USED());
	ASSERT_LE(HUGE, h->after.device_pages);
}

/* Another device's page is not ours to migrate; a fault migrates it back. */
TEST_F(migrate_huge, other_device)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge_other", 1);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	MIGRATE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	PROVE("dev_huge_other", 1);
	ASSERT_EQ(0, hmm_dev_read(h->fd, h->addr, h->copy, h->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(h->copy, h->addr, h->length, 0));
	ENTRIES(0, HUGE, W, ORDER);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	CHECK(0);
}

#include "hmm_main.h"
