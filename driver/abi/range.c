// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_RANGE: a walk with a request and an answer for each page.
 */
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "abi/calls.h"
#include "core/mirror.h"
#include "core/pt.h"
#include "core/span.h"
#include "core/walk.h"

static u64 *read_requests(const struct hmmirror_range *cmd, unsigned long nr)
{
	u64 *requests;
	unsigned long i;

	requests = vmemdup_user(u64_to_user_ptr(cmd->entries), nr * sizeof(*requests));
	if (IS_ERR(requests))
		return requests;

	for (i = 0; i < nr; i++) {
		if (hmmirror_is_request(requests[i]))
			continue;
		kvfree(requests);
		return ERR_PTR(-EINVAL);
	}
	return requests;
}

static int check_args(struct hmmirror *mirror, const struct hmmirror_range *cmd)
{
	if (cmd->flags & ~(HMMIRROR_RANGE_MAP | HMMIRROR_RANGE_UNLOCKED | HMMIRROR_RANGE_MIRROR |
			   HMMIRROR_RANGE_NO_LIMIT))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_RANGE_NO_LIMIT &&
	    (!(cmd->flags & HMMIRROR_RANGE_UNLOCKED) || cmd->timeout_ms))
		return -EINVAL;
	if (cmd->reserved || cmd->timeout_ms > HMMIRROR_MAX_TIMEOUT_MS)
		return -EINVAL;
	if (!hmmirror_is_request(cmd->default_flags) || cmd->request_mask & ~HMMIRROR_REQ_ALL)
		return -EINVAL;
	if (cmd->flags & HMMIRROR_RANGE_MIRROR &&
	    (cmd->flags != HMMIRROR_RANGE_MIRROR || cmd->default_flags || cmd->request_mask))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_RANGE_UNLOCKED && compat_no_unlocked())
		return -EOPNOTSUPP;
	return hmmirror_check_span(mirror->mm, cmd->addr, cmd->length, PAGE_SIZE);
}

/* What the device page table has now. */
static int report(struct hmmirror *mirror, u64 addr, u64 *entries, unsigned long nr)
{
	unsigned long i;

	if (mutex_lock_killable(&mirror->pt.lock))
		return -EINTR;
	hmmirror_pt_load(&mirror->pt, addr, entries, nr);
	mutex_unlock(&mirror->pt.lock);

	for (i = 0; i < nr; i++)
		entries[i] &= ~HMMIRROR_PTE_EXCLUSIVE;
	return 0;
}

int hmmirror_ioctl_range(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_range *cmd = arg;
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	struct hmmirror_walk_args args = {
		.start = cmd->addr,
		.end = cmd->addr + cmd->length,
		.default_flags = cmd->default_flags,
		.request_mask = cmd->request_mask,
		.timeout_ms = cmd->timeout_ms,
		.map = cmd->flags & HMMIRROR_RANGE_MAP,
		.unlocked = cmd->flags & HMMIRROR_RANGE_UNLOCKED,
		.no_limit = cmd->flags & HMMIRROR_RANGE_NO_LIMIT,
	};
	u64 *requests = NULL;
	int ret;

	ret = check_args(mirror, cmd);
	if (ret)
		return ret;
	if (!hmmirror_is_user_writable(cmd->entries, nr * sizeof(u64)))
		return -EFAULT;

	if (cmd->request_mask) {
		requests = read_requests(cmd, nr);
		if (IS_ERR(requests))
			return PTR_ERR(requests);
		args.requests = requests;
	}

	ret = -ENOMEM;
	args.entries = kvmalloc_array(nr, sizeof(u64), GFP_KERNEL_ACCOUNT);
	if (!args.entries)
		goto out;

	ret = -ESRCH;
	if (!mmget_not_zero(mirror->mm))
		goto out;
	if (cmd->flags & HMMIRROR_RANGE_MIRROR)
		ret = report(mirror, cmd->addr, args.entries, nr);
	else
		ret = hmmirror_walk_range(mirror, &args);
	mmput(mirror->mm);
	if (ret == -EINTR)
		goto out;

	cmd->error = ret;
	cmd->retries = args.retries;
	ret = 0;
	if (copy_to_user(u64_to_user_ptr(cmd->entries), args.entries, nr * sizeof(u64)))
		ret = -EFAULT;
out:
	kvfree(args.entries);
	kvfree(requests);
	return ret;
}
