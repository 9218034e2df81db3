// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on PTEs and PMDs that NUMA balancing made inaccessible (protnone), to
 * see who uses the page.
 *
 * Such an entry has a pfn, and is not valid: the walker must not report it in a snapshot,
 * and must fault it when asked. The tests recognise one by what NUMA balancing alone does:
 * the page is present in pagemap and the mapping allows the access, and yet the walker does
 * not report it.
 */
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"
#include "snapshot.h"

#define PAGES	8
#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE

FIXTURE(walk_numa)
{
	struct hmm_area area;
	__u64 *entries;
	struct hmm_call second;		/* a thread that exists and does nothing */
	size_t length;
	size_t pages;
	int fd;
};

FIXTURE_VARIANT(walk_numa)
{
	int huge;
};

FIXTURE_VARIANT_ADD(walk_numa, pte)
{
	.huge = 0,
};

FIXTURE_VARIANT_ADD(walk_numa, pmd)
{
	.huge = 1,
};

FIXTURE_SETUP(walk_numa)
{
	self->length = variant->huge ? hmm_pmd_size() :
				       PAGES * hmm_page_size();
	self->pages = self->length / hmm_page_size();
	self->entries = hmm_map_anon(self->pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, hmm_call_prepare(&self->second));
}

FIXTURE_TEARDOWN(walk_numa)
{
	hmm_call_end(&self->second);
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, self->pages * sizeof(__u64));
}

/*
 * A fault tries to move a page that is on another node than its CPU, and leaves it read-only
 * whether or not that works (docs/findings/elsewhere.md).
 */
static int stay_with(struct hmm_area *area)
{
	void *page = area->addr;
	int node = -1;

	if (move_pages(0, 1, &page, NULL, &node, 0) || node < 0)
		return hmm_fail(area, errno, "move_pages() does not tell the node");
	if (numa_run_on_node(node))
		return hmm_skip(area, "the page is on a node without a CPU");
	return 0;
}

/*
 * The kernel takes the delay before the first scan from the knobs when the address space is
 * made, so the first scan comes sooner where they are set already, as in the runner's
 * guest.
 */
static int enable_balancing(struct hmm_area *area)
{
	static const char balancing[] = "/proc/sys/kernel/numa_balancing";
	int ret;

	if (access(balancing, F_OK) ||
	    access("/sys/devices/system/node/node1", F_OK))
		return hmm_skip(area, "no NUMA balancing, or one node only");
	ret = stay_with(area);
	if (ret)
		return ret;
	ret = hmm_area_scan_soon(area);
	if (ret == -ENOENT)
		return hmm_skip(area, "no NUMA scan knobs (CONFIG_SCHED_DEBUG)");
	if (!ret)
		ret = hmm_area_set_knob(area, balancing, "1");
	return ret ? hmm_fail(area, ret, "NUMA balancing") : 0;
}

/* What a snapshot reports for a protnone entry. */
static __u64 snapshot_flags(int huge)
{
	return expect_when(huge ? WHEN_HUGE_HINT_VALID : WHEN_HINT_VALID) ?
	       VALID : 0;
}

/*
 * Are all entries protnone? Those are present in pagemap, in a mapping that allows access,
 * and yet the walker does not report them as valid and writable, as it did before.
 */
static int all_protnone(int fd, const char *addr, size_t pages, __u64 shown, __u64 *entries)
{
	size_t page = hmm_page_size(), i;

	if (hmm_walk(fd, addr, pages * page, 0, entries))
		return 0;
	for (i = 0; i < pages; i++) {
		__u64 map;

		if (hmm_entry_flags(entries[i]) != shown ||
		    hmm_pagemap_one(addr + i * page, &map) ||
		    !(map & HMM_PM_PRESENT))
			return 0;
	}
	return 1;
}

/*
 * Switch NUMA balancing on only after the state is made: a protnone entry would break its
 * proof. Then keep the CPU busy, because the scan runs from the tick of a running task. The
 * kernel skips pages on the node of the only thread of a process, so that there must be a
 * second thread.
 */
static int make_protnone(struct hmm_area *area, int huge, size_t length, int fd,
			 __u64 *entries)
{
	size_t pages = length / hmm_page_size();
	const char *state = huge ? "thp_writable" : "anon_writable";
	clock_t start = clock();
	int ret;
	long i;

	if (!huge && expect_when(WHEN_HINT_UNSEEN))
		return hmm_skip(area,
				"the walker of this kernel takes a protnone entry for an ordinary one");
	ret = hmm_state_make(area, hmm_state_find(state), 0, length);
	if (!ret)
		ret = enable_balancing(area);
	if (ret)
		return ret;
	while (!all_protnone(fd, area->addr, pages, snapshot_flags(huge), entries)) {
		if (clock() - start > 5 * CLOCKS_PER_SEC)
			return hmm_fail(area, 0,
					"NUMA balancing did not come here in 5 s");
		for (i = 0; i < 1000000; i++)
			__asm__ volatile("");
	}
	/* no more scans while the test looks */
	return hmm_write_text("/proc/sys/kernel/numa_balancing", "0");
}

TEST_F(walk_numa, snapshot)
{
	if (!REQUIRE(make_protnone(&self->area, variant->huge, self->length, self->fd,
				   self->entries), self->area.why))
		return;
	snapshot_without_fault(_metadata, self->fd, self->area.addr, self->length, self->entries);
	ASSERT_ENTRIES(self->entries, self->pages, snapshot_flags(variant->huge));
}

static void check_fault(struct __test_metadata *_metadata, struct _test_data_walk_numa *self,
			__u64 request)
{
	long faults = expect_faults();

	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, request, self->entries));
	if (faults >= 0)
		ASSERT_LT(faults, expect_faults());
	ASSERT_ENTRIES(self->entries, self->pages, VALID | WRITE);
}

TEST_F(walk_numa, read_fault)
{
	if (!REQUIRE(make_protnone(&self->area, variant->huge, self->length, self->fd,
				   self->entries), self->area.why))
		return;
	check_fault(_metadata, self, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_numa, write_fault)
{
	if (!REQUIRE(make_protnone(&self->area, variant->huge, self->length, self->fd,
				   self->entries), self->area.why))
		return;
	check_fault(_metadata, self, HMMIRROR_REQ_ALL);
}

/* An entry that NUMA balancing made inaccessible is present to a migration. */
TEST_F(walk_numa, to_device)
{
	__u64 migrated = 0;
	size_t i;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	if (!REQUIRE(make_protnone(&self->area, variant->huge, self->length, self->fd,
				   self->entries), self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(self->fd, self->area.addr, self->length, NULL, &migrated));
	ASSERT_EQ(self->pages, migrated);
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, 0, self->entries));
	/* both are right: 6.1 leaves it writable, later kernels let the next write ask for that */
	for (i = 0; i < self->pages; i++)
		self->entries[i] &= ~(__u64)WRITE;
	ASSERT_ENTRIES(self->entries, self->pages, VALID | HMMIRROR_PTE_PRIVATE);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 0));
	hmm_pattern_fill(self->area.addr, self->length, 1);
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 1));
}

#include "hmm_main.h"
