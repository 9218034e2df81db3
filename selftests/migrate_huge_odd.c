// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages that are migrated in ways that few drivers use: to and from small pages
 * (MIGRATE_VMA_SELECT_COMPOUND not set on one side), by pfn (migrate_device_range()), while
 * they are locked or pinned, and with the kernel's own splits and allocations failing.
 *
 * Each of these paths splits a folio, or has to leave it whole, in the middle of a
 * migration; a page must neither be lost nor stay locked or isolated.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>

#include "gup_test.h"
#include "inject.h"
#include "huge_case.h"

#define PIECES		(WHOLE | HMMIRROR_MIGRATE_PIECES)
#define POPULATE	(TO_SYSTEM | HMMIRROR_MIGRATE_POPULATE)
#define BY_PFN		(TO_SYSTEM | HMMIRROR_MIGRATE_BY_PFN)
#define BY_RANGE	(TO_SYSTEM | HMMIRROR_MIGRATE_BY_RANGE)
#define LIMIT_MS	5000
#define SIZES		"/sys/kernel/mm/transparent_hugepage/hugepages-%zukB/stats/%s"
#define HUGE_BYTES	(512UL << 20)	/* to be cleared in a test */
/* Others use page tables meanwhile: if half as many as there were refusals, try with more. */
#define FEW_REFUSALS	20
#define REFUSALS	200	/* nobody uses half as many */

FIXTURE(migrate_huge_odd)
{
	struct huge_case h;
};

FIXTURE_SETUP(migrate_huge_odd)
{
	huge_begin(_metadata, &self->h);
}

FIXTURE_TEARDOWN(migrate_huge_odd)
{
	huge_end(_metadata, &self->h);
}

/* A huge page, then an empty PMD, migrate to small pages: the kernel splits on the way. */
TEST_F(migrate_huge_odd, to_small_pages)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(40);
	MIGRATE(TO_DEVICE | PIECES, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	CHECK(40);
	ASSERT_EQ(0, USED());
	MAKE("dev_huge", 1);
	FILL(41);
	MAKE("dev_huge", 1);
	MIGRATE(TO_SYSTEM | PIECES, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, 0);
	ASSERT_EQ(0, USED());
	MAKE("thp_none", 1);
	MIGRATE(TO_DEVICE | PIECES, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
}

/* The split fails: the kernel must report that, and the huge page stays. */
TEST_F(migrate_huge_odd, to_small_pages_split_fails)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(42);
	if (!INJECT(h->fd, HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	ASSERT_EQ(0, hmm_move(h->fd, TO_DEVICE | PIECES, h->addr, h->length,
			      h->outcomes, NULL));
	ASSERT_EQ(1, INJECTED(h->fd, HMMIRROR_INJECT_SPLIT));
	ASSERT_EQ(HMMIRROR_OUT_REFUSED, h->outcomes[0]);
	ASSERT_EQ(0, USED());
	CHECK(42);
}

/* Empty PMDs become zeroed huge pages of system memory. */
TEST_F(migrate_huge_odd, populate)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 2);
	ASSERT_EQ(0, mprotect(h->addr + h->length, h->length, PROT_READ));
	MIGRATE(POPULATE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	MIGRATE(POPULATE | WHOLE, HUGE, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, W, ORDER);
	ENTRIES(HUGE, HUGE, V, ORDER);
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, 2 * h->length, 0));
	FILL(43);
	CHECK(43);
}

static long mthp_stat(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), SIZES, hmm_pmd_size() / 1024, name);
	return hmm_read_number(path);
}

/*
 * A huge page that is populated is up to date and on the LRU, and is counted: for the machine and
 * for its size. device_memcg.huge_counted is for the memcg.
 */
TEST_F(migrate_huge_odd, populate_like_a_fault)
{
	const __u64 want = hmm_kpf(KPF_LRU) | hmm_kpf(KPF_UPTODATE) | hmm_kpf(KPF_ANON);
	struct huge_case *h = &self->h;
	long all, size;
	__u64 flags;
	int ret;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 1);
	all = hmm_vmstat("thp_fault_alloc");
	size = mthp_stat("anon_fault_alloc");
	MIGRATE(POPULATE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	/* others may have huge pages meanwhile; what the kernel does not count is an error twice */
	ASSERT_LT(all, hmm_vmstat("thp_fault_alloc") + (all < 0));
	ASSERT_LT(size, mthp_stat("anon_fault_alloc") + (size < 0));
	/* all CPUs give what they have in batches to the LRU lists */
	ASSERT_EQ(0, hmm_write_number("/proc/sys/vm/compact_memory", 1));
	ret = hmm_flags_at(h->addr, &flags);
	if (ret == -ENOENT)
		SKIP(return, "no kpageflags (CONFIG_PROC_PAGE_MONITOR)");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(want, flags & want);
}

