// SPDX-License-Identifier: GPL-2.0
/*
 * Pages to the device, back to the system, and home on a CPU fault.
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

#include "compat/compat.h"
#include "hmmirror_drv.h"

struct batch {
	unsigned long src[HMMIRROR_BATCH];
	unsigned long dst[HMMIRROR_BATCH];
	u8 outcomes[HMMIRROR_BATCH];
	struct page *pool[HMMIRROR_BATCH];
	unsigned long nr_pool;
	bool no_huge;	/* one was offered, and there is none to take its place */
};

/* What holds a device page's bytes can't be moved: memory can go that it is not in. */
#define GFP_DEVICE_DATA	GFP_HIGHUSER

static unsigned long select_device_pages(const struct hmmirror_device *device)
{
	return device->memory == HMMIRROR_MEMORY_COHERENT ?
	       MIGRATE_VMA_SELECT_DEVICE_COHERENT : MIGRATE_VMA_SELECT_DEVICE_PRIVATE;
}

static bool offered(unsigned long src)
{
	return src & MIGRATE_PFN_MIGRATE;
}

/* A hole is offered as well; it can be populated, but has nothing to bring home. */
static bool offered_page(unsigned long src)
{
	return offered(src) && migrate_pfn_to_page(src);
}

/* Aligned as it is, it fills the batch. */
static bool offered_huge(unsigned long src)
{
	return offered(src) && src & MIGRATE_PFN_COMPOUND;
}

/*
 * Get pages for all that is wanted in one go, which is much cheaper than
 * getting them singly. What can't be had now is tried for singly later.
 */
static void pool_fill(struct batch *batch, unsigned long nr, gfp_t gfp,
		      bool (*wants)(unsigned long src))
{
	unsigned long i, wanted = 0;

	for (i = 0; i < nr; i++)
		wanted += wants(batch->src[i]);
	memset(batch->pool, 0, wanted * sizeof(batch->pool[0]));
	batch->nr_pool = compat_alloc_pages_bulk(gfp, wanted, batch->pool);
}

static struct page *pool_take(struct batch *batch, gfp_t gfp)
{
	if (batch->nr_pool)
		return batch->pool[--batch->nr_pool];
	return alloc_page(gfp);
}

static void pool_drain(struct batch *batch)
{
	while (batch->nr_pool)
		__free_page(batch->pool[--batch->nr_pool]);
}

/* Return: what the page will be if the kernel accepts it. */
static u8 fill_device_page(struct hmmirror_device *device, struct batch *batch,
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

static u8 fill_system_page(struct page *page, unsigned long src, unsigned long *dst)
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
static void fill_huge(struct batch *batch, struct page *page, struct page *to, struct page *from)
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

static void fill_device_huge(struct hmmirror_device *device, struct batch *batch)
{
	struct page *page = hmmirror_devmem_alloc_huge(device);

	batch->no_huge = !page;
	if (page)
		fill_huge(batch, page, hmmirror_devmem_data(page),
			  migrate_pfn_to_page(batch->src[0]));
}

/* The @i-th of the small pages that the huge one at the start becomes. */
static unsigned long piece_of(const struct batch *batch, unsigned long i)
{
	unsigned long src = batch->src[0] & ~MIGRATE_PFN_COMPOUND;

	return offered_page(src) ? src + (i << MIGRATE_PFN_SHIFT) : src;
}

/* A hole has to be filled as a whole: the kernel does not look whether a piece is. */
static void unfill_pieces(struct batch *batch, unsigned long nr)
{
	while (nr--) {
		struct folio *folio = page_folio(migrate_pfn_to_page(batch->dst[nr]));

		folio_unlock(folio);
		folio_put(folio);
		batch->dst[nr] = 0;
	}
	memset(batch->outcomes, HMMIRROR_OUT_NOMEM, HMMIRROR_BATCH);
}

static void fill_device_pieces(struct hmmirror_device *device, struct batch *batch)
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

/* Return: pieces that have got a page. */
static unsigned long fill_system_pieces(struct vm_area_struct *vma, unsigned long addr,
					struct batch *batch)
{
	unsigned long i;

	for (i = 0; i < HMMIRROR_BATCH; i++) {
		struct page *page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, vma,
						   addr + (i << PAGE_SHIFT));

		batch->outcomes[i] = fill_system_page(page, piece_of(batch, i), &batch->dst[i]);
		if (batch->outcomes[i] == HMMIRROR_OUT_NOMEM)
			break;
	}
	return i;
}

