/* SPDX-License-Identifier: GPL-2.0 */
/* Failures and invalidations that a test has asked for. */
#ifndef HMMIRROR_HOOKS_INJECT_H
#define HMMIRROR_HOOKS_INJECT_H

#include <linux/atomic.h>
#include <linux/mm_types.h>
#include <linux/spinlock.h>

#include "uapi/hmmirror.h"

/* One event. cmpxchg() changes @left, because handlers of kprobes count as well. */
struct hmmirror_injection {
	atomic64_t left;	/* events to let pass first << 32 | events to hit */
	unsigned int asked;	/* hits that were asked for last, under lock */
};

struct hmmirror_injections {
	spinlock_t lock;	/* serializes requests */
	struct hmmirror_injection of[HMMIRROR_INJECT_NR];
};

void hmmirror_injections_init(struct hmmirror_injections *injections);
bool hmmirror_hit_injection(struct hmmirror_injections *injections, enum hmmirror_event event);
bool hmmirror_has_injection(const struct hmmirror_injections *injections,
			    enum hmmirror_event event);
unsigned int hmmirror_set_injection(struct hmmirror_injections *injections,
				    enum hmmirror_event event, u32 nth, u32 times);
void hmmirror_inject_invalidation(struct mm_struct *mm, unsigned long addr);

#endif /* HMMIRROR_HOOKS_INJECT_H */
