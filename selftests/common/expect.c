// SPDX-License-Identifier: GPL-2.0
/*
 * What hmm_range_fault() must answer for one page, by its state: derived from mm/hmm.c, and
 * from mm/memory.c where a fault is called, and from nothing else.
 */
#include <string.h>

#include "expect.h"
#include "expect_kernel.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define V	HMMIRROR_PTE_VALID
#define W	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)
#define Z	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_ZERO)
#define E	HMMIRROR_PTE_ERROR
#define DEV	HMMIRROR_PTE_PRIVATE
#define COH	HMMIRROR_PTE_COHERENT

#define FAULT	EXPECT_FAULT
#define NO	0		/* nothing, or not used */
/* stands for the order of a PMD, which depends on the page size, until expect_find() has it */
#define PMD	(HMMIRROR_PTE_ORDER_MASK << HMMIRROR_PTE_ORDER_SHIFT)
/* the same for the order of a hugetlb page, which is its state's unit */
#define UNIT	((HMMIRROR_PTE_ORDER_MASK - 1) << HMMIRROR_PTE_ORDER_SHIFT)

#define ROW(_name, _level, _snapshot, _read, _write)	\
	.state = (_name), .level = (_level),		\
	.snapshot = (_snapshot), .read = (_read), .write = (_write)

#define SMALL(_name, _snapshot, _read, _write) \
	{ ROW(_name, EXPECT_PTE, _snapshot, _read, _write) }
#define EMPTY(_name, _read, _write) \
	{ ROW(_name, EXPECT_PTE, NO, _read, _write), .empty = 1 }
#define AROUND(_name, _read, _write) \
	{ ROW(_name, EXPECT_PTE, NO, _read, _write), .empty = 1, .around = 1 }
#define COLD(_name, _read, _write) \
	{ ROW(_name, EXPECT_PTE, NO, _read, _write), .empty = 1, .around = 1, \
	  .cold = 1 }
#define NOT_ASKED(_name, _read, _write) \
	{ ROW(_name, EXPECT_PTE, NO, _read, _write), .refused = 1 }
#define OTHERS(_name, _read, _write) \
	{ ROW(_name, EXPECT_PTE, NO, _read, _write), .others = 1 }
#define WATCHED(_name, _empty, _level, _snapshot, _read, _write)	\
	{ ROW(_name, _level, _snapshot, _read, _write), .empty = (_empty), \
	  .watched = 1 }
#define HUGE(_name, _snapshot, _read, _write) \
	{ ROW(_name, EXPECT_PMD, _snapshot, _read, _write) }
#define HTLB(_name, _snapshot, _read, _write) \
	{ ROW(_name, EXPECT_HUGETLB, _snapshot, _read, _write) }
#define HTLB_BOGUS(_name, _read, _write)		\
	{ ROW(_name, EXPECT_HUGETLB, NO, _read, _write),	\
	  .shown = HMMIRROR_PTE_VALID | EXPECT_OFFSET }
#define REFUSED(_name, _level) \
	{ ROW(_name, _level, E, FAULT, FAULT) }
#define SKIPPED(_name, _level) \
	{ ROW(_name, _level, NO, FAULT, FAULT) }
#define DRIVERS(_name) \
	{ ROW(_name, EXPECT_VMA, E, FAULT, FAULT), .driver = 1 }
#define OWN_HUGE(_name, _always) \
	{ ROW(_name, EXPECT_PMD, _always, NO, NO) }
#define DEVICE(_name, _always, _hit) \
	{ ROW(_name, EXPECT_PTE, _always, NO, NO), .hit = (_hit) }

static struct expect_row rows[] = {
	/*				snapshot read	write */

	/* empty: a read faults the zero page in, a write a page */
	EMPTY("anon_none",			Z,	W),
	EMPTY("anon_none_readonly",		Z,	NO),
	SMALL("anon_emptied",		NO,	Z,	W),

