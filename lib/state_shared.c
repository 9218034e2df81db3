// SPDX-License-Identifier: GPL-2.0
/* Anonymous pages that several page tables share: fork and KSM. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_process.h"
#include "hmm_system.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

#define KSM	"/sys/kernel/mm/ksm/"

/* How long ksmd may take, in steps of a millisecond. */
#define KSM_STEPS	10000

/* What all pages to be merged are full of: nothing else looks like it. */
#define KSM_BYTE	0xc5

enum cow_side {
	COW_PARENT,
	COW_CHILD,
	COW_LEFT,
};

static int make_cow(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length)
{
	int ret = hmm_area_map_small(area, addr, length, RW);

	if (ret)
		return ret;
	hmm_pattern_fill(addr, length, 0);

	ret = hmm_area_share(area, state->variant == COW_CHILD);
	if (ret)
		return ret;
	if (state->variant == COW_LEFT) {
		hmm_holder_end(area->child);
		area->child = 0;
	}
	return 0;
}

static int prove_cow(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	static const struct hmm_proof shared = {
		.set = HMM_PM_PRESENT,
		.clear = HMM_PM_FILE | HMM_PM_EXCLUSIVE,
		.kpf_set = hmm_kpf(KPF_ANON),
		.kpf_clear = hmm_kpf(KPF_KSM) | hmm_kpf(KPF_THP),
		.mapped = 2,
	};
	static const struct hmm_proof left = {
		.set = HMM_PM_PRESENT | HMM_PM_EXCLUSIVE,
		.kpf_set = hmm_kpf(KPF_ANON),
	};

	return hmm_prove_pages(area, addr, length,
			       state->variant == COW_LEFT ? &left : &shared);
}

static void unmap_twin(struct hmm_area *area, const struct hmm_undo *undo)
{
	(void)area;
	munmap((void *)undo->number, undo->size);
}

/* A page elsewhere with the same content, so that even one page merges. */
static int make_twin(struct hmm_area *area)
{
	size_t page = hmm_page_size();
	char *twin = hmm_map_anon(page, 0);
	struct hmm_undo *undo;

	if (!twin)
		return hmm_fail(area, errno, "mmap");
	undo = hmm_area_undo(area, unmap_twin);
	if (!undo) {
		munmap(twin, page);
		return hmm_fail(area, ENOSPC, "undo list");
	}
	undo->number = (long)twin;
	undo->size = page;
	memset(twin, KSM_BYTE, page);
	if (madvise(twin, page, MADV_MERGEABLE))
		return hmm_fail(area, errno, "MADV_MERGEABLE");
	return 0;
}

static const char *find_twin(const struct hmm_area *area)
{
	unsigned int i;

	for (i = area->undos; i; i--)
		if (area->undo[i - 1].fn == unmap_twin)
			return (char *)area->undo[i - 1].number;
	return NULL;
}

/*
 * All are the same page frame as the twin, and not by being the zero page: in
 * private memory of one process, only KSM does that.
 */
static int prove_merged(struct hmm_area *area, const char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_PRESENT,
		.kpf_set = hmm_kpf(KPF_ANON) | hmm_kpf(KPF_KSM),
		.kpf_clear = hmm_kpf(KPF_ZERO_PAGE),
		.mapped = 2,
	};
	int ret = hmm_prove_pages(area, addr, length, &proof);
	const char *twin = find_twin(area);
	__u64 of_twin, entry;
	size_t i;

	if (!twin)
		return hmm_fail(area, 0, "nothing to be merged with");
	if (!ret && hmm_pagemap_one(twin, &of_twin))
		ret = hmm_fail(area, 0, "/proc/self/pagemap");
	for (i = 0; !ret && i < length; i += hmm_page_size()) {
		ret = hmm_pagemap_one(addr + i, &entry);
		if (ret || (entry ^ of_twin) & HMM_PM_PFN_MASK)
			ret = hmm_fail(area, ret, "page %zu: not its twin's frame",
				       i / hmm_page_size());
	}
	return ret;
}

int hmm_ksm_need(struct hmm_area *area)
{
	return access(KSM "run", W_OK) ? hmm_skip(area, "no KSM (CONFIG_KSM)") : 0;
}

int hmm_ksm_merge(struct hmm_area *area, char *addr, size_t length)
{
	int i, ret = make_twin(area);

	if (ret)
		return ret;
	memset(addr, KSM_BYTE, length);
	if (madvise(addr, length, MADV_MERGEABLE))
		return hmm_fail(area, errno, "MADV_MERGEABLE");

	ret = hmm_area_set_knob(area, KSM "sleep_millisecs", "1");
	if (!ret)
		ret = hmm_area_set_knob(area, KSM "pages_to_scan", "1000");
	if (!ret)
		ret = hmm_area_set_knob(area, KSM "run", "1");
	if (ret)
		return hmm_fail(area, ret, KSM);
	for (i = 0; i < KSM_STEPS; i++) {
		if (!prove_merged(area, addr, length))
			break;
		usleep(1000);
	}
	/* Or it would merge again what the walker takes apart. */
	ret = hmm_write_text(KSM "run", "0");
	return ret ? hmm_fail(area, ret, KSM "run") : 0;
}

static int make_ksm(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length)
{
	int ret = hmm_ksm_need(area);

	if (!ret)
		ret = hmm_area_map_small(area, addr, length, state->prot);
	return ret ? ret : hmm_ksm_merge(area, addr, length);
}

static int prove_ksm(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	(void)state;
	return prove_merged(area, addr, length);
}

const struct hmm_state hmm_states_shared[] = {
	{
		.name = "anon_cow_parent",
		.what = "shared with a child after fork, seen by the parent",
		.flags = HMM_STATE_EARLY,
		.prot = RW,
		.variant = COW_PARENT,
		.make = make_cow,
		.prove = prove_cow,
	}, {
		.name = "anon_cow_child",
		.what = "shared with the parent after fork, seen by the child",
		.flags = HMM_STATE_EARLY | HMM_STATE_SWAPS_PROCESS,
		.prot = RW,
		.variant = COW_CHILD,
		.make = make_cow,
		.prove = prove_cow,
	}, {
		.name = "anon_cow_left",
		.what = "was shared with a child that is gone",
		.flags = HMM_STATE_EARLY,
		.prot = RW,
		.variant = COW_LEFT,
		.make = make_cow,
		.prove = prove_cow,
	}, {
		.name = "anon_ksm",
		.what = "merged by KSM",
		.prot = RW,
		.make = make_ksm,
		.prove = prove_ksm,
	},
	{ 0 }
};
