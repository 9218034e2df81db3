// SPDX-License-Identifier: GPL-2.0
/*
 * Failures and invalidations that a test asks for.
 */
#include <linux/mm.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/**
 * hmmirror_injected() - is this one to be hit?
 * @mirror: whose call it is; NULL for what belongs to none
 * @event: what is about to happen
 */
bool hmmirror_injected(struct hmmirror *mirror, enum hmmirror_event event)
{
	struct hmmirror_injection *injection;
	bool hit = false;

	if (!mirror)
		return false;
	injection = &mirror->injections[event];
	if (!READ_ONCE(injection->times))
		return false;

	spin_lock(&mirror->inject_lock);
	if (injection->before) {
		injection->before--;
	} else if (injection->times) {
		WRITE_ONCE(injection->times, injection->times - 1);
		injection->hits++;
		hit = true;
	}
	spin_unlock(&mirror->inject_lock);
	return hit;
}

static void nothing(struct migrate_vma *args, void *data)
{
}

/**
 * hmmirror_inject_invalidation() - have the kernel invalidate a page
 * @mirror: whose address space; its mmap lock is held
 * @addr: the page
 *
 * A migration of pages that nobody has: the kernel tells every notifier that the
 * range changes, finds no page that is wanted, and leaves all as it was.
 */
void hmmirror_inject_invalidation(struct hmmirror *mirror, unsigned long addr)
{
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.vma = vma_lookup(mirror->mm, addr),
		.start = addr,
		.end = addr + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = &src,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};

	if (args.vma)
		compat_migrate_vma(&args, nothing, nothing, NULL);
}

int hmmirror_ioctl_inject(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_inject *cmd = arg;
	struct hmmirror_injection *injection;

	if (cmd->flags || cmd->event >= HMMIRROR_INJECT_NR || !cmd->nth != !cmd->times)
		return -EINVAL;
	if (hmmirror_no_failing(cmd->event))
		return -EOPNOTSUPP;

	injection = &mirror->injections[cmd->event];
	spin_lock(&mirror->inject_lock);
	cmd->hits = injection->hits;
	injection->hits = 0;
	injection->before = cmd->nth ? cmd->nth - 1 : 0;
	WRITE_ONCE(injection->times, cmd->times);
	spin_unlock(&mirror->inject_lock);
	return 0;
}
