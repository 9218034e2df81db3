/* SPDX-License-Identifier: GPL-2.0 */
/*
 * States of memory: each brings all pages of a range into one state of the page tables,
 * as a program would, and proves afterwards that they are in it.
 *
 * Every state maps its range anew, so that states can stand side by side in one area,
 * page by page, in any mix. A range must start and end at multiples of the state's unit.
 * States with HMM_STATE_EARLY act on the whole process, and have to be made first.
 *
 * A new state is a row in the table of a state_*.c file, with functions of its own if none
 * of those that exist will do.
 */
#ifndef HMM_STATE_H
#define HMM_STATE_H

#include <stddef.h>

#include "hmm_area.h"

/* What ranges of a state must be multiples of, in size and place. */
enum hmm_unit {
	HMM_UNIT_PAGE,
	HMM_UNIT_ORDER2,	/* 4 pages */
	HMM_UNIT_ORDER4,	/* 16 pages */
	HMM_UNIT_ORDER8,	/* 256 pages */
	HMM_UNIT_PMD,
	HMM_UNIT_PUD,
	HMM_UNIT_CONT_PTE,	/* several PTEs of one hugetlb page, or of a folio */
	HMM_UNIT_CONT_PMD,	/* several PMDs of one hugetlb page */
};

/* The state acts on the whole process: make it before others. */
#define HMM_STATE_EARLY		0x1
/* There is no mapping: nothing may touch it. */
#define HMM_STATE_NO_VMA	0x2
/* After making it, the caller continues in a forked child. */
#define HMM_STATE_SWAPS_PROCESS	0x4

/**
 * struct hmm_state - how to make a state, and how to prove it
 * @name: e.g. "anon_zero"; unique
 * @what: the same for people
 * @unit: what ranges must be multiples of
 * @flags: HMM_STATE_*
 * @prot: protection that the range ends up with (PROT_*)
 * @variant: tells states apart that share functions
 * @from: name of the state that the range is brought into first; NULL: none
 * @supported: asks whether the machine can have the state, before anything is made: 0,
 *	HMM_SKIP or -errno, the last two with area->why; NULL: @make finds out
 * @make: brings the range into the state: as @supported
 * @prove: checks whether the range is in the state: 0 or -errno with area->why. Causes no
 *	page fault and changes nothing
 */
struct hmm_state {
	const char *name;
	const char *what;
	enum hmm_unit unit;
	unsigned int flags;
	int prot;
	int variant;
	const char *from;
	int (*supported)(struct hmm_area *area, const struct hmm_state *state);
	int (*make)(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length);
	int (*prove)(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length);
};

/**
 * hmm_state_find - find a state by its name
 * @name: its name
 *
 * Return: the state, or NULL.
 */
const struct hmm_state *hmm_state_find(const char *name);

/**
 * hmm_state_next - go through all states
 * @state: the one before, or NULL for the first
 *
 * Return: the next one, or NULL.
 */
const struct hmm_state *hmm_state_next(const struct hmm_state *state);

/* hmm_state_unit - what ranges of a state must be multiples of, bytes */
size_t hmm_state_unit(const struct hmm_state *state);

/**
 * hmm_state_make - bring a range into a state, and prove it
 * @area: the area
 * @state: the state
 * @offset: first byte of the range in the window
 * @length: bytes
 *
 * Return: 0; HMM_SKIP if the machine lacks something; or -errno if it failed; the last two
 * with area->why.
 */
int hmm_state_make(struct hmm_area *area, const struct hmm_state *state,
		   size_t offset, size_t length);

/* hmm_state_make_named - hmm_state_make() of a state by its name */
int hmm_state_make_named(struct hmm_area *area, const char *name, size_t offset, size_t length);

/* hmm_state_put - the name that hmm_state_make_named() had, kept for one release */
static inline int hmm_state_put(struct hmm_area *area, const char *name, size_t offset,
				size_t length)
{
	return hmm_state_make_named(area, name, offset, length);
}

/* hmm_state_prove - prove once more that a range is in a state */
int hmm_state_prove(struct hmm_area *area, const struct hmm_state *state,
		    size_t offset, size_t length);

#endif /* HMM_STATE_H */
