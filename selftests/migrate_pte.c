// SPDX-License-Identifier: GPL-2.0
/*
 * migrate_pte: what a PTE says besides the page must survive migrate_vma_setup().
 *
 * It replaces each PTE by a migration entry, and a page that does not migrate gets a PTE again
 * that is made of this entry. A bit that the entry does not carry is lost: the accessed bit,
 * soft-dirty, and whether an anonymous page belongs to one process alone
 * (PageAnonExclusive()). The old PTE must not stay in a TLB either.
 */
#include <errno.h>
#include <fcntl.h>
#include <numaif.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "small_pages.h"

#define PAGES	4

FIXTURE(migrate_pte)
{
	struct hmm_area area;
	size_t page;
	size_t length;
	char *addr;
	int setup_ret;
	int fd;
};

FIXTURE_SETUP(migrate_pte)
{
	FILLED_PAGES(PAGES);
	self->setup_ret = hmm_area_memory(&self->area, 0);
}

FIXTURE_TEARDOWN(migrate_pte)
{
	hmm_area_end(&self->area);
}

/* The device can allocate nothing, so that all pages stay. */
static void migrate_in_vain(struct __test_metadata *_metadata, struct _test_data_migrate_pte *self)
{
	__u64 migrated = 1;

	ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 1, PAGES));
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(0, migrated);
	ASSERT_LT(0, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 0, 0));
}

/*
 * touch_one - clear all accessed bits, then read one page. Return: for REQUIRE()
 *
 * clear_refs flushes no TLB, and a CPU that has the PTE there does not set the bit again.
 * mprotect() flushes it.
 */
static int touch_one(struct _test_data_migrate_pte *self, size_t page)
{
	long kb = self->page / 1024;

	if (hmm_write_text("/proc/self/clear_refs", "1"))
		return hmm_skip(&self->area, "no clear_refs (PROC_PAGE_MONITOR)");
	if (mprotect(self->addr, self->length, PROT_READ) ||
	    mprotect(self->addr, self->length, PROT_READ | PROT_WRITE))
		return hmm_fail(&self->area, -errno, "mprotect");
	if (hmm_smaps(self->addr, "Referenced"))
		return hmm_fail(&self->area, -EIO, "clear_refs left pages referenced");
	hmm_touch_read(self->addr + page * self->page, self->page);
	if (hmm_smaps(self->addr, "Referenced") != kb)
		return hmm_fail(&self->area, -EIO, "not one page is referenced");
	return 0;
}

/*
 * keeps_accessed - does the kernel keep the accessed bit of a page that it migrates to another
 * node? It does since 6.1, and does so on both ways or on none. Return: for REQUIRE()
 */
static int keeps_accessed(struct _test_data_migrate_pte *self)
{
	void *addr = self->addr;
	int node = -1, to, ret;

	if (syscall(SYS_move_pages, 0, 1UL, &addr, NULL, &node, 0) || node < 0)
		return hmm_skip(&self->area, "no move_pages() (CONFIG_NUMA)");
	to = !node;
	ret = touch_one(self, 0);
	if (ret)
		return ret;
	if (syscall(SYS_move_pages, 0, 1UL, &addr, &to, &node, MPOL_MF_MOVE) || node != to)
		return hmm_skip(&self->area, "move_pages() moves nothing: there is one node");
	if (!hmm_smaps(self->addr, "Referenced"))
		return hmm_skip(&self->area, "kernels before 6.1 lose the accessed bit");
	return 0;
}

/* The page that was accessed is known as such afterwards, and no other. */
TEST_F(migrate_pte, accessed)
{
	long kb = self->page / 1024;
	size_t i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(keeps_accessed(self), self->area.why))
		return;
	for (i = 0; i < PAGES; i++) {
		if (!REQUIRE(touch_one(self, i), self->area.why))
			return;
		migrate_in_vain(_metadata, self);
		ASSERT_EQ(kb, hmm_smaps(self->addr, "Referenced"));
	}
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

static void find_softdirty(struct __test_metadata *_metadata, const void *addr, __u64 where,
			   int *dirty)
{
	__u64 entries[PAGES];
	int i;

	ASSERT_EQ(0, hmm_pagemap(addr, PAGES, entries));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(where, entries[i] & (HMM_PM_PRESENT | HMM_PM_SWAP))
			TH_LOG("page %d: pagemap says %llx", i, (unsigned long long)entries[i]);
		dirty[i] = !!(entries[i] & HMM_PM_SOFT_DIRTY);
	}
}

