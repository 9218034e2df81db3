// SPDX-License-Identifier: GPL-2.0
/* What the walker must answer. The source of it is mm/hmm.c, nothing else. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "expect.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define V	HMMIRROR_PTE_VALID
#define W	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)
#define Z	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_ZERO)
#define E	HMMIRROR_PTE_ERROR
#define DEV	HMMIRROR_PTE_PRIVATE
#define COH	HMMIRROR_PTE_COHERENT

#define FAULT	EXPECT_FAULT
#define NO	0		/* nothing, or never asked */
#define PMD	(9ULL << HMMIRROR_PTE_ORDER_SHIFT)
#define PUD	(18ULL << HMMIRROR_PTE_ORDER_SHIFT)

#define ROW(_name, _level, _snapshot, _read, _write)	\
	.state = (_name), .level = (_level),		\
	.snapshot = (_snapshot), .read = (_read), .write = (_write)

#define SMALL(_name, _snapshot, _read, _write) \
	{ ROW(_name, EXPECT_PTE, _snapshot, _read, _write) }
#define EMPTY(_name, _read, _write) \
	{ ROW(_name, EXPECT_PTE, NO, _read, _write), .empty = 1 }
#define AROUND(_name, _read, _write) \
	{ ROW(_name, EXPECT_PTE, NO, _read, _write), .empty = 1, .around = 1 }
#define HUGE(_name, _snapshot, _read, _write) \
	{ ROW(_name, EXPECT_PMD, _snapshot, _read, _write) }
#define HTLB(_name, _snapshot, _read, _write) \
	{ ROW(_name, EXPECT_HUGETLB, _snapshot, _read, _write) }
#define REFUSED(_name, _level) \
	{ ROW(_name, _level, E, FAULT, FAULT) }
#define DEVICE(_name, _always, _hit) \
	{ ROW(_name, EXPECT_PTE, _always, NO, NO), .hit = (_hit) }

static const struct expect_row rows[] = {
	/*				snapshot read	write */

	/* nothing there: faults give the zero page, or one of one's own */
	EMPTY("anon_none",			Z,	W),
	EMPTY("anon_none_readonly",		Z,	NO),
	SMALL("anon_emptied",		NO,	Z,	W),

	SMALL("anon_zero",		Z,	Z,	W),
	SMALL("anon_writable",		W,	W,	W),
	SMALL("anon_readonly",		V,	V,	NO),
	SMALL("anon_mlocked",		W,	W,	W),
	SMALL("anon_softclean",		V,	V,	W),
	SMALL("anon_cow_parent",	V,	V,	W),
	SMALL("anon_cow_child",		V,	V,	W),
	SMALL("anon_cow_left",		V,	V,	W),
	SMALL("anon_ksm",		V,	V,	W),
	/* a read brings it in read-only, though no one else has it */
	SMALL("anon_swapped",		NO,	V,	W),

	/* the mapping as a whole is out of the question */
	REFUSED("hole",			EXPECT_NO_VMA),
	REFUSED("anon_none_noaccess",	EXPECT_VMA),
	REFUSED("anon_noaccess",	EXPECT_VMA),
	REFUSED("anon_writeonly",	EXPECT_VMA),

	/* files: a private one is copied, ramfs wants to see the first write */
	AROUND("file_private_none",		V,	W),
	AROUND("file_private_cached",		V,	W),
	SMALL("file_private_read",	V,	V,	W),
	SMALL("file_private_written",	W,	W,	W),
	SMALL("file_private_readonly",	V,	V,	NO),
	AROUND("file_shared_none",		V,	W),
	SMALL("file_shared_read",	V,	V,	W),
	SMALL("file_shared_written",	W,	W,	W),
	SMALL("file_shared_readonly",	V,	V,	NO),
	EMPTY("file_past_eof",			FAULT,	FAULT),

	/* shmem does not: a shared page is writable from its first read on */
	AROUND("shmem_shared_none",		W,	W),
	AROUND("shmem_shared_cached",		W,	W),
	SMALL("shmem_shared_read",	W,	W,	W),
	SMALL("shmem_shared_written",	W,	W,	W),
	SMALL("shmem_shared_readonly",	V,	V,	NO),
	AROUND("shmem_private_none",		V,	W),
	SMALL("shmem_private_read",	V,	V,	W),
	SMALL("shmem_private_written",	W,	W,	W),
	SMALL("tmpfs_shared_written",	W,	W,	W),

	/* a huge page is split when a copy of one of its pages is wanted */
	HUGE("thp_writable",		W | PMD,	W | PMD, W | PMD),
	HUGE("thp_readonly",		V | PMD,	V | PMD, NO),
	REFUSED("thp_noaccess",		EXPECT_VMA),
	HUGE("thp_cow_parent",		V | PMD,	V | PMD, W),
	HUGE("thp_cow_child",		V | PMD,	V | PMD, W),
	HUGE("thp_zero",		Z | PMD,	Z | PMD, W),
	EMPTY("thp_none",			Z | PMD, W | PMD),
	HUGE("thp_shmem_written",	W | PMD,	W | PMD, W | PMD),
	HUGE("thp_shmem_read",		W | PMD,	W | PMD, W | PMD),
	HUGE("thp_shmem_readonly",	V | PMD,	V | PMD, NO),

	HTLB("hugetlb_none",		NO,		V | PMD, W | PMD),
	HTLB("hugetlb_writable",	W | PMD,	W | PMD, W | PMD),
	HTLB("hugetlb_read",		V | PMD,	V | PMD, W | PMD),
	HTLB("hugetlb_readonly",	V | PMD,	V | PMD, NO),
	HTLB("hugetlb_shared",		W | PMD,	W | PMD, W | PMD),
	HTLB("hugetlb_shared_none",	NO,		W | PMD, W | PMD),
	HTLB("hugetlb_cow_parent",	V | PMD,	V | PMD, W | PMD),
	HTLB("hugetlb_cow_child",	V | PMD,	V | PMD, W | PMD),
	HTLB("hugetlb_1g_none",		NO,		V | PUD, W | PUD),
	HTLB("hugetlb_1g_writable",	W | PUD,	W | PUD, W | PUD),

	/*
	 * As device 0 sees them. Its own pages are reported and never faulted,
	 * not even if a write is asked of a page that can't be written.
	 */
	DEVICE("dev_private",		W | DEV,	W),
	DEVICE("dev_private_populated",	W | DEV,	W),
	DEVICE("dev_private_readonly",	V | DEV,	V),
	DEVICE("dev_private_cow",	V | DEV,	V),
	SMALL("dev_other",		NO,	W,	W),
	SMALL("dev_other_readonly",	NO,	V,	NO),
	SMALL("dev_coherent",		W | COH,	W | COH, W | COH),
	SMALL("dev_exclusive",		NO,	W,	W),
};

