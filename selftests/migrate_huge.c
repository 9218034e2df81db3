// SPDX-License-Identifier: GPL-2.0
/* Huge pages travel to device memory and back, whole or in pieces. */
#include <sys/mman.h>
#include <sys/uio.h>

#include "migrate_huge.h"

TEST_F(migrate_huge, there_and_back)
{
	int i;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	for (i = 0; i < 3; i++) {
		FILL(i);
		MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
		PROVE("dev_huge", 1);
		ENTRIES(0, HUGE, W | DEV, ORDER);
		ASSERT_EQ(HUGE, USED());
		ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->copy, self->length));
		ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, i));
		PROVE("dev_huge", 1);

		MOVE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
		ENTRIES(0, HUGE, W, ORDER);
		ASSERT_EQ(0, USED());
		ASSERT_EQ(self->before.cpu_faults, self->after.cpu_faults);
		CHECK(i);
	}
	ASSERT_EQ(3 * HUGE, self->after.to_device);
	ASSERT_EQ(3 * HUGE, self->after.to_system);
}

/* A device write is seen by the CPU, and what was not written is as it was. */
TEST_F(migrate_huge, device_writes)
{
	char *at = self->addr + 300 * self->page;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	hmm_pattern_fill_as(self->copy, at, 3 * self->page, 5);
	ASSERT_EQ(0, hmm_dev_write(self->fd, at, self->copy, 3 * self->page));
	PROVE("dev_huge", 1);
	ASSERT_EQ(0, hmm_dev_read(self->fd, at, self->copy, 3 * self->page));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, at, 3 * self->page, 5));
	ASSERT_EQ(-1, hmm_pattern_check(at, 3 * self->page, 5));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 300 * self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(at + 3 * self->page, 209 * self->page, 0));
	ENTRIES(0, HUGE, W, ORDER);
}

/* Where nothing was ever written, there is nothing to bring home. */
TEST_F(migrate_huge, nothing_home)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;

	if (MISS(self->lacking, self->area.why))
		return;
	ASSERT_EQ(0, hmm_area_map(&self->area, self->addr, 2 * self->length,
				  PROT_READ | PROT_WRITE, flags, -1));
	ASSERT_EQ(0, madvise(self->addr, 2 * self->length, MADV_HUGEPAGE));
	MOVE(TO_SYSTEM | WHOLE, 0, PAGES, HMMIRROR_OUT_NONE);
	ENTRIES(0, PAGES, 0, 0);
	ASSERT_EQ(0, USED());
}

/* One call, two huge pages. */
TEST_F(migrate_huge, two)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 2);
	hmm_pattern_fill(self->addr, 2 * self->length, 1);
	MOVE(TO_DEVICE | WHOLE, 0, PAGES, HMMIRROR_OUT_MIGRATED);
	PROVE("dev_huge", 2);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	ENTRIES(HUGE, HUGE, W | DEV, ORDER);
	ASSERT_EQ(PAGES, USED());
	MOVE(TO_SYSTEM | WHOLE, 0, PAGES, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, ORDER);
	ENTRIES(HUGE, HUGE, W, ORDER);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 2 * self->length, 1));
}

/* Nobody asks for huge pages: the kernel splits them, there and back. */
TEST_F(migrate_huge, not_asked_for)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(1);
	MOVE(TO_DEVICE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	MOVE(TO_SYSTEM, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	CHECK(1);

	PUT("dev_huge", 1);
	MOVE(TO_SYSTEM, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	CHECK(0);
}

/* Nothing there, or the huge zero page: a device page that reads as zeroes. */
TEST_F(migrate_huge, unpopulated)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_none", 1);
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	PROVE("dev_huge", 1);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

TEST_F(migrate_huge, zero_page)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_zero", 1);
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	PROVE("dev_huge", 1);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
	FILL(2);
	CHECK(2);
}

TEST_F(migrate_huge, readonly)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge_readonly", 1);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	MOVE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, V, ORDER);
	CHECK(0);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ | PROT_WRITE));
	FILL(3);
	CHECK(3);
}

