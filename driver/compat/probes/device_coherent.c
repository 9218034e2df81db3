// SPDX-License-Identifier: GPL-2.0
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>

bool probe(struct dev_pagemap *pgmap, struct migrate_vma *args, struct page *page);
bool probe(struct dev_pagemap *pgmap, struct migrate_vma *args, struct page *page)
{
	pgmap->type = MEMORY_DEVICE_COHERENT;
	args->flags = MIGRATE_VMA_SELECT_DEVICE_COHERENT;
	return is_device_coherent_page(page);
}