const struct expect_row *expect_find(const char *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].state, state))
			return &rows[i];
	return NULL;
}

/* What is missing for a request: HMMIRROR_REQ_*, or 0. */
static __u64 missing(const struct expect_page *page, __u64 entry)
{
	if (!(page->request & HMMIRROR_REQ_FAULT))
		return 0;
	/* The device's own pages are taken as they are. */
	if (entry & DEV)
		return 0;
	if (page->request & HMMIRROR_REQ_WRITE && !(entry & HMMIRROR_PTE_WRITE))
		return HMMIRROR_REQ_ALL;
	return entry & HMMIRROR_PTE_VALID ? 0 : HMMIRROR_REQ_FAULT;
}

/* A fault of one page, and what the table holds afterwards. */
static int fault_page(struct expect_page *page, __u64 *now, __u64 need)
{
	int write = !!(need & HMMIRROR_REQ_WRITE);
	__u64 answer = write ? page->row->write : page->row->read;

	if (answer & EXPECT_FAULT)
		return -EFAULT;
	page->faults++;
	if (*now & DEV)
		*now = page->row->hit;
	else if (!(*now & (write ? HMMIRROR_PTE_WRITE : HMMIRROR_PTE_VALID)))
		*now = answer;
	return 0;
}

/*
 * The walker faults all from the page that lacks something to the end of what
 * it looks at, whatever was asked of the others.
 */
static int fault(struct expect_page *page, __u64 *now, size_t from, size_t to,
		 __u64 need)
{
	int ret;

	if (need & HMMIRROR_REQ_WRITE &&
	    !(page[from].state->prot & PROT_WRITE))
		return -EPERM;
	for (; from < to; from++) {
		ret = fault_page(&page[from], &now[from], need);
		if (ret)
			return ret;
	}
	return 0;
}

/* The end of what the walker looks at in one go, from page @first on. */
static size_t stretch_end(const char *addr, const struct expect_page *page,
			  size_t first, size_t pages)
{
	size_t size = hmm_page_size(), end = first, unit = hmm_pmd_size();
	enum expect_level level = page[first].row->level;

	if (level == EXPECT_HUGETLB)
		unit = hmm_state_unit(page[first].state);
	while (++end < pages) {
		if (page[end].vma != page[first].vma)
			break;
		if (level == EXPECT_NO_VMA || level == EXPECT_VMA)
			continue;
		if (((uintptr_t)addr + end * size) % unit == 0)
			break;
	}
	return end;
}

/* One stretch: 0, or the error with the entries so far. */
static int walk_stretch(struct expect_page *page, __u64 *now, size_t from,
			size_t to)
{
	enum expect_level level = page[from].row->level;
	int at_once = level != EXPECT_PTE || !page[from].table;
	size_t asking = level == EXPECT_HUGETLB ? from + 1 : to, i;
	__u64 need;
	int ret;

	while (from < to) {
		need = 0;
		if (at_once)
			for (i = from; i < asking; i++)
				need |= missing(&page[i], now[i]);
		else
			need = missing(&page[from], now[from]);
		if (need && (level == EXPECT_NO_VMA || level == EXPECT_VMA))
			return -EFAULT;
		if (need) {
			ret = fault(page, now, from, to, need);
			if (ret)
				return ret;
			/* Now there is a table, and it is read page by page. */
			if (level != EXPECT_HUGETLB)
				at_once = 0;
			continue;
		}
		i = at_once ? to : from + 1;
		for (; from < i; from++)
			page[from].entry = now[from];
	}
	return 0;
}

int expect_walk(const char *addr, struct expect_page *page, size_t pages,
		int *error)
{
	__u64 *now = hmm_map_anon(pages * sizeof(*now), 0);
	size_t i, end;

	if (!now)
		return -ENOMEM;
	*error = 0;
	for (i = 0; i < pages; i++) {
		page[i].row = expect_find(page[i].state->name);
		if (!page[i].row) {
			hmm_unmap(now, pages * sizeof(*now));
			return -ENOENT;
		}
		page[i].entry = HMMIRROR_PTE_UNTOUCHED;
		page[i].faults = 0;
		now[i] = page[i].row->snapshot;
	}
	for (i = 0; i < pages && !*error; i = end) {
		end = stretch_end(addr, page, i, pages);
		*error = walk_stretch(page, now, i, end);
	}
	hmm_unmap(now, pages * sizeof(*now));
	return 0;
}
