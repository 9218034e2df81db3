// SPDX-License-Identifier: GPL-2.0
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>

unsigned long probe(struct dev_pagemap_ops *ops, struct migrate_vma *args, struct folio *folio);
unsigned long probe(struct dev_pagemap_ops *ops, struct migrate_vma *args, struct folio *folio)
{
	ops->folio_split(folio, NULL);
	args->flags = MIGRATE_VMA_SELECT_COMPOUND;
	return MIGRATE_PFN_COMPOUND;
}
