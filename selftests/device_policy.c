// SPDX-License-Identifier: GPL-2.0
/*
 * NUMA policies and the kernel's background scanners (KSM, swapoff, NUMA balancing,
 * khugepaged) on pages that a device has.
 *
 * They look for pages to move, merge, collapse or write out, and meet device-private and
 * device-exclusive entries instead. They must leave those alone, and what comes back later
 * must follow the policy.
 */
#include <numaif.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
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
#define THP		"/sys/kernel/mm/transparent_hugepage/"
#define KHUGEPAGED	THP "khugepaged/"
#define NODE1		2UL	/* mask of node 1 */
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
static int require_nodes(struct device_case *c)
{
	if (!access("/sys/devices/system/node/node1", F_OK))
		return 0;
	return hmm_skip(&c->area, "one NUMA node only");
}

/* The pages are still on the device, and no data is lost. */
static void check_kept(struct __test_metadata *_metadata, struct device_case *c)
{
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, 0));
}

/* Query the nodes of the pages, and ask to move them: the kernel has no such pages. */
TEST_F(device_policy, move_pages)
{
	struct device_case *c = &self->c;
	void *pages[DEVICE_PAGES];
	int status[DEVICE_PAGES], nodes[DEVICE_PAGES], i;

	if (!REQUIRE(require_nodes(c), c->area.why))
		return;
	if (!MAKE_CASE())
		return;
	for (i = 0; i < DEVICE_PAGES; i++) {
		pages[i] = c->addr + i * c->page;
		nodes[i] = 1;
		status[i] = 99;
	}
	ASSERT_EQ(0, move_pages(0, DEVICE_PAGES, pages, NULL, status, 0));
	for (i = 0; !c->coherent && i < DEVICE_PAGES; i++) {
		ASSERT_GT(0, status[i])
			TH_LOG("page %d", i);
	}
	ASSERT_LE(0, move_pages(0, DEVICE_PAGES, pages, nodes, status, MPOL_MF_MOVE));
	for (i = 0; i < DEVICE_PAGES; i++) {
		ASSERT_GT(0, status[i])
			TH_LOG("page %d", i);
	}
	check_kept(_metadata, c);
}

/* The pages stay on the device; what is migrated back later obeys the policy. */
TEST_F(device_policy, mbind)
{
	struct device_case *c = &self->c;
	unsigned long node1 = NODE1;
	int node = -1;
	size_t i;

	if (!REQUIRE(require_nodes(c), c->area.why))
		return;
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mbind(c->addr, c->length, MPOL_BIND, &node1, NODE_BITS, MPOL_MF_MOVE));
	check_kept(_metadata, c);
	for (i = 0; !c->coherent && !c->exclusive && i < c->pages; i++) {
		ASSERT_EQ(0, get_mempolicy(&node, NULL, 0, c->addr + i * c->page,
					   MPOL_F_NODE | MPOL_F_ADDR));
		ASSERT_EQ(1, node) TH_LOG("page %zu", i);
	}
}

#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node	450
#endif

/* The home node of a range with a policy, which changes no page. */
TEST_F(device_policy, home_node)
{
	struct device_case *c = &self->c;
	unsigned long nodes = 1 | NODE1;

	if (!REQUIRE(require_nodes(c), c->area.why))
		return;
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, mbind(c->addr, c->length, MPOL_BIND, &nodes, NODE_BITS, 0));
	if (syscall(SYS_set_mempolicy_home_node, c->addr, c->length, 1, 0))
		SKIP(return, "no set_mempolicy_home_node()");
	check_kept(_metadata, c);
}

/* The same with pages that a child has too, which only MPOL_MF_MOVE_ALL may move. */
TEST_F(device_policy, mbind_shared)
{
	struct device_case *c = &self->c;
	unsigned long node1 = NODE1;

	if (!REQUIRE(require_nodes(c), c->area.why))
		return;
	if (c->exclusive)
		SKIP(return, "a fork ends exclusive access");
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, hmm_area_share(&c->area, 0));
	ASSERT_EQ(0, mbind(c->addr, c->length, MPOL_BIND, &node1, NODE_BITS, MPOL_MF_MOVE_ALL));
	check_kept(_metadata, c);
}

/*
 * All pages of the process go to another node and back. With CAP_SYS_NICE that includes the code of
 * shared libraries, which takes QEMU seconds: it drops all that it has translated of such a page.
 */
