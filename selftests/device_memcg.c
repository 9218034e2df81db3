// SPDX-License-Identifier: GPL-2.0
/*
 * Memory cgroup charges of pages that a device has.
 *
 * A migration moves the charge with the page, so that it must neither be lost nor doubled,
 * up to the uncharge when the page is freed. Device pages count against the limit but can't
 * be reclaimed; without room for a charge nothing may be populated on the device. Each test
 * runs in a child in a cgroup of its own, so that no other task changes the counters.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "small_pages.h"

#define PAGES		1024	/* many more than the pre-charged pages of a CPU (memcg stock) */
#define NOISE		(160 * (long)hmm_page_size())

FIXTURE(device_memcg)
{
	struct hmm_area area;
	struct hmm_memcg group;
	struct hmmirror_stats before;
	char *addr;
	size_t length;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(device_memcg)
{
	unsigned int device;
};

FIXTURE_VARIANT_ADD(device_memcg, private)
{
	.device = HMM_DEV_PRIVATE,
};

FIXTURE_VARIANT_ADD(device_memcg, coherent)
{
	.device = HMM_DEV_COHERENT,
};

FIXTURE_SETUP(device_memcg)
{
	int ret;

	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->addr = self->area.addr;
	if (USE_MEMORY(variant->device))
		return;
	ret = hmm_memcg_begin(&self->group);
	if (ret == -ENODEV)
		self->setup_ret = hmm_skip(&self->area, "no memory controller (CONFIG_MEMCG)");
	else if (ret)
		self->setup_ret = hmm_fail(&self->area, ret, "control group");
}

FIXTURE_TEARDOWN(device_memcg)
{
	/* a cgroup with charges could not be removed */
	EXPECT_EQ(0, hmm_memcg_end(&self->group));
	hmm_area_end(&self->area);
}

/* What the child found wrong: its exit status. */
enum finding {
	RIGHT,
	NOT_SET_UP,
	NOT_CHARGED,
	NOT_MOVED,
	CHARGE_LOST,
	CHARGE_DOUBLED,
	RSS_CHANGED,
	DATA_WRONG,
	NOT_GIVEN_BACK,
	NOT_LIMITED,
	NOT_COUNTED,
	CHARGE_FORCED,
};

static int charge_changed(const struct hmm_memcg *group, long before)
{
	long now = hmm_memcg_read(group, "memory.current");

	if (now < before - NOISE)
		return CHARGE_LOST;
	return now > before + NOISE ? CHARGE_DOUBLED : RIGHT;
}

/*
 * Join the cgroup and migrate written memory to the device. Sets @charged to the charge
 * before that.
 */
static int begin(struct hmm_area *area, const struct hmm_memcg *group, unsigned int device,
		 size_t length, long *charged)
{
	__u64 migrated = 0;
	long empty;

	memset(area->device, 0, sizeof(area->device));
	if (hmm_memcg_join(group) || hmm_area_map_small(area, area->addr, length, PROT_READ |
							PROT_WRITE))
		return NOT_SET_UP;
	empty = hmm_memcg_read(group, "memory.current");
	hmm_pattern_fill(area->addr, length, 1);
	*charged = hmm_memcg_read(group, "memory.current");
	if (empty < 0 || *charged < empty + (long)length - NOISE)
		return NOT_CHARGED;
	if (hmm_to_device(hmm_area_device(area, device), area->addr, length, NULL, &migrated) ||
	    migrated != PAGES)
		return NOT_MOVED;
	return RIGHT;
}

static int child_charge(struct hmm_area *area, const struct hmm_memcg *group,
			unsigned int device, size_t length)
{
	long charged, rss, home;
	int ret = begin(area, group, device, length, &charged);
	__u64 migrated = 0;

	if (ret)
		return ret;
	ret = charge_changed(group, charged);
	if (ret)
		return ret;
	rss = hmm_status("RssAnon:");
	if (hmm_pattern_check(area->addr, length / 2, 1) != -1)
		return DATA_WRONG;
	ret = charge_changed(group, charged);
	if (ret)
		return ret;
	/*
	 * RSS counts them all the time. Up to 6.1 a task adds what it has mapped to that count
	 * only after 64 faults, and a fault in the program maps 16 pages of it: the pages of
	 * files are left out.
	 */
	home = hmm_status("RssAnon:");
	if (home < rss - NOISE / 1024 || home > rss + NOISE / 1024)
		return RSS_CHANGED;
	if (hmm_to_system(hmm_area_device(area, device), area->addr, length, NULL, &migrated))
		return NOT_MOVED;
	ret = charge_changed(group, charged);
	if (ret)
		return ret;
	if (hmm_pattern_check(area->addr, length, 1) != -1)
		return DATA_WRONG;
	if (hmm_to_device(hmm_area_device(area, device), area->addr, length, NULL, &migrated))
		return NOT_MOVED;
	/* freeing the device page uncharges it */
	if (munmap(area->addr, length))
		return NOT_SET_UP;
	return hmm_memcg_read(group, "memory.current") > charged - (long)length + NOISE ?
	       NOT_GIVEN_BACK : RIGHT;
}

/* Run @find in a child. Return: its exit status, as hmm_child_result(). */
static int in_child(struct __test_metadata *_metadata, struct _test_data_device_memcg *self,
		    unsigned int device,
		    int (*find)(struct hmm_area *area, const struct hmm_memcg *group,
				unsigned int device, size_t length))
{
	pid_t child = fork();

	if (!child)
		_exit(find(&self->area, &self->group, device, self->length));
	ASSERT_LT(0, child);
	return hmm_child_result(child);
}

#define IN_CHILD(_find)	in_child(_metadata, self, variant->device, _find)

/* To the device, back by a CPU fault, back by a call, and unmapped. */
TEST_F(device_memcg, charge)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(RIGHT, IN_CHILD(child_charge));
	ASSERT_EQ(0, USED());
	ASSERT_GT(NOISE, hmm_memcg_read(&self->group, "memory.current"));
}

