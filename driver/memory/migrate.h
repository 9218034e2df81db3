/* SPDX-License-Identifier: GPL-2.0 */
/* Migration of pages to a device, and back to the system. */
#ifndef HMMIRROR_MEMORY_MIGRATE_H
#define HMMIRROR_MEMORY_MIGRATE_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include "core/device.h"
#include "hooks/hooks.h"

/**
 * struct hmmirror_migrate_args - a range to migrate
 * @addr: first byte, page aligned
 * @end: first byte behind, page aligned
 * @hooks: of the mirror that asks, or NULL
 * @to_device: to the device; else to the system
 * @huge: migrate huge pages whole, if the kernel can
 * @pieces: small pages replace a huge one
 * @populate: to the system: populate holes, too
 * @any_access: do not stop at a VMA that can't be read
 * @outcomes: (out) enum hmmirror_outcome of each page, or NULL
 * @offers: (out) HMMIRROR_OFFER_* of each page, or NULL
 * @migrated: (out) pages that migrated or were populated
 * @cpages: (out) pages that the kernel says it offered, 0 if it does not say
 */
struct hmmirror_migrate_args {
	unsigned long addr;
	unsigned long end;
	struct hmmirror_hooks *hooks;
	bool to_device;
	bool huge;
	bool pieces;
	bool populate;
	bool any_access;
	u8 *outcomes;
	u8 *offers;
	u64 migrated;
	u64 cpages;
};

int hmmirror_migrate_range(struct hmmirror_device *device, struct mm_struct *mm,
			   struct hmmirror_migrate_args *args);
long hmmirror_migrate_pfns_to_ram(struct hmmirror_device *device, struct hmmirror_hooks *hooks,
				  const unsigned long *pfns, unsigned long nr, bool one_list,
				  u8 *outcomes);
unsigned long hmmirror_migrate_all_to_ram(struct hmmirror_device *device, unsigned long pfn,
					  unsigned long nr, bool *no_huge);

#endif /* HMMIRROR_MEMORY_MIGRATE_H */
