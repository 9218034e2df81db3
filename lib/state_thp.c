// SPDX-License-Identifier: GPL-2.0
/* Transparent huge pages, mapped by PMDs. */
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

#define THP	"/sys/kernel/mm/transparent_hugepage/"

/* Memory may have to be compacted first. */
#define TRIES	4

enum thp_kind {
	THP_NONE,
	THP_WRITTEN,
	THP_ZERO,
	THP_COW_PARENT,
	THP_COW_CHILD,
	THP_SHMEM_WRITTEN,
	THP_SHMEM_READ,
};

static int need_thp(struct hmm_area *area)
{
	char now[64];
	int ret;

	ret = hmm_read_text(THP "enabled", now, sizeof(now));
	if (ret)
		return hmm_skip(area,
				"no huge pages (CONFIG_TRANSPARENT_HUGEPAGE)");
	ret = hmm_area_set_knob(area, THP "enabled", "madvise");
	if (ret)
		return hmm_fail(area, ret, THP "enabled");
	return 0;
}

static int map_huge(struct hmm_area *area, char *addr, size_t length, int prot)
{
	int ret = hmm_area_map(area, addr, length, prot,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);

	if (ret)
		return ret;
	if (madvise(addr, length, MADV_HUGEPAGE))
		return hmm_fail(area, errno, "MADV_HUGEPAGE");
	return 0;
}

static int all_huge(const char *addr, size_t length, const char *field)
{
	return hmm_smaps(addr, field) >= (long)(length / 1024);
}

/* Fault huge pages in, after compaction if need be. */
static int populate(struct hmm_area *area, char *addr, size_t length)
{
	char *at;
	long free;
	int i;

	for (i = 0; i < TRIES; i++) {
		/*
		 * Use plain stores: QEMU with one CPU emulates an atomic by a load and a
		 * store, and the load would map the huge zero page.
		 */
		for (at = addr; at < addr + length; at += hmm_pmd_size())
			__atomic_store_n(at, 0, __ATOMIC_RELAXED);
		if (all_huge(addr, length, "AnonHugePages"))
			return 0;
		if (madvise(addr, length, MADV_DONTNEED))
			return hmm_fail(area, errno, "MADV_DONTNEED");
		hmm_write_number("/proc/sys/vm/compact_memory", 1);
	}
	free = hmm_meminfo("MemFree:");
	if (free / 8 < (long)(length / 1024))
		return hmm_skip(area, "got %ld of %zu KiB as huge pages, of %ld KiB free memory",
				hmm_smaps(addr, "AnonHugePages"), length / 1024, free);
	return hmm_fail(area, 0, "got %ld of %zu KiB as huge pages",
			hmm_smaps(addr, "AnonHugePages"), length / 1024);
}

static int make_thp(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length)
{
	int ret = need_thp(area);

	if (!ret)
		ret = map_huge(area, addr, length, RW);
	if (!ret)
		ret = populate(area, addr, length);
	if (ret)
		return ret;
	hmm_pattern_fill(addr, length, 0);
	if (state->prot != RW && mprotect(addr, length, state->prot))
		return hmm_fail(area, errno, "mprotect");
	if (state->variant == THP_COW_PARENT ||
	    state->variant == THP_COW_CHILD)
		return hmm_area_share(area, state->variant == THP_COW_CHILD);
	return 0;
}

static int make_zero(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	int ret = need_thp(area);

	if (!ret)
		ret = hmm_area_set_knob(area, THP "use_zero_page", "1");
	if (!ret)
		ret = map_huge(area, addr, length, state->prot);
	if (ret)
		return ret;
	if (state->variant == THP_ZERO)
		hmm_touch_read(addr, length);
	return 0;
}

static int make_shmem(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	int fd, ret = need_thp(area);

	if (ret)
		return ret;
	if (access(THP "shmem_enabled", F_OK))
		return hmm_skip(area, "no huge pages in shmem (CONFIG_SHMEM)");
	fd = hmm_file_fs("tmpfs", "huge=always", length);
	if (fd == -ENODEV || fd == -EINVAL)
		return hmm_skip(area, "no tmpfs with huge pages");
	if (fd < 0)
		return hmm_fail(area, fd, "file in tmpfs");
	ret = hmm_area_map(area, addr, length, RW, MAP_SHARED, fd);
	close(fd);
	if (ret)
		return ret;
	if (madvise(addr, length, MADV_HUGEPAGE))
		return hmm_fail(area, errno, "MADV_HUGEPAGE");
	/*
	 * The page cache of kernels with CONFIG_BASE_SMALL takes no huge page, and that of others
	 * none as large as a PMD maps with pages of 64K.
	 */
	if (!hmm_smaps(addr, "THPeligible"))
		return hmm_skip(area,
				"the page cache has no folios of %zu MiB (CONFIG_BASE_FULL, or a limit of xarray)",
				hmm_pmd_size() >> 20);
	if (state->variant == THP_SHMEM_READ)
		hmm_touch_read(addr, length);
	else
		hmm_pattern_fill(addr, length, 0);
	if (state->prot != RW && mprotect(addr, length, state->prot))
		return hmm_fail(area, errno, "mprotect");
	return 0;
}

