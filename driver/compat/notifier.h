/* SPDX-License-Identifier: GPL-2.0 */
/* What an invalidation says of itself. */
#ifndef HMMIRROR_COMPAT_NOTIFIER_H
#define HMMIRROR_COMPAT_NOTIFIER_H

#include <linux/mmu_notifier.h>

/* Who caused a migration or exclusive event: what was given to the call. */
static inline void *compat_event_owner(const struct mmu_notifier_range *range)
{
	return range->owner;
}

#endif /* HMMIRROR_COMPAT_NOTIFIER_H */
