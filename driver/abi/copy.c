// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_COPY: the device reads or writes a range of any alignment.
 */
#include <linux/sched/mm.h>

#include "abi/calls.h"
#include "access/copy.h"
#include "core/mirror.h"
#include "core/span.h"

int hmmirror_ioctl_copy(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_copy *cmd = arg;
	struct hmmirror_copy_args args = {
		.addr = cmd->addr,
		.end = cmd->addr + cmd->length,
		.uptr = cmd->buffer,
		.write = cmd->flags & HMMIRROR_COPY_WRITE,
		.fault = !(cmd->flags & HMMIRROR_COPY_NOFAULT),
	};
	int ret;

	if (cmd->flags & ~(HMMIRROR_COPY_WRITE | HMMIRROR_COPY_NOFAULT) || cmd->reserved)
		return -EINVAL;
	ret = hmmirror_check_span(mirror->mm, cmd->addr, cmd->length, 1);
	if (ret)
		return ret;

	if (!mmget_not_zero(mirror->mm))
		return -ESRCH;
	ret = hmmirror_copy_range(mirror, &args);
	mmput(mirror->mm);
	if (ret)
		return ret;

	cmd->copied = args.addr - cmd->addr;
	cmd->faults = args.faults;
	cmd->error = args.error;
	return 0;
}
