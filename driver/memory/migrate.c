// SPDX-License-Identifier: GPL-2.0
/*
 * Migration of pages to a device, and back to the system.
 *
 * A migration writes nothing into a device page table. It invalidates the range, which erases
 * the entries of every mirror. The next use of the range asks the walker, which gives pages
 * of the own device without a fault. An entry written here could be stale already:
 * MADV_DONTNEED takes the mmap lock for reading only, so it may free the page between two
 * steps of the migration.
 */
#include <linux/highmem.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "hooks/isolate.h"
#include "memory/chunk.h"
#include "memory/fill.h"
#include "memory/migrate.h"

static unsigned long select_device_pages(const struct hmmirror_device *device)
{
	return device->memory == HMMIRROR_MEMORY_COHERENT ?
	       MIGRATE_VMA_SELECT_DEVICE_COHERENT : MIGRATE_VMA_SELECT_DEVICE_PRIVATE;
}

/* What of one batch lies in one VMA. */
struct part {
	const struct hmmirror_migrate_args *args;
	struct hmmirror_device *device;
	struct hmmirror_batch *batch;
	unsigned long arrived;
	int error;
};

/*
 * migrate_vma_setup() clears the destinations, whatever they were before. A driver that fills in
 * only some of them relies on that, so fail the call if the kernel has left one.
 */
#define STALE_DST	(~0UL)

static void check_destinations(struct part *part, unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++) {
		if (!part->batch->dst[i])
			continue;
		part->batch->dst[i] = 0;
		part->error = -EIO;
	}
}

/*
 * migrate_vma_pages() leaves MIGRATE_PFN_MIGRATE only where a page has moved. A driver tells by
 * that which pages it has now, so fail the call if a page has it that got no destination.
 */
static void check_sources(struct part *part, unsigned long nr)
{
	struct hmmirror_batch *batch = part->batch;
	unsigned long i;

	/* the first destination is that of all pages */
	if (batch->dst[0] & MIGRATE_PFN_COMPOUND)
		return;
	for (i = 0; i < nr; i++)
		if (!batch->dst[i] && hmmirror_is_offered(batch->src[i]))
			part->error = -EIO;
}

/* As the ABI calls it: the kernel's own bits are not the same in all releases. */
static u8 offer_of(unsigned long src)
{
	return (src & MIGRATE_PFN_VALID ? HMMIRROR_OFFER_PAGE : 0) |
	       (src & MIGRATE_PFN_MIGRATE ? HMMIRROR_OFFER_MOVE : 0) |
	       (src & MIGRATE_PFN_WRITE ? HMMIRROR_OFFER_WRITE : 0) |
	       (src & MIGRATE_PFN_COMPOUND ? HMMIRROR_OFFER_HUGE : 0);
}

static void part_fill(struct migrate_vma *vma_args, void *data)
{
	unsigned long nr = (vma_args->end - vma_args->start) >> PAGE_SHIFT;
	struct part *part = data;
	struct hmmirror_batch *batch = part->batch;
	unsigned long i;

	for (i = 0; part->args->offers && i < nr; i++)
		batch->offers[i] = offer_of(batch->src[i]);
	batch->cpages += compat_migrate_cpages(vma_args);
	check_destinations(part, nr);
	hmmirror_hook_hold(part->args->hooks, HMMIRROR_STAGE_SETUP);
	if (part->args->to_device)
		hmmirror_fill_device(batch, nr, part->device, part->args->hooks,
				     part->args->pieces);
	else if (part->args->pieces && hmmirror_is_page_offered(batch->src[0]) &&
		 hmmirror_is_huge_offered(batch->src[0]))
		hmmirror_fill_system_pieces(batch, vma_args->vma, vma_args->start);
	else
		hmmirror_fill_system(batch, nr, part->device, part->args->hooks, vma_args->vma,
				     vma_args->start, part->args->populate ?
				     hmmirror_is_offered : hmmirror_is_page_offered);
	hmmirror_hook_hold(part->args->hooks, HMMIRROR_STAGE_COPIED);
}

static void part_count(struct migrate_vma *vma_args, void *data)
{
	unsigned long nr = (vma_args->end - vma_args->start) >> PAGE_SHIFT;
	struct part *part = data;

	check_sources(part, nr);
	hmmirror_hook_hold(part->args->hooks, HMMIRROR_STAGE_MOVED);
	part->arrived = hmmirror_count_arrived(part->batch, nr);
}

static int migrate_once(struct part *part, struct migrate_vma *vma_args)
{
	unsigned long nr = (vma_args->end - vma_args->start) >> PAGE_SHIFT;
	int ret;

	memset64((u64 *)part->batch->dst, STALE_DST, nr);
	/* kernels before 5.4 do not call part_fill() if they offer nothing */
	memset(part->batch->offers, 0, nr);
	ret = compat_migrate_vma(vma_args, part_fill, part_count, part);
	return ret ?: part->error;
}