static void fill_system_huge(struct hmmirror_device *device, struct vm_area_struct *vma,
			     unsigned long addr, struct batch *batch)
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

static void fill_device(struct hmmirror *mirror, const struct hmmirror_move *move,
			struct batch *batch, unsigned long nr)
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
			      unsigned long addr, struct batch *batch, unsigned long nr,
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
			batch->outcomes[i] = fill_system_page(page, batch->src[i],
							      &batch->dst[i]);
		else
			batch->outcomes[i] = fill_system_hole(page, &batch->dst[i]);
	}
	pool_drain(batch);
}

/*
 * @mirror: whose migration it is; NULL: nobody's
 * @vma: as above
 * @wants: offered_page(), or offered() to populate what is empty
 */
static void fill_system(struct hmmirror *mirror, struct hmmirror_device *device,
			struct vm_area_struct *vma, unsigned long addr, struct batch *batch,
			unsigned long nr, bool (*wants)(unsigned long src))
{
	if (!offered_huge(batch->src[0]))
		fill_system_small(mirror, vma, addr, batch, nr, wants);
	else if (wants(batch->src[0]))
		fill_system_huge(device, vma, addr, batch);
}

/* Return: pages that arrived. */
static unsigned long settle(struct batch *batch, unsigned long nr)
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

/* One VMA's part of one batch. */
struct part {
	const struct hmmirror_move *move;
	struct hmmirror *mirror;
	struct batch *batch;
	unsigned long arrived;
};

static void part_fill(struct migrate_vma *args, void *data)
{
	unsigned long nr = (args->end - args->start) >> PAGE_SHIFT;
	struct part *part = data;

	hmmirror_hold_here(part->mirror, HMMIRROR_STAGE_SETUP);
	if (part->move->to_device)
		fill_device(part->mirror, part->move, part->batch, nr);
	else if (part->move->pieces && offered_page(part->batch->src[0]) &&
		 offered_huge(part->batch->src[0]))
		fill_system_pieces(args->vma, args->start, part->batch);
	else
		fill_system(part->mirror, part->mirror->device, args->vma, args->start,
			    part->batch, nr, part->move->populate ? offered : offered_page);
	hmmirror_hold_here(part->mirror, HMMIRROR_STAGE_COPIED);
}

static void part_settle(struct migrate_vma *args, void *data)
{
	struct part *part = data;

	hmmirror_hold_here(part->mirror, HMMIRROR_STAGE_MOVED);
	part->arrived = settle(part->batch, (args->end - args->start) >> PAGE_SHIFT);
}

/* mmap lock held */
static int move_part(struct hmmirror *mirror, const struct hmmirror_move *move,
		     struct migrate_vma *args, struct batch *batch, unsigned long *arrived)
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
	struct mm_struct *mm = mirror->mm;
	unsigned long addr = move->addr;
	u8 *outcomes = move->outcomes;
	struct batch *batch;
	int ret = 0;

	move->migrated = 0;
	batch = kvzalloc(sizeof(*batch), GFP_KERNEL);
	if (!batch)
		return -ENOMEM;

	while (addr < move->end && !ret) {
		struct migrate_vma args = { .start = addr };
		unsigned long arrived = 0;
		unsigned long nr;

		if (mmap_read_lock_killable(mm)) {
			ret = -EINTR;
			break;
		}
		args.vma = vma_lookup(mm, addr);
		if (!args.vma || !(move->any_access || args.vma->vm_flags & VM_READ)) {
			ret = -EFAULT;
		} else {
			args.end = min3(move->end, args.vma->vm_end,
					ALIGN(addr + 1, HMMIRROR_BATCH << PAGE_SHIFT));
			nr = (args.end - addr) >> PAGE_SHIFT;
			ret = move_part(mirror, move, &args, batch, &arrived);
		}
		mmap_read_unlock(mm);
		if (ret)
			break;

		move->migrated += arrived;
		atomic64_add(arrived, move->to_device ? &mirror->count.to_device :
							&mirror->count.to_system);
		if (outcomes) {
			memcpy(outcomes, batch->outcomes, nr);
			outcomes += nr;
		}
		addr += nr << PAGE_SHIFT;
		cond_resched();
	}

	kvfree(batch);
	return ret;
}

/* Of pages that the kernel has unmapped wherever they were. */
static unsigned long bring_home(struct hmmirror *mirror, struct hmmirror_device *device,
				struct batch *batch, unsigned long nr)
{
	unsigned long arrived;

