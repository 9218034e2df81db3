// SPDX-License-Identifier: GPL-2.0
#include <linux/migrate.h>

void probe(struct migrate_vma *args);
void probe(struct migrate_vma *args)
{
	args->flags = MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_DEVICE_PRIVATE;
	args->pgmap_owner = NULL;
}
