/* SPDX-License-Identifier: GPL-2.0 */
/* What an invalidation says of itself. */
#ifndef HMMIRROR_COMPAT_NOTIFIER_H
#define HMMIRROR_COMPAT_NOTIFIER_H

#include <linux/mmu_notifier.h>

#include "interval.h"

/* where the kernel does not tell, no event is one */
#ifndef HAVE_NOTIFY_MIGRATE
#define MMU_NOTIFY_MIGRATE	((enum mmu_notifier_event)-2)
#endif
#ifndef HAVE_NOTIFY_EXCLUSIVE
#define MMU_NOTIFY_EXCLUSIVE	((enum mmu_notifier_event)-1)
#endif

/* Who caused a migration or exclusive event: what was given to the call. */
static inline void *compat_event_owner(const struct mmu_notifier_range *range)
{
#if defined(HAVE_NOTIFIER_RANGE_OWNER)
	return range->owner;
#else
	/* asked for exclusive events only, and there are none */
	return NULL;
#endif
}

#endif /* HMMIRROR_COMPAT_NOTIFIER_H */
