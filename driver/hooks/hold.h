/* SPDX-License-Identifier: GPL-2.0 */
/* A migration, a walk or an mmap() that stops between two of its steps. */
#ifndef HMMIRROR_HOOKS_HOLD_H
#define HMMIRROR_HOOKS_HOLD_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "uapi/hmmirror.h"

struct hmmirror_hold_point {
	wait_queue_head_t wait;
	spinlock_t lock;		/* serializes arming */
	enum hmmirror_held held;	/* changed by cmpxchg() */
	enum hmmirror_stage stage;	/* this and the next: of the hold that is armed */
	unsigned int limit_ms;
	struct mm_struct *mm;		/* whose CPU faults may stop here; only compared */
	struct list_head list;		/* of all hold points, for CPU faults */
	unsigned int nr_faults;		/* CPU faults that use it */
};

void hmmirror_hold_init(struct hmmirror_hold_point *hold, struct mm_struct *mm);
void hmmirror_hold_destroy(struct hmmirror_hold_point *hold);
void hmmirror_hold_fault(const struct mm_struct *mm);
void hmmirror_hold_here(struct hmmirror_hold_point *hold, enum hmmirror_stage stage);
bool hmmirror_is_hold_armed(const struct hmmirror_hold_point *hold, enum hmmirror_stage stage);
int hmmirror_hold_arm(struct hmmirror_hold_point *hold, enum hmmirror_stage stage,
		      unsigned int limit_ms);
int hmmirror_hold_wait(struct hmmirror_hold_point *hold, unsigned int limit_ms);
enum hmmirror_held hmmirror_hold_release(struct hmmirror_hold_point *hold);

#endif /* HMMIRROR_HOOKS_HOLD_H */