TEST_F(device_policy, migrate_pages)
{
	struct device_case *c = &self->c;
	unsigned long from = 1, to = NODE1;

	if (!REQUIRE(require_nodes(c), c->area.why))
		return;
	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, seteuid(HMM_NOBODY));
	ASSERT_LE(0, migrate_pages(0, NODE_BITS, &from, &to));
	ASSERT_LE(0, migrate_pages(0, NODE_BITS, &to, &from));
	ASSERT_EQ(0, seteuid(0));
	check_kept(_metadata, c);
}

/* Wait until a counter has advanced, for at most 2 s. Return: whether it has. */
static int wait_for_counter(const char *path, long steps)
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

/* All pages have the same data and would be merged if KSM could see them. */
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
	ASSERT_EQ(1, wait_for_counter(KSM "full_scans", 3));
	ASSERT_EQ(0, hmm_write_text(KSM "run", "0"));
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_all_bytes(c->addr, c->length, 0x5c));
	/* back in system memory they can be merged: nothing prevents it */
	ASSERT_EQ(0, madvise(c->addr, c->length, MADV_UNMERGEABLE));
	ASSERT_EQ(-1, hmm_all_bytes(c->addr, c->length, 0x5c));
}

/* In a pagemap entry: the swap type. */
#define SWAP_TYPE	0x1fULL

/* swapoff() brings swapped pages back; device entries are no swap entries. */
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
	/* find out which swap the machine used before, if any */
	hmm_pattern_fill(swapped, DEVICE_PAGES * c->page, 7);
	if (madvise(swapped, DEVICE_PAGES * c->page, MADV_PAGEOUT))
		SKIP(return, "the kernel has no MADV_PAGEOUT");
	ASSERT_EQ(0, hmm_pagemap_one(swapped, &other));
	ret = hmm_swap_add(&self->disk, &swap);
	if (ret == -ENODEV)
		SKIP(return, "no second swap area (CONFIG_SWAP, CONFIG_ZRAM)");
	ASSERT_EQ(0, ret);
	device_make(_metadata, c);
	hmm_pattern_fill(swapped, DEVICE_PAGES * c->page, 7);
	/* each CPU may have slots of another swap area in its cache (before 6.13) */
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
	/* it may have been swapped to the other area since */
	ASSERT_TRUE(entry & HMM_PM_PRESENT ||
		    (entry & HMM_PM_SWAP && (entry ^ entries[0]) & SWAP_TYPE));
	ASSERT_EQ(-1, hmm_pattern_check(swapped, DEVICE_PAGES * c->page, 7));
	check_kept(_metadata, c);
}

#define BALANCING	"/proc/sys/kernel/numa_balancing"
/* CPU time of this process; 3 s are not always enough with KASAN and lockdep. */
#define SCAN_S		20

/* Set the knobs, and switch NUMA balancing off. */
static int prepare_scans(struct hmm_area *area)
{
	int ret = hmm_area_scan_soon(area);

	if (!ret)
		ret = hmm_area_set_knob(area, BALANCING, "0");
	if (ret == -ENOENT)
		return hmm_skip(area, "no NUMA balancing or no knobs for it");
	return ret ? hmm_fail(area, ret, "NUMA balancing") : 0;
}

/* Completed NUMA scans of this mm; -1 if the kernel does not tell. */
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

static int wait_for_scans(struct hmm_area *area)
{
	clock_t start = clock();
	int before = numa_scans();
	long i;

	if (before < 0)
		return hmm_skip(area, "/proc/PID/sched does not count NUMA scans");
	while (numa_scans() < before + 2) {
		if (clock() - start > SCAN_S * CLOCKS_PER_SEC)
			return hmm_fail(area, 0, "no two NUMA scans in %d s", SCAN_S);
		/* the scan runs from the tick of a running task */
		for (i = 0; i < 1000000; i++)
			__asm__ volatile("");
	}
	return 0;
}

