/* SPDX-License-Identifier: GPL-2.0 */
/* Huge pages of device memory: newer than 6.12. Without, none is ever offered. */
#ifndef HMMIRROR_COMPAT_THP_H
#define HMMIRROR_COMPAT_THP_H

#include <linux/gfp.h>
#include <linux/migrate.h>
#include <linux/mm.h>

#include "folio.h"

#ifdef HAVE_DEVICE_THP
/* @vma: where it will be mapped at @addr; NULL: nobody knows */
static inline struct page *compat_alloc_huge(gfp_t gfp, unsigned int order,
					     struct vm_area_struct *vma, unsigned long addr)
{
	struct folio *folio = vma ? vma_alloc_folio(gfp, order, vma, addr) :
				    folio_alloc(gfp, order);

	return folio ? &folio->page : NULL;
}

static inline bool compat_mapped_twice(struct folio *folio)
{
	return folio_mapcount(folio) > 1;
}
#else
static inline bool compat_mapped_twice(struct folio *folio)
{
	return false;
}

/* While 6.19 was made, the kernel had them before it asked a driver to split a huge page. */
#undef MIGRATE_PFN_COMPOUND
#define MIGRATE_VMA_SELECT_COMPOUND	0
#define MIGRATE_PFN_COMPOUND		0UL

static inline struct page *compat_alloc_huge(gfp_t gfp, unsigned int order,
					     struct vm_area_struct *vma, unsigned long addr)
{
	return NULL;
}
#endif

/* Return: why device memory has no huge pages, NULL if it has. */
static inline const char *compat_no_device_thp(void)
{
#ifdef HAVE_DEVICE_THP
	return thp_migration_supported() ? NULL :
	       "the kernel was built without CONFIG_TRANSPARENT_HUGEPAGE";
#else
	return "the kernel has no huge pages in device memory (MIGRATE_VMA_SELECT_COMPOUND)";
#endif
}

#endif /* HMMIRROR_COMPAT_THP_H */
