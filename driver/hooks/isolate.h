/* SPDX-License-Identifier: GPL-2.0 */
/* Pages that are locked, isolated or under writeback while a migration collects them. */
#ifndef HMMIRROR_HOOKS_ISOLATE_H
#define HMMIRROR_HOOKS_ISOLATE_H

#include <linux/mm_types.h>

#include "hooks/inject.h"

struct hmmirror_isolated;

struct hmmirror_isolated *hmmirror_isolate_pages(struct hmmirror_injections *injections,
						 struct mm_struct *mm, unsigned long start,
						 unsigned long end);
void hmmirror_putback_pages(struct hmmirror_isolated *isolated);

#endif /* HMMIRROR_HOOKS_ISOLATE_H */
