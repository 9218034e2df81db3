/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hooks: points at which core/ and memory/ ask "is there something to do here?". A test arms
 * them by the calls in abi/hooks.c. A hook uses its own state only, and never that of its callers.
 */
#ifndef HMMIRROR_HOOKS_HOOKS_H
#define HMMIRROR_HOOKS_HOOKS_H

#include "hooks/hold.h"
#include "hooks/inject.h"
#include "hooks/plant.h"
#include "hooks/pmd_race.h"

/* Those of one mirror. */
struct hmmirror_hooks {
	struct hmmirror_hold_point hold;
	struct hmmirror_injections injections;
	struct hmmirror_plant_point plant;
	struct hmmirror_pmd_race pmd_race;
};

/* For what may run on behalf of no mirror, as a CPU fault does: @hooks is NULL then. */
static inline void hmmirror_hook_hold(struct hmmirror_hooks *hooks, enum hmmirror_stage stage)
{
	if (hooks)
		hmmirror_hold_here(&hooks->hold, stage);
}

static inline bool hmmirror_hook_injection(struct hmmirror_hooks *hooks,
					   enum hmmirror_event event)
{
	return hooks && hmmirror_hit_injection(&hooks->injections, event);
}

#endif /* HMMIRROR_HOOKS_HOOKS_H */
