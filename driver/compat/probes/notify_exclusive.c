// SPDX-License-Identifier: GPL-2.0
#include <linux/mmu_notifier.h>

bool probe(const struct mmu_notifier_range *range);
bool probe(const struct mmu_notifier_range *range)
{
	return range->event == MMU_NOTIFY_EXCLUSIVE;
}
