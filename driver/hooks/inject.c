// SPDX-License-Identifier: GPL-2.0
/*
 * Counts events, and says which of them a test wants to fail.
 */
#include <linux/kernel.h>
#include <linux/mm.h>

#include "compat/compat.h"
#include "hooks/inject.h"

void hmmirror_injections_init(struct hmmirror_injections *injections)
{
	spin_lock_init(&injections->lock);
}

/**
 * hmmirror_hit_injection() - count one event
 * @injections: those of the mirror
 * @event: what is about to happen
 *
 * Return: whether it shall fail, or happen if it is no failure.
 */
bool hmmirror_hit_injection(struct hmmirror_injections *injections, enum hmmirror_event event)
{
	atomic64_t *left = &injections->of[event].left;
	s64 old = atomic64_read(left);
	s64 new;

	do {
		if (!lower_32_bits(old))
			return false;
		new = upper_32_bits(old) ? old - (1LL << 32) : old - 1;
	} while (!atomic64_try_cmpxchg(left, &old, new));
	return !upper_32_bits(old);
}

/* Is an event still to be hit? Counts nothing. */
bool hmmirror_has_injection(const struct hmmirror_injections *injections,
			    enum hmmirror_event event)
{
	return lower_32_bits(atomic64_read(&injections->of[event].left));
}

/**
 * hmmirror_set_injection() - ask for hits of an event, instead of what was asked for before
 * @injections: those of the mirror
 * @event: the event
 * @nth: the first event to hit, counted from 1; 0 with no @times
 * @times: events to hit in a row; 0 for none
 *
 * Return: how often the event was hit since the last request.
 */
unsigned int hmmirror_set_injection(struct hmmirror_injections *injections,
				    enum hmmirror_event event, u32 nth, u32 times)
{
	struct hmmirror_injection *injection = &injections->of[event];
	u64 left = nth ? (u64)(nth - 1) << 32 | times : 0;
	unsigned int hits;

	spin_lock(&injections->lock);
	left = atomic64_xchg(&injection->left, left);
	hits = injection->asked - lower_32_bits(left);
	injection->asked = times;
	spin_unlock(&injections->lock);
	return hits;
}

static void do_nothing(struct migrate_vma *args, void *data)
{
}

/**
 * hmmirror_inject_invalidation() - have the kernel invalidate a page
 * @mm: the address space, with its mmap lock held
 * @addr: the page
 *
 * Migrates pages of a device that does not exist: the kernel calls every notifier of the
 * range, finds no page to migrate, and leaves all as it was.
 */
void hmmirror_inject_invalidation(struct mm_struct *mm, unsigned long addr)
{
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.vma = vma_lookup(mm, addr),
		.start = addr,
		.end = addr + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = &src,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};

	if (args.vma)
		compat_migrate_vma(&args, do_nothing, do_nothing, NULL);
}
