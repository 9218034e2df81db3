// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_EXCLUSIVE: exclusive access to a range, and atomics of the device.
 */
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "abi/calls.h"
#include "access/exclusive.h"
#include "core/mirror.h"
#include "core/pt.h"
#include "core/span.h"

/* @held: user memory, one byte a page; or 0. Return: exclusive pages, -EINTR, -EFAULT. */
static s64 count_exclusive(struct hmmirror *mirror, unsigned long addr, unsigned long end,
			   u64 held)
{
	s64 total = 0;

	while (addr < end) {
		u8 bytes[64];
		unsigned long nr = min((end - addr) >> PAGE_SHIFT, sizeof(bytes));
		u64 ptes[sizeof(bytes)];
		unsigned long i;

		if (mutex_lock_killable(&mirror->pt.lock))
			return -EINTR;
		hmmirror_pt_load(&mirror->pt, addr, ptes, nr);
		mutex_unlock(&mirror->pt.lock);

		for (i = 0; i < nr; i++) {
			bytes[i] = !!(ptes[i] & HMMIRROR_PTE_EXCLUSIVE);
			total += bytes[i];
		}
		if (held) {
			if (copy_to_user(u64_to_user_ptr(held), bytes, nr))
				return -EFAULT;
			held += nr;
		}
		addr += nr << PAGE_SHIFT;
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return total;
}

static int report(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	s64 pages = count_exclusive(mirror, cmd->addr, cmd->addr + cmd->length, cmd->held);

	if (pages < 0)
		return pages;
	cmd->pages = pages;
	return 0;
}

static int check_args(struct hmmirror *mirror, const struct hmmirror_exclusive *cmd)
{
	int ret;

	if (cmd->flags || cmd->op > HMMIRROR_EXCL_CMPXCHG)
		return -EINVAL;

	if (cmd->op >= HMMIRROR_EXCL_ADD) {
		if (cmd->length != sizeof(u64) || cmd->held)
			return -EINVAL;
		ret = hmmirror_check_span(mirror->mm, cmd->addr, cmd->length, sizeof(u64));
	} else {
		ret = hmmirror_check_span(mirror->mm, cmd->addr, cmd->length, PAGE_SIZE);
	}
	if (ret)
		return ret;
	if (!compat_has_exclusive())
		return -EOPNOTSUPP;
	if (cmd->held && !hmmirror_is_user_writable(cmd->held, cmd->length >> PAGE_SHIFT))
		return -EFAULT;
	return 0;
}

static int run(struct hmmirror *mirror, struct hmmirror_exclusive *cmd)
{
	unsigned long end = cmd->addr + cmd->length;

	cmd->error = 0;
	switch (cmd->op) {
	case HMMIRROR_EXCL_MAKE:
		cmd->error = hmmirror_make_exclusive(mirror, cmd->addr, end, &cmd->pages);
		return cmd->error == -EINTR ? -EINTR : report(mirror, cmd);
	case HMMIRROR_EXCL_TEST:
		return report(mirror, cmd);
	case HMMIRROR_EXCL_RELEASE:
		cmd->error = hmmirror_end_exclusive(mirror, cmd->addr, end, &cmd->pages);
		break;
	default:
		cmd->error = hmmirror_do_atomic(mirror, cmd);
		break;
	}
	return cmd->error == -EINTR ? -EINTR : 0;
}

int hmmirror_ioctl_exclusive(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_exclusive *cmd = arg;
	int ret = check_args(mirror, cmd);

	if (ret)
		return ret;
	if (!mmget_not_zero(mirror->mm))
		return -ESRCH;
	ret = run(mirror, cmd);
	mmput(mirror->mm);
	return ret;
}
