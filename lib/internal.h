/* SPDX-License-Identifier: GPL-2.0 */
/* What files of the library share with each other. */
#ifndef HMM_INTERNAL_H
#define HMM_INTERNAL_H

#include <sys/types.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

/* hmm_thread_state - the letter that /proc has for the state of a thread, or 0 */
char hmm_thread_state(pid_t tid);

#endif /* HMM_INTERNAL_H */
