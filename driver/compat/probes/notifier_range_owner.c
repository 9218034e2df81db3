// SPDX-License-Identifier: GPL-2.0
#include <linux/mmu_notifier.h>

void *probe(const struct mmu_notifier_range *range);
void *probe(const struct mmu_notifier_range *range)
{
	return range->owner;
}
