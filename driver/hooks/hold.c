// SPDX-License-Identifier: GPL-2.0
/*
 * Stops a migration, a walk, an mmap(), a CPU fault or an invalidation between two of its
 * steps, where a test looks at the page tables or changes something. Each mirror has one
 * hold. The first thread that reaches the stage uses it up.
 *
 * A CPU fault is no call of a mirror. It finds the hold of one by its address space.
 */
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/sched/signal.h>

#include "hooks/hold.h"

static DEFINE_SPINLOCK(holds_lock);	/* protects the list and nr_faults */
static LIST_HEAD(holds);

/**
 * hmmirror_hold_init() - prepare the hold of a mirror
 * @hold: the hold
 * @mm: the mirrored address space
 */
void hmmirror_hold_init(struct hmmirror_hold_point *hold, struct mm_struct *mm)
{
	init_waitqueue_head(&hold->wait);
	spin_lock_init(&hold->lock);
	hold->mm = mm;
	spin_lock(&holds_lock);
	list_add(&hold->list, &holds);
	spin_unlock(&holds_lock);
}

/* Nothing of the mirror's own can be held any more, but a CPU fault can. */
void hmmirror_hold_destroy(struct hmmirror_hold_point *hold)
{
	spin_lock(&holds_lock);
	list_del(&hold->list);
	spin_unlock(&holds_lock);
	hmmirror_hold_release(hold);
	wait_event(hold->wait, !READ_ONCE(hold->nr_faults));
	/* the fault that was the last one holds the lock while it wakes us */
	spin_lock(&holds_lock);
	spin_unlock(&holds_lock);
}

/* Return: false if another thread has changed it first. */
static bool change_held(struct hmmirror_hold_point *hold, enum hmmirror_held from,
			enum hmmirror_held to)
{
	bool changed = cmpxchg(&hold->held, from, to) == from;

	if (changed)
		wake_up_all(&hold->wait);
	return changed;
}

bool hmmirror_is_hold_armed(const struct hmmirror_hold_point *hold, enum hmmirror_stage stage)
{
	return READ_ONCE(hold->held) == HMMIRROR_HELD_ARMED && READ_ONCE(hold->stage) == stage;
}

/**
 * hmmirror_hold_here() - wait here if a hold is armed for this stage
 * @hold: the hold of the mirror
 * @stage: the stage that its migration, walk or mmap() has reached
 */
void hmmirror_hold_here(struct hmmirror_hold_point *hold, enum hmmirror_stage stage)
{
	long ret;

	if (READ_ONCE(hold->stage) != stage ||
	    !change_held(hold, HMMIRROR_HELD_ARMED, HMMIRROR_HELD_NOW))
		return;

	ret = wait_event_killable_timeout(hold->wait, READ_ONCE(hold->held) != HMMIRROR_HELD_NOW,
					  msecs_to_jiffies(READ_ONCE(hold->limit_ms)));
	if (ret <= 0)
		change_held(hold, HMMIRROR_HELD_NOW,
			    ret ? HMMIRROR_HELD_KILLED : HMMIRROR_HELD_LIMIT);
}

static struct hmmirror_hold_point *get_fault_hold(const struct mm_struct *mm)
{
	struct hmmirror_hold_point *hold, *found = NULL;

	spin_lock(&holds_lock);
	list_for_each_entry(hold, &holds, list) {
		if (hold->mm == mm && hmmirror_is_hold_armed(hold, HMMIRROR_STAGE_FAULT)) {
			hold->nr_faults++;
			found = hold;
			break;
		}
	}
	spin_unlock(&holds_lock);
	return found;
}

/**
 * hmmirror_hold_fault() - wait here if a hold is armed for a CPU fault
 * @mm: the address space that faults
 */
void hmmirror_hold_fault(const struct mm_struct *mm)
{
	struct hmmirror_hold_point *hold = get_fault_hold(mm);

	if (!hold)
		return;
	hmmirror_hold_here(hold, HMMIRROR_STAGE_FAULT);
	spin_lock(&holds_lock);
	hold->nr_faults--;
	wake_up_all(&hold->wait);
	spin_unlock(&holds_lock);
}

/**
 * hmmirror_hold_release() - let the held thread go on, or disarm the hold
 * @hold: the hold of the mirror
 *
 * Return: what it was before.
 */
enum hmmirror_held hmmirror_hold_release(struct hmmirror_hold_point *hold)
{
	if (change_held(hold, HMMIRROR_HELD_NOW, HMMIRROR_HELD_RELEASED))
		return HMMIRROR_HELD_NOW;
	if (change_held(hold, HMMIRROR_HELD_ARMED, HMMIRROR_HELD_NO))
		return HMMIRROR_HELD_ARMED;
	return READ_ONCE(hold->held);
}

/* Return: 0, or -EBUSY if one is armed or held already. */
int hmmirror_hold_arm(struct hmmirror_hold_point *hold, enum hmmirror_stage stage,
		      unsigned int limit_ms)
{
	enum hmmirror_held held;
	int ret = -EBUSY;

	/* two threads that arm at once would mix their stages and limits */
	spin_lock(&hold->lock);
	held = READ_ONCE(hold->held);
	if (held != HMMIRROR_HELD_ARMED && held != HMMIRROR_HELD_NOW) {
		/* A waiter that was just released may still read the new limit: harmless. */
		WRITE_ONCE(hold->limit_ms, limit_ms);
		WRITE_ONCE(hold->stage, stage);
		change_held(hold, held, HMMIRROR_HELD_ARMED);
		ret = 0;
	}
	spin_unlock(&hold->lock);
	return ret;
}

/* Return: 0, also when the time is over; -ENOENT if no hold was armed, -EINTR. */
int hmmirror_hold_wait(struct hmmirror_hold_point *hold, unsigned int limit_ms)
{
	enum hmmirror_held held = READ_ONCE(hold->held);

	if (held == HMMIRROR_HELD_NO)
		return -ENOENT;
	if (wait_event_killable_timeout(hold->wait,
					READ_ONCE(hold->held) != HMMIRROR_HELD_ARMED,
					msecs_to_jiffies(limit_ms)) < 0)
		return -EINTR;
	return 0;
}
