/* SPDX-License-Identifier: GPL-2.0 */
/* A migration that stops before the kernel reads a PMD. */
#ifndef HMMIRROR_HOOKS_COLLECT_H
#define HMMIRROR_HOOKS_COLLECT_H

#include "hooks/hold.h"

struct hmmirror_collect;

struct hmmirror_collect *hmmirror_collect_begin(struct hmmirror_hold_point *hold);
void hmmirror_collect_end(struct hmmirror_collect *collect);
const char *hmmirror_no_collect(void);

#endif /* HMMIRROR_HOOKS_COLLECT_H */