/* The CPU touches one byte, and the whole page comes. */
TEST_F(migrate_huge, cpu_read)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(HUGE, USED());
	hmm_touch_read(self->addr + 300 * self->page, self->page);
	ASSERT_EQ(0, USED());
	ASSERT_EQ(self->before.cpu_faults_home + 1, self->after.cpu_faults_home);
	ENTRIES(0, HUGE, W, ORDER);
	CHECK(0);
}

TEST_F(migrate_huge, cpu_write)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	hmm_pattern_fill(self->addr + 511 * self->page, self->page, 7);
	ASSERT_EQ(0, USED());
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 511 * self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 511 * self->page, self->page, 7));
}

/* The kernel reads it for somebody else. */
TEST_F(migrate_huge, process_vm_readv)
{
	struct iovec to = { self->copy, self->length };
	struct iovec from = { self->addr, self->length };

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ((ssize_t)self->length, process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, 0));
}

/* Some pages are asked back: the device's page is split for them. */
TEST_F(migrate_huge, back_in_part)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	MOVE(TO_SYSTEM | WHOLE, 100, 5, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(HUGE - 5, USED());
	ENTRIES(0, 100, W | DEV, 0);
	ENTRIES(100, 5, W, 0);
	ENTRIES(105, HUGE - 105, W | DEV, 0);
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, 0));
	ASSERT_EQ(HUGE - 5, USED());
	CHECK(0);
	ASSERT_EQ(0, USED());
}

/* From the middle of one to the middle of the next. */
TEST_F(migrate_huge, unaligned)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 2);
	hmm_pattern_fill(self->addr, 2 * self->length, 1);
	MOVE(TO_DEVICE | WHOLE, 200, HUGE, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(HUGE, USED());
	ENTRIES(0, 200, W, 0);
	ENTRIES(200, HUGE, W | DEV, 0);
	ENTRIES(200 + HUGE, HUGE - 200, W, 0);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 2 * self->length, 1));
}

/* A page of the block that was a huge one is used again, and the other way. */
TEST_F(migrate_huge, block_used_again)
{
	int i;

	if (MISS(self->lacking, self->area.why))
		return;
	for (i = 0; i < 3; i++) {
		PUT("dev_huge", 2);
		ASSERT_EQ(PAGES, USED());
		ASSERT_EQ(0, hmm_area_map_small(&self->area, self->addr, 2 * self->length,
						PROT_READ | PROT_WRITE));
		ASSERT_EQ(0, USED());
		hmm_pattern_fill(self->addr, 2 * self->length, i);
		MOVE(TO_DEVICE, 0, PAGES, HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ(PAGES, USED());
		ENTRIES(0, PAGES, W | DEV, 0);
		MOVE(TO_SYSTEM, 3, PAGES - 7, HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ(7, USED());
		ASSERT_EQ(-1, hmm_pattern_check(self->addr, 2 * self->length, i));
	}
}

TEST_F(migrate_huge, munmap)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(0, munmap(self->addr, self->length));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(self->before.cpu_faults, self->after.cpu_faults);
}

TEST_F(migrate_huge, discard)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/* The mapping is cut; what is left is mapped page by page, and all there. */
TEST_F(migrate_huge, munmap_half)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(0, munmap(self->addr + 256 * self->page, 256 * self->page));
	ENTRIES(0, 256, W | DEV, 0);
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->copy, 256 * self->page));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, 256 * self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 256 * self->page, 0));
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_huge, discard_page)
{
	char *at = self->addr + 17 * self->page;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(0, madvise(at, self->page, MADV_DONTNEED));
	ENTRIES(0, 17, W | DEV, 0);
	ENTRIES(17, 1, 0, 0);
	ENTRIES(18, HUGE - 18, W | DEV, 0);
	ASSERT_EQ(-1, hmm_all_bytes(at, self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 17 * self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(at + self->page, (HUGE - 18) * self->page, 0));
}

TEST_F(migrate_huge, mprotect_part)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(0, mprotect(self->addr + 10 * self->page, 20 * self->page, PROT_READ));
	ENTRIES(0, 10, W | DEV, 0);
	ENTRIES(10, 20, V | DEV, 0);
	ENTRIES(30, HUGE - 30, W | DEV, 0);
	CHECK(0);
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_huge, mprotect)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ENTRIES(0, HUGE, V | DEV, ORDER);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ | PROT_WRITE));
	ENTRIES(0, HUGE, V | DEV, ORDER);
	FILL(4);
	CHECK(4);
	ASSERT_EQ(0, USED());
}

