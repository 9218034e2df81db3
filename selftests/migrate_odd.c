// SPDX-License-Identifier: GPL-2.0
/*
 * Small pages that are migrated in ways that few drivers use: with a bad struct
 * migrate_vma, populating system memory, by pfn (migrate_device_range()); pages that are
 * locked, isolated, pinned or in the swap cache; and a kernel whose own functions fail or
 * find a page table gone.
 *
 * Each is a branch of mm/migrate_device.c that ordinary migrations don't take. The page
 * must stay where it is with its data, and migrate once the reason is gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gup_test.h"
#include "inject.h"
#include "small_pages.h"

#define PAGES		8

#define TO_DEVICE	HMMIRROR_MIGRATE_TO_DEVICE
#define TO_SYSTEM	HMMIRROR_MIGRATE_TO_SYSTEM
#define BY_PFN		(TO_SYSTEM | HMMIRROR_MIGRATE_BY_PFN)
#define POPULATE	(TO_SYSTEM | HMMIRROR_MIGRATE_POPULATE)
#define MISTAKE(_n)	((unsigned int)(_n) << HMMIRROR_MIGRATE_MISTAKE_SHIFT)

FIXTURE(migrate_odd)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	__u8 outcomes[PAGES];
	char *addr;
	size_t page;
	size_t length;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(migrate_odd)
{
	unsigned int device;
};

FIXTURE_VARIANT_ADD(migrate_odd, private)
{
	.device = HMM_DEV_PRIVATE,
};

FIXTURE_VARIANT_ADD(migrate_odd, coherent)
{
	.device = HMM_DEV_COHERENT,
};

FIXTURE_SETUP(migrate_odd)
{
	self->page = hmm_page_size();
	self->length = PAGES * self->page;
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
	self->addr = self->area.addr;
	ASSERT_EQ(0, hmm_area_map_small(&self->area, self->addr, self->length,
					PROT_READ | PROT_WRITE));
	USE_MEMORY(variant->device);
}

FIXTURE_TEARDOWN(migrate_odd)
{
	hmm_holder_end(self->area.child);
	self->area.child = 0;
	hmm_unmap(self->area.guard, self->area.guard_length);
	self->area.guard = NULL;
	if (!self->setup_ret)
		EXPECT_EQ(0, USED());
	hmm_area_end(&self->area);
}

/* Fill the pages, in system memory and on the LRU. */
static void fill_on_lru(struct __test_metadata *_metadata, struct _test_data_migrate_odd *self)
{
	hmm_pattern_fill(self->addr, self->length, 1);
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr, self->length, NULL, NULL));
	/* drains this CPU's LRU batch (5.4) */
	if (madvise(self->addr, self->length, MADV_COLD))
		ASSERT_EQ(0, hmm_write_number("/proc/sys/vm/compact_memory", 1));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	ASSERT_EQ(0, USED());
}

/* Migrate all pages: @pages pages from @first on must have one outcome, the others another. */
static void migrate_all(struct __test_metadata *_metadata, struct _test_data_migrate_odd *self,
			unsigned int flags, size_t first, size_t pages, __u8 want, __u8 others)
{
	size_t i;

	ASSERT_EQ(0, hmm_move(self->fd, flags, self->addr, self->length, self->outcomes, NULL));
	for (i = 0; i < PAGES; i++) {
		__u8 outcome = i >= first && i < first + pages ? want : others;

		ASSERT_EQ(outcome, self->outcomes[i])
			TH_LOG("page %zu: %s, want %s", i, hmm_outcome_str(self->outcomes[i]),
			       hmm_outcome_str(outcome));
	}
}

