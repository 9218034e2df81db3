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
static void pool_fill(struct batch *batch, unsigned long nr, bool (*wants)(unsigned long src))
{
	unsigned long i, wanted = 0;

	for (i = 0; i < nr; i++)
		wanted += wants(batch->src[i]);
	memset(batch->pool, 0, wanted * sizeof(batch->pool[0]));
	batch->nr_pool = compat_alloc_pages_bulk(GFP_HIGHUSER_MOVABLE, wanted, batch->pool);
}

static struct page *pool_take(struct batch *batch)
{
	if (batch->nr_pool)
		return batch->pool[--batch->nr_pool];
	return alloc_page(GFP_HIGHUSER_MOVABLE);
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
		data = pool_take(batch);
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

static void fill_system_huge(struct hmmirror_device *device, struct vm_area_struct *vma,
			     unsigned long addr, struct batch *batch)
{
	struct page *page = NULL;

	if (!hmmirror_fail_huge(device))
		page = compat_alloc_huge(GFP_TRANSHUGE, HMMIRROR_HUGE_ORDER, vma, addr);
	batch->no_huge = !page;
	if (!page)
		return;
	lock_page(page);
	fill_huge(batch, page, page, hmmirror_devmem_data(migrate_pfn_to_page(batch->src[0])));
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

static void fill_device(struct hmmirror *mirror, struct batch *batch, unsigned long nr)
{
	struct hmmirror_device *device = mirror->device;
	unsigned long i;

	if (offered_huge(batch->src[0])) {
		fill_device_huge(device, batch);
		return;
	}
	if (device->memory == HMMIRROR_MEMORY_PRIVATE)
		pool_fill(batch, nr, offered);
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

/*
 * @mirror: whose migration it is; NULL: nobody's
 * @vma: where the pages will be mapped at @addr and on; NULL: nobody knows
 */
static void fill_system(struct hmmirror *mirror, struct hmmirror_device *device,
			struct vm_area_struct *vma, unsigned long addr, struct batch *batch,
			unsigned long nr)
{
	bool policy = vma && compat_has_policy(vma);
	struct page *page;
	unsigned long i;

	if (offered_huge(batch->src[0])) {
		/* an empty one is offered to this side as well */
		if (offered_page(batch->src[0]))
			fill_system_huge(device, vma, addr, batch);
		return;
	}
	if (!policy)
		pool_fill(batch, nr, offered_page);
	for (i = 0; i < nr; i++, addr += PAGE_SIZE) {
		if (!offered_page(batch->src[i]))
			continue;
		batch->outcomes[i] = injected_failure(mirror);
		if (batch->outcomes[i])
			continue;
		page = policy ? alloc_page_vma(GFP_HIGHUSER_MOVABLE, vma, addr) :
				pool_take(batch);
		batch->outcomes[i] = fill_system_page(page, batch->src[i], &batch->dst[i]);
	}
	pool_drain(batch);
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
		fill_device(part->mirror, part->batch, nr);
	else
		fill_system(part->mirror, part->mirror->device, args->vma, args->start,
			    part->batch, nr);
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
	int ret;

	args->src = batch->src;
	args->dst = batch->dst;
	args->pgmap_owner = device;
	args->flags = move->to_device ? MIGRATE_VMA_SELECT_SYSTEM : select_device_pages(device);
	if (move->huge)
		args->flags |= MIGRATE_VMA_SELECT_COMPOUND;

	batch->no_huge = false;
	memset(batch->outcomes, HMMIRROR_OUT_NONE, (args->end - args->start) >> PAGE_SHIFT);
	ret = compat_migrate_vma(args, part_fill, part_settle, &part);
	if (!ret && batch->no_huge) {
		/* as it was offered, it is still there: have it split, small pages do */
		args->flags &= ~MIGRATE_VMA_SELECT_COMPOUND;
		ret = compat_migrate_vma(args, part_fill, part_settle, &part);
	}
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
		fill_system(NULL, device, NULL, 0, batch, nr);
		migrate_device_pages(batch->src, batch->dst, nr);
		arrived += settle(batch, nr);
		migrate_device_finalize(batch->src, batch->dst, nr);
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
	unsigned long i;

	fill_system(NULL, fault->device, args->vma, args->start, batch, HMMIRROR_BATCH);
	/* of a shared one, the kernel would split our entry only: try again later */
	if (!batch->no_huge || fault->shared)
		return;

	/* small destinations have the kernel split the source between its steps */
	for (i = 0; i < HMMIRROR_BATCH; i++) {
		unsigned long src = batch->src[0] + (i << MIGRATE_PFN_SHIFT);
		struct page *page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, args->vma,
						   args->start + (i << PAGE_SHIFT));

		batch->outcomes[i] = fill_system_page(page, src, &batch->dst[i]);
		if (batch->outcomes[i] == HMMIRROR_OUT_NOMEM)
			break;
	}
	if (!i)
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

int hmmirror_ioctl_migrate(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_migrate *cmd = arg;
	const u32 directions = HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_TO_SYSTEM;
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	struct hmmirror_move move = {
		.addr = cmd->addr,
		.end = cmd->addr + cmd->length,
		.to_device = cmd->flags & HMMIRROR_MIGRATE_TO_DEVICE,
		.huge = cmd->flags & HMMIRROR_MIGRATE_HUGE,
	};
	struct hmmirror_failing *failing;
	int ret;

	if (cmd->flags & ~(directions | HMMIRROR_MIGRATE_HUGE) || cmd->reserved)
		return -EINVAL;
	if (hweight32(cmd->flags & directions) != 1)
		return -EINVAL;
	ret = hmmirror_check_span(mirror, cmd->addr, cmd->length, PAGE_SIZE);
	if (ret)
		return ret;
	if (mirror->device->memory == HMMIRROR_MEMORY_NONE ||
	    (move.huge && hmmirror_no_huge(mirror->device)))
		return -EOPNOTSUPP;
	if (cmd->outcomes) {
		if (!hmmirror_user_writable(cmd->outcomes, nr))
			return -EFAULT;
		move.outcomes = kvcalloc(nr, sizeof(u8), GFP_KERNEL_ACCOUNT);
		if (!move.outcomes)
			return -ENOMEM;
	}

	ret = -ESRCH;
	if (!hmmirror_mm_get(mirror))
		goto out;
	failing = hmmirror_fail_begin(mirror, HMMIRROR_INJECT_TABLE, HMMIRROR_INJECT_TABLE);
	cmd->error = hmmirror_move(mirror, &move);
	hmmirror_fail_end(failing);
	mmput(mirror->mm);
	cmd->migrated = move.migrated;

	ret = cmd->error == -EINTR ? -EINTR : 0;
	if (!ret && move.outcomes &&
	    copy_to_user(u64_to_user_ptr(cmd->outcomes), move.outcomes, nr))
		ret = -EFAULT;
out:
	kvfree(move.outcomes);
	return ret;
}
