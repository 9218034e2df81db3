// SPDX-License-Identifier: GPL-2.0
#include <linux/migrate.h>

void probe(struct migrate_vma *args);
void probe(struct migrate_vma *args)
{
	args->src_owner = NULL;
}
