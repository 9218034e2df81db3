// SPDX-License-Identifier: GPL-2.0
/* Allocates the pages that a batch migrates to, copies into them, and counts the result. */
#include <linux/highmem.h>
#include <linux/migrate.h>

#include "memory/devmem.h"
#include "memory/fill.h"

/*
 * Allocate all destination pages with one bulk call, which is much cheaper than one call a
 * page. What it could not allocate is tried again page by page.
 */
static void pool_fill(struct hmmirror_batch *batch, unsigned long nr, gfp_t gfp,
		      bool (*wants)(unsigned long src))
{
	unsigned long i, wanted = 0;

	for (i = 0; i < nr; i++)
		wanted += wants(batch->src[i]);
	memset(batch->pool, 0, wanted * sizeof(batch->pool[0]));
	batch->nr_pool = compat_alloc_pages_bulk(gfp, wanted, batch->pool);
}

static struct page *pool_take(struct hmmirror_batch *batch, gfp_t gfp)
{
	if (batch->nr_pool)
		return batch->pool[--batch->nr_pool];
	return alloc_page(gfp);
}

static void pool_drain(struct hmmirror_batch *batch)
{
	while (batch->nr_pool)
		__free_page(batch->pool[--batch->nr_pool]);
}

/* Return: the outcome of the page if the kernel accepts it, enum hmmirror_outcome. */
static u8 fill_device_page(struct hmmirror_device *device, struct hmmirror_batch *batch,
			   unsigned long src, unsigned long *dst)
{
	struct page *from = migrate_pfn_to_page(src);
	struct page *page, *data = NULL;

	/* the kernel offers secret memory like any other */
	if (from && !compat_kernel_readable(page_address(from)))
		return HMMIRROR_OUT_NOCOPY;
	if (device->memory == HMMIRROR_MEMORY_PRIVATE) {
		data = pool_take(batch, HMMIRROR_GFP_DATA);
		if (!data)
			return HMMIRROR_OUT_NOMEM;
	}
	page = hmmirror_devmem_alloc(device, data, 0);
	if (!page) {
		batch->full = true;
		if (data)
			__free_page(data);
		return HMMIRROR_OUT_NOMEM;
	}

	data = hmmirror_devmem_data(page);
	if (from)
		copy_highpage(data, from);
	else
		clear_highpage(data);

	*dst = migrate_pfn(page_to_pfn(page));
	if (src & MIGRATE_PFN_WRITE)
		*dst |= MIGRATE_PFN_WRITE;
	return from ? HMMIRROR_OUT_MIGRATED : HMMIRROR_OUT_POPULATED;
}

/* Populates a hole with a zeroed page of the system. */
static u8 fill_system_hole(struct page *page, unsigned long *dst)
{
	if (!page)
		return HMMIRROR_OUT_NOMEM;

	lock_page(page);
	clear_highpage(page);
	*dst = migrate_pfn(page_to_pfn(page));
	return HMMIRROR_OUT_POPULATED;
}

/**
 * hmmirror_fill_system_page() - copy a page of the device into a page of the system
 * @page: the destination; NULL if none could be allocated
 * @src: the device's page, as the kernel offers it
 * @dst: (out) the destination, as the kernel wants it
 *
 * Return: the outcome of the page if the kernel accepts it, enum hmmirror_outcome.
 */
u8 hmmirror_fill_system_page(struct page *page, unsigned long src, unsigned long *dst)
{
	if (!page)
		return HMMIRROR_OUT_NOMEM;

	lock_page(page);
	copy_highpage(page, hmmirror_devmem_data(migrate_pfn_to_page(src)));
	*dst = migrate_pfn(page_to_pfn(page));
	if (src & MIGRATE_PFN_WRITE)
		*dst |= MIGRATE_PFN_WRITE;
	return HMMIRROR_OUT_MIGRATED;
}

