// SPDX-License-Identifier: GPL-2.0
/* Those who move, merge or scan pages on their own come by pages that a device has. */
#include <numaif.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "device_case.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

#define KSM		"/sys/kernel/mm/ksm/"
#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"
#define NODE1		2UL	/* as a mask */
#define NODE_BITS	(8 * sizeof(unsigned long))

FIXTURE(device_policy)
{
	struct device_case c;
	struct hmm_disk disk;
};

FIXTURE_VARIANT(device_policy)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_policy, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_policy, huge)
{
	.state = "dev_huge",
};

FIXTURE_VARIANT_ADD(device_policy, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_policy, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_policy)
{
	self->disk.number = -1;
	device_begin(_metadata, &self->c, variant->state, DEVICE_ACROSS_TABLES);
}

FIXTURE_TEARDOWN(device_policy)
{
	device_end(_metadata, &self->c);
	hmm_disk_close(&self->disk);
}

/* Return: for REQUIRE(). */
static int need_nodes(struct device_case *c)
{
	if (!access("/sys/devices/system/node/node1", F_OK))
		return 0;
	return hmm_skip(&c->area, "one NUMA node only");
}

/* Nobody brought them home, and nothing is lost. */
static void left_alone(struct __test_metadata *_metadata, struct device_case *c)
{
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, 0));
}

/* Asked where the pages are, and to move them: to the kernel, there are none. */
TEST_F(device_policy, move_pages)
{
	struct device_case *c = &self->c;
	void *pages[DEVICE_PAGES];
	int status[DEVICE_PAGES], nodes[DEVICE_PAGES], i;

	if (!REQUIRE(need_nodes(c), c->area.why))
		return;
	if (!MAKE_CASE())
		return;
	for (i = 0; i < DEVICE_PAGES; i++) {
		pages[i] = c->addr + i * c->page;
		nodes[i] = 1;
		status[i] = 99;
	}
	ASSERT_EQ(0, move_pages(0, DEVICE_PAGES, pages, NULL, status, 0));
	for (i = 0; !c->coherent && i < DEVICE_PAGES; i++)
		ASSERT_GT(0, status[i]) TH_LOG("page %d", i);
	ASSERT_LE(0, move_pages(0, DEVICE_PAGES, pages, nodes, status, MPOL_MF_MOVE));
	for (i = 0; i < DEVICE_PAGES; i++)
		ASSERT_GT(0, status[i]) TH_LOG("page %d", i);
	left_alone(_metadata, c);
}

/* They stay, and what comes home later goes where the policy says. */
TEST_F(device_policy, mbind)
{
	struct device_case *c = &self->c;
	unsigned long node1 = NODE1;
	int node = -1;
	size_t i;

	if (!REQUIRE(need_nodes(c), c->area.why))
		return;
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mbind(c->addr, c->length, MPOL_BIND, &node1, NODE_BITS, MPOL_MF_MOVE));
	left_alone(_metadata, c);
	for (i = 0; !c->coherent && !c->exclusive && i < c->pages; i++) {
		ASSERT_EQ(0, get_mempolicy(&node, NULL, 0, c->addr + i * c->page,
					   MPOL_F_NODE | MPOL_F_ADDR));
		ASSERT_EQ(1, node) TH_LOG("page %zu", i);
	}
}

TEST_F(device_policy, migrate_pages)
{
	struct device_case *c = &self->c;
	unsigned long from = 1, to = NODE1;

	if (!REQUIRE(need_nodes(c), c->area.why))
		return;
	if (!MAKE_CASE())
		return;
	ASSERT_LE(0, migrate_pages(0, NODE_BITS, &from, &to));
	ASSERT_LE(0, migrate_pages(0, NODE_BITS, &to, &from));
	left_alone(_metadata, c);
}

/* Until a counter has gone on, or 2 s are over. Return: whether it has. */
static int goes_on(const char *path, long steps)
{
	long start = hmm_read_number(path);
	int i;

	for (i = 0; i < 2000; i++) {
		if (hmm_read_number(path) >= start + steps)
			return 1;
		usleep(1000);
	}
	return 0;
}

/* All pages are alike, and would be merged if they were the kernel's to look at. */
TEST_F(device_policy, ksm)
{
	struct device_case *c = &self->c;

	if (access(KSM "run", W_OK))
		SKIP(return, "no KSM (CONFIG_KSM)");
	if (!MAKE_CASE())
		return;
	memset(c->addr, 0x5c, c->length);
	device_migrate(_metadata, c);
	ASSERT_EQ(0, madvise(c->addr, c->length, MADV_MERGEABLE));
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KSM "sleep_millisecs", "1"));
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KSM "pages_to_scan", "5000"));
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KSM "run", "1"));
	ASSERT_EQ(1, goes_on(KSM "full_scans", 3));
	ASSERT_EQ(0, hmm_write_text(KSM "run", "0"));
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_all_bytes(c->addr, c->length, 0x5c));
	/* at home again, they are merged as any: nothing keeps them from it */
	ASSERT_EQ(0, madvise(c->addr, c->length, MADV_UNMERGEABLE));
	ASSERT_EQ(-1, hmm_all_bytes(c->addr, c->length, 0x5c));
}

