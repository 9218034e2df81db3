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
	atomic64_t *left;
	s64 old, new;

	if (!mirror)
		return false;
	left = &mirror->injections[event].left;
	old = atomic64_read(left);
	do {
		if (!lower_32_bits(old))
			return false;
		new = upper_32_bits(old) ? old - (1LL << 32) : old - 1;
	} while (!atomic64_try_cmpxchg(left, &old, new));
	return !upper_32_bits(old);
}

/* hmmirror_inject_asked() - is there one to come? */
bool hmmirror_inject_asked(struct hmmirror *mirror, enum hmmirror_event event)
{
	return lower_32_bits(atomic64_read(&mirror->injections[event].left));
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
	u64 left;

	if (cmd->flags || cmd->event >= HMMIRROR_INJECT_NR || !cmd->nth != !cmd->times)
		return -EINVAL;
	if (hmmirror_no_failing(cmd->event))
		return -EOPNOTSUPP;

	injection = &mirror->injections[cmd->event];
	left = cmd->nth ? (u64)(cmd->nth - 1) << 32 | cmd->times : 0;
	spin_lock(&mirror->inject_lock);
	left = atomic64_xchg(&injection->left, left);
	cmd->hits = injection->asked - lower_32_bits(left);
	injection->asked = cmd->times;
	spin_unlock(&mirror->inject_lock);
	return 0;
}
