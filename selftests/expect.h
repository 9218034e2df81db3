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

/**
 * struct expect_row - answers for one state
 * @state: name of the state
 * @level: where it is decided
 * @empty: there is no entry, and no page table because of it: where others
 *	make none either, it is decided for all the hole
 * @around: a fault may map pages around the one that it is for
 * @snapshot: answer to no request
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
	__u64 snapshot;
	__u64 read;
	__u64 write;
	__u64 hit;
};

/* A page of a range that is to be walked. */
struct expect_page {
	const struct hmm_state *state;
	__u64 request;		/* HMMIRROR_REQ_*, default and mask applied */
	unsigned long vma;	/* start of its mapping, 0 if none */
	int table;		/* there is a page table here */
	/* filled by expect_walk() */
	const struct expect_row *row;
	__u64 entry;		/* without the pfn */
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
