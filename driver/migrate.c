// SPDX-License-Identifier: GPL-2.0
/*
 * Pages to the device, and back to the system.
 *
 * Nothing is written into the device page table here: the invalidation that
 * each migration sends forgets the range, and the next use of it asks the
 * walker, which gives this device's pages without a fault. An entry written
 * here could be stale already (MADV_DONTNEED needs only the mmap lock for
 * reading, and may have taken the page between the kernel's steps).
 */
#include <linux/highmem.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "batch.h"
#include "compat/compat.h"
#include "hmmirror_drv.h"

static unsigned long select_device_pages(const struct hmmirror_device *device)
{
	return device->memory == HMMIRROR_MEMORY_COHERENT ?
	       MIGRATE_VMA_SELECT_DEVICE_COHERENT : MIGRATE_VMA_SELECT_DEVICE_PRIVATE;
}

/* One VMA's part of one batch. */
struct part {
	const struct hmmirror_move *move;
	struct hmmirror *mirror;
	struct hmmirror_batch *batch;
	unsigned long arrived;
};

static void part_fill(struct migrate_vma *args, void *data)
{
	unsigned long nr = (args->end - args->start) >> PAGE_SHIFT;
	struct part *part = data;

	hmmirror_hold_here(part->mirror, HMMIRROR_STAGE_SETUP);
	if (part->move->to_device)
		hmmirror_fill_device(part->mirror, part->move, part->batch, nr);
	else if (part->move->pieces && offered_page(part->batch->src[0]) &&
		 offered_huge(part->batch->src[0]))
		hmmirror_fill_system_pieces(args->vma, args->start, part->batch);
	else
		hmmirror_fill_system(part->mirror, part->mirror->device, args->vma, args->start,
				     part->batch, nr,
				     part->move->populate ? offered : offered_page);
	hmmirror_hold_here(part->mirror, HMMIRROR_STAGE_COPIED);
}

static void part_settle(struct migrate_vma *args, void *data)
{
	struct part *part = data;

	hmmirror_hold_here(part->mirror, HMMIRROR_STAGE_MOVED);
	part->arrived = hmmirror_settle(part->batch, (args->end - args->start) >> PAGE_SHIFT);
}

/* mmap lock held */
static int move_part(struct hmmirror *mirror, const struct hmmirror_move *move,
		     struct migrate_vma *args, struct hmmirror_batch *batch, unsigned long *arrived)
{
	struct hmmirror_device *device = mirror->device;
	struct part part = { .move = move, .mirror = mirror, .batch = batch };
	struct hmmirror_busy *busy;
	int ret;

	args->src = batch->src;
	args->dst = batch->dst;
	args->pgmap_owner = device;
	args->flags = move->to_device ? MIGRATE_VMA_SELECT_SYSTEM : select_device_pages(device);
	if (move->huge)
		args->flags |= MIGRATE_VMA_SELECT_COMPOUND;

	batch->no_huge = false;
	batch->full = false;
	memset(batch->outcomes, HMMIRROR_OUT_NONE, (args->end - args->start) >> PAGE_SHIFT);
	busy = hmmirror_busy_begin(mirror, args->start, args->end);
	ret = compat_migrate_vma(args, part_fill, part_settle, &part);
	if (!ret && batch->no_huge) {
		/* as it was offered, it is still there: have it split, small pages do */
		args->flags &= ~MIGRATE_VMA_SELECT_COMPOUND;
		ret = compat_migrate_vma(args, part_fill, part_settle, &part);
	}
	hmmirror_busy_end(busy);
	*arrived = part.arrived;
	return ret;
}

/*
 * What is left of one batch, or of the VMA. @end: (out) its end
 * Return: as hmmirror_move()
 */
static int move_rest(struct hmmirror *mirror, const struct hmmirror_move *move,
		     struct hmmirror_batch *batch, unsigned long addr, unsigned long *end,
		     unsigned long *arrived)
{
	struct migrate_vma args = { .start = addr };
	int ret = -EFAULT;

	if (mmap_read_lock_killable(mirror->mm))
		return -EINTR;
	args.vma = vma_lookup(mirror->mm, addr);
	if (args.vma && (move->any_access || args.vma->vm_flags & VM_READ)) {
		args.end = min3(move->end, args.vma->vm_end,
				ALIGN(addr + 1, HMMIRROR_BATCH << PAGE_SHIFT));
		ret = move_part(mirror, move, &args, batch, arrived);
		*end = args.end;
	}
	mmap_read_unlock(mirror->mm);
	return ret;
}

/* As above. Others can take what memory was made ready: have more, and go on. */
static int move_batch(struct hmmirror *mirror, const struct hmmirror_move *move,
		      struct hmmirror_batch *batch, unsigned long addr, unsigned long *end,
		      unsigned long *arrived)
{
	unsigned long nr = (min(move->end, ALIGN(addr + 1, HMMIRROR_BATCH << PAGE_SHIFT)) -
			    addr) >> PAGE_SHIFT;
	unsigned long more, i;
	int ret;

	memset(batch->settled, HMMIRROR_OUT_NONE, nr);
	/* without so much, there may be some */
	if (move->to_device && hmmirror_devmem_grow(mirror->device, nr, move->huge) == -EINTR)
		return -EINTR;
	do {
		ret = move_rest(mirror, move, batch, addr, end, &more);
		if (ret)
			break;
		*arrived += more;
		for (i = 0; i < (*end - addr) >> PAGE_SHIFT; i++)
			if (batch->outcomes[i])
				batch->settled[i] = batch->outcomes[i];
	} while (batch->full && !hmmirror_devmem_grow(mirror->device, nr, move->huge));
	return ret;
}

