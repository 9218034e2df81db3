// SPDX-License-Identifier: GPL-2.0
/* Huge pages in the memory of a device. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

/* Bits of .variant above the number of the device. */
#define DEVICE_MASK	0xf
#define SHARED		0x10	/* with a child, by fork */
#define POPULATED	0x20	/* not migrated: made on the device */

int hmm_area_huge_memory(struct hmm_area *area, unsigned int device)
{
	int ret = hmm_area_memory(area, device), fd;
	char why[100];

	if (ret)
		return ret;
	fd = hmm_area_device(area, device);
	ret = hmm_feature(fd, HMMIRROR_FEAT_DEVICE_THP, why, sizeof(why));
	if (ret < 0)
		return hmm_fail(area, ret, "query");
	return ret ? 0 : hmm_skip(area, "no huge pages on device %u: %s",
				  device, why);
}

static int make_system(struct hmm_area *area, const struct hmm_state *state,
		       char *addr, size_t length)
{
	const struct hmm_state *from;

	if (state->variant & POPULATED)
		from = hmm_state_find("thp_none");
	else if (state->prot == RW)
		from = hmm_state_find("thp_writable");
	else
		from = hmm_state_find("thp_readonly");
	return hmm_state_make(area, from, addr - area->addr, length);
}

static int make_huge(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	unsigned int device = state->variant & DEVICE_MASK;
	int ret = hmm_area_huge_memory(area, device);
	__u64 moved = 0;

	if (!ret)
		ret = make_system(area, state, addr, length);
	if (ret)
		return ret;
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

/* smaps counts what one entry maps as a huge page, wherever that page is. */
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

#define HUGE_STATE(_name, _prot, _variant, _what)			\
	STATE_ROW(_name, _what, HMM_UNIT_PMD, 0, _prot, _variant,	\
		  make_huge, prove_huge)

const struct hmm_state hmm_states_device_huge[] = {
	HUGE_STATE("dev_huge", RW, HMM_DEV_PRIVATE,
		   "huge page in private memory of device 0"),
	HUGE_STATE("dev_huge_populated", RW, HMM_DEV_PRIVATE | POPULATED,
		   "huge page that came to be in private memory of device 0"),
	HUGE_STATE("dev_huge_readonly", PROT_READ, HMM_DEV_PRIVATE,
		   "huge page in private memory of device 0, no write access"),
	HUGE_STATE("dev_huge_cow", RW, HMM_DEV_PRIVATE | SHARED,
		   "huge page in private memory of device 0, shared with a child"),
	HUGE_STATE("dev_huge_other", RW, HMM_DEV_PRIVATE_OTHER,
		   "huge page in private memory of device 1"),
	HUGE_STATE("dev_huge_other_readonly", PROT_READ, HMM_DEV_PRIVATE_OTHER,
		   "huge page in private memory of device 1, no write access"),
	{ 0 }
};