	fill_system(mirror, device, NULL, 0, batch, nr, offered_page);
	if (batch->no_huge)
		/* the kernel can't split it, having no VMA, and must say so */
		batch->outcomes[0] = fill_system_page(alloc_page(GFP_HIGHUSER_MOVABLE),
						      batch->src[0], &batch->dst[0]);
	migrate_device_pages(batch->src, batch->dst, nr);
	arrived = settle(batch, nr);
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
	struct batch *batch = kvzalloc(sizeof(*batch), GFP_KERNEL);
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
	struct batch *batch = kvmalloc(sizeof(*batch), GFP_KERNEL | __GFP_NOFAIL);
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

struct cpu_fault {
	struct hmmirror_device *device;
	struct vm_fault *vmf;
	struct batch *batch;	/* of a huge page */
	bool shared;		/* this, with another process */
	vm_fault_t result;
};

static void cpu_fault_fill(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;
	struct page *page;

	if (!offered_page(*args->src))
		return;
	page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, args->vma, args->start);
	if (fill_system_page(page, *args->src, args->dst) == HMMIRROR_OUT_NOMEM)
		fault->result = VM_FAULT_OOM;
}

static void cpu_fault_settle(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;

	if (!fault->result && offered_page(*args->src))
		atomic64_inc(&fault->device->cpu_faults_home);
}

static void huge_fault_fill(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;
	struct batch *batch = fault->batch;

	fill_system(NULL, fault->device, args->vma, args->start, batch, HMMIRROR_BATCH,
		    offered_page);
	/* of a shared one, the kernel would split our entry only: try again later */
	if (!batch->no_huge || fault->shared)
		return;

	/* small destinations have the kernel split the source between its steps */
	if (!fill_system_pieces(args->vma, args->start, batch))
		fault->result = VM_FAULT_OOM;
	/*
	 * It splits a page that nobody else holds, and does not allow for the
	 * reference of the fault that we serve; the one of setup keeps the page.
	 */
	folio_put(page_folio(fault->vmf->page));
}

static void huge_fault_settle(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;

	if (fault->batch->no_huge && !fault->shared)
		folio_get(page_folio(fault->vmf->page));
	if (!fault->result && settle(fault->batch, HMMIRROR_BATCH))
		atomic64_inc(&fault->device->cpu_faults_home);
}

/* Is it an entry for a huge page that was touched? Then there are no PTEs. */
static bool is_huge_fault(const struct vm_fault *vmf)
{
	return !vmf->pte && folio_order(page_folio(vmf->page)) == HMMIRROR_HUGE_ORDER;
}

/**
 * hmmirror_migrate_to_ram() - the CPU touched a device-private page
 * @vmf: the fault; the page is locked or referenced by the caller
 *
 * Return: 0, also when the page could not be moved now: the access is tried
 * again. VM_FAULT_OOM without memory, VM_FAULT_SIGBUS when the kernel refuses.
 */
vm_fault_t hmmirror_migrate_to_ram(struct vm_fault *vmf)
{
	struct cpu_fault fault = {
		.device = hmmirror_devmem_device(vmf->page),
		.vmf = vmf,
	};
	bool huge = is_huge_fault(vmf);
	unsigned long size = huge ? PMD_SIZE : PAGE_SIZE;
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.vma = vmf->vma,
		.start = ALIGN_DOWN(vmf->address, size),
		.end = ALIGN_DOWN(vmf->address, size) + size,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = fault.device,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	int ret;

	if (huge) {
		fault.batch = kvzalloc(sizeof(*fault.batch), GFP_KERNEL);
		if (!fault.batch)
			return VM_FAULT_OOM;
		args.src = fault.batch->src;
		args.dst = fault.batch->dst;
		args.flags |= MIGRATE_VMA_SELECT_COMPOUND;
		fault.shared = compat_mapped_twice(page_folio(vmf->page));
	}

	compat_set_fault_page(&args, vmf);
	atomic64_inc(&fault.device->cpu_faults);
	if (huge)
		ret = compat_migrate_vma(&args, huge_fault_fill, huge_fault_settle, &fault);
	else
		ret = compat_migrate_vma(&args, cpu_fault_fill, cpu_fault_settle, &fault);
	kvfree(fault.batch);
	return ret ? VM_FAULT_SIGBUS : fault.result;
}
