// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_DMA: pages of a walk mapped for DMA.
 */
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "abi/calls.h"
#include "access/dma.h"
#include "core/span.h"
#include "core/walk.h"
#include "hooks/fail.h"

static int check_args(struct hmmirror *mirror, const struct hmmirror_dma *cmd)
{
	if (cmd->op > HMMIRROR_DMA_FREE)
		return -EINVAL;
	if (cmd->op != HMMIRROR_DMA_ALLOC && (cmd->flags || cmd->mask_bits))
		return -EINVAL;
	if (cmd->flags & ~(HMMIRROR_DMA_IOMMU | HMMIRROR_DMA_BOUNCED))
		return -EINVAL;
	if (cmd->mask_bits && (cmd->mask_bits < 24 || cmd->mask_bits > 64))
		return -EINVAL;
	if (cmd->request && (cmd->op != HMMIRROR_DMA_MAP || !hmmirror_is_request(cmd->request)))
		return -EINVAL;
	if (cmd->op == HMMIRROR_DMA_FREE)
		return cmd->addr || cmd->length ? -EINVAL : 0;
	return hmmirror_check_span(mirror->mm, cmd->addr, cmd->length, PAGE_SIZE);
}

static int map_range(struct hmmirror *mirror, struct hmmirror_dma *cmd)
{
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	struct hmmirror_dma_args args = {
		.start = cmd->addr,
		.end = cmd->addr + cmd->length,
		.request = cmd->request,
	};
	unsigned long i;
	int ret = -ENOMEM;

	if (!hmmirror_is_user_writable(cmd->results, nr * sizeof(*args.results)))
		return -EFAULT;
	args.entries = kvmalloc_array(nr, sizeof(u64), GFP_KERNEL_ACCOUNT);
	args.results = kvcalloc(nr, sizeof(*args.results), GFP_KERNEL_ACCOUNT);
	if (!args.entries || !args.results)
		goto out;

	ret = hmmirror_dma_map_range(mirror, &args);
	if (ret)
		goto out;
	cmd->error = args.error;
	cmd->pages = args.mapped;
	for (i = 0; i < nr; i++)
		args.results[i].entry = args.entries[i];
	if (copy_to_user(u64_to_user_ptr(cmd->results), args.results, nr * sizeof(*args.results)))
		ret = -EFAULT;
out:
	kvfree(args.results);
	kvfree(args.entries);
	return ret;
}

static int unmap_range(struct hmmirror *mirror, struct hmmirror_dma *cmd)
{
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	u8 *unmapped;
	int ret;

	if (!hmmirror_is_user_writable(cmd->results, nr))
		return -EFAULT;
	unmapped = kvmalloc(nr, GFP_KERNEL_ACCOUNT);
	if (!unmapped)
		return -ENOMEM;
	cmd->pages = hmmirror_dma_unmap_range(mirror, cmd->addr, cmd->addr + cmd->length,
					      unmapped);
	ret = copy_to_user(u64_to_user_ptr(cmd->results), unmapped, nr) ? -EFAULT : 0;
	kvfree(unmapped);
	return ret;
}

/* Hold dma_lock. */
static int run(struct hmmirror *mirror, struct hmmirror_dma *cmd)
{
	switch (cmd->op) {
	case HMMIRROR_DMA_ALLOC:
		return hmmirror_dma_create_map(mirror, cmd);
	case HMMIRROR_DMA_FREE:
		return hmmirror_dma_free_map(mirror, &cmd->pages);
	default:
		break;
	}
	if (!hmmirror_dma_has_range(mirror, cmd->addr, cmd->addr + cmd->length))
		return -EINVAL;
	if (cmd->op == HMMIRROR_DMA_MAP)
		return map_range(mirror, cmd);
	return unmap_range(mirror, cmd);
}

int hmmirror_ioctl_dma(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_failing *failing;
	struct hmmirror_dma *cmd = arg;
	int ret = check_args(mirror, cmd);

	if (ret)
		return ret;
	if (cmd->flags & HMMIRROR_DMA_IOMMU ? hmmirror_no_iommu() : compat_no_dma())
		return -EOPNOTSUPP;
	cmd->error = 0;
	cmd->pages = 0;

	if (!mmget_not_zero(mirror->mm))
		return -ESRCH;
	ret = -EINTR;
	if (!mutex_lock_killable(&mirror->dma_lock)) {
		failing = hmmirror_fail_begin(&mirror->hooks.injections,
					      HMMIRROR_INJECT_DMA_ALLOC, HMMIRROR_INJECT_DMA_MAP);
		ret = run(mirror, cmd);
		hmmirror_fail_end(failing);
		mutex_unlock(&mirror->dma_lock);
	}
	mmput(mirror->mm);
	return ret;
}