#define MIGRATE(_flags, _first, _pages, _want, _others) \
	migrate_all(_metadata, self, _flags, _first, _pages, HMMIRROR_OUT_##_want, \
	     HMMIRROR_OUT_##_others)

struct pinner {
	pthread_t thread;
	sem_t go;
	void *addr;
	size_t length;
	pid_t tid;
	int file;
	int error;
};

static void *pin(void *data)
{
	struct pinner *pinner = data;
	struct gup_test test = {
		.addr = (uintptr_t)pinner->addr,
		.size = pinner->length,
		.nr_pages_per_call = 1,
	};

	sem_wait(&pinner->go);
	__atomic_store_n(&pinner->tid, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	pinner->error = gup_test(pinner->file, PIN_LONGTERM, &test) ? errno : 0;
	return NULL;
}

/*
 * Each mistake that a caller of migrate_vma_setup() can make: an error, and nothing
 * migrates.
 */
TEST_F(migrate_odd, bad_migrate_vma)
{
	__u64 migrated = 7;
	unsigned int n;
	int ret;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 2);
	for (n = 1; n < HMMIRROR_MISTAKE_GIVEN_BACK; n++) {
		ret = hmm_move(self->fd, TO_DEVICE | MISTAKE(n), self->addr, self->length, NULL,
			       &migrated);
		if (ret == -EOPNOTSUPP && n >= HMMIRROR_MISTAKE_FAULT_SYSTEM)
			continue;
		if (ret == -EOPNOTSUPP)
			SKIP(return, "the kernel does not look at what it is asked for");
		if (!ret && n == HMMIRROR_MISTAKE_FAULT_UNLOCKED)
			ret = -EINVAL;
		ASSERT_EQ(-EINVAL, ret) TH_LOG("mistake %u", n);
		ASSERT_EQ(0, USED());
	}
	ASSERT_EQ(0, hmm_move(self->fd, TO_DEVICE | MISTAKE(HMMIRROR_MISTAKE_UNTIDY),
			      self->addr, self->length, NULL, NULL));
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-EINVAL, hmm_move(self->fd, TO_DEVICE | MISTAKE(HMMIRROR_MISTAKE_NR), self->addr,
				    self->length, NULL, NULL));
	MIGRATE(TO_DEVICE, 0, PAGES, MIGRATED, NONE);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 2));
}

/*
 * Empty entries become zeroed system memory; pages on the device migrate back with their
 * data.
 */
TEST_F(migrate_odd, populate)
{
	__u64 entry;
	size_t i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, 2 * self->page, 3);
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, 2 * self->page, NULL, NULL));
	/* part of it is read-only */
	ASSERT_EQ(0, mprotect(self->addr + 4 * self->page, 4 * self->page, PROT_READ));
	MIGRATE(POPULATE, 0, 2, MIGRATED, POPULATED);
	ASSERT_EQ(0, USED());
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, hmm_pagemap_one(self->addr + i * self->page, &entry));
		ASSERT_NE(0, entry & HMM_PM_PRESENT) TH_LOG("page %zu", i);
	}
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 2 * self->page, 3));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr + 2 * self->page, 6 * self->page, 0));
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->addr, self->length, 4);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 4));
}

/*
 * Populated pages are like those of a fault: on the LRU, where reclaim finds them, and up to date,
 * or they could not come back from swap.
 */
TEST_F(migrate_odd, populated_flags)
{
	const __u64 want = hmm_kpf(KPF_LRU) | hmm_kpf(KPF_UPTODATE) | hmm_kpf(KPF_ANON);
	__u64 flags;
	size_t i;
	int ret;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	MIGRATE(POPULATE, 0, PAGES, POPULATED, NONE);
	/* all CPUs give what they have in batches to the LRU lists */
	ret = hmm_write_number("/proc/sys/vm/compact_memory", 1);
	if (ret)
		SKIP(return, "no compact_memory (CONFIG_COMPACTION)");
	for (i = 0; i < PAGES; i++) {
		ret = hmm_flags_at(self->addr + i * self->page, &flags);
		if (ret == -ENOENT)
			SKIP(return, "no kpageflags (CONFIG_PROC_PAGE_MONITOR)");
		ASSERT_EQ(0, ret);
		ASSERT_EQ(want, flags & want)
			TH_LOG("page %zu", i);
	}
}

/* By pfn: the device's pages of this process and of its child. */
TEST_F(migrate_odd, device_range)
{
	__u64 migrated = 0;
	int ret;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 5);
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr + self->page, 2 * self->page, NULL, NULL));
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr + 5 * self->page, self->page, NULL,
				   NULL));
	ASSERT_EQ(3, USED());
	ret = hmm_move(self->fd, BY_PFN, self->addr, self->length, self->outcomes, &migrated);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the kernel has no migrate_device_range()");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(3, migrated);
	ASSERT_EQ(HMMIRROR_OUT_NONE, self->outcomes[0]);
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[1]);
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[2]);
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[5]);
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 5));

	/* a page that can't be unmapped stays */
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
	if (!INJECT(self->fd, HMMIRROR_INJECT_MAPPED, 3, 1))
		return;
	MIGRATE(BY_PFN, 2, 1, NONE, MIGRATED);
	ASSERT_EQ(1, INJECTED(self->fd, HMMIRROR_INJECT_MAPPED));
	ASSERT_EQ(1, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 5));
}