/* @page, @from: huge pages of the device or of the system; @from is NULL for zeroes */
static void fill_huge(struct hmmirror_batch *batch, struct page *page, struct page *from)
{
	unsigned long i;

	for (i = 0; i < HMMIRROR_BATCH; i++) {
		struct page *to = hmmirror_devmem_data(page + i);

		if (from)
			copy_highpage(to, hmmirror_devmem_data(from + i));
		else
			clear_highpage(to);
	}
	batch->dst[0] = migrate_pfn(page_to_pfn(page)) | MIGRATE_PFN_COMPOUND |
			(batch->src[0] & MIGRATE_PFN_WRITE);
	memset(batch->outcomes, from ? HMMIRROR_OUT_MIGRATED : HMMIRROR_OUT_POPULATED,
	       HMMIRROR_BATCH);
}

static void fill_device_huge(struct hmmirror_device *device, struct hmmirror_batch *batch)
{
	struct page *page = hmmirror_devmem_alloc_huge(device);

	batch->no_huge = !page;
	if (page)
		fill_huge(batch, page, migrate_pfn_to_page(batch->src[0]));
}

/* Return: the @i-th small page of the huge page that fills the batch, as it would be offered. */
static unsigned long piece_of(const struct hmmirror_batch *batch, unsigned long i)
{
	unsigned long src = batch->src[0] & ~MIGRATE_PFN_COMPOUND;

	return hmmirror_is_page_offered(src) ? src + (i << MIGRATE_PFN_SHIFT) : src;
}

/* Fill a hole as a whole or not at all: the kernel does not check each piece. */
static void unfill_pieces(struct hmmirror_batch *batch, unsigned long nr)
{
	while (nr--) {
		struct folio *folio = page_folio(migrate_pfn_to_page(batch->dst[nr]));

		folio_unlock(folio);
		folio_put(folio);
		batch->dst[nr] = 0;
	}
	memset(batch->outcomes, HMMIRROR_OUT_NOMEM, HMMIRROR_BATCH);
}

static void fill_device_pieces(struct hmmirror_device *device, struct hmmirror_batch *batch)
{
	unsigned long i;

	for (i = 0; i < HMMIRROR_BATCH; i++) {
		batch->outcomes[i] = fill_device_page(device, batch, piece_of(batch, i),
						      &batch->dst[i]);
		if (!batch->dst[i])
			break;
	}
	if (i < HMMIRROR_BATCH)
		unfill_pieces(batch, i);
}

/**
 * hmmirror_fill_system_pieces() - copy a huge page of the device into small pages
 * @batch: with the huge page; (out) destinations and outcomes
 * @vma: where they will be mapped
 * @addr: address of the first
 *
 * Return: pages that were copied, from the first on; memory is short for the rest.
 */
unsigned long hmmirror_fill_system_pieces(struct hmmirror_batch *batch,
					  struct vm_area_struct *vma, unsigned long addr)
{
	unsigned long i;

	for (i = 0; i < HMMIRROR_BATCH; i++) {
		struct page *page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, vma,
						   addr + (i << PAGE_SHIFT));

		batch->outcomes[i] = hmmirror_fill_system_page(page, piece_of(batch, i),
							       &batch->dst[i]);
		if (batch->outcomes[i] == HMMIRROR_OUT_NOMEM)
			break;
	}
	return i;
}

static void fill_system_huge(struct hmmirror_device *device, struct vm_area_struct *vma,
			     unsigned long addr, struct hmmirror_batch *batch)
{
	struct page *from = migrate_pfn_to_page(batch->src[0]);
	struct page *page = NULL;

	if (!hmmirror_fail_huge_alloc(device))
		page = compat_alloc_huge(GFP_TRANSHUGE, HMMIRROR_HUGE_ORDER, vma, addr);
	batch->no_huge = !page;
	if (!page)
		return;
	lock_page(page);
	fill_huge(batch, page, from);
}

/* Return: the outcome of a page that a test lets fail, else HMMIRROR_OUT_NONE. */
static u8 injected_failure(struct hmmirror_hooks *hooks)
{
	if (hmmirror_hook_injection(hooks, HMMIRROR_INJECT_ALLOC))
		return HMMIRROR_OUT_NOMEM;
	if (hmmirror_hook_injection(hooks, HMMIRROR_INJECT_COPY))
		return HMMIRROR_OUT_NOCOPY;
	return HMMIRROR_OUT_NONE;
}

/**
 * hmmirror_fill_device() - copy a batch into memory of the device
 * @batch: with the pages that the kernel offers; (out) destinations, outcomes, no_huge, full
 * @nr: pages of the batch
 * @device: the device
 * @hooks: of the mirror that asked
 * @pieces: small pages replace a huge one
 */
