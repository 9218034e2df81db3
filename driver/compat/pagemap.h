/* SPDX-License-Identifier: GPL-2.0 */
/* Device memory: how a page is set up, finds its pgmap, and is freed. */
#ifndef HMMIRROR_COMPAT_PAGEMAP_H
#define HMMIRROR_COMPAT_PAGEMAP_H

#include <linux/memremap.h>
#include <linux/mm.h>

#include "folio.h"

#ifndef HAVE_PAGE_PGMAP
static inline struct dev_pagemap *page_pgmap(const struct page *page)
{
	return page->pgmap;
}
#endif

#ifndef HAVE_ZONE_DEVICE_FOLIO_INIT
#ifndef HAVE_ZONE_DEVICE_PAGE_INIT
/* until 6.0, a free page of device memory keeps one reference */
static inline void zone_device_page_init(struct page *page)
{
	get_page(page);
	lock_page(page);
}
#endif

static inline void zone_device_folio_init(struct folio *folio, struct dev_pagemap *pgmap,
					  unsigned int order)
{
	zone_device_page_init(&folio->page);
}
#endif

/* Folios of device memory are freed by a callback; by the page before. */
#ifdef HAVE_FOLIO_FREE
#define COMPAT_PAGEMAP_OPS(_name, _folio_free, _migrate_to_ram)		\
static const struct dev_pagemap_ops _name = {				\
	.folio_free = _folio_free,					\
	.migrate_to_ram = _migrate_to_ram,				\
}
#else
#define COMPAT_PAGEMAP_OPS(_name, _folio_free, _migrate_to_ram)		\
static void _name##_page_free(struct page *page)			\
{									\
	_folio_free(page_folio(page));					\
}									\
									\
static const struct dev_pagemap_ops _name = {				\
	.page_free = _name##_page_free,					\
	.migrate_to_ram = _migrate_to_ram,				\
}
#endif

#endif /* HMMIRROR_COMPAT_PAGEMAP_H */