/* Of an entry in pagemap: which swap it is. */
#define SWAP_TYPE	0x1fULL

/* Swap goes, and all who have pages there get them; the device's entries are none. */
TEST_F(device_policy, swapoff)
{
	struct device_case *c = &self->c;
	char *swapped = hmm_map_anon(DEVICE_PAGES * c->page, 0);
	__u64 entries[DEVICE_PAGES], entry, other;
	struct hmm_swap swap;
	size_t i;
	int ret;

	ASSERT_NE(NULL, swapped);
	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	/* the swap that was there before, if any */
	hmm_pattern_fill(swapped, DEVICE_PAGES * c->page, 7);
	if (madvise(swapped, DEVICE_PAGES * c->page, MADV_PAGEOUT))
		SKIP(return, "the kernel has no MADV_PAGEOUT");
	ASSERT_EQ(0, hmm_pagemap_one(swapped, &other));
	ret = hmm_swap_add(&self->disk, &swap);
	if (ret == -ENODEV)
		SKIP(return, "no disk of its own for swap (CONFIG_SWAP, CONFIG_ZRAM)");
	ASSERT_EQ(0, ret);
	device_make(_metadata, c);
	hmm_pattern_fill(swapped, DEVICE_PAGES * c->page, 7);
	/* each CPU may have some places of another swap in reserve (before 6.13) */
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, madvise(swapped, DEVICE_PAGES * c->page, MADV_PAGEOUT));
		ASSERT_EQ(0, hmm_pagemap(swapped, DEVICE_PAGES, entries));
		if (entries[0] & HMM_PM_SWAP && entries[DEVICE_PAGES - 1] & HMM_PM_SWAP &&
		    !((entries[0] ^ entries[DEVICE_PAGES - 1]) & SWAP_TYPE) &&
		    !(other & HMM_PM_SWAP && !((entries[0] ^ other) & SWAP_TYPE)) &&
		    hmm_swap_used(&swap) > 0)
			break;
		hmm_pattern_fill(swapped, DEVICE_PAGES * c->page, 7);
	}
	ASSERT_GT(100, i);
	ASSERT_NE(0, entries[0] & HMM_PM_SWAP);
	ASSERT_EQ(0, hmm_swap_remove(&swap));
	ASSERT_EQ(0, hmm_pagemap_one(swapped, &entry));
	/* where memory is short it may be on the other one already */
	ASSERT_TRUE(entry & HMM_PM_PRESENT ||
		    (entry & HMM_PM_SWAP && (entry ^ entries[0]) & SWAP_TYPE));
	ASSERT_EQ(-1, hmm_pattern_check(swapped, DEVICE_PAGES * c->page, 7));
	left_alone(_metadata, c);
}

#define BALANCING	"/proc/sys/kernel/numa_balancing"
/* Of this process's own time; 3 of them are not always enough with KASAN and lockdep. */
#define SCAN_S		20

/* Ready to scan what begins now, and not yet on. */
static int numa_ready(struct hmm_area *area)
{
	int ret = hmm_area_scan_soon(area);

	if (!ret)
		ret = hmm_area_set_knob(area, BALANCING, "0");
	if (ret == -ENOENT)
		return hmm_skip(area, "no NUMA balancing or no knobs for it");
	return ret ? hmm_fail(area, ret, "NUMA balancing") : 0;
}

/* How often all of this address space was scanned; -1 if that is not told. */
static int numa_scans(void)
{
	FILE *file = fopen("/proc/self/sched", "re");
	char line[128];
	int scans = -1;

	if (!file)
		return -1;
	while (scans < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "mm->numa_scan_seq : %d", &scans) != 1)
			scans = -1;
	fclose(file);
	return scans;
}

static int scanned(struct hmm_area *area)
{
	clock_t start = clock();
	int before = numa_scans();
	long i;

	if (before < 0)
		return hmm_skip(area, "/proc/PID/sched tells nothing of NUMA scans");
	while (numa_scans() < before + 2) {
		if (clock() - start > SCAN_S * CLOCKS_PER_SEC)
			return hmm_fail(area, 0, "no two NUMA scans in %d s", SCAN_S);
		/* the ticks of a CPU that works are what scans */
		for (i = 0; i < 1000000; i++)
			__asm__ volatile("");
	}
	return 0;
}