	SMALL("anon_zero",		Z,	Z,	W),
	SMALL("anon_writable",		W,	W,	W),
	SMALL("anon_readonly",		V,	V,	NO),
	SMALL("anon_mlocked",		W,	W,	W),
	SMALL("anon_softclean",		V,	V,	W),
	SMALL("anon_old",		W,	W,	W),
	SMALL("anon_cow_parent",	V,	V,	W),
	SMALL("anon_cow_child",		V,	V,	W),
	SMALL("anon_cow_left",		V,	V,	W),
	SMALL("anon_ksm",		V,	V,	W),
	/* a read swaps it in read-only, though nobody shares it */
	SMALL("anon_swapped",		NO,	V,	W),

	/* the mapping as a whole is refused */
	REFUSED("hole",			EXPECT_NO_VMA),
	REFUSED("anon_none_noaccess",	EXPECT_VMA),
	REFUSED("anon_noaccess",	EXPECT_VMA),
	REFUSED("anon_writeonly",	EXPECT_VMA),

	/* files: a write copies a private page; the first write to a shared one of ramfs faults */
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

	/* shmem is not: a shared page is writable from its first read on */
	AROUND("shmem_shared_none",		W,	W),
	AROUND("shmem_shared_cached",		W,	W),
	SMALL("shmem_shared_read",	W,	W,	W),
	SMALL("shmem_shared_written",	W,	W,	W),
	SMALL("shmem_shared_readonly",	V,	V,	NO),
	{ ROW("shmem_shared_swapped", EXPECT_PTE, NO, W, W), .around = 1 },
	AROUND("shmem_private_none",		V,	W),
	SMALL("shmem_private_read",	V,	V,	W),
	SMALL("shmem_private_written",	W,	W,	W),
	SMALL("tmpfs_shared_written",	W,	W,	W),

	/* secret memory is not in the direct map, which the walker does not look at */
	EMPTY("secret_none",			W,	W),
	SMALL("secret_written",		W,	W,	W),
	SMALL("secret_readonly",	V,	V,	NO),
	SMALL("sealed_shared",		V,	V,	NO),
	SMALL("sealed_private",		V,	V,	W),
	SMALL("sealed_copied",		W,	W,	W),
	SMALL("stack",			W,	W,	W),
	/* protection keys bind threads, and a device is not one */
	EMPTY("key_none",			Z,	W),
	SMALL("key_written",		W,	W,	W),
	SMALL("lazyfree",		W,	W,	W),
	/* bits of the PTE that the walker does not report */
	SMALL("tagged",			W,	W,	W),
	SMALL("marked_targets",		V,	V,	NO),

	/* a fault would have to wait for userfaultfd, which is not allowed */
	WATCHED("anon_uffd_missing",	1, EXPECT_PTE, NO,	FAULT,	FAULT),
	WATCHED("anon_uffd_wp",		0, EXPECT_PTE, V,	V,	FAULT),
	WATCHED("anon_uffd_wp_zero",	0, EXPECT_PTE, Z,	Z,	FAULT),
	{ ROW("anon_uffd_wp_swapped", EXPECT_PTE, NO, V, FAULT), .watched = 1,
	  .fetched = 1 },
	WATCHED("shmem_uffd_missing",	1, EXPECT_PTE, NO,	FAULT,	FAULT),
	WATCHED("shmem_uffd_minor",	1, EXPECT_PTE, NO,	FAULT,	FAULT),
	WATCHED("shmem_uffd_wp",	0, EXPECT_PTE, V,	V,	FAULT),
	WATCHED("thp_uffd_wp",		0, EXPECT_PMD, V | PMD, V | PMD, FAULT),
	WATCHED("hugetlb_uffd_missing",	0, EXPECT_HUGETLB, NO,	FAULT,	FAULT),
	WATCHED("hugetlb_uffd_minor",	0, EXPECT_HUGETLB, NO,	FAULT,	FAULT),
	WATCHED("hugetlb_uffd_wp",	0, EXPECT_HUGETLB, V | PMD, V | PMD, FAULT),

