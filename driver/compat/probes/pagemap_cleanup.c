// SPDX-License-Identifier: GPL-2.0
#include <linux/memremap.h>
#include <linux/mm.h>

void probe(struct dev_pagemap *pgmap);
void probe(struct dev_pagemap *pgmap)
{
	pgmap->cleanup(pgmap->ref);
}
