/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Marks around what --count and --bench count.
 *
 *	__u64 begun = hmm_count_begin();
 *	...
 *	hmm_count_end(begun);
 *
 * In their guests a nanosecond is one instruction, and QEMU sees the marks: --count prints how
 * many instructions the program, the kernel and its modules took between the two, interrupts
 * included. In other guests the marks do nothing. Marks do not nest.
 */
#ifndef HMM_COUNT_H
#define HMM_COUNT_H

#include <linux/types.h>

/* hmm_count_begin - count from here; Return: what hmm_count_end() needs */
__u64 hmm_count_begin(void);

/**
 * hmm_count_end - count up to here
 * @begun: from hmm_count_begin()
 *
 * Return: the instructions in between; where time is not counted so, the ticks of the time
 * stamp counter, or nanoseconds on a machine that has none.
 */
__u64 hmm_count_end(__u64 begun);

#endif /* HMM_COUNT_H */
