// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_HOLD, HMMIRROR_INJECT, HMMIRROR_PLANT and HMMIRROR_PMD_RACE: a test arms hooks.
 */
#include <linux/sched/mm.h>

#include "abi/calls.h"
#include "abi/hooks.h"
#include "core/mirror.h"
#include "core/span.h"
#include "hooks/collect.h"
#include "hooks/fail.h"
#include "hooks/mapping.h"

#define MAX_HOLD_MS	10000
#define MAX_NTH_READ	16

static void init(struct hmmirror *mirror)
{
	hmmirror_hold_init(&mirror->hooks.hold, mirror->mm);
	hmmirror_injections_init(&mirror->hooks.injections);
	hmmirror_plant_init(&mirror->hooks.plant);
	hmmirror_pmd_race_init(&mirror->hooks.pmd_race);
}

/*
 * A thread that is held, or waits for a planted entry, is in a call and so has the file open:
 * release() would never come. An exiting process has no mm any more that could be compared.
 */
static void flush(struct hmmirror *mirror)
{
	if (current->mm == mirror->mm || current->flags & PF_EXITING)
		hmmirror_hold_release(&mirror->hooks.hold);
	if (current->mm == mirror->mm)
		hmmirror_plant_flush(&mirror->hooks.plant);
}

static void destroy(struct hmmirror *mirror)
{
	hmmirror_hold_destroy(&mirror->hooks.hold);
	hmmirror_plant_destroy(&mirror->hooks.plant);
	hmmirror_pmd_race_destroy(&mirror->hooks.pmd_race);
}

const struct hmmirror_part hmmirror_hooks_part = {
	.init = init,
	.flush = flush,
	.destroy = destroy,
};

int hmmirror_ioctl_hold(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_hold_point *hold = &mirror->hooks.hold;
	struct hmmirror_hold *cmd = arg;
	bool timed = cmd->flags != HMMIRROR_HOLD_RELEASE;
	int ret;

	if (cmd->reserved || cmd->stage >= HMMIRROR_STAGE_NR)
		return -EINVAL;
	if (timed ? !cmd->limit_ms || cmd->limit_ms > MAX_HOLD_MS : cmd->limit_ms)
		return -EINVAL;
	if (cmd->stage && cmd->flags != HMMIRROR_HOLD_ARM)
		return -EINVAL;
	if (cmd->stage == HMMIRROR_STAGE_COLLECT && hmmirror_no_collect())
		return -EOPNOTSUPP;

	switch (cmd->flags) {
	case HMMIRROR_HOLD_ARM:
		ret = hmmirror_hold_arm(hold, cmd->stage, cmd->limit_ms);
		break;
	case HMMIRROR_HOLD_WAIT:
		ret = hmmirror_hold_wait(hold, cmd->limit_ms);
		break;
	case HMMIRROR_HOLD_RELEASE:
		cmd->held = hmmirror_hold_release(hold);
		return 0;
	default:
		return -EINVAL;
	}
	cmd->held = READ_ONCE(hold->held);
	return ret;
}

int hmmirror_ioctl_inject(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_inject *cmd = arg;

	if (cmd->flags || cmd->event >= HMMIRROR_INJECT_NR || !cmd->nth != !cmd->times)
		return -EINVAL;
	if (hmmirror_no_failing(cmd->event))
		return -EOPNOTSUPP;
	cmd->hits = hmmirror_set_injection(&mirror->hooks.injections, cmd->event, cmd->nth,
					   cmd->times);
	return 0;
}

static int check_plant(struct hmmirror *mirror, const struct hmmirror_plant *cmd)
{
	unsigned long size;

	if (cmd->reserved || hweight32(cmd->flags) != 1 ||
	    cmd->flags & ~(HMMIRROR_PLANT_PUT | HMMIRROR_PLANT_TAKE))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_PLANT_TAKE)
		return cmd->addr || cmd->kind ? -EINVAL : 0;
	if (cmd->kind >= HMMIRROR_PLANT_NR)
		return -EINVAL;
	if (hmmirror_no_planted(cmd->kind))
		return -EOPNOTSUPP;
	size = hmmirror_planted_size(cmd->kind);
	return hmmirror_check_span(mirror->mm, cmd->addr, size, size);
}

int hmmirror_ioctl_plant(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_plant_point *point = &mirror->hooks.plant;
	struct hmmirror_plant *cmd = arg;
	int ret = check_plant(mirror, cmd);

	if (ret)
		return ret;
	if (hmmirror_no_plant())
		return -EOPNOTSUPP;
	if (!mmget_not_zero(mirror->mm))
		return -ESRCH;
	if (cmd->flags & HMMIRROR_PLANT_TAKE)
		ret = hmmirror_unplant_entry(point);
	else
		ret = hmmirror_plant_entry(point, mirror->mm, cmd->addr, cmd->kind);
	mmput(mirror->mm);
	return ret;
}

static int check_pmd_race(struct hmmirror *mirror, const struct hmmirror_pmd_race_args *cmd)
{
	if (cmd->reserved || hweight32(cmd->flags) != 1 ||
	    cmd->flags & ~(HMMIRROR_PMD_RACE_ARM | HMMIRROR_PMD_RACE_END))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_PMD_RACE_END)
		return cmd->addr || cmd->nth ? -EINVAL : 0;
	if (!cmd->nth || cmd->nth > MAX_NTH_READ)
		return -EINVAL;
	return hmmirror_check_span(mirror->mm, cmd->addr, PMD_SIZE, PMD_SIZE);
}

static int check_mapping(struct hmmirror *mirror, unsigned long addr)
{
	int ret = -EINTR;

	if (!mmget_not_zero(mirror->mm))
		return -ESRCH;
	if (!mmap_read_lock_killable(mirror->mm)) {
		ret = hmmirror_is_plain_mapping(mirror->mm, addr, PMD_SIZE) ? 0 : -EINVAL;
		mmap_read_unlock(mirror->mm);
	}
	mmput(mirror->mm);
	return ret;
}

int hmmirror_ioctl_pmd_race(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_pmd_race *race = &mirror->hooks.pmd_race;
	struct hmmirror_pmd_race_args *cmd = arg;
	int ret = check_pmd_race(mirror, cmd);

	if (ret)
		return ret;
	if (hmmirror_no_pmd_race())
		return -EOPNOTSUPP;
	if (cmd->flags & HMMIRROR_PMD_RACE_END)
		return hmmirror_pmd_race_end(race, &cmd->looks);
	ret = check_mapping(mirror, cmd->addr);
	return ret ?: hmmirror_pmd_race_arm(race, mirror->mm, cmd->addr, cmd->nth);
}
