// SPDX-License-Identifier: GPL-2.0
/*
 * What the device can do on this kernel, and what it has done.
 */
#include <linux/string.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

static const char no_private[] = "the kernel was built without CONFIG_DEVICE_PRIVATE";

/* Return: why this device has no huge pages, NULL if it has. */
const char *hmmirror_no_huge(struct hmmirror_device *device)
{
	if (compat_no_device_thp())
		return compat_no_device_thp();
	switch (device->memory) {
	case HMMIRROR_MEMORY_PRIVATE:
		return NULL;
	case HMMIRROR_MEMORY_COHERENT:
		return "the kernel offers no huge page of a coherent device for the way back";
	default:
		return no_private;
	}
}

/* NULL: the kernel has it. */
static const char *absent(struct hmmirror_device *device, unsigned int feature)
{
	switch (feature) {
	case HMMIRROR_FEAT_RANGE:
	case HMMIRROR_FEAT_PAGE_REQUESTS:
		return NULL;
	case HMMIRROR_FEAT_ORDER:
		return compat_no_order();
	case HMMIRROR_FEAT_DEVICE_PRIVATE:
		return IS_ENABLED(CONFIG_DEVICE_PRIVATE) ? NULL : no_private;
	case HMMIRROR_FEAT_DEVICE_COHERENT:
		if (compat_no_coherent())
			return compat_no_coherent();
		return hmmirror_spm_addr[0] ? NULL :
		       "no memory was reserved: module parameters spm_addr_dev0, spm_addr_dev1";
	case HMMIRROR_FEAT_EXCLUSIVE:
		return compat_no_exclusive();
	case HMMIRROR_FEAT_UNLOCKED:
		return compat_no_unlocked();
	case HMMIRROR_FEAT_DEVICE_THP:
		return hmmirror_no_huge(device);
	case HMMIRROR_FEAT_DMA:
		return compat_no_dma();
	case HMMIRROR_FEAT_DMA_IOMMU:
		return hmmirror_no_iommu();
	case HMMIRROR_FEAT_FLICKER:
		return hmmirror_no_flicker();
	default:
		return "unknown";
	}
}

int hmmirror_ioctl_query(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_query *cmd = arg;
	const char *reason;
	unsigned int i;

	if (cmd->flags || cmd->ask >= HMMIRROR_FEAT_NR)
		return -EINVAL;

	cmd->abi = HMMIRROR_ABI_VERSION;
	cmd->known = (1ULL << HMMIRROR_FEAT_NR) - 1;
	cmd->features = 0;
	for (i = 0; i < HMMIRROR_FEAT_NR; i++)
		if (!absent(mirror->device, i))
			cmd->features |= 1ULL << i;
	cmd->device = mirror->device->id;
	cmd->memory = mirror->device->memory;
	cmd->max_range = (u64)hmmirror_max_range_mb << 20;
	cmd->traits = compat_traits();
	cmd->walker = compat_walker();
	cmd->unused = 0;

	memset(cmd->reason, 0, sizeof(cmd->reason));
	reason = absent(mirror->device, cmd->ask);
	if (reason)
		strscpy(cmd->reason, reason, sizeof(cmd->reason));
	return 0;
}

int hmmirror_ioctl_stats(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_stats *cmd = arg;
	struct hmmirror_device *device = mirror->device;
	struct {
		atomic64_t *counter;
		__u64 *value;
	} counters[] = {
		{ &mirror->count.walks, &cmd->walks },
		{ &mirror->count.retries, &cmd->retries },
		{ &mirror->count.invalidations, &cmd->invalidations },
		{ &mirror->count.invalidations_migrate, &cmd->invalidations_migrate },
		{ &mirror->count.invalidations_unmap, &cmd->invalidations_unmap },
		{ &mirror->count.invalidations_exclusive, &cmd->invalidations_exclusive },
		{ &mirror->count.to_device, &cmd->to_device },
		{ &mirror->count.to_system, &cmd->to_system },
	};
	unsigned int i;

	if (cmd->flags & ~HMMIRROR_STATS_RESET)
		return -EINVAL;

	for (i = 0; i < ARRAY_SIZE(counters); i++) {
		if (cmd->flags & HMMIRROR_STATS_RESET)
			*counters[i].value = atomic64_xchg(counters[i].counter, 0);
		else
			*counters[i].value = atomic64_read(counters[i].counter);
	}

	cmd->cpu_faults = atomic64_read(&device->cpu_faults);
	cmd->cpu_faults_home = atomic64_read(&device->cpu_faults_home);
	cmd->evicted = atomic64_read(&device->evicted);
	spin_lock(&device->free_lock);
	cmd->device_pages = device->nr_pages;
	cmd->device_pages_free = device->nr_free;
	spin_unlock(&device->free_lock);
	return 0;
}
