/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What hmm_range_fault() must answer: a table of answers by state and request, and the
 * rules by which the request of one page affects others. All differences between kernels
 * are here, in expect.c and in expect_walk.c; expect_kernel.h tells which apply.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "hmmirror_lib.h"

/* At which step of the walk the answer for a page of a state is decided. */
enum expect_level {
	EXPECT_NO_VMA,	/* no VMA: pte_hole() */
	EXPECT_VMA,	/* VMA flags: test_walk() */
	EXPECT_PTE,	/* PTE by PTE */
	EXPECT_PMD,	/* a huge PMD as a whole */
	EXPECT_HUGETLB,	/* a hugetlb page as a whole, by the request of its first page */
};

/*
 * An answer is an entry as the driver reports it, without its pfn (flags and order); or
 * this: a fault there fails, and the walk ends with -EFAULT.
 */
#define EXPECT_FAULT	0x8000000000000000ULL

/*
 * In an entry: its pfn must be the index of the page in its huge page, as if that began at
 * pfn 0.
 */
#define EXPECT_OFFSET	0x4000000000000000ULL

/**
 * struct expect_row - answers for one state
 * @state: name of the state
 * @level: at which step of the walk it is decided
 * @empty: no PTE, and no page table because of it: without a neighbour that has made a
 *	table, the walker handles the whole range as one hole
 * @around: a fault may map pages around the faulting one (fault-around)
 * @refused: where a fault is needed, the walker fails with -EFAULT without calling the
 *	fault handler; a fault for the sake of an earlier page succeeds here
 * @others: device-private page of another device
 * @cold: the fault reads it from the file, drops the mmap lock and makes the walk start
 *	again. Page tables exist then, so that nobody can tell which of the pages without a
 *	request are mapped
 * @fetched: a fault may bring it and pages behind it into memory before it fails
 * @watched: userfaultfd is asked first; a fault that may wait, waits for it
 * @driver: mapping of a driver, of a kind that the walker refuses
 * @snapshot: what the page table holds, and so the answer without a request
 * @shown: the answer without a request, where it is not @snapshot; 0: it is
 * @read: answer to a read fault
 * @write: answer to a write fault; not used for a state without PROT_WRITE, where the
 *	walk ends with -EPERM
 * @hit: for device pages, which the walker is content with: what the page table holds
 *	after a fault that it called for the sake of an earlier page
 */
struct expect_row {
	const char *state;
	enum expect_level level;
	int empty;
	int around;
	int refused;
	int others;
	int cold;
	int fetched;
	int watched;
	int driver;
	__u64 snapshot;
	__u64 shown;
	__u64 read;
	__u64 write;
	__u64 hit;
};

/* A page of a range that is to be walked. The caller fills the first five members. */
struct expect_page {
	const struct hmm_state *state;
	__u64 request;		/* HMMIRROR_REQ_*, after default_flags and request_mask */
	int single;		/* from entries[]; else from default_flags */
	unsigned long vma;	/* start of its VMA, 0 if none */
	int table;		/* there is a page table of PTEs here */
	/* filled by expect_walk() */
	const struct expect_row *row;
	__u64 asks;		/* request that an old walker has not yet lost */
	__u64 now;		/* what the page table holds at this point */
	int moved;		/* a fault replaced the page that was there: an invalidation */
	int later;		/* the driver migrates it back after the walk, if asked */
	__u64 entry;		/* expected answer, without the pfn */
	unsigned int faults;	/* expected page faults */
};

/* expect_find - the row of a state, or NULL */
const struct expect_row *expect_find(const char *state);

/**
 * expect_walk - compute what a walk must answer
 * @addr: first byte
 * @page: the pages
 * @pages: number of pages
 * @error: gets the expected return value of hmm_range_fault()
 *
 * Return: 0, or -ENOENT if a state has no row.
 */
int expect_walk(const char *addr, struct expect_page *page, size_t pages,
		int *error);

#endif /* EXPECT_H */