/* By pfn, the rmap walk unmaps the pages: those that could be written still can. */
TEST_F(migrate_odd, device_range_writable)
{
	__u64 migrated = 0, entries[PAGES];
	int ret;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 8);
	MIGRATE(TO_DEVICE, 0, PAGES, MIGRATED, NONE);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0, entries));
	ASSERT_ENTRIES(entries, PAGES, HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE |
		       (variant->device == HMM_DEV_COHERENT ? HMMIRROR_PTE_COHERENT :
							      HMMIRROR_PTE_PRIVATE));
	ret = hmm_move(self->fd, BY_PFN, self->addr, self->length, NULL, &migrated);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the kernel has no migrate_device_range()");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(PAGES, migrated);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0, entries));
	ASSERT_ENTRIES(entries, PAGES, HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 8));
}

/* Locked pages are left alone, and so are pages that can't be isolated from the LRU. */
TEST_F(migrate_odd, locked_or_isolated)
{
	__u8 offers[PAGES] = { 0 };
	struct hmmirror_migrate arg = {
		.flags = TO_DEVICE,
		.addr = (uintptr_t)self->addr,
		.length = self->length,
		.outcomes = (uintptr_t)self->outcomes,
		.offers = (uintptr_t)offers,
	};
	size_t i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	fill_on_lru(_metadata, self);
	if (!INJECT(self->fd, HMMIRROR_INJECT_LOCKED, 3, 2))
		return;
	MIGRATE(TO_DEVICE, 2, 2, NONE, MIGRATED);
	ASSERT_EQ(2, INJECTED(self->fd, HMMIRROR_INJECT_LOCKED));
	ASSERT_EQ(PAGES - 2, USED());
	fill_on_lru(_metadata, self);
	if (!INJECT(self->fd, HMMIRROR_INJECT_ISOLATED, 5, 3))
		return;
	ASSERT_EQ(0, hmm_ioctl_migrate(self->fd, &arg));
	ASSERT_EQ(3, INJECTED(self->fd, HMMIRROR_INJECT_ISOLATED));
	for (i = 0; i < PAGES; i++) {
		int stays = i >= 4 && i < 7;

		ASSERT_EQ(stays ? HMMIRROR_OUT_NONE : HMMIRROR_OUT_MIGRATED, self->outcomes[i])
			TH_LOG("page %zu", i);
		/* not even as a page that stays: it has its mapping back already */
		ASSERT_EQ(stays ? 0 : HMMIRROR_OFFER_PAGE | HMMIRROR_OFFER_MOVE |
				      HMMIRROR_OFFER_WRITE, offers[i])
			TH_LOG("page %zu", i);
	}
	ASSERT_EQ(PAGES - 3, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	fill_on_lru(_metadata, self);
	MIGRATE(TO_DEVICE, 0, PAGES, MIGRATED, NONE);
}

/* Pages of two processes, one of which keeps its mapping. */
TEST_F(migrate_odd, stays_mapped)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	fill_on_lru(_metadata, self);
	self->area.child = hmm_fork_holder();
	ASSERT_LT(0, self->area.child);
	if (!INJECT(self->fd, HMMIRROR_INJECT_MAPPED, 2, 1))
		return;
	ASSERT_EQ(0, hmm_move(self->fd, TO_DEVICE, self->addr, self->length, self->outcomes,
			      NULL));
	if (!INJECTED(self->fd, HMMIRROR_INJECT_MAPPED))
		SKIP(return, "the kernel has no try_to_migrate()");
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[0]);
	ASSERT_EQ(HMMIRROR_OUT_NONE, self->outcomes[1]);
	ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[2]);
	ASSERT_EQ(PAGES - 1, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* The memcg charge fails, which comes last; the next try works. */
TEST_F(migrate_odd, charge_fails)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!INJECT(self->fd, HMMIRROR_INJECT_CHARGE, 1, 3))
		return;
	MIGRATE(TO_DEVICE, 0, 3, REFUSED, POPULATED);
	ASSERT_EQ(3, INJECTED(self->fd, HMMIRROR_INJECT_CHARGE));
	ASSERT_EQ(PAGES - 3, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/*
 * A page table is gone when it is locked: a page is not populated there. Where pages are
 * collected, kernels that can retry do.
 */
TEST_F(migrate_odd, pte_table_gone)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!INJECT(self->fd, HMMIRROR_INJECT_TABLE_GONE, 1, 1))
		return;
	MIGRATE(TO_DEVICE, 0, 1, REFUSED, POPULATED);
	ASSERT_EQ(1, INJECTED(self->fd, HMMIRROR_INJECT_TABLE_GONE));
	ASSERT_EQ(PAGES - 1, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
	fill_on_lru(_metadata, self);
	if (!INJECT(self->fd, HMMIRROR_INJECT_TABLE_GONE, 1, 1))
		return;
	MIGRATE(TO_DEVICE, 0, PAGES, MIGRATED, NONE);
	ASSERT_GE(1, INJECTED(self->fd, HMMIRROR_INJECT_TABLE_GONE));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

static int prove_swapped(struct hmm_area *area, const char *addr, size_t length)
{
	const struct hmm_proof swapped = { .set = HMM_PM_SWAP };

	return hmm_prove_pages(area, addr, length, &swapped);
}

/* Pinning a device page that another thread has locked waits for it. */
TEST_F(migrate_odd, pinned_while_locked)
{
	struct hmm_call call = {
		.fd = self->fd,
		.addr = self->addr,
		.length = self->length,
		.flags = TO_SYSTEM,
		.outcomes = self->outcomes,
	};
	struct pinner pinner = { .addr = self->addr, .length = self->page };

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (variant->device != HMM_DEV_COHERENT)
		SKIP(return, "a page that no CPU can use can't be pinned");
	pinner.file = open(GUP_TEST, O_RDWR | O_CLOEXEC);
	if (pinner.file < 0)
		SKIP(return, NO_GUP_TEST);
	hmm_pattern_fill(self->addr, self->length, 7);
	MIGRATE(TO_DEVICE, 0, PAGES, MIGRATED, NONE);
	if (!INJECT(self->fd, HMMIRROR_INJECT_LOCKED, 1, 1))
		return;
	/* make the thread first: that needs the mmap lock for writing */
	ASSERT_EQ(0, sem_init(&pinner.go, 0, 0));
	ASSERT_EQ(0, pthread_create(&pinner.thread, NULL, pin, &pinner));
	ASSERT_EQ(0, hmm_hold_migration(&call, HMMIRROR_STAGE_SETUP, 5000));
	sem_post(&pinner.go);
	ASSERT_EQ(1, hmm_thread_blocks(&pinner.tid));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
	ASSERT_EQ(0, hmm_call_end(&call));
	ASSERT_EQ(0, pthread_join(pinner.thread, NULL));
	ASSERT_EQ(0, pinner.error);
	ASSERT_EQ(1, INJECTED(self->fd, HMMIRROR_INJECT_LOCKED));
	ASSERT_EQ(HMMIRROR_OUT_NONE, self->outcomes[0]);
	ASSERT_EQ(0, USED());
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 7));
	close(pinner.file);
}

