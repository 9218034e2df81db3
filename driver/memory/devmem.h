/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of the devices' memory: allocated, freed, and where their bytes are. */
#ifndef HMMIRROR_MEMORY_DEVMEM_H
#define HMMIRROR_MEMORY_DEVMEM_H

#include <linux/list.h>
#include <linux/memremap.h>
#include <linux/mm.h>

#include "compat/compat.h"
#include "core/device.h"

/* The bytes of a device page can't be moved: keep them out of hot-removable zones. */
#define HMMIRROR_GFP_DATA	GFP_HIGHUSER

/* A huge page, or as many small ones. All that is not constant: under free_lock. */
struct hmmirror_block {
	struct list_head list;	/* whole_blocks or broken_blocks; empty if no page is free */
	struct page *first;	/* constant */
	struct page *free;	/* list of pages that were freed */
	unsigned int nr_fresh;	/* index of the first page that was never allocated */
	unsigned int nr_used;
};

/* Memory that is added and removed in one go, see chunk.c. */
struct hmmirror_chunk {
	struct dev_pagemap pgmap;
	struct list_head list;
	struct hmmirror_device *device;
	unsigned long used;	/* under free_lock: pages that are not free */
	bool closing;		/* under free_lock: freed pages are not allocated again */
	struct hmmirror_block blocks[];
};

static inline struct hmmirror_chunk *hmmirror_page_chunk(struct page *page)
{
	return container_of(page_pgmap(page), struct hmmirror_chunk, pgmap);
}

static inline unsigned long hmmirror_chunk_pfn(const struct hmmirror_chunk *chunk)
{
	return PHYS_PFN(chunk->pgmap.range.start);
}

static inline unsigned long hmmirror_chunk_pages(const struct hmmirror_chunk *chunk)
{
	return PHYS_PFN(range_len(&chunk->pgmap.range));
}

static inline struct hmmirror_device *hmmirror_page_device(struct page *page)
{
	return hmmirror_page_chunk(page)->device;
}

const char *hmmirror_no_device_memory(const struct hmmirror_device *device);
const char *hmmirror_no_huge(const struct hmmirror_device *device);
void hmmirror_devmem_init(struct hmmirror_device *device);
struct page *hmmirror_devmem_alloc(struct hmmirror_device *device, void *data,
				   unsigned int order);
struct page *hmmirror_devmem_alloc_huge(struct hmmirror_device *device);
struct page *hmmirror_devmem_data(struct page *page);
void hmmirror_devmem_free(struct folio *folio);
void hmmirror_devmem_split(struct folio *head, struct folio *tail);
bool hmmirror_devmem_is_ready(struct hmmirror_device *device, unsigned long nr, bool huge);
void hmmirror_devmem_count(struct hmmirror_device *device, u64 *pages, u64 *free);
void hmmirror_devmem_add_blocks(struct hmmirror_chunk *chunk);

#endif /* HMMIRROR_MEMORY_DEVMEM_H */
