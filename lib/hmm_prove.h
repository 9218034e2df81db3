/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Proofs of how a range is mapped, by what the kernel reports elsewhere than through the
 * driver. None of them causes a page fault or changes anything, but for
 * hmm_prove_writable().
 */
#ifndef HMM_PROVE_H
#define HMM_PROVE_H

#include <linux/types.h>
#include <stddef.h>

#include "hmm_area.h"

/* What hmm_prove_pages() checks of every page. */
struct hmm_proof {
	__u64 set;		/* bits of pagemap that must be set */
	__u64 clear;		/* bits of pagemap that must not be set */
	__u64 kpf_set;	/* bits of kpageflags that must be set */
	__u64 kpf_clear;	/* bits of kpageflags that must not be set */
	__u64 mapped;	/* least number of mappings */
};

/**
 * hmm_prove_pages - check pagemap, page flags and map count of a range
 * @area: the area
 * @addr: first byte
 * @length: bytes
 * @proof: what must hold for each page; page flags and counts are read only if @proof
 *	needs them
 *
 * Return: 0, or -errno with area->why naming page and values.
 */
int hmm_prove_pages(struct hmm_area *area, const char *addr, size_t length,
		    const struct hmm_proof *proof);

/**
 * hmm_prove_writable - prove that the page table lets the CPU write now
 * @area: the area
 * @addr: first byte
 * @length: bytes
 *
 * Writes to each page, and checks that not one page fault came of it, but for those that set the
 * dirty bit of a clean page where the CPU does not.
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_prove_writable(struct hmm_area *area, char *addr, size_t length);

/**
 * hmm_prove_mapping - prove how a range is mapped
 * @area: the area
 * @addr: first byte
 * @length: bytes
 * @prot: protection that all of it must have; -1: nothing is mapped there
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_prove_mapping(struct hmm_area *area, const char *addr, size_t length,
		      int prot);

#endif /* HMM_PROVE_H */
