/* SPDX-License-Identifier: GPL-2.0 */
/* The walker. */
#ifndef HMMIRROR_COMPAT_WALK_H
#define HMMIRROR_COMPAT_WALK_H

#include <linux/errno.h>
#include <linux/hmm.h>

#ifndef HAVE_HMM_RANGE_FAULT_UNLOCKED
static inline int hmm_range_fault_unlocked_timeout(struct hmm_range *range, unsigned long timeout)
{
	return -EOPNOTSUPP;
}
#endif

/* Return: why the kernel can't take the mmap lock itself, NULL if it can. */
static inline const char *compat_no_unlocked(void)
{
#ifdef HAVE_HMM_RANGE_FAULT_UNLOCKED
	return NULL;
#else
	return "the kernel has no hmm_range_fault_unlocked_timeout(), which is there since 7.3";
#endif
}

#endif /* HMMIRROR_COMPAT_WALK_H */