/* Hold the mmap lock. @vma_args: the VMA, and the range in it */
static int migrate_part(struct hmmirror_device *device, struct mm_struct *mm,
			const struct hmmirror_migrate_args *args, struct migrate_vma *vma_args,
			struct hmmirror_batch *batch, unsigned long *arrived)
{
	struct part part = { .args = args, .device = device, .batch = batch };
	struct hmmirror_isolated *isolated = NULL;
	int ret;

	vma_args->src = batch->src;
	vma_args->dst = batch->dst;
	vma_args->pgmap_owner = device;
	vma_args->flags = args->to_device ? MIGRATE_VMA_SELECT_SYSTEM :
					    select_device_pages(device);
	if (args->huge)
		vma_args->flags |= MIGRATE_VMA_SELECT_COMPOUND;

	batch->no_huge = false;
	batch->full = false;
	memset(batch->outcomes, HMMIRROR_OUT_NONE,
	       (vma_args->end - vma_args->start) >> PAGE_SHIFT);
	if (args->hooks)
		isolated = hmmirror_isolate_pages(&args->hooks->injections, mm, vma_args->start,
						  vma_args->end);
	ret = migrate_once(&part, vma_args);
	if (!ret && batch->no_huge) {
		/* The huge page is where it was. Let the kernel split it, and offer small pages. */
		vma_args->flags &= ~MIGRATE_VMA_SELECT_COMPOUND;
		ret = migrate_once(&part, vma_args);
	}
	hmmirror_putback_pages(isolated);
	*arrived = part.arrived;
	return ret;
}

/*
 * Migrates from @addr to the end of the batch or of the VMA. @end: (out) where that is
 * Return: as hmmirror_migrate_range()
 */
static int migrate_vma_part(struct hmmirror_device *device, struct mm_struct *mm,
			    const struct hmmirror_migrate_args *args,
			    struct hmmirror_batch *batch, unsigned long addr, unsigned long *end,
			    unsigned long *arrived)
{
	struct migrate_vma vma_args = { .start = addr };
	int ret = -EFAULT;

	if (mmap_read_lock_killable(mm))
		return -EINTR;
	vma_args.vma = vma_lookup(mm, addr);
	if (vma_args.vma && (args->any_access || vma_args.vma->vm_flags & VM_READ)) {
		vma_args.end = min3(args->end, vma_args.vma->vm_end,
				    ALIGN(addr + 1, HMMIRROR_BATCH << PAGE_SHIFT));
		ret = migrate_part(device, mm, args, &vma_args, batch, arrived);
		*end = vma_args.end;
	}
	mmap_read_unlock(mm);
	return ret;
}

/*
 * As above, with memory of the device added first. Another migration may allocate that: add
 * more, and try again what is left.
 */
static int migrate_batch(struct hmmirror_device *device, struct mm_struct *mm,
			 const struct hmmirror_migrate_args *args,
			 struct hmmirror_batch *batch, unsigned long addr, unsigned long *end,
			 unsigned long *arrived)
{
	unsigned long nr = (min(args->end, ALIGN(addr + 1, HMMIRROR_BATCH << PAGE_SHIFT)) -
			    addr) >> PAGE_SHIFT;
	unsigned long more, i;
	int ret;

	memset(batch->all_outcomes, HMMIRROR_OUT_NONE, nr);
	/* go on without memory for all pages: there may be some for a few */
	if (args->to_device && hmmirror_devmem_grow(device, nr, args->huge) == -EINTR)
		return -EINTR;
	do {
		ret = migrate_vma_part(device, mm, args, batch, addr, end, &more);
		if (ret)
			break;
		*arrived += more;
		for (i = 0; i < (*end - addr) >> PAGE_SHIFT; i++)
			if (batch->outcomes[i])
				batch->all_outcomes[i] = batch->outcomes[i];
	} while (batch->full && !hmmirror_devmem_grow(device, nr, args->huge));
	return ret;
}

/**
 * hmmirror_migrate_range() - migrate a range to a device, or back to the system
 * @device: the device
 * @mm: the address space, held by the caller
 * @args: the range, and how
 *
 * Return: 0; -EFAULT if there is no VMA, or one that can't be read, -EINVAL for a VMA that the
 * kernel refuses, each with all pages before it migrated; -ENOMEM, -EINTR; -EIO if the kernel
 * has not cleared the destinations, or says that a page has moved which could not.
 */
int hmmirror_migrate_range(struct hmmirror_device *device, struct mm_struct *mm,
			   struct hmmirror_migrate_args *args)
{
	unsigned long addr, end;
	struct hmmirror_batch *batch;
	int ret = 0;

	args->migrated = 0;
	batch = kvzalloc(sizeof(*batch), GFP_KERNEL);
	if (!batch)
		return -ENOMEM;

