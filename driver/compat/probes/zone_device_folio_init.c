// SPDX-License-Identifier: GPL-2.0
#include <linux/memremap.h>
#include <linux/mm.h>

void probe(struct folio *folio, struct dev_pagemap *pgmap);
void probe(struct folio *folio, struct dev_pagemap *pgmap)
{
	zone_device_folio_init(folio, pgmap, 0);
}