static int child_huge(struct hmm_area *area, const struct hmm_memcg *group, unsigned int device,
		      size_t length)
{
	struct hmm_area huge;
	__u64 populated = 0;
	long before;
	int i;

	if (hmm_memcg_join(group) || hmm_area_begin(&huge, hmm_pmd_size(), 0) ||
	    hmm_state_make_named(&huge, "thp_none", 0, hmm_pmd_size()))
		return NOT_SET_UP;
	before = hmm_memcg_stat(group, "memory.stat", "thp_fault_alloc");
	if (hmm_move(hmm_area_device(&huge, device), HMMIRROR_MIGRATE_TO_DEVICE |
		     HMMIRROR_MIGRATE_HUGE, huge.addr, hmm_pmd_size(), NULL, &populated) ||
	    populated != hmm_pmd_size() / hmm_page_size())
		return NOT_MOVED;
	/* small changes are summed up every two seconds */
	for (i = 0; i < 50; i++) {
		if (hmm_memcg_stat(group, "memory.stat", "thp_fault_alloc") == before + 1)
			return RIGHT;
		usleep(100000);
	}
	return NOT_COUNTED;
}

/* A huge page that is populated on the device is an allocated huge page of its memcg. */
TEST_F(device_memcg, huge_counted)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_area_huge_memory(&self->area, variant->device), self->area.why))
		return;
	ASSERT_EQ(RIGHT, IN_CHILD(child_huge));
	ASSERT_EQ(0, USED());
}

static int child_limit(struct hmm_area *area, const struct hmm_memcg *group,
		       unsigned int device, size_t length)
{
	long charged;
	int ret = begin(area, group, device, length, &charged);
	char *more = hmm_map_anon(length, 0);

	if (ret || !more)
		return ret ? ret : NOT_SET_UP;
	if (hmm_memcg_write(group, "memory.max", charged + length / 2))
		return NOT_SET_UP;
	/* half of this has to be swapped out; pages on the device can't be */
	hmm_pattern_fill(more, length, 2);
	if (hmm_memcg_stat(group, "memory.events", "max") <= 0)
		return NOT_CHARGED;
	if (hmm_pattern_check(area->addr, length, 1) != -1 ||
	    hmm_pattern_check(more, length, 2) != -1)
		return DATA_WRONG;
	return RIGHT;
}

/* The cgroup reaches its limit: other pages are swapped out, and all data stays right. */
TEST_F(device_memcg, limit)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (hmm_meminfo("SwapFree:") * 1024 < (long)self->length)
		SKIP(return, "no swap");
	ASSERT_EQ(RIGHT, IN_CHILD(child_limit));
	ASSERT_EQ(0, USED());
}

/* Without CONFIG_MEMCG_SWAP, an option before 5.8, there is no limit for swap. */
static int no_swap(const struct hmm_memcg *group, void *addr, size_t length)
{
	int ret = hmm_memcg_write(group, "memory.swap.max", 0);

	if (ret == -ENOENT)
		ret = mlock2(addr, length, MLOCK_ONFAULT) ? -errno : 0;
	return ret;
}

