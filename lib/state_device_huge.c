// SPDX-License-Identifier: GPL-2.0
/* Huge pages in the memory of a device. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

/* Bits of .variant above the number of the device. */
#define DEVICE_MASK	0xf
#define SHARED		0x10	/* with a child, by fork */
#define POPULATED	0x20	/* not migrated, but populated on the device */

static int has_huge_memory(struct hmm_area *area, const struct hmm_state *state)
{
	return hmm_area_huge_memory(area, state->variant & DEVICE_MASK);
}

/* Migrate the huge pages that state->from has made. */
static int make_huge(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	unsigned int device = state->variant & DEVICE_MASK;
	__u64 moved = 0;
	int ret;

	ret = hmm_move(hmm_area_device(area, device),
		       HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
		       addr, length, NULL, &moved);
	if (ret)
		return hmm_fail(area, ret, "migrate");
	if (moved != length / hmm_page_size())
		return hmm_fail(area, 0, "%llu of %zu pages migrated", moved,
				length / hmm_page_size());
	return state->variant & SHARED ? hmm_area_share(area, 0) : 0;
}

/* smaps counts what a PMD maps as a huge page, wherever the page is. */
static int prove_huge(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_SWAP,
		.clear = HMM_PM_PRESENT,
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);
	long huge;

	if (ret)
		return ret;
	huge = hmm_smaps(addr, "AnonHugePages");
	if (huge < (long)(length / 1024))
		return hmm_fail(area, 0, "%ld KiB in huge pages, want %zu",
				huge, length / 1024);
	return hmm_prove_pages(area, addr, length, &proof);
}

#define HUGE_STATE(_name, _prot, _variant, _from, _what)		\
	{								\
		.name = (_name),					\
		.what = (_what),					\
		.unit = HMM_UNIT_PMD,					\
		.prot = (_prot),					\
		.variant = (_variant),					\
		.from = (_from),					\
		.supported = has_huge_memory,				\
		.make = make_huge,					\
		.prove = prove_huge,					\
	}

const struct hmm_state hmm_states_device_huge[] = {
	HUGE_STATE("dev_huge", RW, HMM_DEV_PRIVATE, "thp_writable",
		   "huge page in private memory of device 0"),
	HUGE_STATE("dev_huge_populated", RW, HMM_DEV_PRIVATE | POPULATED, "thp_none",
		   "huge page populated in private memory of device 0"),
	HUGE_STATE("dev_huge_readonly", PROT_READ, HMM_DEV_PRIVATE, "thp_readonly",
		   "huge page in private memory of device 0, no write access"),
	HUGE_STATE("dev_huge_cow", RW, HMM_DEV_PRIVATE | SHARED, "thp_writable",
		   "huge page in private memory of device 0, shared with a child"),
	HUGE_STATE("dev_huge_other", RW, HMM_DEV_PRIVATE_OTHER, "thp_writable",
		   "huge page in private memory of device 1"),
	HUGE_STATE("dev_huge_other_readonly", PROT_READ, HMM_DEV_PRIVATE_OTHER, "thp_readonly",
		   "huge page in private memory of device 1, no write access"),
	{ 0 }
};
