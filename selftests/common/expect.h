/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the walker must answer: a table of state x request, and the rules by
 * which one page's request touches others. All that differs between kernels
 * belongs here and in expect.c.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include "hmmirror_lib.h"

/* Where the walker decides for a page of a state. */
enum expect_level {
	EXPECT_NO_VMA,	/* between mappings */
	EXPECT_VMA,	/* by the mapping's flags */
	EXPECT_PTE,	/* page by page */
	EXPECT_PMD,	/* a huge PMD at once */
	EXPECT_HUGETLB,	/* a hugetlb page at once, asked by its first page */
};

/*
 * An answer is an entry as the driver reports it, without its pfn (flags and
 * order), or this: the fault fails, and so the walk with -EFAULT.
 */
#define EXPECT_FAULT	0x8000000000000000ULL

/* In an entry: the pfn is that of the page in its huge page, as if that were 0. */
#define EXPECT_OFFSET	0x4000000000000000ULL

/**
 * struct expect_row - answers for one state
 * @state: name of the state
 * @level: where it is decided
 * @empty: there is no entry, and no page table because of it: where others
 *	make none either, it is decided for all the hole
 * @around: a fault may map pages around the one that it is for
 * @refused: the walker sends no fault here but fails with -EFAULT; those that
 *	it sends for the sake of pages before this one go well
 * @others: it is private to another device
 * @cold: its fault reads it from the file and is given up; the walk begins anew,
 *	where page tables are by then, so that it can't be told which pages of
 *	those that did not ask are mapped
 * @fetched: a fault may bring it and those behind it into memory before it fails
 * @watched: userfaultfd is asked first, and a fault that may wait for it does
 * @driver: it is a driver's mapping, of a kind that is refused
 * @snapshot: answer to no request
 * @shown: what is answered instead of that, if not 0
 * @read: answer to a read fault
 * @write: answer to a write fault; not looked at where the state has no
 *	PROT_WRITE: that is -EPERM
 * @hit: what is seen after a fault that another page's request sent here,
 *	though the walker is content with what is there; only device pages
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

/* A page of a range that is to be walked. */
struct expect_page {
	const struct hmm_state *state;
	__u64 request;		/* HMMIRROR_REQ_*, default and mask applied */
	int single;		/* it is the page's own, not the range's */
	unsigned long vma;	/* start of its mapping, 0 if none */
	int table;		/* there is a page table here */
	/* filled by expect_walk() */
	const struct expect_row *row;
	__u64 asks;		/* what is left of the request */
	__u64 now;		/* what the table holds */
	int moved;		/* a fault took away what was there */
	int later;		/* brought home after the walk, if asked */
	__u64 entry;		/* the answer, without the pfn */
	unsigned int faults;	/* how often it was faulted */
};

/* expect_find - the row of a state, or NULL */
const struct expect_row *expect_find(const char *state);

/**
 * expect_walk - what a walk must give
 * @addr: first byte
 * @page: the pages
 * @pages: number of pages
 * @error: gets the walker's error
 *
 * Return: 0, or -ENOENT if a state has no row.
 */
int expect_walk(const char *addr, struct expect_page *page, size_t pages,
		int *error);

#endif /* EXPECT_H */
