// SPDX-License-Identifier: GPL-2.0
#include <linux/mmu_notifier.h>

int probe(const struct mmu_notifier_range *range);
int probe(const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_UNMAP;
}
