/* SPDX-License-Identifier: GPL-2.0 */
/* Functions of the kernel that fail, for one thread and for the time of one call. */
#ifndef HMMIRROR_HOOKS_FAIL_H
#define HMMIRROR_HOOKS_FAIL_H

#include "hooks/inject.h"

struct hmmirror_failing;

struct hmmirror_failing *hmmirror_fail_begin(struct hmmirror_injections *injections,
					     enum hmmirror_event first,
					     enum hmmirror_event last);
void hmmirror_fail_end(struct hmmirror_failing *failing);
const char *hmmirror_no_failing(enum hmmirror_event event);

#endif /* HMMIRROR_HOOKS_FAIL_H */