static int child_oom(struct hmm_area *area, const struct hmm_memcg *group,
		     unsigned int device, size_t length)
{
	long charged;
	int ret = begin(area, group, device, length, &charged);
	char *more = hmm_map_anon(length, 0);

	if (ret || !more)
		return ret ? ret : NOT_SET_UP;
	if (no_swap(group, more, length) ||
	    hmm_memcg_write(group, "memory.max", charged + length / 8))
		return NOT_SET_UP;
	hmm_pattern_fill(more, length, 2);
	return NOT_CHARGED;
}

/* The OOM killer kills the process while it has pages on the device: all of them are freed. */
TEST_F(device_memcg, oom_kill)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(-SIGKILL, IN_CHILD(child_oom));
	ASSERT_LE(1, hmm_memcg_stat(&self->group, "memory.events", "oom_kill"));
	ASSERT_EQ(0, USED());
	ASSERT_GT(NOISE, hmm_memcg_read(&self->group, "memory.current"));
}

static int set_limit(int file, long limit)
{
	char text[24];
	int length = snprintf(text, sizeof(text), "%ld", limit);

	return pwrite(file, text, length, 0) == length ? 0 : -errno;
}

/*
 * Can a process exceed the limit here? try_charge() in mm/memcontrol.c up to 5.15 forces
 * the charge where it finds nobody to kill. read() reports an error, a CPU fault would
 * retry.
 */
static int charge_forced(char *addr, size_t length)
{
	int zeroes = open("/dev/zero", O_RDONLY | O_CLOEXEC), forced = zeroes >= 0;
	size_t i;

	for (i = 0; forced && i < length; i += hmm_page_size())
		forced = read(zeroes, addr + i, 1) == 1;
	close(zeroes);
	return forced;
}

/* A CPU keeps up to 64 pages that are charged in advance (MEMCG_CHARGE_BATCH). */
#define STOCK_PAGES	64

/*
 * The child may not be killed (oom_score_adj), so that a charge can fail. Open the files
 * first: they are charged too.
 */
static int child_no_charge(struct hmm_area *area, const struct hmm_memcg *group,
			   unsigned int device, size_t length)
{
	size_t page = hmm_page_size(), touched = 100 * page, holes = 4 * page;
	size_t spare = 2 * STOCK_PAGES * page;
	char *hole = area->addr + touched, path[96];
	__u64 migrated = 7;
	int fd, max;
	long charged;

	(void)length;
	memset(area->device, 0, sizeof(area->device));
	fd = hmm_area_device(area, device);
	snprintf(path, sizeof(path), "%s/memory.max", group->path);
	max = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || max < 0 || hmm_memcg_join(group))
		return NOT_SET_UP;
	if (hmm_area_map_small(area, area->addr, touched + holes + spare,
			       PROT_READ | PROT_WRITE))
		return NOT_SET_UP;
	if (hmm_write_text("/proc/self/oom_score_adj", "-1000") ||
	    no_swap(group, area->addr, touched))
		return NOT_LIMITED;
	hmm_pattern_fill(area->addr, touched, 1);
	charged = hmm_memcg_read(group, "memory.current");
	if (set_limit(max, charged - touched / 2))
		return NOT_LIMITED;
	/* use up the CPU's stock, unless the kernel forces each charge */
	if (charge_forced(hole + holes, spare))
		return CHARGE_FORCED;
	if (hmm_to_device(fd, hole, holes, NULL, &migrated))
		return NOT_MOVED;
	if (migrated == holes / page)
		return NOT_CHARGED;
	/* pages that are charged already still migrate: the charge moves */
	if (hmm_to_device(fd, area->addr, touched, NULL, &migrated) || migrated != 100)
		return NOT_MOVED;
	if (set_limit(max, charged + 1024 * page))
		return NOT_LIMITED;
	if (hmm_pattern_check(area->addr, touched, 1) != -1 ||
	    hmm_all_bytes(hole, holes, 0) != -1)
		return DATA_WRONG;
	if (madvise(hole, holes, MADV_DONTNEED) ||
	    hmm_to_device(fd, hole, holes, NULL, &migrated) || migrated != holes / page)
		return NOT_MOVED;
	return hmm_all_bytes(hole, holes, 0) == -1 ? RIGHT : DATA_WRONG;
}

/* Without room for a charge no page is populated on the device; with room again, it is. */
TEST_F(device_memcg, no_charge)
{
	int found;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	found = IN_CHILD(child_no_charge);
	ASSERT_EQ(0, USED());
	if (found == CHARGE_FORCED)
		SKIP(return, "no charge fails: the kernel forces it if nobody can be killed");
	ASSERT_EQ(RIGHT, found);
}

#include "hmm_main.h"
