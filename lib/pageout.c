// SPDX-License-Identifier: GPL-2.0
/* Swap pages of an area out. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_area.h"
#include "hmm_system.h"

#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT	21
#endif

/* Pages may be locked or isolated for a moment. */
#define TRIES	200

static void swap_off(struct hmm_area *area, const struct hmm_undo *undo)
{
	struct hmm_swap swap;

	(void)area;
	snprintf(swap.device, sizeof(swap.device), "%.23s", undo->text);
	hmm_swap_off(&swap);
}

static int get_swap(struct hmm_area *area)
{
	struct hmm_swap swap;
	struct hmm_undo *undo;
	int ret;

	ret = hmm_swap_on(&swap, area->why, sizeof(area->why));
	if (!ret)
		return HMM_SKIP;
	if (ret < 0)
		return hmm_fail(area, ret, "swap");
	if (!swap.device[0])
		return 0;
	undo = hmm_area_undo(area, swap_off);
	if (!undo) {
		hmm_swap_off(&swap);
		return hmm_fail(area, ENOSPC, "undo list");
	}
	snprintf(undo->text, sizeof(undo->text), "%s", swap.device);
	return 0;
}

int hmm_area_pageout(struct hmm_area *area, char *addr, size_t length,
		     int (*prove)(struct hmm_area *area, const char *addr,
				  size_t length))
{
	int i, ret = get_swap(area);

	for (i = 0; !ret && i < TRIES; i++) {
		if (madvise(addr, length, MADV_PAGEOUT)) {
			if (errno == EINVAL)
				return hmm_skip(area, "no MADV_PAGEOUT");
			return hmm_fail(area, errno, "MADV_PAGEOUT");
		}
		if (!prove(area, addr, length))
			break;
		usleep(1000);
	}
	return ret;
}