/*
 * Pages that are still in the swap cache: first because another process has swap entries
 * for them, then because they are under writeback, then without a reason. A kernel that
 * knows how frees the slots that nobody needs, and the pages migrate.
 */
TEST_F(migrate_odd, swapcache)
{
	__u64 flags;
	__u8 want;
	size_t i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 6);
	if (!REQUIRE(hmm_area_pageout(&self->area, self->addr, self->length, prove_swapped),
		     self->area.why))
		return;
	ASSERT_EQ(0, prove_swapped(&self->area, self->addr, self->length));
	self->area.child = hmm_fork_holder();
	ASSERT_LT(0, self->area.child);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 6));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, hmm_flags_at(self->addr + i * self->page, &flags));
		ASSERT_NE(0, flags & hmm_kpf(KPF_SWAPCACHE)) TH_LOG("page %zu", i);
	}
	MIGRATE(TO_DEVICE, 0, PAGES, REFUSED, NONE);
	ASSERT_EQ(0, USED());
	hmm_holder_end(self->area.child);
	self->area.child = 0;
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, hmm_flags_at(self->addr + i * self->page, &flags));
		if (!(flags & hmm_kpf(KPF_SWAPCACHE)))
			SKIP(return, "memory is short: the swap slots were freed");
	}
	if (!INJECT(self->fd, HMMIRROR_INJECT_WRITEBACK, 3, 2))
		return;
	ASSERT_EQ(0, hmm_move(self->fd, TO_DEVICE, self->addr, self->length, self->outcomes,
			      NULL));
	ASSERT_EQ(2, INJECTED(self->fd, HMMIRROR_INJECT_WRITEBACK));
	/*
	 * __migrate_device_pages() does since 6.12, and so do all kernels with huge device
	 * pages
	 */
	want = self->outcomes[0];
	if (want != HMMIRROR_OUT_REFUSED ||
	    hmm_feature(self->fd, HMMIRROR_FEAT_DEVICE_THP, NULL, 0) == 1)
		want = HMMIRROR_OUT_MIGRATED;
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(i == 2 || i == 3 ? HMMIRROR_OUT_REFUSED : want, self->outcomes[i])
			TH_LOG("page %zu: %s", i, hmm_outcome_str(self->outcomes[i]));
	}
	ASSERT_EQ(want == HMMIRROR_OUT_REFUSED ? 0 : PAGES - 2, USED());
	if (want == HMMIRROR_OUT_MIGRATED)
		MIGRATE(TO_DEVICE, 2, 2, MIGRATED, NONE);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 6));
}

#include "hmm_main.h"
