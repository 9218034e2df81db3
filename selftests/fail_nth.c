// SPDX-License-Identifier: GPL-2.0
/*
 * Every ioctl of the driver while a memory allocation in it fails, by the kernel's fault
 * injection (fail-nth): once for each allocation that the call makes, the first, the
 * second, and so on until none is left.
 *
 * The call must return a documented error or cope, leave the data as it was, leak neither a
 * page of the device nor anything else, and work the next time.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fail_run.h"
#include "hmm_test.h"

FIXTURE(fail_nth)
{
	struct fail_case c;
};

FIXTURE_SETUP(fail_nth)
{
	fail_begin(&self->c);
}

FIXTURE_TEARDOWN(fail_nth)
{
	fail_end(&self->c);
}

/* What hmm_range_fault() returns when a fault has no memory. */
#define FAULT_NOMEM		-EFAULT

static int query_call(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_query *query = c->buffer;

	(void)call;
	memset(query, 0, sizeof(*query));
	return hmm_ioctl_query(c->fd, query);
}

static int stats_call(struct fail_case *c, const struct fail_call *call)
{
	return hmm_stats(c->fd, call->request, c->buffer);
}

static int walk_call(struct fail_case *c, const struct fail_call *call)
{
	return hmm_walk(c->fd, c->addr, c->length, call->request,
			c->buffer);
}

static int walk_pages_call(struct fail_case *c, const struct fail_call *call)
{
	__u64 *entries = c->buffer;
	int i;

	for (i = 0; i < FAIL_PAGES; i++)
		entries[i] = i & 1 ? call->request : 0;
	return hmm_walk_pages(c->fd, c->addr, c->length, HMMIRROR_REQ_ALL,
			      entries);
}

static int map_call(struct fail_case *c, const struct fail_call *call)
{
	return hmm_map(c->fd, c->addr, c->length, call->request,
		       c->buffer);
}

static int mirror_call(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return hmm_mirror(c->fd, c->addr, c->length, c->buffer);
}

static int unlocked_call(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_range range = {
		.flags = HMMIRROR_RANGE_UNLOCKED,
		.addr = (uintptr_t)c->addr,
		.length = c->length,
		.entries = (uintptr_t)c->buffer,
		.default_flags = call->request,
	};
	int ret = hmm_ioctl_range(c->fd, &range);

	return ret ? ret : range.error;
}

static int read_call(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return hmm_dev_read(c->fd, c->addr, c->buffer, c->length);
}

static int write_call(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return hmm_dev_write(c->fd, c->addr, c->buffer, c->length);
}

static int move_call(struct fail_case *c, const struct fail_call *call)
{
	return hmm_move(c->fd, call->request, c->addr, c->length,
			c->buffer, NULL);
}

static int migrate_to_device(struct fail_case *c, const struct fail_call *call)
{
	__u64 migrated = 0;
	int ret = hmm_to_device(c->fd, c->addr, c->length, NULL, &migrated);

	(void)call;
	return ret ? ret : migrated ? 0 : -EAGAIN;
}

/* Take the device's memory away: the next migration has to add it. */
static int release_memory(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return hmm_test_abi(c->fd, HMM_DMIRROR_RELEASE, c->addr, 1, NULL, NULL);
}

/*
 * Let the CPU touch device memory in a system call: a load or store would retry until there
 * is memory.
 */
static int touch_call(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, c->addr, NULL, 8) ? -errno : 0;
}

static int exclusive_call(struct fail_case *c, const struct fail_call *call)
{
	return hmm_excl_pages(c->fd, call->request, c->addr, c->length,
			      c->buffer, NULL);
}

static int atomic_call(struct fail_case *c, const struct fail_call *call)
{
	return hmm_excl_atomic(c->fd, call->request, c->addr, 0, 0, NULL);
}

static int make_exclusive(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return hmm_excl_pages(c->fd, HMMIRROR_EXCL_MAKE, c->addr, c->length,
			      NULL, NULL);
}