/* Pages of a mapping that was cut go back by a call. */
TEST_F(migrate_huge, cut_and_back)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(0, mprotect(self->addr + 10 * self->page, 20 * self->page, PROT_READ));
	MOVE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ASSERT_EQ(0, USED());
	ENTRIES(0, 10, W, 0);
	ENTRIES(10, 20, V, 0);
	CHECK(0);
}

TEST_F(migrate_huge, mremap)
{
	char *to = self->addr + self->length;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(to, mremap(self->addr, self->length, self->length,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ENTRIES(HUGE, HUGE, W | DEV, ORDER);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(-1, hmm_pattern_check_as(to, self->addr, self->length, 0));
	ASSERT_EQ(0, USED());
}

/* No huge entry fits where it goes. */
TEST_F(migrate_huge, mremap_unaligned)
{
	char *to = self->addr + self->length - 3 * self->page;
	size_t half = self->length / 2;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	ASSERT_EQ(to, mremap(self->addr, half, half, MREMAP_MAYMOVE | MREMAP_FIXED, to));
	ENTRIES(HUGE - 3, 256, W | DEV, 0);
	ENTRIES(256, 253, W | DEV, 0);
	ASSERT_EQ(-1, hmm_pattern_check_as(to, self->addr, half, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + half, half - 3 * self->page, 0));
	ASSERT_EQ(0, USED());
}

/* Both sides write, and neither sees the other's. */
TEST_F(migrate_huge, fork_and_write)
{
	pid_t child;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	child = fork();
	if (!child) {
		if (hmm_pattern_check(self->addr, self->length, 0) != -1)
			_exit(1);
		FILL(21);
		usleep(1000);
		_exit(hmm_pattern_check(self->addr, self->length, 21) == -1 ? 0 : 2);
	}
	ASSERT_LT(0, child);
	FILL(20);
	CHECK(20);
	ASSERT_EQ(0, hmm_child_result(child));
	CHECK(20);
	ASSERT_EQ(0, USED());
}

/* The device writes to what is shared: its own copy, not the child's. */
TEST_F(migrate_huge, fork_and_device_writes)
{
	pid_t child;
	int go;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(self->addr, self->length, 0) != -1);
	ASSERT_LT(0, child);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	hmm_pattern_fill_as(self->copy, self->addr, self->length, 22);
	ASSERT_EQ(0, hmm_dev_write(self->fd, self->addr, self->copy, self->length));
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK(22);
	ASSERT_EQ(0, USED());
}

/* Shared before it goes there: both see it there, and get it back. */
TEST_F(migrate_huge, shared)
{
	pid_t child;
	int go;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(23);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(self->addr, self->length, 23) != -1);
	ASSERT_LT(0, child);
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK(23);
	FILL(24);
	CHECK(24);
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_huge, exit)
{
	pid_t child = fork();

	if (MISS(self->lacking, self->area.why))
		return;
	if (!child) {
		self->area.device[0] = 0;
		if (hmm_state_make(&self->area, hmm_state_find("dev_huge"), 0, self->length))
			_exit(1);
		_exit(0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, USED());
	ASSERT_LE(HUGE, self->after.device_pages);
}

/* Another device has it: not ours to take, until a fault brings it home. */
TEST_F(migrate_huge, other_device)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge_other", 1);
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	MOVE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	PROVE("dev_huge_other", 1);
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, 0));
	ENTRIES(0, HUGE, W, ORDER);
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	CHECK(0);
}

#include "hmm_main.h"