/* Half of the pages are soft-dirty, on the device and when they are back. */
TEST_F(migrate_pte, softdirty)
{
	static const int want[PAGES] = { 1, 0, 0, 1 };
	int before[PAGES], on_device[PAGES], back[PAGES], i;
	__u64 entry, migrated = 0;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_pagemap_one(self->addr, &entry));
	if (!(entry & HMM_PM_SOFT_DIRTY))
		SKIP(return, "no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)");
	ASSERT_EQ(0, hmm_write_text("/proc/self/clear_refs", "4"));
	for (i = 0; i < PAGES; i++)
		if (want[i])
			hmm_pattern_fill(self->addr + i * self->page, self->page, 2);
	find_softdirty(_metadata, self->addr, HMM_PM_PRESENT, before);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(want[i], before[i])
			TH_LOG("page %d", i);
	}
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ((__u64)PAGES, migrated);
	find_softdirty(_metadata, self->addr, HMM_PM_SWAP, on_device);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(want[i], on_device[i])
			TH_LOG("page %d", i);
	}
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ((__u64)PAGES, migrated);
	find_softdirty(_metadata, self->addr, HMM_PM_PRESENT, back);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(want[i], back[i])
			TH_LOG("page %d", i);
	}
}

enum piped_move {
	STAYS,		/* no migration */
	KEPT,		/* the pipe's reference makes a migration fail */
	BACK,		/* on the device and back before the pipe gets it */
};

/*
 * write_to_piped_page - does a write reach a page that a pipe has a reference to?
 *
 * The page is read-only mapped while it migrates and when the pipe gets it. The process alone
 * has the page, so that the write need not copy it.
 */
static int write_to_piped_page(struct __test_metadata *_metadata,
			       struct _test_data_migrate_pte *self, enum piped_move move)
{
	struct iovec from = { self->addr, self->page };
	__u64 migrated = 7;
	int ends[2];
	char byte;

	ASSERT_EQ(0, pipe(ends));
	hmm_pattern_fill(self->addr, self->page, 1);
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ));
	if (move == BACK) {
		ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->page, NULL, &migrated));
		ASSERT_EQ(1, migrated);
		ASSERT_EQ(0, hmm_to_system(self->fd, self->addr, self->page, NULL, &migrated));
		ASSERT_EQ(1, migrated);
	}
	ASSERT_EQ((ssize_t)self->page, vmsplice(ends[1], &from, 1, 0));
	if (move == KEPT) {
		ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->page, NULL, &migrated));
		ASSERT_EQ(0, migrated);
	}
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ | PROT_WRITE));
	*self->addr ^= 0x55;
	ASSERT_EQ(1, read(ends[0], &byte, 1));
	close(ends[0]);
	close(ends[1]);
	return byte == *self->addr;
}

/*
 * The page stays the process's own, so that a write goes to it as it would have without the
 * migration: somebody who has pinned the page must see what is written later.
 */
TEST_F(migrate_pte, anon_exclusive)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!write_to_piped_page(_metadata, self, STAYS))
		SKIP(return, "kernels before 5.19 copy a page that a pipe has, whoever owns it");
	ASSERT_EQ(1, write_to_piped_page(_metadata, self, KEPT));
}

/* So is the page that takes its place. */
TEST_F(migrate_pte, anon_exclusive_back)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!write_to_piped_page(_metadata, self, STAYS))
		SKIP(return, "kernels before 5.19 copy a page that a pipe has, whoever owns it");
	ASSERT_EQ(1, write_to_piped_page(_metadata, self, BACK));
}

/*
 * Pages that a child had as well, and that the CPU has read just now. They are on the LRU lists:
 * the migration would sleep until they are, and another process could run in between, which
 * empties the TLB. Another page that is not there, at @spare, brings all to the lists.
 */
static void read_shared_pages(struct __test_metadata *_metadata, int fd, char *addr, size_t length,
			      char *spare)
{
	pid_t child;
	int go;

	ASSERT_EQ(0, madvise(addr, length, MADV_DONTNEED));
	hmm_pattern_fill(addr, length, 1);
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(0);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(0, madvise(spare, hmm_page_size(), MADV_DONTNEED));
	*spare = 1;
	ASSERT_EQ(0, hmm_to_device(fd, spare, hmm_page_size(), NULL, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(addr, length, 1));
}

/*
 * A child had the pages, too, so that migrate_vma_collect_pmd() does not flush each entry. The
 * CPU has read them just before. If it still had the old entries it would go on reading the old
 * pages: none would come home. It may lose an entry for another reason, hence several of them.
 */
TEST_F(migrate_pte, tlb_is_flushed)
{
	size_t pages = 16, length = pages * self->page, i, n;
	struct hmm_area area;
	__u64 migrated = 0, entry;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_area_begin_small(&area, length));
	for (n = 0; n < 5; n++) {
		read_shared_pages(_metadata, self->fd, area.addr, length, self->addr);
		ASSERT_EQ(0, hmm_to_device(self->fd, area.addr, length, NULL, &migrated));
		ASSERT_EQ(pages, migrated);
		hmm_touch_read(area.addr, length);
		for (i = 0; i < pages; i++) {
			ASSERT_EQ(0, hmm_pagemap_one(area.addr + i * self->page, &entry));
			ASSERT_NE(0, entry & HMM_PM_PRESENT)
				TH_LOG("page %zu, try %zu", i, n);
		}
	}
	hmm_area_end(&area);
}

#include "hmm_main.h"
