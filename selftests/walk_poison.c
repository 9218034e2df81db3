// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on hwpoison entries: the kernel took a page that failed out of use.
 *
 * The entry looks like a swap entry and must not be reported as a page. A snapshot passes
 * over it; a fault fails with -EFAULT, and the pages before it in the range keep their
 * answers.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES	8
#define ENTRIES_SIZE	(hmm_pmd_size() / hmm_page_size() * sizeof(__u64))
#define RW	(PROT_READ | PROT_WRITE)
#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE

#ifndef MADV_HWPOISON
#define MADV_HWPOISON	100
#endif

FIXTURE(walk_poison)
{
	struct hmm_area area;
	__u64 *entries;		/* of the pages of a PMD */
	int fd;
};

FIXTURE_SETUP(walk_poison)
{
	self->entries = hmm_map_anon(ENTRIES_SIZE, 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * hmm_pmd_size(), 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_poison)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, ENTRIES_SIZE);
}

static void ignore_signal(int sig)
{
	(void)sig;
}

/* Newer kernels send the caller SIGBUS as if it had touched the page. */
static int poison_pages(char *addr, size_t length)
{
	struct sigaction survive = { .sa_handler = ignore_signal }, before;
	int ret;

	sigaction(SIGBUS, &survive, &before);
	ret = madvise(addr, length, MADV_HWPOISON) ? -errno : 0;
	sigaction(SIGBUS, &before, NULL);
	return ret;
}

/* pagemap shows a hwpoison entry in the place of a small page only */
static int poison(struct hmm_area *area, char *addr, size_t length)
{
	struct hmm_proof proof = {
		.set = length == hmm_page_size() ? HMM_PM_SWAP : 0,
		.clear = HMM_PM_PRESENT,
	};
	int ret = poison_pages(addr, length);

	if (!ret)
		return hmm_prove_pages(area, addr, length, &proof);
	if (ret == -EINVAL || ret == -EPERM)
		return hmm_skip(area, "no MADV_HWPOISON (CONFIG_MEMORY_FAILURE, root)");
	return hmm_fail(area, ret, "MADV_HWPOISON");
}

/* A snapshot of pages, one of which failed: it passes over that one, or ends there. */
static void poison_snapshot(struct __test_metadata *_metadata, int fd,
			    char *addr, __u64 *entries, size_t failed)
{
	int ends = expect_when(WHEN_BAD_PTE_ENDS), untold = expect_when(WHEN_SNAPSHOT_CUT);
	__u64 behind = ends ? HMMIRROR_PTE_UNTOUCHED : VALID | WRITE;
	__u64 at = untold ? HMMIRROR_PTE_ERROR : ends ? behind : 0;
	size_t page;

	ASSERT_EQ(ends && !untold ? -EFAULT : 0,
		  hmm_walk(fd, addr, PAGES * hmm_page_size(), 0, entries));
	for (page = 0; page < PAGES; page++)
		ASSERT_EQ(page < failed ? VALID | WRITE :
			  page > failed ? behind : at,
			  hmm_entry_flags(entries[page]));
}

/* The first, a middle and the last page of a range failed. */
TEST_F(walk_poison, pte)
{
	static const size_t poisoned[] = { 0, PAGES / 2, PAGES - 1 };
	size_t size = hmm_page_size(), length = PAGES * size, i, page;
	struct hmm_area *area = &self->area;

	for (i = 0; i < ARRAY_SIZE(poisoned); i++) {
		if (!REQUIRE(hmm_area_map_small(area, area->addr, length, RW), area->why))
			return;
		hmm_pattern_fill(area->addr, length, 0);
		if (!REQUIRE(poison(area, area->addr + poisoned[i] * size, size), area->why))
			return;
		poison_snapshot(_metadata, self->fd, area->addr, self->entries,
				poisoned[i]);
		ASSERT_EQ(-EFAULT, hmm_walk(self->fd, area->addr, length,
					    HMMIRROR_REQ_FAULT, self->entries));
		for (page = 0; page < PAGES; page++)
			ASSERT_EQ(page < poisoned[i] ? VALID | WRITE :
				  HMMIRROR_PTE_UNTOUCHED,
				  hmm_entry_flags(self->entries[page]));
		ASSERT_EQ(-EFAULT, hmm_walk(self->fd, area->addr, length,
					    HMMIRROR_REQ_ALL, self->entries));
	}
}

TEST_F(walk_poison, hugetlb)
{
	int refused = expect_when(WHEN_MAPPING_INVALID) ? -EINVAL : 0;
	__u64 valid = expect_when(WHEN_EMPTY_HUGETLB_VALID) ? VALID : 0;
	size_t length = hmm_pmd_size(), page;
	struct hmm_area *area = &self->area;

	if (!REQUIRE(hmm_state_make(area, hmm_state_find("hugetlb_writable"), 0, length),
		     area->why))
		return;
	if (!REQUIRE(poison(area, area->addr, length), area->why))
		return;
	ASSERT_EQ(refused, hmm_walk(self->fd, area->addr, length, 0,
				    self->entries));
	for (page = 0; page < length / hmm_page_size(); page++)
		ASSERT_EQ(valid, self->entries[page] & VALID);
	if (!refused)
		refused = -EFAULT;
	ASSERT_EQ(refused, hmm_walk(self->fd, area->addr, length,
				    HMMIRROR_REQ_FAULT, self->entries));
	ASSERT_EQ(refused, hmm_walk(self->fd, area->addr, length,
				    HMMIRROR_REQ_ALL, self->entries));
}

#include "hmm_main.h"