/* What the scan does to present pages, it does not do to these. */
TEST_F(device_policy, numa_balancing)
{
	struct device_case *c = &self->c;
	pid_t child;
	int ret;

	if (!REQUIRE(need_nodes(c), c->area.why))
		return;
	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!REQUIRE(numa_ready(&c->area), c->area.why))
		return;
	/* scans begin with a new address space: what was set before counts for it */
	child = fork();
	if (!child) {
		memset(c->area.device, 0, sizeof(c->area.device));
		ret = hmm_state_make(&c->area, c->state, c->offset, c->length);
		/* a scan may tell the mirror to forget what it holds: not before */
		if (!ret)
			ret = hmm_write_text(BALANCING, "1");
		if (!ret)
			ret = scanned(&c->area);
		if (ret && ret != HMM_SKIP)
			TH_LOG("%s", c->area.why);
		if (ret)
			_exit(ret == HMM_SKIP ? 1 : 2);
		c->fd = hmm_area_device(&c->area, c->coherent ? HMM_DEV_COHERENT : 0);
		left_alone(_metadata, c);
		_exit(0);
	}
	ASSERT_LT(0, child);
	ret = hmm_child_result(child);
	hmm_write_text(BALANCING, "0");
	if (ret == 1)
		SKIP(return, "/proc/PID/sched tells nothing of NUMA scans");
	ASSERT_EQ(0, ret);
}

/* Small pages, some of them a device's, are made one huge page. */
FIXTURE(device_policy_collapse)
{
	struct device_case c;
	size_t length;
};

FIXTURE_VARIANT(device_policy_collapse)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_policy_collapse, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_policy_collapse, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_policy_collapse, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_policy_collapse)
{
	struct device_case *c = &self->c;

	device_begin(_metadata, c, variant->state, DEVICE_ACROSS_TABLES);
	self->length = hmm_pmd_size();
	/* the first page table's part of the window, filled; the end of it goes away */
	ASSERT_EQ(0, hmm_area_map_small(&c->area, c->area.addr, self->length,
					PROT_READ | PROT_WRITE));
	hmm_pattern_fill(c->area.addr, self->length, 0);
	c->addr = c->area.addr + 100 * c->page;
}

FIXTURE_TEARDOWN(device_policy_collapse)
{
	device_end(_metadata, &self->c);
}

/* Small pages that are a device's, in what may become one huge page. */
static int begin_collapse(struct __test_metadata *_metadata, struct device_case *c,
			  size_t length)
{
	int ret = c->setup_ret;

	if (!ret && access(KHUGEPAGED, F_OK))
		ret = hmm_skip(&c->area, "no huge pages (CONFIG_TRANSPARENT_HUGEPAGE)");
	if (ret)
		return ret;
	device_migrate(_metadata, c);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(0, madvise(c->area.addr, length, MADV_HUGEPAGE));
	return 0;
}

/* In one or in many, and from wherever: every byte is right. */
static void end_collapse(struct __test_metadata *_metadata, struct device_case *c,
			 size_t length, int huge)
{
	ASSERT_EQ(huge, hmm_smaps(c->area.addr, "AnonHugePages") >= (long)length / 1024);
	if (huge) {
		ASSERT_EQ(0, device_used(_metadata, c));
	} else {
		/* the others are small, and all of these are still somewhere */
		ASSERT_GE(device_expected(c), device_used(_metadata, c));
	}
	ASSERT_EQ(-1, hmm_pattern_check(c->area.addr, length, 0));
	hmm_pattern_fill(c->area.addr, length, 1);
	ASSERT_EQ(-1, hmm_pattern_check(c->area.addr, length, 1));
}

/* Whether it can be done differs from kernel to kernel; the answer is kept to. */
TEST_F(device_policy_collapse, madv_collapse)
{
	struct device_case *c = &self->c;
	int ret;

	if (!REQUIRE(begin_collapse(_metadata, c, self->length), c->area.why))
		return;
	ret = madvise(c->area.addr, self->length, MADV_COLLAPSE);
	if (ret && errno == EINVAL && !c->coherent)
		SKIP(return, "no MADV_COLLAPSE");
	end_collapse(_metadata, c, self->length, !ret);
}

TEST_F(device_policy_collapse, khugepaged)
{
	struct device_case *c = &self->c;
	int huge;

	if (!REQUIRE(begin_collapse(_metadata, c, self->length), c->area.why))
		return;
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KHUGEPAGED "pages_to_scan", "100000"));
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KHUGEPAGED "scan_sleep_millisecs", "1"));
	ASSERT_EQ(1, goes_on(KHUGEPAGED "full_scans", 2));
	ASSERT_EQ(0, hmm_write_text(KHUGEPAGED "scan_sleep_millisecs", "3600000"));
	huge = hmm_smaps(c->area.addr, "AnonHugePages") >= (long)self->length / 1024;
	end_collapse(_metadata, c, self->length, huge);
}

#include "hmm_main.h"
