// SPDX-License-Identifier: GPL-2.0
/*
 * Stops a migration or a walk between its steps, where a test wants to look at
 * the page tables or to change something. One hold for each mirror; the first
 * that comes to its stage uses it up.
 */
#include <linux/jiffies.h>
#include <linux/wait.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

#define MAX_LIMIT_MS	10000

void hmmirror_hold_init(struct hmmirror *mirror)
{
	init_waitqueue_head(&mirror->hold.wait);
	spin_lock_init(&mirror->hold.lock);
}

/* Return: whether it was @from. */
static bool change(struct hmmirror_hold_point *hold, enum hmmirror_held from,
		   enum hmmirror_held to)
{
	bool was = cmpxchg(&hold->held, from, to) == from;

	if (was)
		wake_up_all(&hold->wait);
	return was;
}

/**
 * hmmirror_hold_here() - wait here if a hold is armed for this stage
 * @mirror: whose migration or walk it is
 * @stage: where it is
 */
void hmmirror_hold_here(struct hmmirror *mirror, enum hmmirror_stage stage)
{
	struct hmmirror_hold_point *hold = &mirror->hold;
	long ret;

	if (READ_ONCE(hold->stage) != stage ||
	    !change(hold, HMMIRROR_HELD_ARMED, HMMIRROR_HELD_NOW))
		return;

	ret = wait_event_killable_timeout(hold->wait, READ_ONCE(hold->held) != HMMIRROR_HELD_NOW,
					  msecs_to_jiffies(READ_ONCE(hold->limit_ms)));
	if (ret <= 0)
		change(hold, HMMIRROR_HELD_NOW,
		       ret ? HMMIRROR_HELD_KILLED : HMMIRROR_HELD_LIMIT);
}

static enum hmmirror_held release(struct hmmirror_hold_point *hold)
{
	if (change(hold, HMMIRROR_HELD_NOW, HMMIRROR_HELD_RELEASED))
		return HMMIRROR_HELD_NOW;
	if (change(hold, HMMIRROR_HELD_ARMED, HMMIRROR_HELD_NO))
		return HMMIRROR_HELD_ARMED;
	return READ_ONCE(hold->held);
}

/*
 * The opener closes the file, or a process that has it ends (which has no address
 * space to tell by then): the call that is held has it open still.
 */
void hmmirror_hold_close(struct hmmirror *mirror)
{
	if (current->mm == mirror->mm || current->flags & PF_EXITING)
		release(&mirror->hold);
}

static int arm(struct hmmirror_hold_point *hold, const struct hmmirror_hold *cmd)
{
	enum hmmirror_held held;
	int ret = -EBUSY;

	/* two at once would mix their stages and limits */
	spin_lock(&hold->lock);
	held = READ_ONCE(hold->held);
	if (held != HMMIRROR_HELD_ARMED && held != HMMIRROR_HELD_NOW) {
		/* for who was let go just now and has not looked yet, any limit will do */
		WRITE_ONCE(hold->limit_ms, cmd->limit_ms);
		WRITE_ONCE(hold->stage, cmd->stage);
		change(hold, held, HMMIRROR_HELD_ARMED);
		ret = 0;
	}
	spin_unlock(&hold->lock);
	return ret;
}

static int wait_held(struct hmmirror_hold_point *hold, unsigned int limit_ms)
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

int hmmirror_ioctl_hold(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_hold_point *hold = &mirror->hold;
	struct hmmirror_hold *cmd = arg;
	bool timed = cmd->flags != HMMIRROR_HOLD_RELEASE;
	int ret = 0;

	if (cmd->reserved || cmd->stage >= HMMIRROR_STAGE_NR)
		return -EINVAL;
	if (timed ? !cmd->limit_ms || cmd->limit_ms > MAX_LIMIT_MS : cmd->limit_ms)
		return -EINVAL;
	if (cmd->stage && cmd->flags != HMMIRROR_HOLD_ARM)
		return -EINVAL;
	if (cmd->stage == HMMIRROR_STAGE_COLLECT && hmmirror_no_collect())
		return -EOPNOTSUPP;

	switch (cmd->flags) {
	case HMMIRROR_HOLD_ARM:
		ret = arm(hold, cmd);
		break;
	case HMMIRROR_HOLD_WAIT:
		ret = wait_held(hold, cmd->limit_ms);
		break;
	case HMMIRROR_HOLD_RELEASE:
		cmd->held = release(hold);
		return 0;
	default:
		return -EINVAL;
	}
	cmd->held = READ_ONCE(hold->held);
	return ret;
}
