// SPDX-License-Identifier: GPL-2.0
/* States of small pages of private anonymous memory in one process. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_system.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

static int protect(struct hmm_area *area, const struct hmm_state *state,
		   char *addr, size_t length)
{
	if (state->prot != RW && mprotect(addr, length, state->prot))
		return hmm_fail(area, errno, "mprotect");
	return 0;
}

/* No page, and in a new area no page table either. */
static int make_none(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	return hmm_area_map_small(area, addr, length, state->prot);
}

/* An empty PTE in a page table that exists. */
static int make_emptied(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int ret = hmm_area_map_small(area, addr, length, state->prot);

	if (ret)
		return ret;
	hmm_touch_write(addr, length);
	if (madvise(addr, length, MADV_DONTNEED))
		return hmm_fail(area, errno, "MADV_DONTNEED");
	return 0;
}

static int make_hole(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	(void)state;
	if (munmap(addr, length))
		return hmm_fail(area, errno, "munmap");
	return 0;
}

static int make_zero(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	int ret = hmm_area_map_small(area, addr, length, state->prot);

	if (!ret)
		hmm_touch_read(addr, length);
	return ret;
}

/* Written, then protected as the state says. */
static int make_written(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int ret = hmm_area_map_small(area, addr, length, RW);

	if (ret)
		return ret;
	hmm_pattern_fill(addr, length, 0);
	return protect(area, state, addr, length);
}

static int make_mlocked(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int ret = make_written(area, state, addr, length);

	if (!ret && mlock(addr, length))
		ret = hmm_fail(area, errno, "mlock");
	return ret;
}

/*
 * Clear the soft-dirty bits of the process. That write-protects each PTE, so that the next
 * write is noticed.
 */
static int make_softclean(struct hmm_area *area, const struct hmm_state *state,
			  char *addr, size_t length)
{
	__u64 entry;
	int ret = make_written(area, state, addr, length);

	if (ret)
		return ret;
	ret = hmm_pagemap_one(addr, &entry);
	if (ret)
		return hmm_fail(area, ret, "/proc/self/pagemap");
	if (!(entry & HMM_PM_SOFT_DIRTY))
		return hmm_skip(area,
				"no soft-dirty bits (CONFIG_MEM_SOFT_DIRTY)");
	/* New mappings are soft-dirty as a whole: keep this one from merging with them. */
	if (madvise(addr, length, MADV_DONTFORK))
		return hmm_fail(area, errno, "MADV_DONTFORK");
	ret = hmm_write_text("/proc/self/clear_refs", "4");
	if (ret)
		return hmm_fail(area, ret, "/proc/self/clear_refs");
	return 0;
}

/*
 * Clear the accessed bits of the process. A CPU that sets none by itself faults at the next
 * access, and the walker makes none.
 */
static int make_old(struct hmm_area *area, const struct hmm_state *state, char *addr,
		    size_t length)
{
	int ret = make_written(area, state, addr, length);

	if (ret)
		return ret;
	/* keep it from merging with memory that is in use */
	if (madvise(addr, length, MADV_DONTFORK))
		return hmm_fail(area, errno, "MADV_DONTFORK");
	if (hmm_write_text("/proc/self/clear_refs", "1"))
		return hmm_skip(area, "no clear_refs (CONFIG_PROC_PAGE_MONITOR)");
	return 0;
}

static const struct hmm_proof swapped_proof = {
	.set = HMM_PM_SWAP,
	.clear = HMM_PM_PRESENT,
};

static int all_swapped(struct hmm_area *area, const char *addr, size_t length)
{
	return hmm_prove_pages(area, addr, length, &swapped_proof);
}

static int make_swapped(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int ret = make_written(area, state, addr, length);

	return ret ? ret : hmm_area_pageout(area, addr, length, all_swapped);
}

static int prove_hole(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	(void)state;
	return hmm_prove_mapping(area, addr, length, -1);
}

static int prove_absent(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	return hmm_prove_pages(area, addr, length, &proof);
}

static int prove_zero(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_PRESENT,
		.kpf_set = hmm_kpf(KPF_ZERO_PAGE),
		.kpf_clear = hmm_kpf(KPF_THP),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	return hmm_prove_pages(area, addr, length, &proof);
}