/* Empty entries in a read-only mapping, and part of an empty PMD. */
TEST_F(migrate_huge_odd, partial_and_readonly_holes)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 2);
	MIGRATE(TO_DEVICE | WHOLE, HUGE / 2, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(HUGE / 2, HUGE, W | DEV, 0);
	ASSERT_EQ(HUGE, USED());
	MAKE("thp_none", 2);
	ASSERT_EQ(0, mprotect(h->addr, h->length, PROT_READ));
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
	ENTRIES(0, HUGE, V | DEV, ORDER);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, 2 * h->length, 0));
}

/* An empty PMD that userfaultfd watches is not populated. */
TEST_F(migrate_huge_odd, uffd_missing)
{
	struct huge_case *h = &self->h;
	int uffd;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 1);
	uffd = hmm_uffd_register(h->addr, h->length, UFFDIO_REGISTER_MODE_MISSING, 0);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_REFUSED);
	ASSERT_EQ(0, USED());
	close(uffd);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
}

/* Page tables in use now; the counter is kept by each CPU, and summed up here. */
static long count_tables(void)
{
	hmm_write_text("/proc/sys/vm/stat_refresh", "1");
	return hmm_vmstat("nr_page_table_pages");
}

/* The same, once what earlier processes leave has been freed: nothing changes for a while. */
static long count_settled_tables(void)
{
	long before, now = count_tables();
	int tries, same = 0;

	for (tries = 0; tries < 200 && same < 10; tries++) {
		usleep(10000);
		before = now;
		now = count_tables();
		same = now == before ? same + 1 : 0;
	}
	return now;
}

/*
 * The page table that the kernel allocates for a huge page is freed again when the page is
 * not populated after all. Nobody else counts it, so that only the sum of the machine tells.
 */
TEST_F(migrate_huge_odd, tables_freed)
{
	struct huge_case *h = &self->h;
	int uffd, i, refusals = FEW_REFUSALS;
	long before, more;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 1);
	uffd = hmm_uffd_register(h->addr, h->length, UFFDIO_REGISTER_MODE_MISSING, 0);
	if (uffd < 0)
		SKIP(return, "no userfaultfd");
	/* the tables above it are allocated once */
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_REFUSED);
	for (;; refusals = REFUSALS) {
		before = count_settled_tables();
		if (before < 0)
			SKIP(return, "no nr_page_table_pages in /proc/vmstat");
		for (i = 0; i < refusals; i++)
			MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_REFUSED);
		more = count_tables() - before;
		if (more <= refusals / 2 || refusals == REFUSALS)
			break;
	}
	/* the number stays out of the assertion, whose words a known bug is recognised by */
	ASSERT_FALSE(more > REFUSALS / 2)
		TH_LOG("%ld page tables more after %d refusals", more, refusals);
	ASSERT_EQ(0, USED());
	close(uffd);
}

/* How often a huge page can be populated in the time of a test: up to @most times. */
static int rounds_of(const struct huge_case *h, int most)
{
	size_t rounds = HUGE_BYTES / h->length;

	return rounds < 1 ? 1 : rounds < (size_t)most ? (int)rounds : most;
}

/*
 * The huge zero page has a page table in reserve already, which the device's page takes over: the
 * one that the kernel has allocated for it is freed.
 */
TEST_F(migrate_huge_odd, zero_page_tables_freed)
{
	struct huge_case *h = &self->h;
	long before, own, more;
	int rounds, i;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	rounds = rounds_of(h, REFUSALS);
	if (rounds < 20)
		SKIP(return, "so large a huge page is not populated often enough to tell");
	MAKE("thp_zero", 1);
	own = hmm_status("VmPTE:");
	before = count_settled_tables();
	if (before < 0)
		SKIP(return, "no nr_page_table_pages in /proc/vmstat");
	for (i = 0; i < rounds; i++) {
		MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
		ASSERT_EQ(0, madvise(h->addr, h->length, MADV_DONTNEED));
		hmm_touch_read(h->addr, h->page);
	}
	PROVE("thp_zero", 1);
	ASSERT_EQ(own, hmm_status("VmPTE:"));
	more = count_tables() - before;
	ASSERT_FALSE(more > rounds / 2)
		TH_LOG("%ld page tables more after %d huge pages", more, rounds);
	ASSERT_EQ(0, USED());
}