	/* a write to a shared huge page splits it */
	HUGE("thp_writable",		W | PMD,	W | PMD, W | PMD),
	HUGE("thp_readonly",		V | PMD,	V | PMD, NO),
	REFUSED("thp_noaccess",		EXPECT_VMA),
	REFUSED("mthp_noaccess",	EXPECT_VMA),
	REFUSED("hugetlb_noaccess",	EXPECT_VMA),
	HUGE("thp_cow_parent",		V | PMD,	V | PMD, W),
	HUGE("thp_cow_child",		V | PMD,	V | PMD, W),
	HUGE("thp_zero",		Z | PMD,	Z | PMD, W),
	EMPTY("thp_none",			Z | PMD, W | PMD),
	HUGE("thp_shmem_written",	W | PMD,	W | PMD, W | PMD),
	HUGE("thp_shmem_read",		W | PMD,	W | PMD, W | PMD),
	HUGE("thp_shmem_readonly",	V | PMD,	V | PMD, NO),

	/* large folios below PMD size: PTE by PTE, but a fault may map a whole one */
	AROUND("mthp_none",			Z,	W),
	SMALL("mthp_order2",		W,	W,	W),
	SMALL("mthp_order4",		W,	W,	W),
	SMALL("mthp_order8",		W,	W,	W),
	SMALL("mthp_cont_pte",		W,	W,	W),
	SMALL("mthp_readonly",		V,	V,	NO),
	SMALL("mthp_cow",		V,	V,	W),
	{ ROW("mthp_swapped", EXPECT_PTE, NO, V, W), .around = 1 },
	AROUND("mthp_shmem_none",		W,	W),
	SMALL("mthp_shmem",		W,	W,	W),

	HTLB("hugetlb_none",		NO,		V | PMD, W | PMD),
	HTLB("hugetlb_writable",	W | PMD,	W | PMD, W | PMD),
	HTLB("hugetlb_read",		V | PMD,	V | PMD, W | PMD),
	HTLB("hugetlb_readonly",	V | PMD,	V | PMD, NO),
	HTLB("hugetlb_shared",		W | PMD,	W | PMD, W | PMD),
	HTLB("hugetlb_shared_none",	NO,		W | PMD, W | PMD),
	HTLB("hugetlb_cow_parent",	V | PMD,	V | PMD, W | PMD),
	HTLB("hugetlb_cow_child",	V | PMD,	V | PMD, W | PMD),

	{ ROW("hugetlb_cont_pte_none", EXPECT_HUGETLB, NO, V | UNIT, W | UNIT), .empty = 1 },
	HTLB("hugetlb_cont_pte",	W | UNIT,	W | UNIT, W | UNIT),
	HTLB("hugetlb_cont_pte_read",	V | UNIT,	V | UNIT, W | UNIT),
	HTLB("hugetlb_cont_pte_cow",	V | UNIT,	V | UNIT, W | UNIT),
	HTLB("hugetlb_cont_pmd_none",	NO,		V | UNIT, W | UNIT),
	HTLB("hugetlb_cont_pmd",	W | UNIT,	W | UNIT, W | UNIT),

	/*
	 * As seen by device 0. Its own pages are reported and never faulted, not even for a
	 * write to a read-only one.
	 */
	DEVICE("dev_private",		W | DEV,	W),
	DEVICE("dev_private_populated",	W | DEV,	W),
	DEVICE("dev_private_readonly",	V | DEV,	V),
	DEVICE("dev_private_cow",	V | DEV,	V),
	OWN_HUGE("dev_huge",		W | DEV | PMD),
	OWN_HUGE("dev_huge_populated",	W | DEV | PMD),
	OWN_HUGE("dev_huge_readonly",	V | DEV | PMD),
	OWN_HUGE("dev_huge_cow",	V | DEV | PMD),
	OTHERS("dev_other",			W,	W),
	OTHERS("dev_other_readonly",		V,	NO),
	/*
	 * small pages of another device are reported as nothing, huge ones as an error,
	 * though a fault helps for both
	 */
	HUGE("dev_huge_other",		E,	W | PMD, W | PMD),
	HUGE("dev_huge_other_readonly",	E,	V | PMD, NO),
	SMALL("dev_coherent",		W | COH,	W | COH, W | COH),
	SMALL("dev_exclusive",		NO,	W,	W),

	/* mappings of drivers: without a struct page there is nothing to report */
	SMALL("mixed_normal",		W,	W,	W),
	SMALL("mixed_special",		E,	FAULT,	FAULT),
	SMALL("mixed_special_readonly",	E,	FAULT,	NO),
	DRIVERS("pfnmap"),
	DRIVERS("io"),
};

