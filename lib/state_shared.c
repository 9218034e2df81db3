// SPDX-License-Identifier: GPL-2.0
/* Anonymous pages that several page tables share: fork and KSM. */
#include <sys/mman.h>

#include "hmm_buffer.h"
#include "hmm_ksm.h"
#include "hmm_pagemap.h"
#include "hmm_process.h"
#include "hmm_prove.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

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

static int make_ksm(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length)
{
	int ret = hmm_ksm_supported(area);

	if (!ret)
		ret = hmm_area_map_small(area, addr, length, state->prot);
	return ret ? ret : hmm_ksm_merge(area, addr, length);
}

static int prove_ksm(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	(void)state;
	return hmm_ksm_prove(area, addr, length);
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