	for (addr = args->addr; addr < args->end; addr = end) {
		unsigned long first = (addr - args->addr) >> PAGE_SHIFT;
		unsigned long arrived = 0;

		ret = migrate_batch(device, mm, args, batch, addr, &end, &arrived);
		args->migrated += arrived;
		if (ret)
			break;
		if (args->outcomes)
			memcpy(args->outcomes + first, batch->all_outcomes,
			       (end - addr) >> PAGE_SHIFT);
		if (args->offers)
			memcpy(args->offers + first, batch->offers, (end - addr) >> PAGE_SHIFT);
		cond_resched();
	}

	args->cpages = batch->cpages;
	kvfree(batch);
	return ret;
}

/*
 * A page of the device that was allocated for a migration and then not used is not
 * anonymous yet, and is charged to nobody. Leave it: its copy would be uncharged as well, and
 * 7.2 and 7.3 would never get that onto an LRU list.
 */
static bool is_used_page_offered(unsigned long src)
{
	return hmmirror_is_page_offered(src) &&
	       folio_test_anon(page_folio(migrate_pfn_to_page(src)));
}

/* The kernel has unmapped the pages of the batch, wherever they were mapped. */
static unsigned long migrate_unmapped_to_ram(struct hmmirror_device *device,
					     struct hmmirror_hooks *hooks,
					     struct hmmirror_batch *batch, unsigned long nr)
{
	unsigned long arrived;

	hmmirror_fill_system(batch, nr, device, hooks, NULL, 0, is_used_page_offered);
	if (batch->no_huge)
		/* The kernel can't split it without a VMA, and must refuse a small destination. */
		batch->outcomes[0] = hmmirror_fill_system_page(alloc_page(GFP_HIGHUSER_MOVABLE),
							       batch->src[0], &batch->dst[0]);
	migrate_device_pages(batch->src, batch->dst, nr);
	arrived = hmmirror_count_arrived(batch, nr);
	migrate_device_finalize(batch->src, batch->dst, nr);
	return arrived;
}

/**
 * hmmirror_migrate_pfns_to_ram() - migrate pages by number, wherever they are mapped
 * @device: the device, with its memory locked
 * @hooks: of the mirror that asks, or NULL
 * @pfns: the pages, no more than a batch
 * @nr: how many
 * @one_list: pass the kernel one list, not stretches of consecutive pages
 * @outcomes: (out) of each page
 *
 * Return: pages that migrated, -ENOMEM or -EOPNOTSUPP.
 */
long hmmirror_migrate_pfns_to_ram(struct hmmirror_device *device, struct hmmirror_hooks *hooks,
				  const unsigned long *pfns, unsigned long nr, bool one_list,
				  u8 *outcomes)
{
	struct hmmirror_batch *batch = kvzalloc(sizeof(*batch), GFP_KERNEL);
	long ret;

	if (!batch)
		return -ENOMEM;
	memcpy(batch->src, pfns, nr * sizeof(*pfns));
	ret = one_list ? compat_migrate_device_pfns(batch->src, nr) :
			 compat_migrate_device_ranges(batch->src, nr);
	if (!ret)
		ret = migrate_unmapped_to_ram(device, hooks, batch, nr);
	memcpy(outcomes, batch->outcomes, nr);
	kvfree(batch);
	return ret;
}

/* What a range of pages cannot have: a hole. migrate_device_range() writes each source. */
#define STALE_SRC	MIGRATE_PFN_MIGRATE

static bool has_stale_sources(const struct hmmirror_batch *batch, unsigned long nr)
{
	unsigned long i;

	for (i = 0; i < nr; i++)
		if (hmmirror_is_offered(batch->src[i]) && !hmmirror_is_page_offered(batch->src[i]))
			return true;
	return false;
}

/**
 * hmmirror_migrate_all_to_ram() - migrate a range of the device's pages to system memory
 * @device: the device
 * @pfn: first page
 * @nr: pages
 * @no_huge: (out) set if a huge page stays because no huge page could be allocated
 *
 * Needs no VMA. A page that is locked or referenced stays, and so do all when memory is
 * short: call it again.
 *
 * Return: pages that migrated.
 */
unsigned long hmmirror_migrate_all_to_ram(struct hmmirror_device *device, unsigned long pfn,
					  unsigned long nr, bool *no_huge)
{
	struct hmmirror_batch *batch = kvmalloc(sizeof(*batch), GFP_KERNEL | __GFP_NOFAIL);
	unsigned long end = pfn + nr;
	unsigned long arrived = 0;

	for (; pfn < end; pfn += nr) {
		nr = min_t(unsigned long, end - pfn, HMMIRROR_BATCH);
		memset(batch, 0, sizeof(*batch));
		memset64((u64 *)batch->src, STALE_SRC, nr);
		if (migrate_device_range(batch->src, pfn, nr))
			break;
		WARN(has_stale_sources(batch, nr),
		     "migrate_device_range() has not written all sources\n");
		arrived += migrate_unmapped_to_ram(device, NULL, batch, nr);
		*no_huge |= batch->no_huge;
		cond_resched();
	}
	kvfree(batch);
	return arrived;
}
