// SPDX-License-Identifier: GPL-2.0
/* The CPU touched a page of the device's: home with it. */
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/slab.h>

#include "batch.h"
#include "compat/compat.h"
#include "hmmirror_drv.h"

struct cpu_fault {
	struct hmmirror_device *device;
	struct vm_fault *vmf;
	struct hmmirror_batch *batch;	/* of a huge page */
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
	if (hmmirror_fill_system_page(page, *args->src, args->dst) == HMMIRROR_OUT_NOMEM)
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
	struct hmmirror_batch *batch = fault->batch;

	hmmirror_fill_system(NULL, fault->device, args->vma, args->start, batch, HMMIRROR_BATCH,
			     offered_page);
	/* of a shared one, the kernel would split our entry only: try again later */
	if (!batch->no_huge || fault->shared)
		return;

	/* small destinations have the kernel split the source between its steps */
	if (!hmmirror_fill_system_pieces(args->vma, args->start, batch))
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
	if (!fault->result && hmmirror_settle(fault->batch, HMMIRROR_BATCH))
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
	/*
	 * A page that somebody holds is tried for again at once; from within the kernel,
	 * nobody looks whether who holds it waits for this very CPU.
	 */
	cond_resched();
	return ret ? VM_FAULT_SIGBUS : fault.result;
}
