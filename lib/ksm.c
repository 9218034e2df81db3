// SPDX-License-Identifier: GPL-2.0
/* Pages that KSM merges. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_ksm.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_system.h"

#define KSM	"/sys/kernel/mm/ksm/"

/* How long ksmd may take, ms. */
#define KSM_MS	10000

/* Contents of all pages to be merged; no other page looks like it. */
#define KSM_BYTE	0xc5

static void unmap_twin(struct hmm_area *area, const struct hmm_undo *undo)
{
	(void)area;
	munmap((void *)undo->number, undo->size);
}

/* Map another page with the same contents, so that even a single page merges. */
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
 * All pages are the twin's page frame, and not the zero page: in private memory of one
 * process, only KSM does that.
 */
int hmm_ksm_prove(struct hmm_area *area, const char *addr, size_t length)
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

int hmm_ksm_supported(struct hmm_area *area)
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
	for (i = 0; i < KSM_MS; i++) {
		if (!hmm_ksm_prove(area, addr, length))
			break;
		usleep(1000);
	}
	/* Stop KSM: it would merge again what the walker's faults unshare. */
	ret = hmm_write_text(KSM "run", "0");
	return ret ? hmm_fail(area, ret, KSM "run") : 0;
}
