// SPDX-License-Identifier: GPL-2.0
/* Small pages that a device has: in its memory, or in system memory with exclusive access. */
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

static int migrate_all(struct hmm_area *area, int fd, char *addr, size_t length,
		       enum hmmirror_outcome want)
{
	size_t pages = length / hmm_page_size(), i;
	__u8 *outcomes = hmm_map_anon(pages, 0);
	int ret;

	if (!outcomes)
		return hmm_fail(area, errno, "mmap");
	ret = hmm_to_device(fd, addr, length, outcomes, NULL);
	if (ret)
		ret = hmm_fail(area, ret, "migrate");
	for (i = 0; !ret && i < pages; i++)
		if (outcomes[i] != want)
			ret = hmm_fail(area, 0, "page %zu: %s, want %s", i,
				       hmm_outcome_str(outcomes[i]),
				       hmm_outcome_str(want));
	hmm_unmap(outcomes, pages);
	return ret;
}

static int make_on_device(struct hmm_area *area, const struct hmm_state *state,
			  char *addr, size_t length)
{
	int populate = state->variant & POPULATED;
	unsigned int device = state->variant & DEVICE_MASK;
	int ret = hmm_area_memory(area, device);

	if (!ret)
		ret = hmm_area_map_small(area, addr, length, RW);
	if (ret)
		return ret;
	if (!populate)
		hmm_pattern_fill(addr, length, 0);
	if (state->prot != RW && mprotect(addr, length, state->prot))
		return hmm_fail(area, errno, "mprotect");
	ret = migrate_all(area, hmm_area_device(area, device), addr, length, populate ?
			HMMIRROR_OUT_POPULATED : HMMIRROR_OUT_MIGRATED);
	if (!ret && state->variant & SHARED)
		ret = hmm_area_share(area, 0);
	return ret;
}

static int make_exclusive(struct hmm_area *area, const struct hmm_state *state,
			  char *addr, size_t length)
{
	int fd, ret = hmm_area_feature(area, HMMIRROR_FEAT_EXCLUSIVE);

	if (ret)
		return ret;
	fd = hmm_area_device(area, state->variant & DEVICE_MASK);
	if (fd < 0)
		return hmm_fail(area, fd, "/dev/hmm_dmirror");
	ret = hmm_area_map_small(area, addr, length, RW);
	if (ret)
		return ret;
	hmm_pattern_fill(addr, length, 0);
	ret = hmm_excl_pages(fd, HMMIRROR_EXCL_MAKE, addr, length, NULL, NULL);
	return ret ? hmm_fail(area, ret, "exclusive access") : 0;
}

/* The CPU has no access: pagemap shows such an entry as a swap entry. */
static int prove_not_present(struct hmm_area *area, const struct hmm_state *state, char *addr,
			     size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_SWAP,
		.clear = HMM_PM_PRESENT,
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	return ret ? ret : hmm_prove_pages(area, addr, length, &proof);
}

static int prove_exclusive(struct hmm_area *area,
			   const struct hmm_state *state,
			   char *addr, size_t length)
{
	int fd = hmm_area_device(area, state->variant & DEVICE_MASK);
	int ret = prove_not_present(area, state, addr, length);
	__u64 pages = 0;

	if (ret)
		return ret;
	ret = hmm_excl_pages(fd, HMMIRROR_EXCL_TEST, addr, length, NULL,
			     &pages);
	if (ret)
		return hmm_fail(area, ret, "exclusive test");
	if (pages != length / hmm_page_size())
		return hmm_fail(area, 0, "only %llu pages are exclusive",
				pages);
	return 0;
}

static int prove_coherent(struct hmm_area *area, const struct hmm_state *state,
			  char *addr, size_t length)
{
	static const struct hmm_proof proof = { .set = HMM_PM_PRESENT };
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	return ret ? ret : hmm_prove_pages(area, addr, length, &proof);
}

#define DEVICE_STATE(_name, _prot, _variant, _make, _prove, _what)	\
	STATE_ROW(_name, _what, HMM_UNIT_PAGE, 0, _prot, _variant,	\
		  _make, _prove)

const struct hmm_state hmm_states_device[] = {
	DEVICE_STATE("dev_private", RW, HMM_DEV_PRIVATE, make_on_device,
		     prove_not_present, "in private memory of device 0"),
	DEVICE_STATE("dev_private_populated", RW, HMM_DEV_PRIVATE | POPULATED,
		     make_on_device, prove_not_present,
		     "populated in private memory of device 0"),
	DEVICE_STATE("dev_private_readonly", PROT_READ, HMM_DEV_PRIVATE,
		     make_on_device, prove_not_present,
		     "in private memory of device 0, no write access"),
	DEVICE_STATE("dev_private_cow", RW, HMM_DEV_PRIVATE | SHARED,
		     make_on_device, prove_not_present,
		     "in private memory of device 0, shared with a child"),
	DEVICE_STATE("dev_other", RW, HMM_DEV_PRIVATE_OTHER, make_on_device,
		     prove_not_present, "in private memory of device 1"),
	DEVICE_STATE("dev_other_readonly", PROT_READ, HMM_DEV_PRIVATE_OTHER,
		     make_on_device, prove_not_present,
		     "in private memory of device 1, no write access"),
	DEVICE_STATE("dev_coherent", RW, HMM_DEV_COHERENT, make_on_device,
		     prove_coherent, "in coherent memory of device 2"),
	DEVICE_STATE("dev_exclusive", RW, HMM_DEV_PRIVATE, make_exclusive,
		     prove_exclusive, "device 0 has exclusive access"),
	{ 0 }
};
