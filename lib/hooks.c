// SPDX-License-Identifier: GPL-2.0
/* The driver's hooks. */
#include <stdint.h>

#include "hmm_hooks.h"

int hmm_ioctl_hold(int fd, struct hmmirror_hold *hold)
{
	if (!hold->size)
		hold->size = sizeof(*hold);
	return hmm_ioctl(fd, HMMIRROR_HOLD, hold);
}

int hmm_ioctl_plant(int fd, struct hmmirror_plant *plant)
{
	if (!plant->size)
		plant->size = sizeof(*plant);
	return hmm_ioctl(fd, HMMIRROR_PLANT, plant);
}

int hmm_ioctl_pmd_race(int fd, struct hmmirror_pmd_race_args *race)
{
	if (!race->size)
		race->size = sizeof(*race);
	return hmm_ioctl(fd, HMMIRROR_PMD_RACE, race);
}

int hmm_ioctl_inject(int fd, struct hmmirror_inject *inject)
{
	if (!inject->size)
		inject->size = sizeof(*inject);
	return hmm_ioctl(fd, HMMIRROR_INJECT, inject);
}

static int hold(int fd, unsigned int flags, enum hmmirror_stage stage,
		unsigned int limit_ms)
{
	struct hmmirror_hold h = {
		.flags = flags,
		.stage = stage,
		.limit_ms = limit_ms,
	};
	int ret = hmm_ioctl_hold(fd, &h);

	return ret ? ret : (int)h.held;
}

int hmm_hold_arm(int fd, enum hmmirror_stage stage, unsigned int limit_ms)
{
	int ret = hold(fd, HMMIRROR_HOLD_ARM, stage, limit_ms);

	return ret < 0 ? ret : 0;
}

int hmm_hold_wait(int fd, unsigned int limit_ms)
{
	return hold(fd, HMMIRROR_HOLD_WAIT, 0, limit_ms);
}

int hmm_hold_release(int fd)
{
	return hold(fd, HMMIRROR_HOLD_RELEASE, 0, 0);
}

int hmm_plant(int fd, const void *addr, enum hmmirror_planted kind)
{
	struct hmmirror_plant plant = {
		.flags = HMMIRROR_PLANT_PUT,
		.addr = (uintptr_t)addr,
		.kind = kind,
	};

	return hmm_ioctl_plant(fd, &plant);
}

int hmm_plant_take(int fd)
{
	struct hmmirror_plant plant = { .flags = HMMIRROR_PLANT_TAKE };

	return hmm_ioctl_plant(fd, &plant);
}

int hmm_pmd_race_arm(int fd, const void *addr, unsigned int nth)
{
	struct hmmirror_pmd_race_args race = {
		.flags = HMMIRROR_PMD_RACE_ARM,
		.addr = (uintptr_t)addr,
		.nth = nth,
	};

	return hmm_ioctl_pmd_race(fd, &race);
}

int hmm_pmd_race_end(int fd)
{
	struct hmmirror_pmd_race_args race = { .flags = HMMIRROR_PMD_RACE_END };
	int ret = hmm_ioctl_pmd_race(fd, &race);

	return ret ? ret : (int)race.looks;
}

int hmm_inject(int fd, enum hmmirror_event event, unsigned int nth,
	       unsigned int times)
{
	struct hmmirror_inject inject = {
		.event = event,
		.nth = nth,
		.times = times,
	};
	int ret = hmm_ioctl_inject(fd, &inject);

	return ret ? ret : (int)inject.hits;
}
