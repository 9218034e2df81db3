// SPDX-License-Identifier: GPL-2.0
/* The pages that a batch is migrated to: had, filled with what was there, counted. */
#include <linux/highmem.h>
#include <linux/migrate.h>

#include "batch.h"
#include "compat/compat.h"
#include "hmmirror_drv.h"

/* What holds a device page's bytes can't be moved: memory can go that it is not in. */
#define GFP_DEVICE_DATA	GFP_HIGHUSER

/*
 * Get pages for all that is wanted in one go, which is much cheaper than
 * getting them singly. What can't be had now is tried for singly later.
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

/* Return: what the page will be if the kernel accepts it. */
static u8 fill_device_page(struct hmmirror_device *device, struct hmmirror_batch *batch,
			   unsigned long src, unsigned long *dst)
{
	struct page *from = migrate_pfn_to_page(src);
	struct page *page, *data = NULL;

	/* secret memory is offered like any */
	if (from && !compat_kernel_readable(page_address(from)))
		return HMMIRROR_OUT_NOCOPY;
	if (device->memory == HMMIRROR_MEMORY_PRIVATE) {
		data = pool_take(batch, GFP_DEVICE_DATA);
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

/* Populates a hole with memory of the system. */
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
 * hmmirror_fill_system_page() - the copy of a device's page
 * @page: to copy to; NULL: there was none to be had
 * @src: the device's page, as the kernel offers it
 * @dst: (out) its destination
 *
 * Return: what became of it if the kernel accepts, enum hmmirror_outcome.
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

/* @to: the huge page @page, or what holds its bytes; @from: NULL for zeroes */
static void fill_huge(struct hmmirror_batch *batch, struct page *page, struct page *to,
		      struct page *from)
{
	unsigned long i;

	for (i = 0; i < HMMIRROR_BATCH; i++) {
		if (from)
			copy_highpage(to + i, from + i);
		else
			clear_highpage(to + i);
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
		fill_huge(batch, page, hmmirror_devmem_data(page),
			  migrate_pfn_to_page(batch->src[0]));
}

/* The @i-th of the small pages that the huge one at the start becomes. */
static unsigned long piece_of(const struct hmmirror_batch *batch, unsigned long i)
{
	unsigned long src = batch->src[0] & ~MIGRATE_PFN_COMPOUND;

	return offered_page(src) ? src + (i << MIGRATE_PFN_SHIFT) : src;
}

/* A hole has to be filled as a whole: the kernel does not look whether a piece is. */
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
 * hmmirror_fill_system_pieces() - small pages of the system for a huge one
 * @vma: where they will be mapped
 * @addr: where in it
 * @batch: with the huge page; (out) destinations and outcomes
 *
 * Return: how many got a page, from the first on; memory is short for the rest.
 */
unsigned long hmmirror_fill_system_pieces(struct vm_area_struct *vma, unsigned long addr,
					  struct hmmirror_batch *batch)
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

	if (!hmmirror_fail_huge(device))
		page = compat_alloc_huge(GFP_TRANSHUGE, HMMIRROR_HUGE_ORDER, vma, addr);
	batch->no_huge = !page;
	if (!page)
		return;
	lock_page(page);
	fill_huge(batch, page, page, from ? hmmirror_devmem_data(from) : NULL);
}

/* Return: how a page fails because a test asked for it, else HMMIRROR_OUT_NONE. */
static u8 injected_failure(struct hmmirror *mirror)
{
	if (hmmirror_injected(mirror, HMMIRROR_INJECT_ALLOC))
		return HMMIRROR_OUT_NOMEM;
	if (hmmirror_injected(mirror, HMMIRROR_INJECT_COPY))
		return HMMIRROR_OUT_NOCOPY;
	return HMMIRROR_OUT_NONE;
}

/**
 * hmmirror_fill_device() - memory of the device for what is offered
 * @mirror: whose device, and whose injected failures count
 * @move: what was asked for
 * @batch: offered by the kernel; (out) destinations, outcomes, and whether a huge
 *	   page or memory of the device is lacking
 * @nr: pages of the batch
 */
void hmmirror_fill_device(struct hmmirror *mirror, const struct hmmirror_move *move,
			  struct hmmirror_batch *batch, unsigned long nr)
{
	struct hmmirror_device *device = mirror->device;
	unsigned long i;

	if (offered_huge(batch->src[0])) {
		if (move->pieces)
			fill_device_pieces(device, batch);
		else
			fill_device_huge(device, batch);
		return;
	}
	if (device->memory == HMMIRROR_MEMORY_PRIVATE)
		pool_fill(batch, nr, GFP_DEVICE_DATA, offered);
	for (i = 0; i < nr; i++) {
		if (!offered(batch->src[i]))
			continue;
		batch->outcomes[i] = injected_failure(mirror);
		if (!batch->outcomes[i])
			batch->outcomes[i] = fill_device_page(device, batch, batch->src[i],
							      &batch->dst[i]);
	}
	pool_drain(batch);
}

/* @vma: where the pages will be mapped at @addr and on; NULL: nobody knows */
static void fill_system_small(struct hmmirror *mirror, struct vm_area_struct *vma,
			      unsigned long addr, struct hmmirror_batch *batch, unsigned long nr,
			      bool (*wants)(unsigned long src))
{
	bool policy = vma && compat_has_policy(vma);
	struct page *page;
	unsigned long i;

	if (!policy)
		pool_fill(batch, nr, GFP_HIGHUSER_MOVABLE, wants);
	for (i = 0; i < nr; i++, addr += PAGE_SIZE) {
		if (!wants(batch->src[i]))
			continue;
		batch->outcomes[i] = injected_failure(mirror);
		if (batch->outcomes[i])
			continue;
		page = policy ? alloc_page_vma(GFP_HIGHUSER_MOVABLE, vma, addr) :
				pool_take(batch, GFP_HIGHUSER_MOVABLE);
		if (offered_page(batch->src[i]))
			batch->outcomes[i] = hmmirror_fill_system_page(page, batch->src[i],
								       &batch->dst[i]);
		else
			batch->outcomes[i] = fill_system_hole(page, &batch->dst[i]);
	}
	pool_drain(batch);
}

/**
 * hmmirror_fill_system() - memory of the system for what is offered
 * @mirror: whose injected failures count; NULL: nobody's
 * @device: where the pages come from
 * @vma: where they will be mapped; NULL: nobody knows
 * @addr: where in it
 * @batch: offered by the kernel; (out) destinations, outcomes, and whether a huge
 *	   page is lacking
 * @nr: pages of the batch
 * @wants: offered_page(), or offered() to populate what is empty
 */
void hmmirror_fill_system(struct hmmirror *mirror, struct hmmirror_device *device,
			  struct vm_area_struct *vma, unsigned long addr,
			  struct hmmirror_batch *batch, unsigned long nr,
			  bool (*wants)(unsigned long src))
{
	if (!offered_huge(batch->src[0]))
		fill_system_small(mirror, vma, addr, batch, nr, wants);
	else if (wants(batch->src[0]))
		fill_system_huge(device, vma, addr, batch);
}

/**
 * hmmirror_settle() - see what the kernel accepted
 * @batch: after migrate_vma_pages() or its like; (out) outcomes
 * @nr: pages of the batch
 *
 * Return: pages that arrived.
 */
unsigned long hmmirror_settle(struct hmmirror_batch *batch, unsigned long nr)
{
	unsigned long i, n, arrived = 0;

	for (i = 0; i < nr; i += n) {
		n = batch->dst[i] & MIGRATE_PFN_COMPOUND ? HMMIRROR_BATCH : 1;
		if (batch->outcomes[i] != HMMIRROR_OUT_MIGRATED &&
		    batch->outcomes[i] != HMMIRROR_OUT_POPULATED)
			continue;
		if (offered(batch->src[i]))
			arrived += n;
		else
			memset(&batch->outcomes[i], HMMIRROR_OUT_REFUSED, n);
	}
	return arrived;
}
