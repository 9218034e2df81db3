// SPDX-License-Identifier: GPL-2.0
#include <linux/memremap.h>
#include <linux/mm.h>

void probe(struct folio *folio, struct dev_pagemap_ops *ops);
void probe(struct folio *folio, struct dev_pagemap_ops *ops)
{
	ops->folio_free(folio);
}
