/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Interval notifiers: since 5.5. Before, there is one notifier for an address
 * space, and interval.c keeps the intervals and counts the invalidations.
 */
#ifndef HMMIRROR_COMPAT_INTERVAL_H
#define HMMIRROR_COMPAT_INTERVAL_H

#include <linux/mmu_notifier.h>

#ifndef HAVE_MMU_INTERVAL_NOTIFIER
#include <linux/list.h>
#include <linux/types.h>

#ifndef HAVE_NOTIFY_UNMAP
/* before 5.2 an invalidation says nothing of itself */
enum mmu_notifier_event {
	MMU_NOTIFY_UNMAP,
	MMU_NOTIFY_CLEAR,
};
#endif

struct compat_notifier_range {
	unsigned long start;
	unsigned long end;
	enum mmu_notifier_event event;
	bool blockable;
};

struct compat_watcher;
struct mmu_interval_notifier_ops;

struct mmu_interval_notifier {
	const struct mmu_interval_notifier_ops *ops;
	struct mm_struct *mm;
	struct compat_watcher *watcher;
	struct list_head list;
	unsigned long start;
	unsigned long last;
	unsigned long seq;
};

struct mmu_interval_notifier_ops {
	bool (*invalidate)(struct mmu_interval_notifier *notifier,
			   const struct compat_notifier_range *range, unsigned long seq);
};

int mmu_interval_notifier_insert(struct mmu_interval_notifier *notifier, struct mm_struct *mm,
				 unsigned long start, unsigned long length,
				 const struct mmu_interval_notifier_ops *ops);
void mmu_interval_notifier_remove(struct mmu_interval_notifier *notifier);
unsigned long mmu_interval_read_begin(struct mmu_interval_notifier *notifier);
struct hmm_mirror *compat_hmm_mirror(struct mmu_interval_notifier *notifier);

static inline void mmu_interval_set_seq(struct mmu_interval_notifier *notifier, unsigned long seq)
{
	WRITE_ONCE(notifier->seq, seq);
}

static inline bool mmu_interval_read_retry(struct mmu_interval_notifier *notifier,
					   unsigned long seq)
{
	return READ_ONCE(notifier->seq) != seq;
}

/* from here on, the names mean what is above */
#ifndef COMPAT_INTERVAL_C
#define mmu_notifier_range compat_notifier_range
#define mmu_notifier_range_blockable(_range) ((_range)->blockable)
#endif
#endif /* HAVE_MMU_INTERVAL_NOTIFIER */

#endif /* HMMIRROR_COMPAT_INTERVAL_H */