/*
 * The TLB must not have the huge zero page any more, or the CPU would not see what the device
 * writes. It may lose it for another reason, so try more than once.
 */
TEST_F(migrate_huge_odd, zero_page_not_in_tlb)
{
	struct huge_case *h = &self->h;
	int rounds, i;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_zero", 1);
	rounds = rounds_of(h, 10);
	for (i = 0; i < rounds; i++) {
		char byte = 0x77;

		ASSERT_EQ(0, madvise(h->addr, h->length, MADV_DONTNEED));
		ASSERT_EQ(0, __atomic_load_n(h->addr, __ATOMIC_RELAXED));
		MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_POPULATED);
		ASSERT_EQ(0, hmm_dev_write(h->fd, h->addr, &byte, 1));
		ASSERT_EQ(byte, __atomic_load_n(h->addr, __ATOMIC_RELAXED))
			TH_LOG("try %d", i);
	}
}

/* Each allocation for populating a huge page fails in turn, and then its memcg charge. */
TEST_F(migrate_huge_odd, table_alloc_fails)
{
	struct huge_case *h = &self->h;
	unsigned int n;
	long all, size;
	int hits = 1;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	for (n = 1; hits && n < 10; n++) {
		MAKE("thp_none", 1);
		if (!INJECT(h->fd, HMMIRROR_INJECT_TABLE, n, 1))
			return;
		ASSERT_EQ(0, hmm_move(h->fd, TO_DEVICE | WHOLE, h->addr, h->length,
				      h->outcomes, NULL));
		hits = INJECTED(h->fd, HMMIRROR_INJECT_TABLE);
		ASSERT_EQ(-1, hmm_all_bytes(h->outcomes, HUGE,
					    hits ? HMMIRROR_OUT_REFUSED :
						   HMMIRROR_OUT_POPULATED));
		ASSERT_EQ(hits ? 0 : HUGE, USED());
	}
	/* at least an anon_vma and a page table; the PMD's table exists */
	ASSERT_LE(3, n);
	ASSERT_EQ(0, hits);
	MAKE("thp_none", 1);
	all = hmm_vmstat("thp_fault_fallback");
	size = mthp_stat("anon_fault_fallback_charge");
	if (!INJECT(h->fd, HMMIRROR_INJECT_CHARGE, 1, 1))
		return;
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_REFUSED);
	ASSERT_EQ(1, INJECTED(h->fd, HMMIRROR_INJECT_CHARGE));
	ASSERT_LT(all, hmm_vmstat("thp_fault_fallback") + (all < 0));
	ASSERT_LT(size, mthp_stat("anon_fault_fallback_charge") + (size < 0));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_all_bytes(h->addr, h->length, 0));
}

/*
 * By pfn, cut by either end of the range: the page stays, neither locked nor referenced, and
 * can be had as a whole at once.
 */
TEST_F(migrate_huge_odd, device_range_cut)
{
	static const unsigned int ways[] = { BY_PFN, BY_RANGE };
	struct huge_case *h = &self->h;
	size_t i, first;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		for (first = 0; first < (size_t)HUGE; first += HUGE / 2) {
			MAKE("dev_huge", 1);
			MIGRATE(ways[i], first, HUGE / 2, HMMIRROR_OUT_NONE);
			ENTRIES(0, HUGE, W | DEV, ORDER);
			MIGRATE(ways[i], 0, HUGE, HMMIRROR_OUT_MIGRATED);
			ENTRIES(0, HUGE, W, ORDER);
			ASSERT_EQ(0, USED());
			CHECK(0);
		}
	}
}