static int prove_present(struct hmm_area *area, const struct hmm_state *state,
			 char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_PRESENT | HMM_PM_EXCLUSIVE,
		.clear = HMM_PM_FILE,
		.kpf_set = hmm_kpf(KPF_ANON),
		.kpf_clear = hmm_kpf(KPF_ZERO_PAGE) | hmm_kpf(KPF_THP) |
			     hmm_kpf(KPF_KSM),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	return hmm_prove_pages(area, addr, length, &proof);
}

static int prove_writable(struct hmm_area *area, const struct hmm_state *state,
			  char *addr, size_t length)
{
	int ret = prove_present(area, state, addr, length);

	if (ret)
		return ret;
	return hmm_prove_writable(area, addr, length);
}

static int prove_mlocked(struct hmm_area *area, const struct hmm_state *state,
			 char *addr, size_t length)
{
	if (hmm_smaps_flag(addr, "lo") != 1)
		return hmm_fail(area, 0, "not locked in memory");
	return prove_writable(area, state, addr, length);
}

static int prove_softclean(struct hmm_area *area, const struct hmm_state *state,
			   char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_PRESENT,
		.clear = HMM_PM_SOFT_DIRTY,
	};
	int ret = prove_present(area, state, addr, length);

	if (ret)
		return ret;
	return hmm_prove_pages(area, addr, length, &proof);
}

static int prove_old(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	long referenced = hmm_smaps(addr, "Referenced");

	if (referenced)
		return hmm_fail(area, 0, "%ld KiB are referenced", referenced);
	return prove_present(area, state, addr, length);
}

static int prove_swapped(struct hmm_area *area, const struct hmm_state *state,
			 char *addr, size_t length)
{
	(void)state;
	return hmm_prove_pages(area, addr, length, &swapped_proof);
}

const struct hmm_state hmm_states_anon[] = {
	{
		.name = "anon_none",
		.what = "mapped, never touched",
		.prot = RW,
		.make = make_none,
		.prove = prove_absent,
	}, {
		.name = "anon_none_readonly",
		.what = "mapped for reading only, never touched",
		.prot = PROT_READ,
		.make = make_none,
		.prove = prove_absent,
	}, {
		.name = "anon_none_noaccess",
		.what = "mapped without any access, never touched",
		.prot = PROT_NONE,
		.make = make_none,
		.prove = prove_absent,
	}, {
		.name = "anon_emptied",
		.what = "touched and discarded: an empty entry in a page table",
		.prot = RW,
		.make = make_emptied,
		.prove = prove_absent,
	}, {
		.name = "anon_zero",
		.what = "the zero page",
		.prot = RW,
		.make = make_zero,
		.prove = prove_zero,
	}, {
		.name = "anon_writable",
		.what = "written, writable",
		.prot = RW,
		.make = make_written,
		.prove = prove_writable,
	}, {
		.name = "anon_readonly",
		.what = "written, then protected against writing",
		.prot = PROT_READ,
		.make = make_written,
		.prove = prove_present,
	}, {
		.name = "anon_noaccess",
		.what = "written, then protected against any access",
		.prot = PROT_NONE,
		.make = make_written,
		.prove = prove_present,
	}, {
		.name = "anon_writeonly",
		.what = "written, then mapped for writing without reading",
		.prot = PROT_WRITE,
		.make = make_written,
		.prove = prove_present,
	}, {
		.name = "anon_mlocked",
		.what = "written and locked in memory",
		.prot = RW,
		.make = make_mlocked,
		.prove = prove_mlocked,
	}, {
		.name = "anon_softclean",
		.what = "write-protected to track soft-dirty pages",
		.flags = HMM_STATE_EARLY,
		.prot = RW,
		.make = make_softclean,
		.prove = prove_softclean,
	}, {
		.name = "anon_old",
		.what = "written, and not accessed since",
		.flags = HMM_STATE_EARLY,
		.prot = RW,
		.make = make_old,
		.prove = prove_old,
	}, {
		.name = "anon_swapped",
		.what = "swapped out",
		.prot = RW,
		.make = make_swapped,
		.prove = prove_swapped,
	}, {
		.name = "hole",
		.what = "no mapping",
		.flags = HMM_STATE_NO_VMA,
		.prot = -1,
		.make = make_hole,
		.prove = prove_hole,
	},
	{ 0 }
};