static int prove_field(struct hmm_area *area, const char *addr, size_t length,
		       const char *field)
{
	if (all_huge(addr, length, field))
		return 0;
	return hmm_fail(area, 0, "%s: %ld KiB, want %zu", field,
			hmm_smaps(addr, field), length / 1024);
}

static int prove_thp(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	static const struct hmm_proof own = {
		.set = HMM_PM_PRESENT | HMM_PM_EXCLUSIVE,
		.kpf_set = hmm_kpf(KPF_THP),
	};
	static const struct hmm_proof shared = {
		.set = HMM_PM_PRESENT,
		.clear = HMM_PM_EXCLUSIVE,
		.kpf_set = hmm_kpf(KPF_THP),
	};
	int cow = state->variant == THP_COW_PARENT ||
		  state->variant == THP_COW_CHILD;
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	/* smaps does not count pages without access. */
	if (!ret && state->prot & PROT_READ)
		ret = prove_field(area, addr, length, "AnonHugePages");
	if (!ret)
		ret = hmm_prove_pages(area, addr, length, cow ? &shared : &own);
	if (!ret && !cow && (state->prot & PROT_WRITE))
		ret = hmm_prove_writable(area, addr, length);
	return ret;
}

static int prove_zero(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_PRESENT,
		.kpf_set = hmm_kpf(KPF_ZERO_PAGE) | hmm_kpf(KPF_THP),
	};

	(void)state;
	return hmm_prove_pages(area, addr, length, &proof);
}

static int prove_none(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};

	(void)state;
	if (hmm_smaps_flag(addr, "hg") != 1)
		return hmm_fail(area, 0, "MADV_HUGEPAGE left no mark");
	return hmm_prove_pages(area, addr, length, &proof);
}

static int prove_shmem(struct hmm_area *area, const struct hmm_state *state,
		       char *addr, size_t length)
{
	/* Not every kernel's pagemap says that a huge page is a file's. */
	static const struct hmm_proof proof = {
		.set = HMM_PM_PRESENT,
		.kpf_clear = hmm_kpf(KPF_ANON),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (!ret)
		ret = prove_field(area, addr, length, "ShmemPmdMapped");
	if (!ret)
		ret = hmm_prove_pages(area, addr, length, &proof);
	return ret;
}

#define THP_STATE(_name, _prot, _flags, _variant, _make, _prove, _what)	\
	STATE_ROW(_name, _what, HMM_UNIT_PMD, _flags, _prot, _variant,	\
		  _make, _prove)

const struct hmm_state hmm_states_thp[] = {
	THP_STATE("thp_none", RW, 0, THP_NONE, make_zero, prove_none,
		  "mapped for huge pages, never touched"),
	THP_STATE("thp_writable", RW, 0, THP_WRITTEN, make_thp, prove_thp,
		  "anonymous huge page, writable"),
	THP_STATE("thp_readonly", PROT_READ, 0, THP_WRITTEN, make_thp,
		  prove_thp,
		  "anonymous huge page, protected against writing"),
	THP_STATE("thp_noaccess", PROT_NONE, 0, THP_WRITTEN, make_thp,
		  prove_thp,
		  "anonymous huge page, protected against any access"),
	THP_STATE("thp_cow_parent", RW, HMM_STATE_EARLY, THP_COW_PARENT,
		  make_thp, prove_thp,
		  "anonymous huge page shared with a child"),
	THP_STATE("thp_cow_child", RW,
		  HMM_STATE_EARLY | HMM_STATE_SWAPS_PROCESS, THP_COW_CHILD,
		  make_thp, prove_thp,
		  "anonymous huge page shared with the parent"),
	THP_STATE("thp_zero", RW, 0, THP_ZERO, make_zero, prove_zero,
		  "the huge zero page"),
	THP_STATE("thp_shmem_written", RW, 0, THP_SHMEM_WRITTEN, make_shmem,
		  prove_shmem,
		  "huge page of shmem, written"),
	THP_STATE("thp_shmem_read", RW, 0, THP_SHMEM_READ, make_shmem,
		  prove_shmem,
		  "huge page of shmem, read"),
	THP_STATE("thp_shmem_readonly", PROT_READ, 0, THP_SHMEM_READ,
		  make_shmem, prove_shmem,
		  "huge page of shmem, read, no write access"),
	{ 0 }
};
