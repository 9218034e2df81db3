// SPDX-License-Identifier: GPL-2.0
/* Large folios below PMD size (mTHP): several PTEs that map one folio. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_system.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

#define SIZES	"/sys/kernel/mm/transparent_hugepage/hugepages-"

/* Memory may have to be compacted first. */
#define TRIES	4

/* Small pages of the largest of them, of order 8. */
#define PAGES_MAX	256

/* Bits of .variant. */
#define NONE	0x01	/* never touched */
#define COW	0x02	/* shared with a child */
#define SHMEM	0x04
#define SWAPPED	0x08	/* and then swapped out, all at once */
#define CONT	0x10	/* the CPU translates all of it by one entry */

#define SWAPPED_UNIT	HMM_UNIT_ORDER4
#define SWAPPED_PAGES	16

/* In pagemap, below the offset of a swap entry: its type. */
#define SWAP_TYPE_BITS	5

/* The knob of a state's size. The area keeps the path until it ends, so each has a place. */
static const char *knob_of(const struct hmm_state *state)
{
	static char paths[HMM_UNIT_CONT_PTE + 1][2][96];
	int shmem = !!(state->variant & SHMEM);
	char *path = paths[state->unit][shmem];

	snprintf(path, sizeof(paths[0][0]), SIZES "%zukB/%senabled",
		 hmm_state_unit(state) / 1024, shmem ? "shmem_" : "");
	return path;
}

static int need_size(struct hmm_area *area, const struct hmm_state *state)
{
	int shmem = state->variant & SHMEM, ret;
	const char *knob;

	/* hugetlb has a size for it */
	if (state->variant & CONT && hmm_state_unit(state) == hmm_page_size())
		return hmm_skip(area, "no contiguous PTEs: hugetlb has no size below a PMD's");
	knob = knob_of(state);
	if (access(knob, F_OK))
		return hmm_skip(area, "no huge pages of %zu KiB%s: no %s",
				hmm_state_unit(state) / 1024,
				shmem ? " in shmem" : "", knob);
	ret = hmm_area_set_knob(area, knob, shmem ? "always" : "madvise");
	return ret ? hmm_fail(area, ret, knob) : 0;
}

/*
 * Prove that the pages are one folio: consecutive, aligned pfns; a head, then only tails;
 * and that it is not larger.
 */
static int prove_folio(struct hmm_area *area, const char *addr, size_t pages)
{
	const __u64 head = hmm_kpf(KPF_COMPOUND_HEAD);
	const __u64 tail = hmm_kpf(KPF_COMPOUND_TAIL);
	__u64 map[PAGES_MAX], flags[PAGES_MAX + 1], pfn;
	size_t i;
	int ret = hmm_pagemap(addr, pages, map);

	if (ret)
		return hmm_fail(area, ret, "/proc/self/pagemap");
	pfn = map[0] & HMM_PM_PFN_MASK;
	for (i = 0; i < pages; i++)
		if (!(map[i] & HMM_PM_PRESENT) ||
		    (map[i] & HMM_PM_PFN_MASK) != pfn + i)
			return hmm_fail(area, 0, "page %zu: pagemap %#llx, want frame %#llx",
					i, map[i], pfn + i);
	ret = hmm_page_flags(pfn, pages + 1, flags);
	if (ret)
		return hmm_fail(area, ret, "/proc/kpageflags");
	for (i = 0; i <= pages; i++)
		if (pfn % pages || !(flags[0] & head) ||
		    !!(flags[i] & tail) != (i && i < pages))
			return hmm_fail(area, 0,
					"frame %#llx + %zu of a folio of %zu: page flags %#llx",
					pfn, i, pages, flags[i]);
	return 0;
}

static int prove_folios(struct hmm_area *area, const struct hmm_state *state,
			const char *addr, size_t length)
{
	size_t unit = hmm_state_unit(state), i;
	int ret = 0;

	for (i = 0; !ret && i < length; i += unit)
		ret = prove_folio(area, addr + i, unit / hmm_page_size());
	return ret;
}

/* Prove consecutive swap entries, aligned as a folio: it was not split to be swapped out. */
static int prove_swapped_folio(struct hmm_area *area, const char *addr, size_t pages)
{
	__u64 map[PAGES_MAX], slot;
	size_t i;
	int ret = hmm_pagemap(addr, pages, map);

	if (ret)
		return hmm_fail(area, ret, "/proc/self/pagemap");
	slot = (map[0] & HMM_PM_PFN_MASK) >> SWAP_TYPE_BITS;
	for (i = 0; i < pages; i++)
		if (!(map[i] & HMM_PM_SWAP) ||
		    (map[i] & HMM_PM_PFN_MASK) >> SWAP_TYPE_BITS != slot + i)
			return hmm_fail(area, 0, "page %zu: pagemap %#llx, want swap slot %#llx",
					i, map[i], slot + i);
	if (slot % pages)
		return hmm_fail(area, 0, "swap slot %#llx is no place for %zu pages",
				slot, pages);
	return 0;
}

/* For hmm_area_pageout(); all states that are swapped out have this unit. */
static int prove_swapped(struct hmm_area *area, const char *addr, size_t length)
{
	size_t size = SWAPPED_PAGES * hmm_page_size(), i;
	int ret = 0;

	for (i = 0; !ret && i < length; i += size)
		ret = prove_swapped_folio(area, addr + i, SWAPPED_PAGES);
	return ret;
}

/*
 * Look whether the CPU has one entry for all pages of a folio: then it sets one accessed bit for
 * all of them. clear_refs leaves what is in the TLB; mprotect() flushes it.
 */