static int hold_call(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_hold hold = {
		.size = sizeof(hold),
		.flags = HMMIRROR_HOLD_ARM,
		.stage = HMMIRROR_STAGE_WALK,
		.limit_ms = 1,
	};

	(void)call;
	return hmm_ioctl(c->fd, HMMIRROR_HOLD, &hold);
}

static void hold_after(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_hold hold = {
		.size = sizeof(hold),
		.flags = HMMIRROR_HOLD_RELEASE,
	};

	(void)call;
	hmm_ioctl(c->fd, HMMIRROR_HOLD, &hold);
}

static int inject_call(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_inject inject = { .size = sizeof(inject) };

	(void)call;
	return hmm_ioctl(c->fd, HMMIRROR_INJECT, &inject);
}

/* The request is the kind of entry. A bad PMD needs an empty page table, the others none. */
static int plant_before(struct fail_case *c, const struct fail_call *call)
{
	int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS;

	if (mmap(c->addr, hmm_pmd_size(), PROT_NONE, flags, -1, 0) == MAP_FAILED ||
	    mmap(c->addr, hmm_pmd_size(), PROT_READ | PROT_WRITE, flags, -1, 0) ==
	    MAP_FAILED)
		return -errno;
	if (call->request == HMMIRROR_PLANT_PMD_BAD)
		return hmm_touch_table(c->addr);
	return 0;
}

static int plant_call(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_plant plant = {
		.size = sizeof(plant),
		.flags = HMMIRROR_PLANT_PUT,
		.addr = (uintptr_t)c->addr,
		.kind = call->request,
	};

	return hmm_ioctl(c->fd, HMMIRROR_PLANT, &plant);
}

static void plant_after(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_plant plant = {
		.size = sizeof(plant),
		.flags = HMMIRROR_PLANT_TAKE,
	};

	(void)call;
	hmm_ioctl(c->fd, HMMIRROR_PLANT, &plant);
}

static int pmd_race_call(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_pmd_race_args race = {
		.size = sizeof(race),
		.flags = HMMIRROR_PMD_RACE_ARM,
		.addr = (uintptr_t)c->addr,
		.nth = 1,
	};

	(void)call;
	return hmm_ioctl(c->fd, HMMIRROR_PMD_RACE, &race);
}

static void pmd_race_after(struct fail_case *c, const struct fail_call *call)
{
	struct hmmirror_pmd_race_args race = {
		.size = sizeof(race),
		.flags = HMMIRROR_PMD_RACE_END,
	};

	(void)call;
	hmm_ioctl(c->fd, HMMIRROR_PMD_RACE, &race);
}

static int dma(struct fail_case *c, enum hmmirror_dma_op op, unsigned int flags)
{
	struct hmmirror_dma cmd = {
		.flags = flags,
		.op = op,
		.results = (uintptr_t)c->buffer,
	};
	int ret;

	if (op != HMMIRROR_DMA_FREE) {
		cmd.addr = (uintptr_t)c->addr;
		cmd.length = c->length;
	}
	if (op == HMMIRROR_DMA_MAP)
		cmd.request = HMMIRROR_REQ_FAULT;
	ret = hmm_ioctl_dma(c->fd, &cmd);
	return ret ? ret : cmd.error;
}

static int dma_alloc_call(struct fail_case *c, const struct fail_call *call)
{
	return dma(c, HMMIRROR_DMA_ALLOC, call->request);
}

static int dma_map_call(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return dma(c, HMMIRROR_DMA_MAP, 0);
}

static int dma_unmap_before(struct fail_case *c, const struct fail_call *call)
{
	int ret = dma_alloc_call(c, call);

	return ret ? ret : dma_map_call(c, call);
}

static int dma_unmap_call(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	return dma(c, HMMIRROR_DMA_UNMAP, 0);
}

static void dma_after(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	dma(c, HMMIRROR_DMA_FREE, 0);
}

