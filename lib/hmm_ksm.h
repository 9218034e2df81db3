/* SPDX-License-Identifier: GPL-2.0 */
/* Pages that KSM merges. */
#ifndef HMM_KSM_H
#define HMM_KSM_H

#include <stddef.h>

#include "hmm_area.h"

/* hmm_ksm_supported - 0, or HMM_SKIP with area->why if the kernel has no KSM */
int hmm_ksm_supported(struct hmm_area *area);

/**
 * hmm_ksm_merge - let KSM merge small private anonymous pages
 * @area: the area; keeps one more page with the same contents, for a single one to merge
 * @addr: first byte
 * @length: bytes
 *
 * Overwrites them with the same contents. Returns when all are merged, or after some
 * seconds; hmm_ksm_prove() tells which.
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_ksm_merge(struct hmm_area *area, char *addr, size_t length);

/**
 * hmm_ksm_prove - prove that pages are merged
 * @area: the area
 * @addr: first byte
 * @length: bytes
 *
 * Return: 0, or -errno with area->why.
 */
int hmm_ksm_prove(struct hmm_area *area, const char *addr, size_t length);

#endif /* HMM_KSM_H */
