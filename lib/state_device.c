// SPDX-License-Identifier: GPL-2.0
/* Pages that a device has: in its memory, or for itself alone. */
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

/* The driver's reason for a device without memory, asked of device 0. */
static int skip_memory(struct hmm_area *area, unsigned int number)
{
	int fd = hmm_area_device(area, 0);
	char why[100] = "";

	if (fd < 0)
		return hmm_fail(area, fd, "/dev/hmm_dmirror0");
	hmm_feature(fd, number < HMM_DEV_COHERENT ?
		    HMMIRROR_FEAT_DEVICE_PRIVATE :
		    HMMIRROR_FEAT_DEVICE_COHERENT, why, sizeof(why));
	return hmm_skip(area, "device %u has no memory: %s", number,
			why[0] ? why : "it was given none");
}

int hmm_area_memory(struct hmm_area *area, unsigned int device)
{
	int fd = hmm_area_device(area, device);

	if (fd == -ENOENT && device >= HMM_DEV_COHERENT)
		return skip_memory(area, device);
	if (fd < 0)
		return hmm_fail(area, fd, "/dev/hmm_dmirror%u", device);
	if (hmm_memory(fd) == HMMIRROR_MEMORY_NONE)
		return skip_memory(area, device);
	return 0;
}

int hmm_area_use_memory(struct hmm_area *area, unsigned int device, int *fd,
			struct hmmirror_stats *before)
{
	struct hmmirror_stats now;
	int ret = hmm_area_memory(area, device), mirror;

	if (ret)
		return ret;
	mirror = hmm_area_device(area, device);
	ret = hmm_stats(mirror, 0, &now);
	if (ret)
		return hmm_fail(area, ret, "HMMIRROR_STATS");
	*fd = mirror;
	*before = now;
	return 0;
}

static int all_moved(struct hmm_area *area, int fd, char *addr, size_t length,
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
	ret = all_moved(area, hmm_area_device(area, device), addr, length, populate ?
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
	ret = hmm_excl_pages(fd, HMMIRROR_EXCL_TAKE, addr, length, NULL, NULL);
	return ret ? hmm_fail(area, ret, "exclusive access") : 0;
}

/* Not the CPU's to use: pagemap shows such entries as swap. */
static int prove_away(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
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
	int ret = prove_away(area, state, addr, length);
	__u64 pages = 0;

	if (ret)
		return ret;
	ret = hmm_excl_pages(fd, HMMIRROR_EXCL_TEST, addr, length, NULL,
			     &pages);
	if (ret)
		return hmm_fail(area, ret, "exclusive test");
	if (pages != length / hmm_page_size())
		return hmm_fail(area, 0, "the device holds %llu pages only",
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
		     prove_away, "in private memory of device 0"),
	DEVICE_STATE("dev_private_populated", RW, HMM_DEV_PRIVATE | POPULATED,
		     make_on_device, prove_away,
		     "came to be in private memory of device 0"),
	DEVICE_STATE("dev_private_readonly", PROT_READ, HMM_DEV_PRIVATE,
		     make_on_device, prove_away,
		     "in private memory of device 0, no write access"),
	DEVICE_STATE("dev_private_cow", RW, HMM_DEV_PRIVATE | SHARED,
		     make_on_device, prove_away,
		     "in private memory of device 0, shared with a child"),
	DEVICE_STATE("dev_other", RW, HMM_DEV_PRIVATE_OTHER, make_on_device,
		     prove_away, "in private memory of device 1"),
	DEVICE_STATE("dev_other_readonly", PROT_READ, HMM_DEV_PRIVATE_OTHER,
		     make_on_device, prove_away,
		     "in private memory of device 1, no write access"),
	DEVICE_STATE("dev_coherent", RW, HMM_DEV_COHERENT, make_on_device,
		     prove_coherent, "in coherent memory of device 2"),
	DEVICE_STATE("dev_exclusive", RW, HMM_DEV_PRIVATE, make_exclusive,
		     prove_exclusive, "device 0 has exclusive access"),
	{ 0 }
};