static int test_abi_call(struct fail_case *c, const struct fail_call *call)
{
	return hmm_test_abi(c->fd, call->request, c->addr, FAIL_PAGES,
			    c->buffer, NULL);
}

/* These calls allocate nothing, and must not begin to. */
TEST_F(fail_nth, allocates_nothing)
{
	static const struct fail_call calls[] = {
		{ .name = "query", .call = query_call },
		{ .name = "stats", .call = stats_call },
		{ .name = "stats reset", .call = stats_call,
		  .request = HMMIRROR_STATS_RESET },
		{ .name = "hold", .call = hold_call, .after = hold_after },
		{ .name = "inject", .call = inject_call },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_EQ(0, self->c.injected);
}

TEST_F(fail_nth, range)
{
	static const struct fail_call calls[] = {
		{ .name = "snapshot", .call = walk_call },
		{ .name = "read fault", .call = walk_call, .empty = 1,
		  .request = HMMIRROR_REQ_FAULT, .errors = { FAULT_NOMEM } },
		{ .name = "write fault", .call = walk_call, .empty = 1,
		  .request = HMMIRROR_REQ_ALL, .errors = { FAULT_NOMEM } },
		{ .name = "page requests", .call = walk_pages_call, .empty = 1,
		  .request = HMMIRROR_REQ_ALL, .errors = { FAULT_NOMEM } },
		{ .name = "map", .call = map_call },
		{ .name = "map fault", .call = map_call, .empty = 1,
		  .request = HMMIRROR_REQ_ALL, .errors = { FAULT_NOMEM } },
		{ .name = "mirror", .call = mirror_call, .before = map_call },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, unlocked)
{
	static const struct fail_call calls[] = {
		{ .name = "unlocked", .call = unlocked_call, .empty = 1,
		  .request = HMMIRROR_REQ_ALL, .errors = { FAULT_NOMEM } },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_UNLOCKED, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, copy)
{
	static const struct fail_call calls[] = {
		{ .name = "read", .call = read_call, .errors = { FAULT_NOMEM } },
		{ .name = "read empty", .call = read_call, .empty = 1, .errors = { FAULT_NOMEM } },
		{ .name = "write", .call = write_call, .written = 1, .errors = { FAULT_NOMEM } },
		{ .name = "write empty", .call = write_call, .empty = 1, .written = 1,
		  .errors = { FAULT_NOMEM } },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, migrate)
{
	static const struct fail_call calls[] = {
		{ .name = "to device", .call = move_call,
		  .request = HMMIRROR_MIGRATE_TO_DEVICE },
		{ .name = "empty to device", .call = move_call, .empty = 1,
		  .request = HMMIRROR_MIGRATE_TO_DEVICE },
		{ .name = "to system", .call = move_call, .before = migrate_to_device,
		  .request = HMMIRROR_MIGRATE_TO_SYSTEM },
		{ .name = "read on device", .call = read_call, .before = migrate_to_device,
		  .errors = { FAULT_NOMEM } },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_DEVICE_PRIVATE, calls,
				ARRAY_SIZE(calls)), self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, first_chunk)
{
	static const struct fail_call calls[] = {
		{ .name = "first to device", .call = move_call, .before = release_memory,
		  .request = HMMIRROR_MIGRATE_TO_DEVICE },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_DEVICE_PRIVATE, calls,
				ARRAY_SIZE(calls)), self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, cpu_fault)
{
	static const struct fail_call calls[] = {
		{ .name = "touch", .call = touch_call, .before = migrate_to_device,
		  .errors = { -EFAULT } },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_DEVICE_PRIVATE, calls,
				ARRAY_SIZE(calls)), self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, exclusive)
{
	static const struct fail_call calls[] = {
		{ .name = "take", .call = exclusive_call, .request = HMMIRROR_EXCL_MAKE,
		  .errors = { -EBUSY, -EFAULT } },
		{ .name = "test", .call = exclusive_call, .request = HMMIRROR_EXCL_TEST,
		  .before = make_exclusive },
		{ .name = "release", .call = exclusive_call, .before = make_exclusive,
		  .request = HMMIRROR_EXCL_RELEASE, .errors = { FAULT_NOMEM } },
		{ .name = "add", .call = atomic_call, .request = HMMIRROR_EXCL_ADD,
		  .errors = { -EBUSY, -EFAULT } },
		{ .name = "xchg", .call = atomic_call, .request = HMMIRROR_EXCL_XCHG,
		  .written = 1, .errors = { -EBUSY, -EFAULT } },
		{ .name = "cmpxchg", .call = atomic_call, .request = HMMIRROR_EXCL_CMPXCHG,
		  .errors = { -EBUSY, -EFAULT } },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_EXCLUSIVE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, plant)
{
	static const struct fail_call calls[] = {
		{ .name = "bad", .call = plant_call, .before = plant_before, .empty = 1,
		  .after = plant_after, .request = HMMIRROR_PLANT_PMD_BAD, .written = 1 },
		{ .name = "unknown", .call = plant_call, .before = plant_before, .empty = 1,
		  .after = plant_after, .request = HMMIRROR_PLANT_PMD_UNKNOWN, .written = 1 },
		{ .name = "migration", .call = plant_call, .before = plant_before, .empty = 1,
		  .after = plant_after, .request = HMMIRROR_PLANT_PMD_MIGRATION,
		  .written = 1 },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, pmd_race)
{
	static const struct fail_call calls[] = {
		{ .name = "PMD race", .call = pmd_race_call, .after = pmd_race_after },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_PMD_RACE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, dma)
{
	static const struct fail_call calls[] = {
		{ .name = "alloc", .call = dma_alloc_call, .after = dma_after },
		{ .name = "map", .call = dma_map_call, .before = dma_alloc_call,
		  .after = dma_after, .errors = { -EIO, FAULT_NOMEM } },
		{ .name = "unmap", .call = dma_unmap_call, .before = dma_unmap_before,
		  .after = dma_after },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_DMA, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, dma_iommu)
{
	static const struct fail_call calls[] = {
		{ .name = "alloc", .call = dma_alloc_call, .after = dma_after,
		  .request = HMMIRROR_DMA_IOMMU },
		{ .name = "map", .call = dma_map_call, .before = dma_alloc_call,
		  .after = dma_after, .errors = { -EIO, FAULT_NOMEM },
		  .request = HMMIRROR_DMA_IOMMU },
		{ .name = "unmap", .call = dma_unmap_call, .before = dma_unmap_before,
		  .after = dma_after, .request = HMMIRROR_DMA_IOMMU },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_DMA_IOMMU, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, test_abi)
{
	static const struct fail_call calls[] = {
		{ .name = "READ", .call = test_abi_call, .request = HMM_DMIRROR_READ,
		  .errors = { FAULT_NOMEM } },
		{ .name = "WRITE", .call = test_abi_call, .request = HMM_DMIRROR_WRITE,
		  .written = 1, .errors = { FAULT_NOMEM } },
		{ .name = "SNAPSHOT", .call = test_abi_call,
		  .request = HMM_DMIRROR_SNAPSHOT },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_nth, test_abi_migrate)
{
	static const struct fail_call calls[] = {
		{ .name = "MIGRATE_TO_DEV", .call = test_abi_call,
		  .request = HMM_DMIRROR_MIGRATE_TO_DEV, .errors = { -ENOENT, FAULT_NOMEM } },
		{ .name = "MIGRATE_TO_SYS", .call = test_abi_call, .before = migrate_to_device,
		  .request = HMM_DMIRROR_MIGRATE_TO_SYS },
		{ .name = "RELEASE", .call = test_abi_call, .before = migrate_to_device,
		  .request = HMM_DMIRROR_RELEASE },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_DEVICE_PRIVATE, calls,
				ARRAY_SIZE(calls)), self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

#include "hmm_main.h"
