// SPDX-License-Identifier: GPL-2.0
#include <linux/migrate.h>

int probe(struct migrate_vma *args);
int probe(struct migrate_vma *args)
{
	return migrate_vma_setup(args);
}
