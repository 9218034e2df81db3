/* SPDX-License-Identifier: GPL-2.0 */
/* One batch of a migration: pages that the kernel offers, and pages that replace them. */
#ifndef HMMIRROR_MEMORY_FILL_H
#define HMMIRROR_MEMORY_FILL_H

#include <linux/migrate.h>

#include "compat/compat.h"
#include "core/device.h"
#include "hooks/hooks.h"

struct hmmirror_batch {
	unsigned long src[HMMIRROR_MAX_BATCH];
	unsigned long dst[HMMIRROR_MAX_BATCH];
	u8 outcomes[HMMIRROR_MAX_BATCH];
	u8 all_outcomes[HMMIRROR_MAX_BATCH];	/* of all attempts */
	u8 offers[HMMIRROR_MAX_BATCH];
	struct page *pool[HMMIRROR_MAX_BATCH];
	unsigned long nr_pool;
	unsigned long cpages;	/* of all calls of migrate_vma_setup() */
	bool no_huge;		/* a huge page was offered, and no huge page could be allocated */
	bool full;		/* the device has too few free pages */
};

static inline bool hmmirror_is_offered(unsigned long src)
{
	return src & MIGRATE_PFN_MIGRATE;
}

/* The kernel offers a hole as well: it can be populated, but there is no page to copy. */
static inline bool hmmirror_is_page_offered(unsigned long src)
{
	return hmmirror_is_offered(src) && migrate_pfn_to_page(src);
}

/* A huge page is aligned, so it fills the batch. */
static inline bool hmmirror_is_huge_offered(unsigned long src)
{
	return hmmirror_is_offered(src) && src & MIGRATE_PFN_COMPOUND;
}

void hmmirror_fill_device(struct hmmirror_batch *batch, unsigned long nr,
			  struct hmmirror_device *device, struct hmmirror_hooks *hooks,
			  bool pieces);
void hmmirror_fill_system(struct hmmirror_batch *batch, unsigned long nr,
			  struct hmmirror_device *device, struct hmmirror_hooks *hooks,
			  struct vm_area_struct *vma, unsigned long addr,
			  bool (*wants)(unsigned long src));
u8 hmmirror_fill_system_page(struct page *page, unsigned long src, unsigned long *dst);
unsigned long hmmirror_fill_system_pieces(struct hmmirror_batch *batch,
					  struct vm_area_struct *vma, unsigned long addr);
unsigned long hmmirror_count_arrived(struct hmmirror_batch *batch, unsigned long nr);

#endif /* HMMIRROR_MEMORY_FILL_H */
