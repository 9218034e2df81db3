// SPDX-License-Identifier: GPL-2.0
/*
 * Mappings that only a driver can make: VM_MIXEDMAP, VM_PFNMAP, VM_IO. hmmirror provides
 * them by mmap().
 */
#include <errno.h>
#include <sys/mman.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

static int make_fixture(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int fd = hmm_area_device(area, 0);

	if (fd < 0)
		return hmm_fail(area, fd, "/dev/hmm_dmirror0");
	if (mmap(addr, length, state->prot, MAP_SHARED | MAP_FIXED, fd,
		 (off_t)(unsigned int)state->variant) == MAP_FAILED)
		return hmm_fail(area, errno, "mmap of the device");
	return 0;
}

/* A page with a map count of 0 is mapped by a special PTE. */
static int prove_special(struct hmm_area *area, char *addr, size_t length)
{
	size_t page = hmm_page_size(), i;
	__u64 entry, count;
	int ret;

	for (i = 0; i < length; i += page) {
		ret = hmm_pagemap_one(addr + i, &entry);
		if (!ret)
			ret = hmm_page_count(entry & HMM_PM_PFN_MASK, 1, &count);
		if (ret)
			return hmm_fail(area, ret, "pagemap");
		if (count)
			return hmm_fail(area, 0, "page %zu is mapped %llu times",
					i / page, count);
	}
	return 0;
}

static int prove_fixture(struct hmm_area *area, const struct hmm_state *state,
			 char *addr, size_t length)
{
	static const struct hmm_proof proof = { .set = HMM_PM_PRESENT };
	unsigned int offset = state->variant;
	const char *flag = "mm";
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	if (offset == HMMIRROR_FIXTURE_PFNMAP)
		flag = "pf";
	else if (offset == HMMIRROR_FIXTURE_IO)
		flag = "io";
	if (hmm_smaps_flag(addr, flag) != 1)
		return hmm_fail(area, 0, "no %s among VmFlags", flag);
	/* pagemap skips such a mapping */
	if (offset == HMMIRROR_FIXTURE_PFNMAP)
		return hmm_prove_writable(area, addr, length);
	ret = hmm_prove_pages(area, addr, length, &proof);
	if (!ret && offset == HMMIRROR_FIXTURE_SPECIAL)
		ret = prove_special(area, addr, length);
	return ret;
}

#define FIXTURE_STATE(_name, _prot, _offset, _what)				\
	STATE_ROW(_name, _what, HMM_UNIT_PAGE, 0, _prot, (int)(_offset),	\
		  make_fixture, prove_fixture)

const struct hmm_state hmm_states_fixture[] = {
	FIXTURE_STATE("mixed_normal", RW, HMMIRROR_FIXTURE_PAGES,
		      "a driver's pages in VM_MIXEDMAP"),
	FIXTURE_STATE("mixed_special", RW, HMMIRROR_FIXTURE_SPECIAL,
		      "special entries in VM_MIXEDMAP"),
	FIXTURE_STATE("mixed_special_readonly", PROT_READ,
		      HMMIRROR_FIXTURE_SPECIAL,
		      "special entries in VM_MIXEDMAP, no write access"),
	FIXTURE_STATE("pfnmap", RW, HMMIRROR_FIXTURE_PFNMAP,
		      "page frames in VM_PFNMAP"),
	FIXTURE_STATE("io", RW, HMMIRROR_FIXTURE_IO,
		      "a driver's pages in VM_IO"),
	{ 0 }
};
