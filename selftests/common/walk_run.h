/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Walk a window of pages in known states, and check the whole answer: every page's entry
 * against expect.h and against pagemap, the walker's error, which pages were faulted, and
 * that a snapshot changed nothing.
 */
#ifndef WALK_RUN_H
#define WALK_RUN_H

#include "expect.h"

/**
 * struct walk - a window of pages in known states
 * @area: the window
 * @pages: number of pages
 * @page: state and request of each page
 * @entries: requests by page, and the walker's answers
 * @before: pagemap before the walk
 * @after: pagemap after the walk
 * @error: return value of hmm_range_fault() in the last walk
 * @flags: HMMIRROR_RANGE_* of the walks; set before walk_begin(), and kept
 * @why: what is missing, or what went wrong
 */
struct walk {
	struct hmm_area area;
	size_t pages;
	struct expect_page *page;
	__u64 *entries;
	__u64 *before;
	__u64 *after;
	int error;
	unsigned int flags;
	char why[480];
};

/**
 * walk_begin - set up a window
 * @walk: what to set up
 * @pages: number of pages
 * @align: alignment, bytes; 0 for hmm_pmd_size()
 *
 * Return: 0 or -errno.
 */
int walk_begin(struct walk *walk, size_t pages, size_t align);

/* walk_end - undo walk_begin(); safe on zeroes */
void walk_end(struct walk *walk);

/**
 * walk_make - bring pages of the window into a state
 * @walk: the window
 * @state: name of the state
 * @first: first page
 * @pages: number of pages
 *
 * Pages that can be proved to be in that state still are left alone.
 *
 * Return: 0; HMM_SKIP or -errno with walk->why.
 */
int walk_make(struct walk *walk, const char *state, size_t first, size_t pages);

/**
 * walk_ask - walk pages with one request for all, and check the answer
 * @walk: the window
 * @device: 0 to 3
 * @first: first page
 * @pages: number of pages
 * @request: HMMIRROR_REQ_*, 0 for a snapshot
 *
 * All states are proved again before the walk.
 *
 * Return: 0, or -errno with walk->why.
 */
int walk_ask(struct walk *walk, unsigned int device, size_t first,
	     size_t pages, __u64 request);

/**
 * walk_ask_pages - walk pages with a request for each, in page[].request
 * @walk: the window
 * @device: 0 to 3
 * @first: first page
 * @pages: number of pages
 * @mask: HMMIRROR_REQ_* bits of the requests that count
 */
int walk_ask_pages(struct walk *walk, unsigned int device, size_t first,
		   size_t pages, __u64 mask);

#endif /* WALK_RUN_H */
