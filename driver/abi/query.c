// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_QUERY and HMMIRROR_STATS: what a device can do on this kernel, with the reason for
 * what it can't; and counters.
 */
#include <linux/string.h>

#include "abi/calls.h"
#include "access/dma.h"
#include "core/mirror.h"
#include "core/span.h"
#include "hooks/pmd_race.h"
#include "memory/chunk.h"

static const char no_private[] = "the kernel was built without CONFIG_DEVICE_PRIVATE";

/* Return: why this device has no such feature, NULL if it has. */
static const char *no_feature(const struct hmmirror_device *device, unsigned int feature)
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
	case HMMIRROR_FEAT_PMD_RACE:
		return hmmirror_no_pmd_race();
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
		if (!no_feature(mirror->device, i))
			cmd->features |= 1ULL << i;
	cmd->device = mirror->device->id;
	cmd->memory = mirror->device->memory;
	cmd->max_range = hmmirror_max_range();
	cmd->traits = compat_traits();
	cmd->walker = compat_walker();
	cmd->unused = 0;

	memset(cmd->reason, 0, sizeof(cmd->reason));
	reason = no_feature(mirror->device, cmd->ask);
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
	hmmirror_devmem_count(device, &cmd->device_pages, &cmd->device_pages_free);
	return 0;
}