/* Rows that replace those above on kernels where something holds, or does not. */
static struct {
	enum expect_when when;
	int is;
	struct expect_row row;
} differing[] = {
	{ WHEN_SWAP_IN_WRITABLE, 1,
	  SMALL("anon_swapped",		NO,	W,	W) },
	{ WHEN_SWAP_IN_WRITABLE, 1,
	  { ROW("mthp_swapped", EXPECT_PTE, NO, W, W), .around = 1 } },
	{ WHEN_HUGE_ZERO_COPIED, 1,
	  HUGE("thp_zero",		Z | PMD,	Z | PMD, W | PMD) },
	{ WHEN_EMPTY_HUGETLB_VALID, 1,
	  HTLB_BOGUS("hugetlb_none",		V | PMD, W | PMD) },
	{ WHEN_EMPTY_HUGETLB_VALID, 1,
	  HTLB_BOGUS("hugetlb_shared_none",	W | PMD, W | PMD) },
	{ WHEN_EMPTY_HUGETLB_VALID, 1,
	  { ROW("hugetlb_uffd_missing", EXPECT_HUGETLB, NO, FAULT, FAULT),
	    .shown = HMMIRROR_PTE_VALID | EXPECT_OFFSET, .watched = 1 } },
	{ WHEN_OTHER_REFUSED, 1,
	  NOT_ASKED("dev_other",		W,	W) },
	{ WHEN_OTHER_REFUSED, 1,
	  NOT_ASKED("dev_other_readonly",	V,	NO) },
	{ WHEN_COLD_BEGINS_ANEW, 1,
	  COLD("file_private_none",		V,	W) },
	{ WHEN_COLD_BEGINS_ANEW, 1,
	  COLD("file_shared_none",		V,	W) },
	{ WHEN_REFUSED_EMPTY, 1, SKIPPED("hole", EXPECT_NO_VMA) },
	{ WHEN_REFUSED_EMPTY, 1, SKIPPED("anon_none_noaccess", EXPECT_VMA) },
	{ WHEN_REFUSED_EMPTY, 1, SKIPPED("anon_noaccess", EXPECT_VMA) },
	{ WHEN_REFUSED_EMPTY, 1, SKIPPED("anon_writeonly", EXPECT_VMA) },
	{ WHEN_REFUSED_EMPTY, 1, SKIPPED("thp_noaccess", EXPECT_VMA) },
	{ WHEN_REFUSED_EMPTY, 1, SKIPPED("mthp_noaccess", EXPECT_VMA) },
	{ WHEN_REFUSED_EMPTY, 1, SKIPPED("hugetlb_noaccess", EXPECT_VMA) },
	{ WHEN_MIXED_REFUSED, 1, DRIVERS("mixed_normal") },
	{ WHEN_MIXED_REFUSED, 1, DRIVERS("mixed_special") },
	{ WHEN_MIXED_REFUSED, 1, DRIVERS("mixed_special_readonly") },
};

static __u64 order_of_unit(const char *name)
{
	const struct hmm_state *state = hmm_state_find(name);

	return state ? __builtin_ctzl(hmm_state_unit(state) / hmm_page_size()) : 0;
}

static void set_order(const char *name, __u64 *answer)
{
	__u64 order;

	if ((*answer & PMD) == PMD)
		order = hmm_pmd_order();
	else if ((*answer & PMD) == UNIT)
		order = order_of_unit(name);
	else
		return;
	*answer = (*answer & ~PMD) | order << HMMIRROR_PTE_ORDER_SHIFT;
}

static void set_orders_of(struct expect_row *row)
{
	set_order(row->state, &row->snapshot);
	set_order(row->state, &row->read);
	set_order(row->state, &row->write);
	set_order(row->state, &row->hit);
}

static struct expect_row *find_row(const char *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(differing); i++)
		if (!strcmp(differing[i].row.state, state) &&
		    expect_when(differing[i].when) == differing[i].is)
			return &differing[i].row;
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].state, state))
			return &rows[i];
	return NULL;
}

/* No order is as large as those which PMD and UNIT have, so a second call changes nothing. */
const struct expect_row *expect_find(const char *state)
{
	struct expect_row *row = find_row(state);

	if (row)
		set_orders_of(row);
	return row;
}