/* By pfn: whole; without memory for the copy. */
TEST_F(migrate_huge_odd, device_range)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("dev_huge", 1);
	FAIL_NEXT_HUGE();
	ASSERT_EQ(0, hmm_move(h->fd, BY_PFN, h->addr, h->length, h->outcomes, NULL));
	ASSERT_EQ(HMMIRROR_OUT_REFUSED, h->outcomes[0]);
	ENTRIES(0, HUGE, W | DEV, ORDER);
	MIGRATE(BY_PFN, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(0, USED());
	CHECK(0);
	MAKE("dev_huge", 1);
	MIGRATE(BY_RANGE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	ENTRIES(0, HUGE, W, ORDER);
	ASSERT_EQ(0, USED());
}

/* A huge page that is locked, or pinned. */
TEST_F(migrate_huge_odd, locked_or_pinned)
{
	struct huge_case *h = &self->h;
	struct pin_longterm_test pin = {
		.addr = (uintptr_t)h->addr,
		.size = h->page,
	};
	int file;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(44);
	if (!INJECT(h->fd, HMMIRROR_INJECT_LOCKED, 1, 1))
		return;
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	ASSERT_EQ(1, INJECTED(h->fd, HMMIRROR_INJECT_LOCKED));
	/* a page of system memory is not migrated back either */
	MIGRATE(TO_SYSTEM | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	PROVE("thp_writable", 1);
	file = open(GUP_TEST, O_RDWR | O_CLOEXEC);
	if (file < 0)
		SKIP(return, NO_GUP_TEST);
	ASSERT_EQ(0, ioctl(file, PIN_START, &pin));
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_NONE);
	PROVE("thp_writable", 1);
	ASSERT_EQ(0, ioctl(file, PIN_STOP));
	close(file);
	MIGRATE(TO_DEVICE | WHOLE, 0, HUGE, HMMIRROR_OUT_MIGRATED);
	CHECK(44);
}

/*
 * PTE-mapped huge pages that can't be split: pages before them migrate, they and those
 * behind stay.
 */
TEST_F(migrate_huge_odd, pte_mapped_split_fails)
{
	struct huge_case *h = &self->h;

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_writable", 1);
	FILL(45);
	ASSERT_EQ(0, mprotect(h->addr, h->page, PROT_READ));
	/* one of the PTEs maps another page */
	ASSERT_EQ(0, madvise(h->addr + h->page, h->page, MADV_DONTNEED));
	hmm_pattern_fill(h->addr + h->page, h->page, 45);
	if (!INJECT(h->fd, HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	MIGRATE(TO_DEVICE, 2, HUGE - 2, HMMIRROR_OUT_NONE);
	ASSERT_EQ(1, INJECTED(h->fd, HMMIRROR_INJECT_SPLIT));
	if (!INJECT(h->fd, HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	ASSERT_EQ(0, hmm_move(h->fd, TO_DEVICE, h->addr + h->page, 4 * h->page,
			      h->outcomes, NULL));
	ASSERT_EQ(1, INJECTED(h->fd, HMMIRROR_INJECT_SPLIT));
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, h->outcomes[0]);
	ASSERT_EQ(-1, hmm_all_bytes(h->outcomes + 1, 3, HMMIRROR_OUT_NONE));
	CHECK(45);

	MAKE("dev_huge", 1);
	ASSERT_EQ(0, mprotect(h->addr, h->page, PROT_READ));
	if (!INJECT(h->fd, HMMIRROR_INJECT_SPLIT, 1, 1))
		return;
	MIGRATE(TO_SYSTEM, 1, HUGE - 1, HMMIRROR_OUT_NONE);
	ASSERT_EQ(1, INJECTED(h->fd, HMMIRROR_INJECT_SPLIT));
	ASSERT_EQ(HUGE, USED());
	CHECK(0);
}

/* A CPU populates the PMD before the device does. */
TEST_F(migrate_huge_odd, populated_meanwhile)
{
	struct huge_case *h = &self->h;
	struct hmm_call call = {
		.fd = h->fd,
		.addr = h->addr,
		.length = h->length,
		.flags = TO_DEVICE | WHOLE,
		.outcomes = h->outcomes,
	};

	if (!REQUIRE(h->setup_ret, h->area.why))
		return;
	MAKE("thp_none", 1);
	ASSERT_EQ(0, hmm_hold_migration(&call, HMMIRROR_STAGE_COPIED, LIMIT_MS));
	FILL(46);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(h->fd));
	ASSERT_EQ(0, hmm_call_end(&call));
	ASSERT_EQ(HMMIRROR_OUT_REFUSED, h->outcomes[0]);
	ASSERT_EQ(0, USED());
	CHECK(46);
}

#include "hmm_main.h"
