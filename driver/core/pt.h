/* SPDX-License-Identifier: GPL-2.0 */
/* The device page table. */
#ifndef HMMIRROR_CORE_PT_H
#define HMMIRROR_CORE_PT_H

#include <linux/bits.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/xarray.h>

#include "uapi/hmmirror.h"

/*
 * An entry is a HMMIRROR_PTE_* answer as userspace gets it, and one bit that userspace
 * does not see: the device has exclusive access to the page.
 */
#define HMMIRROR_PTE_EXCLUSIVE	BIT_ULL(15)

static inline unsigned long hmmirror_pte_pfn(u64 pte)
{
	return pte >> HMMIRROR_PTE_PFN_SHIFT;
}

static inline unsigned int hmmirror_pte_order(u64 pte)
{
	return pte >> HMMIRROR_PTE_ORDER_SHIFT & HMMIRROR_PTE_ORDER_MASK;
}

struct hmmirror_pt {
	struct xarray leaves;
	/*
	 * Protects the entries, and all that a device does with pages through them. The
	 * invalidation callback takes it: who holds it must not allocate with reclaim, fault,
	 * or wait for a page lock.
	 */
	struct mutex lock;
};

/* The caller holds the lock, but for the first two and the last. */
void hmmirror_pt_init(struct hmmirror_pt *pt);
int hmmirror_pt_reserve(struct hmmirror_pt *pt, unsigned long start, unsigned long end);
void hmmirror_pt_store(struct hmmirror_pt *pt, unsigned long addr, const u64 *ptes,
		       unsigned long nr);
void hmmirror_pt_load(struct hmmirror_pt *pt, unsigned long addr, u64 *ptes, unsigned long nr);
u64 *hmmirror_pt_span(struct hmmirror_pt *pt, unsigned long addr, unsigned long end,
		      unsigned long *nr);
bool hmmirror_pt_erase(struct hmmirror_pt *pt, unsigned long start, unsigned long end);
void hmmirror_pt_destroy(struct hmmirror_pt *pt);

#endif /* HMMIRROR_CORE_PT_H */
