/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Answers of the kernel that differ without a call that differs. Each is told by
 * a piece of the interface that came with the change, or after it.
 */
#ifndef HMMIRROR_COMPAT_TRAITS_H
#define HMMIRROR_COMPAT_TRAITS_H

#include <linux/types.h>

#include "../uapi/hmmirror.h"

static inline u64 compat_traits(void)
{
	u64 traits = 0;

	/* it got its regs argument in order to count, in 5.9 */
#ifdef HAVE_HANDLE_MM_FAULT_REGS
	traits |= HMMIRROR_TRAIT_FAULTS_COUNTED;
#endif
	/* 5.19, and fixes of some older ones; coherent memory came right after */
#ifdef HAVE_DEVICE_COHERENT
	traits |= HMMIRROR_TRAIT_OTHER_FAULTED;
#endif
	/* the same series, newer than 6.12; see exclusive.h */
#if defined(HAVE_MAKE_DEVICE_EXCLUSIVE) && defined(HAVE_MAKE_DEVICE_EXCLUSIVE_ENTRY)
	traits |= HMMIRROR_TRAIT_EXCLUSIVE_PAGE;
#endif
	/* both of 5.9, and of the same hand */
#ifdef HAVE_MIGRATE_VMA_FLAGS
	traits |= HMMIRROR_TRAIT_HOLES_ANON;
#endif
	/* from 5.2 to 5.4, the zero page was a special page */
#if defined(HAVE_HMM_PFNS) || defined(HAVE_HMM_RANGE_NOTIFIER) || \
	!defined(HAVE_HMM_RANGE_DEFAULT_FLAGS)
	traits |= HMMIRROR_TRAIT_ZERO_PAGE;
#endif
#ifdef HAVE_NOTIFY_UNMAP
	traits |= HMMIRROR_TRAIT_UNMAP_TOLD;
#endif
	/* the mark went in 6.17 */
#ifdef HAVE_PUD_DEVMAP
	traits |= HMMIRROR_TRAIT_PUD_MARKED;
#endif
	/* pud_leaf() since 6.10 */
#if defined(HAVE_PUD_HUGE) && !defined(CONFIG_HUGETLB_PAGE)
	traits |= HMMIRROR_TRAIT_PUD_UNSEEN;
#endif
	/* a plain read, which only gcc keeps apart from the one before; gone in 6.2 */
#if defined(HAVE_PMD_READ_ATOMIC) && defined(CONFIG_CC_IS_CLANG)
	traits |= HMMIRROR_TRAIT_LOOKS_JOINED;
#endif
	/* 6.5 */
#ifdef HAVE_PTE_OFFSET_MAP_FAILS
	traits |= HMMIRROR_TRAIT_TABLE_CHECKED;
#endif
	/* shared.c; the fix of what it gets around is of the release before, 5.3 */
#ifdef HAVE_MIGRATE_VMA_SETUP
	traits |= HMMIRROR_TRAIT_HOME_FOR_ALL;
#endif
	/* 5.5: range->notifier came with the loop over VMAs */
#if defined(HAVE_HMM_PFNS) || defined(HAVE_HMM_RANGE_NOTIFIER)
	traits |= HMMIRROR_TRAIT_WALKS_VMAS;
#endif
	/* 5.3, as is the mirror as an argument of hmm_range_register() */
#if defined(HAVE_HMM_PFNS) || defined(HAVE_HMM_RANGE_NOTIFIER) || \
	defined(HAVE_HMM_RANGE_FAULT_FLAGS) || defined(HAVE_HMM_RANGE_REGISTER_MIRROR_SHIFT)
	traits |= HMMIRROR_TRAIT_KEEPS_LOCK;
#endif
	return traits;
}

static inline enum hmmirror_walker compat_walker(void)
{
#if defined(HAVE_HMM_PFNS)
	return HMMIRROR_WALKER_PFNS;
#elif defined(HAVE_HMM_RANGE_FAULT_FLAGS)
	return HMMIRROR_WALKER_FLAGS;
#elif defined(HAVE_HMM_RANGE_NOTIFIER)
	return HMMIRROR_WALKER_TABLES;
#elif defined(HAVE_HMM_RANGE_DEFAULT_FLAGS)
	return HMMIRROR_WALKER_SNAPSHOT;
#else
	return HMMIRROR_WALKER_VMA;
#endif
}

#endif /* HMMIRROR_COMPAT_TRAITS_H */
