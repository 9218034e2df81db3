/* SPDX-License-Identifier: GPL-2.0 */
/* Device memory: how it is added, how a page is set up, finds its pgmap, and is freed. */
#ifndef HMMIRROR_COMPAT_PAGEMAP_H
#define HMMIRROR_COMPAT_PAGEMAP_H

#include <linux/hmm.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/range.h>

#include "folio.h"

#ifndef HAVE_DEV_PAGEMAP_OPS
struct dev_pagemap_ops {
	void (*page_free)(struct page *page);
	vm_fault_t (*migrate_to_ram)(struct vm_fault *vmf);
};
#endif

#ifndef HAVE_RANGE_LEN
static inline u64 range_len(const struct range *range)
{
	return range->end - range->start + 1;
}
#endif

#ifndef HAVE_REQUEST_FREE_MEM_REGION
struct resource *request_free_mem_region(struct resource *base, unsigned long size,
					 const char *name);
#endif

#if defined(HAVE_PGMAP_OWNER) && defined(HAVE_PGMAP_RANGE)
#ifndef HAVE_PAGE_PGMAP
static inline struct dev_pagemap *page_pgmap(const struct page *page)
{
	return page->pgmap;
}
#endif
#else
/* Before 5.10, today's pgmap with the kernel's own in it. */
struct compat_pagemap {
#ifdef HAVE_DEV_PAGEMAP_OPS
	struct dev_pagemap real;
#else
	struct hmm_devmem devmem;	/* it looks for the callback around the pgmap */
#endif
#ifndef HAVE_MEMREMAP_PAGES
	struct device *dev;
#endif
	enum memory_type type;
	const struct dev_pagemap_ops *ops;
	void *owner;
	int nr_range;
	struct range range;
};

void *compat_memremap_pages(struct compat_pagemap *pgmap, int nid);
void compat_memunmap_pages(struct compat_pagemap *pgmap);
struct compat_pagemap *page_pgmap(const struct page *page);

/* from here on, the names mean today's */
#ifndef COMPAT_PAGEMAP_C
#define dev_pagemap compat_pagemap
#define memremap_pages compat_memremap_pages
#define memunmap_pages compat_memunmap_pages
#endif
#endif

#ifndef HAVE_PAGE_PGMAP
#define folio_is_device_private(_folio)	is_device_private_page(&(_folio)->page)
#define folio_is_device_coherent(_folio) is_device_coherent_page(&(_folio)->page)
#endif

/* What a page of device memory holds for the driver. */
static inline void **compat_zone_device_data(struct page *page)
{
#ifdef HAVE_ZONE_DEVICE_DATA
	return &page->zone_device_data;
#else
	return (void **)&page->hmm_data;
#endif
}

#if defined(HAVE_ZONE_DEVICE_FOLIO_INIT)
/* takes the pgmap, and any block of free pages */
#elif defined(HAVE_ZONE_DEVICE_PAGE_INIT_ORDER)
/*
 * Until shortly before 6.19, a free page keeps what it was as a part of a huge page: the order,
 * the number of pages and the head are in fields of the second and all further pages. A small
 * page would take the order for PG_locked, and the head for its pgmap.
 */
static inline void compat_zone_device_folio_init(struct folio *folio, struct dev_pagemap *pgmap,
						 unsigned int order)
{
	struct page *page = &folio->page;
	unsigned long i;

	for (i = 0; i < 1UL << order; i++) {
		struct folio *small = (struct folio *)(page + i);

		/* PG_head, and what held the order */
		small->flags.f &= ~0xffUL;
#ifdef NR_PAGES_IN_LARGE_FOLIO
		/* this is a field of the folio whose second page @small was */
		((struct folio *)(page + i - 1))->_nr_pages = 0;
#endif
		small->mapping = NULL;
		small->pgmap = pgmap;
	}
	zone_device_page_init(page, order);
	if (order)
		folio_set_large_rmappable(folio);
}

#define zone_device_folio_init	compat_zone_device_folio_init
#else
#ifndef HAVE_ZONE_DEVICE_PAGE_INIT
/*
 * Until 6.0, a free page of device memory keeps a reference. It becomes the first user's since
 * 5.18 ("mm: remove the extra ZONE_DEVICE struct page refcount", which removed the config
 * symbol, too). Before, it stayed beside those of all users.
 */
static inline void zone_device_page_init(struct page *page)
{
#ifdef CONFIG_DEV_PAGEMAP_OPS
	get_page(page);
#endif
	lock_page(page);
}
#endif

#define zone_device_folio_init(_folio, _pgmap, _order)			\
	((void)(_pgmap), (void)(_order), zone_device_page_init(&(_folio)->page))
#endif

/* Folios of device memory are freed by a callback; by the page before. */
#ifdef HAVE_FOLIO_FREE
#define compat_free	folio_free
#define compat_freed	folio
static inline struct folio *compat_freed_folio(struct folio *folio)
{
	return folio;
}
#else
#define compat_free	page_free
#define compat_freed	page
static inline struct folio *compat_freed_folio(struct page *page)
{
	return page_folio(page);
}
#endif

/*
 * Where one can be split, a new folio takes over what the kernel leaves to us. The split ends with
 * a call without a new one.
 */
#ifdef HAVE_DEVICE_THP
#define COMPAT_SET_SPLIT(_folio_split)	.folio_split = _folio_split,
static inline void compat_inherit(struct folio *head, struct folio *tail)
{
	tail->pgmap = head->pgmap;
	tail->mapping = head->mapping;
}
#else
#define COMPAT_SET_SPLIT(...)
static inline void compat_inherit(struct folio *head, struct folio *tail)
{
}
#endif

#define COMPAT_PAGEMAP_OPS(_name, _folio_free, _migrate_to_ram, _folio_split)	\
static void _folio_free##_freed(struct compat_freed *freed)		\
{									\
	_folio_free(compat_freed_folio(freed));				\
}									\
									\
static void __maybe_unused _folio_split##_tail(struct folio *head, struct folio *tail)	\
{									\
	if (tail)							\
		compat_inherit(head, tail);				\
	_folio_split(head, tail);					\
}									\
									\
static const struct dev_pagemap_ops _name = {				\
	.compat_free = _folio_free##_freed,				\
	.migrate_to_ram = _migrate_to_ram,				\
	COMPAT_SET_SPLIT(_folio_split##_tail)				\
}

#endif /* HMMIRROR_COMPAT_PAGEMAP_H */
