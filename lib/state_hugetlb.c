// SPDX-License-Identifier: GPL-2.0
/* Pages of hugetlbfs. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_system.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

/* Bits of .variant. */
#define NONE		0x01	/* never touched */
#define SHARED		0x02	/* of a file; else private */
#define READ		0x04	/* populated by reading */
#define COW_PARENT	0x08
#define COW_CHILD	0x10
#define COW		(COW_PARENT | COW_CHILD)

static int make_hugetlb(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int flags = state->variant & SHARED ? MAP_SHARED : MAP_PRIVATE;
	size_t size = hmm_state_unit(state);
	long pages = length / size;
	char *at;
	int fd, ret;

	if (size == hmm_page_size())
		return hmm_skip(area, "no hugetlb pages of several %ss",
				state->unit == HMM_UNIT_CONT_PTE ? "PTE" : "PMD");
	/* Private memory needs a second page for each that is copied. */
	ret = hmm_area_need_hugetlb(area, size, state->variant & COW ? 2 * pages : pages);
	if (ret)
		return ret;
	fd = hmm_hugetlb_file(size, length);
	if (fd < 0)
		return hmm_fail(area, fd, "hugetlb file");
	/* A reservation would leave none for the others. */
	ret = hmm_area_map(area, addr, length, RW, flags | MAP_NORESERVE, fd);
	close(fd);
	if (ret)
		return ret;

	/* One byte faults all of a huge page in. */
	for (at = addr; !(state->variant & NONE) && at < addr + length;
	     at += size) {
		if (state->variant & READ)
			hmm_touch_read(at, 1);
		else
			hmm_pattern_fill(at, hmm_page_size(), 0);
	}
	if (state->prot != RW && mprotect(addr, length, state->prot))
		return hmm_fail(area, errno, "mprotect");
	if (state->variant & COW)
		return hmm_area_share(area, state->variant & COW_CHILD);
	return 0;
}

/* Check the first and the last small page of a huge page: they stand for all. */
static int prove_ends(struct hmm_area *area, char *addr, size_t size,
		      const struct hmm_proof *proof)
{
	size_t page = hmm_page_size();
	int ret = hmm_prove_pages(area, addr, page, proof);

	if (ret)
		return ret;
	return hmm_prove_pages(area, addr + size - page, page, proof);
}

static int prove_hugetlb(struct hmm_area *area, const struct hmm_state *state,
			 char *addr, size_t length)
{
	static const struct hmm_proof none = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	static const struct hmm_proof present = {
		.set = HMM_PM_PRESENT,
		.kpf_set = hmm_kpf(KPF_HUGE),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);
	long kernel_page = hmm_smaps(addr, "KernelPageSize");
	size_t size = hmm_state_unit(state);
	char *at;

	if (ret)
		return ret;
	if (kernel_page != (long)(size / 1024))
		return hmm_fail(area, 0, "KernelPageSize is %ld KiB",
				kernel_page);
	for (at = addr; !ret && at < addr + length; at += size) {
		ret = prove_ends(area, at, size,
				 state->variant & NONE ? &none : &present);
		if (!ret && !(state->variant & (NONE | READ | COW)) &&
		    (state->prot & PROT_WRITE))
			ret = hmm_prove_writable(area, at, 1);
	}
	return ret;
}

#define HUGETLB_STATE(_name, _unit, _prot, _flags, _variant, _what)	\
	STATE_ROW(_name, _what, _unit, _flags, _prot, _variant,		\
		  make_hugetlb, prove_hugetlb)

const struct hmm_state hmm_states_hugetlb[] = {
	HUGETLB_STATE("hugetlb_none", HMM_UNIT_PMD, RW, 0, NONE,
		      "hugetlb page, never touched"),
	HUGETLB_STATE("hugetlb_writable", HMM_UNIT_PMD, RW, 0, 0,
		      "hugetlb page, private, written"),
	HUGETLB_STATE("hugetlb_read", HMM_UNIT_PMD, RW, 0, READ,
		      "hugetlb page, private, read"),
	HUGETLB_STATE("hugetlb_readonly", HMM_UNIT_PMD, PROT_READ, 0, 0,
		      "hugetlb page, protected against writing"),
	HUGETLB_STATE("hugetlb_noaccess", HMM_UNIT_PMD, PROT_NONE, 0, 0,
		      "hugetlb page, protected against any access"),
	HUGETLB_STATE("hugetlb_shared", HMM_UNIT_PMD, RW, 0, SHARED,
		      "hugetlb page of a shared file, written"),
	HUGETLB_STATE("hugetlb_shared_none", HMM_UNIT_PMD, RW, 0,
		      SHARED | NONE,
		      "hugetlb page of a shared file, never touched"),
	HUGETLB_STATE("hugetlb_cow_parent", HMM_UNIT_PMD, RW, HMM_STATE_EARLY,
		      COW_PARENT,
		      "hugetlb page shared with a child"),
	HUGETLB_STATE("hugetlb_cow_child", HMM_UNIT_PMD, RW,
		      HMM_STATE_EARLY | HMM_STATE_SWAPS_PROCESS, COW_CHILD,
		      "hugetlb page shared with the parent"),
	HUGETLB_STATE("hugetlb_cont_pte_none", HMM_UNIT_CONT_PTE, RW, 0, NONE,
		      "hugetlb page of several PTEs, never touched"),
	HUGETLB_STATE("hugetlb_cont_pte", HMM_UNIT_CONT_PTE, RW, 0, 0,
		      "hugetlb page of several PTEs, private, written"),
	HUGETLB_STATE("hugetlb_cont_pte_read", HMM_UNIT_CONT_PTE, RW, 0, READ,
		      "hugetlb page of several PTEs, private, read"),
	HUGETLB_STATE("hugetlb_cont_pte_cow", HMM_UNIT_CONT_PTE, RW, HMM_STATE_EARLY,
		      COW_PARENT,
		      "hugetlb page of several PTEs shared with a child"),
	HUGETLB_STATE("hugetlb_cont_pmd_none", HMM_UNIT_CONT_PMD, RW, 0, NONE,
		      "hugetlb page of several PMDs, never touched"),
	HUGETLB_STATE("hugetlb_cont_pmd", HMM_UNIT_CONT_PMD, RW, 0, 0,
		      "hugetlb page of several PMDs, private, written"),
	HUGETLB_STATE("hugetlb_1g_none", HMM_UNIT_PUD, RW, 0, NONE,
		      "hugetlb page of PUD size, never touched"),
	HUGETLB_STATE("hugetlb_1g_shared_none", HMM_UNIT_PUD, RW, 0,
		      SHARED | NONE,
		      "hugetlb page of PUD size of a shared file, never touched"),
	{ 0 }
};
