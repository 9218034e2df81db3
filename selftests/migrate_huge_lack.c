// SPDX-License-Identifier: GPL-2.0
/* Huge pages and a device where there is none to be had, or its memory goes. */
#include "migrate_huge.h"

/* No huge page of device memory is to be had: small ones are. */
TEST_F(migrate_huge, no_huge_to_device)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(30);
	FAIL_NEXT_HUGE();
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	CHECK(30);
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_huge, no_huge_unpopulated)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_none", 1);
	FAIL_NEXT_HUGE();
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

TEST_F(migrate_huge, no_huge_zero_page)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_zero", 1);
	FAIL_NEXT_HUGE();
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

TEST_F(migrate_huge, no_huge_to_system)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	FAIL_NEXT_HUGE();
	MOVE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	CHECK(0);
}

/* Under a CPU fault: in small pages, and the one that was touched is there. */
TEST_F(migrate_huge, no_huge_cpu_fault)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	FAIL_NEXT_HUGE();
	hmm_touch_read(self->addr + 77 * self->page, self->page);
	ENTRIES(77, 1, W, 0);
	ASSERT_GE(1, USED());
	CHECK(0);
	ASSERT_EQ(0, USED());
}

/* The same with the first page touched, which the fault has in its hands. */
TEST_F(migrate_huge, no_huge_cpu_fault_head)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	FAIL_NEXT_HUGE();
	FILL(31);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	CHECK(31);
}

/* What another process has as well comes whole, when there is a huge page again. */
TEST_F(migrate_huge, no_huge_cpu_fault_shared)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge_cow", 1);
	FAIL_NEXT_HUGE();
	CHECK(0);
	ENTRIES(0, HUGE, V, ORDER);
	ASSERT_EQ(0, USED());
	FILL(34);
	CHECK(34);
}

TEST_F(migrate_huge, no_huge_shared)
{
	pid_t child;
	int go;

	if (MISS(self->lacking, self->area.why))
		return;
	PUT("thp_writable", 1);
	FILL(32);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(self->addr, self->length, 32) != -1);
	ASSERT_LT(0, child);
	FAIL_NEXT_HUGE();
	MOVE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, V | DEV, 0);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK(32);
	FILL(33);
	CHECK(33);
	ASSERT_EQ(0, USED());
}

/* The device's memory is taken down while it holds huge pages. */
static void release(struct __test_metadata *_metadata, int fd, char *addr)
{
	struct hmm_dmirror_cmd cmd = { .addr = (uintptr_t)addr, .npages = 1 };

	ASSERT_EQ(0, hmm_ioctl(fd, HMM_DMIRROR_RELEASE, &cmd));
}

TEST_F(migrate_huge, release)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 2);
	release(_metadata, self->fd, self->addr);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(0, self->after.device_pages);
	ASSERT_LE(self->before.evicted + PAGES, self->after.evicted);
	ASSERT_EQ(self->before.cpu_faults, self->after.cpu_faults);
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 2 * self->length, 0));
}

TEST_F(migrate_huge, no_huge_release)
{
	if (MISS(self->lacking, self->area.why))
		return;
	PUT("dev_huge", 1);
	FAIL_NEXT_HUGE();
	release(_metadata, self->fd, self->addr);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(0, self->after.device_pages);
	ENTRIES(0, HUGE, W, 0);
	CHECK(0);
}

/* Where it can't be, it is said so, and nothing is done. */
TEST(migrate_huge_refused)
{
	char why[100], *addr = hmm_map_anon(hmm_pmd_size(), hmm_pmd_size());
	__u64 migrated = 7;
	unsigned int device;
	int fd, has;

	ASSERT_NE(NULL, addr);
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
			ASSERT_EQ(-EOPNOTSUPP, hmm_move(fd, TO_DEVICE | WHOLE, addr,
							hmm_pmd_size(), NULL, &migrated));
		}
		ASSERT_EQ(7, migrated);
		close(fd);
	}
}

#include "hmm_main.h"