/* The scan makes present pages inaccessible, and must skip device entries. */
TEST_F(device_policy, numa_balancing)
{
	struct device_case *c = &self->c;
	pid_t child;
	int ret;

	if (!REQUIRE(require_nodes(c), c->area.why))
		return;
	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!REQUIRE(prepare_scans(&c->area), c->area.why))
		return;
	/* the scan delay is taken from the knobs when the mm is made */
	child = fork();
	if (!child) {
		memset(c->area.device, 0, sizeof(c->area.device));
		ret = hmm_state_make(&c->area, c->state, c->offset, c->length);
		/*
		 * a scan may invalidate the mirror, which ends exclusive access: only start
		 * now
		 */
		if (!ret)
			ret = hmm_write_text(BALANCING, "1");
		if (!ret)
			ret = wait_for_scans(&c->area);
		if (ret && ret != HMM_SKIP)
			TH_LOG("%s", c->area.why);
		if (ret)
			_exit(ret == HMM_SKIP ? 1 : 2);
		c->fd = hmm_area_device(&c->area, c->coherent ? HMM_DEV_COHERENT : 0);
		check_kept(_metadata, c);
		_exit(0);
	}
	ASSERT_LT(0, child);
	ret = hmm_child_result(child);
	hmm_write_text(BALANCING, "0");
	if (ret == 1)
		SKIP(return, "/proc/PID/sched does not count NUMA scans");
	ASSERT_EQ(0, ret);
}

/* Small pages, some of them on a device, are collapsed into a huge page. */
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
	/* fill the range of the first page table; the device gets part of it */
	ASSERT_EQ(0, hmm_area_map_small(&c->area, c->area.addr, self->length,
					PROT_READ | PROT_WRITE));
	hmm_pattern_fill(c->area.addr, self->length, 0);
	c->addr = c->area.addr + 100 * c->page;
}

FIXTURE_TEARDOWN(device_policy_collapse)
{
	device_end(_metadata, &self->c);
}

/* Move some small pages to the device, in a range that has no huge page. */
static int prepare_collapse(struct __test_metadata *_metadata, struct device_case *c)
{
	int ret = c->setup_ret;

	if (!ret && access(KHUGEPAGED, F_OK))
		ret = hmm_skip(&c->area, "no huge pages (CONFIG_TRANSPARENT_HUGEPAGE)");
	if (ret)
		return ret;
	device_migrate(_metadata, c);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	return 0;
}

/* Huge or small: every byte must be right. */
static void check_collapse(struct __test_metadata *_metadata, struct device_case *c,
			   size_t length, int huge)
{
	ASSERT_EQ(huge, hmm_smaps(c->area.addr, "AnonHugePages") >= (long)length / 1024);
	if (huge) {
		ASSERT_EQ(0, device_used(_metadata, c));
	} else {
		/* all pages that the device had are still somewhere */
		ASSERT_GE(device_expected(c), device_used(_metadata, c));
	}
	ASSERT_EQ(-1, hmm_pattern_check(c->area.addr, length, 0));
	hmm_pattern_fill(c->area.addr, length, 1);
	ASSERT_EQ(-1, hmm_pattern_check(c->area.addr, length, 1));
}

/*
 * Kernels differ in whether they collapse such a range; the result must match the answer. The
 * range is not for khugepaged, which would collapse it at the same time.
 */
TEST_F(device_policy_collapse, madv_collapse)
{
	struct device_case *c = &self->c;
	int ret;

	if (!REQUIRE(prepare_collapse(_metadata, c), c->area.why))
		return;
	if (madvise(c->area.addr, 0, MADV_COLLAPSE))
		SKIP(return, "no MADV_COLLAPSE");
	ret = madvise(c->area.addr, self->length, MADV_COLLAPSE);
	check_collapse(_metadata, c, self->length, !ret);
}

TEST_F(device_policy_collapse, khugepaged)
{
	struct device_case *c = &self->c;
	char enabled[64];
	int huge;

	if (!REQUIRE(prepare_collapse(_metadata, c), c->area.why))
		return;
	ASSERT_EQ(0, hmm_read_text(THP "enabled", enabled, sizeof(enabled)));
	if (strstr(enabled, "[never]"))
		SKIP(return, "khugepaged does not run with " THP "enabled set to never");
	ASSERT_EQ(0, madvise(c->area.addr, self->length, MADV_HUGEPAGE));
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KHUGEPAGED "pages_to_scan", "100000"));
	/* or it sleeps for a minute when it finds no memory for a huge page */
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KHUGEPAGED "alloc_sleep_millisecs", "1"));
	ASSERT_EQ(0, hmm_area_set_knob(&c->area, KHUGEPAGED "scan_sleep_millisecs", "1"));
	ASSERT_EQ(1, wait_for_counter(KHUGEPAGED "full_scans", 2));
	ASSERT_EQ(0, hmm_write_text(KHUGEPAGED "scan_sleep_millisecs", "3600000"));
	huge = hmm_smaps(c->area.addr, "AnonHugePages") >= (long)self->length / 1024;
	check_collapse(_metadata, c, self->length, huge);
}

#include "hmm_main.h"
