/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of a walk mapped for DMA of a device. */
#ifndef HMMIRROR_ACCESS_DMA_H
#define HMMIRROR_ACCESS_DMA_H

#include <linux/types.h>

#include "core/mirror.h"
#include "uapi/hmmirror.h"

/**
 * struct hmmirror_dma_args - map a range for DMA
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @request: HMMIRROR_REQ_* of every page
 * @entries: room for one entry a page; (out) HMMIRROR_PTE_* answers
 * @results: zeroed, one a page; (out) all but the entry
 * @mapped: (out) pages that are mapped
 * @error: (out) the walker's error, or -EIO if a page could not be mapped
 */
struct hmmirror_dma_args {
	unsigned long start;
	unsigned long end;
	u64 request;
	u64 *entries;
	struct hmmirror_dma_page *results;
	u64 mapped;
	int error;
};

extern const struct hmmirror_part hmmirror_dma_part;

const char *hmmirror_no_iommu(void);
int hmmirror_dma_init(void);
void hmmirror_dma_exit(void);

/* The caller holds mirror->dma_lock. */
int hmmirror_dma_create_map(struct hmmirror *mirror, struct hmmirror_dma *cmd);
bool hmmirror_dma_has_range(struct hmmirror *mirror, unsigned long start, unsigned long end);
int hmmirror_dma_map_range(struct hmmirror *mirror, struct hmmirror_dma_args *args);
u64 hmmirror_dma_unmap_range(struct hmmirror *mirror, unsigned long start, unsigned long end,
			     u8 *unmapped);
int hmmirror_dma_free_map(struct hmmirror *mirror, u64 *pages);

#endif /* HMMIRROR_ACCESS_DMA_H */
