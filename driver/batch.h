/* SPDX-License-Identifier: GPL-2.0 */
/* What is migrated in one go: what the kernel offers, and what takes its place. */
#ifndef HMMIRROR_BATCH_H
#define HMMIRROR_BATCH_H

#include <linux/migrate.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

struct hmmirror_batch {
	unsigned long src[HMMIRROR_BATCH];
	unsigned long dst[HMMIRROR_BATCH];
	u8 outcomes[HMMIRROR_BATCH];
	u8 settled[HMMIRROR_BATCH];	/* outcomes of all attempts */
	struct page *pool[HMMIRROR_BATCH];
	unsigned long nr_pool;
	bool no_huge;		/* one was offered, and there is none to take its place */
	bool full;		/* the device has not so much memory ready */
};

static inline bool offered(unsigned long src)
{
	return src & MIGRATE_PFN_MIGRATE;
}

/* A hole is offered as well; it can be populated, but has nothing to bring home. */
static inline bool offered_page(unsigned long src)
{
	return offered(src) && migrate_pfn_to_page(src);
}

/* Aligned as it is, it fills the batch. */
static inline bool offered_huge(unsigned long src)
{
	return offered(src) && src & MIGRATE_PFN_COMPOUND;
}

void hmmirror_fill_device(struct hmmirror *mirror, const struct hmmirror_move *move,
			  struct hmmirror_batch *batch, unsigned long nr);
void hmmirror_fill_system(struct hmmirror *mirror, struct hmmirror_device *device,
			  struct vm_area_struct *vma, unsigned long addr,
			  struct hmmirror_batch *batch, unsigned long nr,
			  bool (*wants)(unsigned long src));
u8 hmmirror_fill_system_page(struct page *page, unsigned long src, unsigned long *dst);
unsigned long hmmirror_fill_system_pieces(struct vm_area_struct *vma, unsigned long addr,
					  struct hmmirror_batch *batch);
unsigned long hmmirror_settle(struct hmmirror_batch *batch, unsigned long nr);

#endif /* HMMIRROR_BATCH_H */