static int need_cont(struct hmm_area *area, char *addr, size_t unit)
{
	long kb;

	if (hmm_write_text("/proc/self/clear_refs", "1"))
		return hmm_skip(area, "no clear_refs (PROC_PAGE_MONITOR)");
	if (mprotect(addr, unit, PROT_READ) || mprotect(addr, unit, RW))
		return hmm_fail(area, errno, "mprotect");
	if (hmm_smaps(addr, "Referenced"))
		return hmm_fail(area, 0, "clear_refs left pages referenced");
	hmm_touch_read(addr, 1);
	kb = hmm_smaps(addr, "Referenced");
	if (kb == (long)hmm_page_size() / 1024)
		return hmm_skip(area, "no contiguous PTEs: each page has its accessed bit");
	if (kb != (long)unit / 1024)
		return hmm_fail(area, 0, "one page was read, and %ld KiB are referenced", kb);
	return 0;
}

static int map_none(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length)
{
	int ret, fd;

	if (!(state->variant & SHMEM)) {
		ret = hmm_area_map(area, addr, length, RW,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1);
	} else {
		fd = hmm_file_memfd(length, 0);
		if (fd < 0)
			return hmm_fail(area, fd, "memfd");
		ret = hmm_area_map(area, addr, length, RW, MAP_SHARED, fd);
		close(fd);
	}
	if (!ret && madvise(addr, length, MADV_HUGEPAGE))
		ret = hmm_fail(area, errno, "MADV_HUGEPAGE");
	return ret;
}

static const struct hmm_proof each_swapped = {
	.set = HMM_PM_SWAP,
	.clear = HMM_PM_PRESENT,
};

static int make_mthp(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	int i, ret = need_size(area, state);
	size_t done;

	for (i = 0; !ret && i < TRIES; i++) {
		ret = map_none(area, state, addr, length);
		if (ret || state->variant & NONE)
			return ret;
		hmm_pattern_fill(addr, length, 0);
		if (!prove_folios(area, state, addr, length))
			break;
		hmm_write_number("/proc/sys/vm/compact_memory", 1);
	}
	if (!ret && state->prot != RW && mprotect(addr, length, state->prot))
		ret = hmm_fail(area, errno, "mprotect");
	if (!ret && state->variant & COW)
		ret = hmm_area_share(area, 0);
	if (!ret && state->variant & SWAPPED) {
		ret = hmm_area_pageout(area, addr, length, prove_swapped);
		if (!ret && prove_swapped(area, addr, length) &&
		    !hmm_prove_pages(area, addr, length, &each_swapped))
			ret = hmm_skip(area, "the kernel splits folios to swap them out");
	}
	if (state->variant & CONT)
		for (done = 0; !ret && done < length; done += hmm_state_unit(state))
			ret = need_cont(area, addr + done, hmm_state_unit(state));
	return ret;
}

static int prove_mthp(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof none = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	static const struct hmm_proof shared = {
		.set = HMM_PM_PRESENT,
		.clear = HMM_PM_EXCLUSIVE,
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (!ret && state->variant & NONE)
		return hmm_prove_pages(area, addr, length, &none);
	if (!ret && state->variant & SWAPPED)
		return prove_swapped(area, addr, length);
	if (!ret)
		ret = prove_folios(area, state, addr, length);
	if (!ret && state->variant & COW)
		return hmm_prove_pages(area, addr, length, &shared);
	if (!ret && state->prot & PROT_WRITE)
		ret = hmm_prove_writable(area, addr, length);
	return ret;
}

#define MTHP_STATE(_name, _unit, _prot, _flags, _variant, _what)	\
	STATE_ROW(_name, _what, _unit, _flags, _prot, _variant,		\
		  make_mthp, prove_mthp)

const struct hmm_state hmm_states_mthp[] = {
	MTHP_STATE("mthp_none", HMM_UNIT_ORDER4, RW, 0, NONE,
		   "mapped for folios of 16 pages, never touched"),
	MTHP_STATE("mthp_order2", HMM_UNIT_ORDER2, RW, 0, 0,
		   "folio of 4 pages, written"),
	MTHP_STATE("mthp_order4", HMM_UNIT_ORDER4, RW, 0, 0,
		   "folio of 16 pages, written"),
	MTHP_STATE("mthp_order8", HMM_UNIT_ORDER8, RW, 0, 0,
		   "folio of 256 pages, written"),
	MTHP_STATE("mthp_cont_pte", HMM_UNIT_CONT_PTE, RW, 0, CONT,
		   "folio that contiguous PTEs map, written"),
	MTHP_STATE("mthp_readonly", HMM_UNIT_ORDER4, PROT_READ, 0, 0,
		   "folio of 16 pages, protected against writing"),
	MTHP_STATE("mthp_noaccess", HMM_UNIT_ORDER4, PROT_NONE, 0, 0,
		   "folio of 16 pages, protected against any access"),
	MTHP_STATE("mthp_cow", HMM_UNIT_ORDER4, RW, HMM_STATE_EARLY, COW,
		   "folio of 16 pages shared with a child"),
	MTHP_STATE("mthp_swapped", SWAPPED_UNIT, RW, 0, SWAPPED,
		   "folio of 16 pages, swapped out as one"),
	MTHP_STATE("mthp_shmem_none", HMM_UNIT_ORDER4, RW, 0, SHMEM | NONE,
		   "memfd mapped for folios of 16 pages, never touched"),
	MTHP_STATE("mthp_shmem", HMM_UNIT_ORDER4, RW, 0, SHMEM,
		   "folio of 16 pages of a memfd, written"),
	{ 0 }
};