void hmmirror_fill_device(struct hmmirror_batch *batch, unsigned long nr,
			  struct hmmirror_device *device, struct hmmirror_hooks *hooks,
			  bool pieces)
{
	unsigned long i;

	if (hmmirror_is_huge_offered(batch->src[0])) {
		if (pieces)
			fill_device_pieces(device, batch);
		else
			fill_device_huge(device, batch);
		return;
	}
	if (device->memory == HMMIRROR_MEMORY_PRIVATE)
		pool_fill(batch, nr, HMMIRROR_GFP_DATA, hmmirror_is_offered);
	for (i = 0; i < nr; i++) {
		if (!hmmirror_is_offered(batch->src[i]))
			continue;
		batch->outcomes[i] = injected_failure(hooks);
		if (!batch->outcomes[i])
			batch->outcomes[i] = fill_device_page(device, batch, batch->src[i],
							      &batch->dst[i]);
	}
	pool_drain(batch);
}

/* @vma: where the pages will be mapped, from @addr on; NULL if that is not known */
static void fill_system_small(struct hmmirror_batch *batch, unsigned long nr,
			      struct hmmirror_hooks *hooks, struct vm_area_struct *vma,
			      unsigned long addr, bool (*wants)(unsigned long src))
{
	bool policy = vma && compat_has_policy(vma);
	struct page *page;
	unsigned long i;

	if (!policy)
		pool_fill(batch, nr, GFP_HIGHUSER_MOVABLE, wants);
	for (i = 0; i < nr; i++, addr += PAGE_SIZE) {
		if (!wants(batch->src[i]))
			continue;
		batch->outcomes[i] = injected_failure(hooks);
		if (batch->outcomes[i])
			continue;
		page = policy ? alloc_page_vma(GFP_HIGHUSER_MOVABLE, vma, addr) :
				pool_take(batch, GFP_HIGHUSER_MOVABLE);
		if (hmmirror_is_page_offered(batch->src[i]))
			batch->outcomes[i] = hmmirror_fill_system_page(page, batch->src[i],
								       &batch->dst[i]);
		else
			batch->outcomes[i] = fill_system_hole(page, &batch->dst[i]);
	}
	pool_drain(batch);
}

/**
 * hmmirror_fill_system() - copy a batch into memory of the system
 * @batch: with the pages that the kernel offers; (out) destinations, outcomes, no_huge
 * @nr: pages of the batch
 * @device: where the pages are
 * @hooks: of the mirror that asked, or NULL
 * @vma: where the pages will be mapped; NULL if that is not known
 * @addr: address of the first
 * @wants: which pages to fill, for instance hmmirror_is_offered() to populate holes, too
 */
void hmmirror_fill_system(struct hmmirror_batch *batch, unsigned long nr,
			  struct hmmirror_device *device, struct hmmirror_hooks *hooks,
			  struct vm_area_struct *vma, unsigned long addr,
			  bool (*wants)(unsigned long src))
{
	if (!hmmirror_is_huge_offered(batch->src[0]))
		fill_system_small(batch, nr, hooks, vma, addr, wants);
	else if (wants(batch->src[0]))
		fill_system_huge(device, vma, addr, batch);
}

/**
 * hmmirror_count_arrived() - find the pages that the kernel refused, and count the others
 * @batch: after migrate_vma_pages() or the like; (out) outcomes
 * @nr: pages of the batch
 *
 * Return: pages that migrated or were populated.
 */
unsigned long hmmirror_count_arrived(struct hmmirror_batch *batch, unsigned long nr)
{
	unsigned long i, n, arrived = 0;

	for (i = 0; i < nr; i += n) {
		n = batch->dst[i] & MIGRATE_PFN_COMPOUND ? HMMIRROR_BATCH : 1;
		if (batch->outcomes[i] != HMMIRROR_OUT_MIGRATED &&
		    batch->outcomes[i] != HMMIRROR_OUT_POPULATED)
			continue;
		if (hmmirror_is_offered(batch->src[i]))
			arrived += n;
		else
			memset(&batch->outcomes[i], HMMIRROR_OUT_REFUSED, n);
	}
	return arrived;
}
