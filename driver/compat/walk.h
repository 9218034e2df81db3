/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The walker. Before 5.8, flags and special values of its answers are the
 * driver's choice, so they can be chosen as they are today; the call itself
 * changed with nearly every release, see walk.c.
 */
#ifndef HMMIRROR_COMPAT_WALK_H
#define HMMIRROR_COMPAT_WALK_H

#include <linux/errno.h>
#include <linux/hmm.h>
#include <linux/mm.h>

#ifndef HAVE_HMM_PFNS
#define COMPAT_PFN_VALID	BIT(63)
#define COMPAT_PFN_WRITE	BIT(62)
#define COMPAT_PFN_ERROR	BIT(61)
#define COMPAT_PFN_PRIVATE	BIT(60)		/* not seen by the driver */
#define COMPAT_PFN_FLAGS	(~(BIT(53) - 1))

struct compat_hmm_range {
	struct mmu_interval_notifier *notifier;
	unsigned long notifier_seq;
	unsigned long start;
	unsigned long end;
	unsigned long *hmm_pfns;
	unsigned long default_flags;
	unsigned long pfn_flags_mask;
	void *dev_private_owner;
};

int compat_hmm_range_fault(struct compat_hmm_range *range);

static inline struct page *compat_hmm_pfn_to_page(unsigned long hmm_pfn)
{
	return pfn_to_page(hmm_pfn & ~COMPAT_PFN_FLAGS);
}

/* from here on, the names mean today's */
#ifndef COMPAT_WALK_C
#define HMM_PFN_VALID		COMPAT_PFN_VALID
#define HMM_PFN_WRITE		COMPAT_PFN_WRITE
#define HMM_PFN_ERROR		COMPAT_PFN_ERROR
#define HMM_PFN_FLAGS		COMPAT_PFN_FLAGS
#define HMM_PFN_REQ_FAULT	COMPAT_PFN_VALID
#define HMM_PFN_REQ_WRITE	COMPAT_PFN_WRITE
#define hmm_range		compat_hmm_range
#define hmm_range_fault		compat_hmm_range_fault
#define hmm_pfn_to_page		compat_hmm_pfn_to_page
#endif
#endif /* HAVE_HMM_PFNS */

#ifndef HAVE_HMM_PFN_TO_MAP_ORDER
static inline unsigned int hmm_pfn_to_map_order(unsigned long hmm_pfn)
{
	return 0;
}
#endif

/* Return: why answers have no order, NULL if they have. */
static inline const char *compat_no_order(void)
{
#ifdef HAVE_HMM_PFN_TO_MAP_ORDER
	return NULL;
#else
	return "the walker does not tell the order of a mapping before 5.9";
#endif
}

#ifndef HAVE_HMM_RANGE_FAULT_UNLOCKED
#ifndef COMPAT_WALK_C
static inline int hmm_range_fault_unlocked_timeout(struct hmm_range *range, unsigned long timeout)
{
	return -EOPNOTSUPP;
}
#endif
#endif

/* Return: why the kernel can't take the mmap lock itself, NULL if it can. */
static inline const char *compat_no_unlocked(void)
{
#ifdef HAVE_HMM_RANGE_FAULT_UNLOCKED
	return NULL;
#else
	return "the kernel has no hmm_range_fault_unlocked_timeout()";
#endif
}

#endif /* HMMIRROR_COMPAT_WALK_H */