/**
 * hmmirror_move() - move a range to the device, or back
 * @mirror: whose address space; its mm must be held
 * @move: what to move
 *
 * Return: 0; -EFAULT for no VMA, or one without read access, -EINVAL for a VMA
 * that the kernel refuses, with everything before it done; -ENOMEM, -EINTR.
 */
int hmmirror_move(struct hmmirror *mirror, struct hmmirror_move *move)
{
	unsigned long addr, end;
	struct hmmirror_batch *batch;
	int ret = 0;

	move->migrated = 0;
	batch = kvzalloc(sizeof(*batch), GFP_KERNEL);
	if (!batch)
		return -ENOMEM;

	for (addr = move->addr; addr < move->end; addr = end) {
		unsigned long arrived = 0;

		ret = move_batch(mirror, move, batch, addr, &end, &arrived);
		move->migrated += arrived;
		atomic64_add(arrived, move->to_device ? &mirror->count.to_device :
							&mirror->count.to_system);
		if (ret)
			break;
		if (move->outcomes)
			memcpy(move->outcomes + ((addr - move->addr) >> PAGE_SHIFT),
			       batch->settled, (end - addr) >> PAGE_SHIFT);
		cond_resched();
	}

	kvfree(batch);
	return ret;
}

/*
 * Nobody is charged for a page that was taken for a migration and is given back unused,
 * nor would anybody be for its copy, which 7.2 and 7.3 never get onto an LRU list.
 */
static bool offered_used(unsigned long src)
{
	return offered_page(src) && folio_test_anon(page_folio(migrate_pfn_to_page(src)));
}

/* Of pages that the kernel has unmapped wherever they were. */
static unsigned long bring_home(struct hmmirror *mirror, struct hmmirror_device *device,
				struct hmmirror_batch *batch, unsigned long nr)
{
	unsigned long arrived;

	hmmirror_fill_system(mirror, device, NULL, 0, batch, nr, offered_used);
	if (batch->no_huge)
		/* the kernel can't split it, having no VMA, and must say so */
		batch->outcomes[0] = hmmirror_fill_system_page(alloc_page(GFP_HIGHUSER_MOVABLE),
							       batch->src[0], &batch->dst[0]);
	migrate_device_pages(batch->src, batch->dst, nr);
	arrived = hmmirror_settle(batch, nr);
	migrate_device_finalize(batch->src, batch->dst, nr);
	return arrived;
}

/**
 * hmmirror_bring_home() - bring some of the device's pages to system memory
 * @mirror: who asks
 * @device: the device, which keeps its memory meanwhile
 * @pfns: the pages, no more than a batch
 * @nr: how many
 * @listed: ask for them by one list, not by stretches of them
 * @outcomes: (out) what became of each
 *
 * Return: pages that came home, -ENOMEM or -EOPNOTSUPP.
 */
long hmmirror_bring_home(struct hmmirror *mirror, struct hmmirror_device *device,
			 const unsigned long *pfns, unsigned long nr, bool listed, u8 *outcomes)
{
	struct hmmirror_batch *batch = kvzalloc(sizeof(*batch), GFP_KERNEL);
	long ret;

	if (!batch)
		return -ENOMEM;
	memcpy(batch->src, pfns, nr * sizeof(*pfns));
	ret = listed ? compat_migrate_device_pfns(batch->src, nr) :
		       compat_migrate_device_ranges(batch->src, nr);
	if (!ret)
		ret = bring_home(mirror, device, batch, nr);
	memcpy(outcomes, batch->outcomes, nr);
	kvfree(batch);
	return ret;
}

/**
 * hmmirror_evict_range() - bring a range of the device's pages to system memory
 * @device: the device
 * @pfn: first page
 * @nr: pages
 * @no_huge: (out) set if a huge page stays since there is none to take its place
 *
 * Works without knowing who maps them. A page that is locked or busy stays, and
 * so do all when memory is short: ask again.
 *
 * Return: pages that came home.
 */
unsigned long hmmirror_evict_range(struct hmmirror_device *device, unsigned long pfn,
				   unsigned long nr, bool *no_huge)
{
	struct hmmirror_batch *batch = kvmalloc(sizeof(*batch), GFP_KERNEL | __GFP_NOFAIL);
	unsigned long end = pfn + nr;
	unsigned long arrived = 0;

	for (; pfn < end; pfn += nr) {
		nr = min_t(unsigned long, end - pfn, HMMIRROR_BATCH);
		memset(batch, 0, sizeof(*batch));
		if (migrate_device_range(batch->src, pfn, nr))
			break;
		arrived += bring_home(NULL, device, batch, nr);
		*no_huge |= batch->no_huge;
		cond_resched();
	}
	kvfree(batch);
	return arrived;
}
