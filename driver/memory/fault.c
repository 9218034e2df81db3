// SPDX-License-Identifier: GPL-2.0
/*
 * The CPU touches a page of device-private memory, and faults: migrate it to system memory.
 */
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/slab.h>

#include "hooks/hold.h"
#include "memory/devmem.h"
#include "memory/fault.h"
#include "memory/fill.h"

struct cpu_fault {
	struct hmmirror_device *device;
	struct vm_fault *vmf;
	struct hmmirror_batch *batch;	/* huge page only */
	bool shared;			/* huge page only: another process maps it, too */
	vm_fault_t result;
};

static void cpu_fault_fill(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;
	struct page *page;

	if (!hmmirror_is_page_offered(*args->src))
		return;
	page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, args->vma, args->start);
	if (hmmirror_fill_system_page(page, *args->src, args->dst) == HMMIRROR_OUT_NOMEM)
		fault->result = VM_FAULT_OOM;
}

static void cpu_fault_settle(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;

	if (!fault->result && hmmirror_is_page_offered(*args->src))
		atomic64_inc(&fault->device->cpu_faults_home);
}

static void huge_fault_fill(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;
	struct hmmirror_batch *batch = fault->batch;

	hmmirror_fill_system(batch, HMMIRROR_BATCH, fault->device, NULL, args->vma, args->start,
			     hmmirror_is_page_offered);
	/* Of a shared page, the kernel would split this entry only. Let the CPU fault again. */
	if (!batch->no_huge || fault->shared)
		return;

	/* small destination pages make the kernel split the source */
	if (!hmmirror_fill_system_pieces(batch, args->vma, args->start))
		fault->result = VM_FAULT_OOM;
	/*
	 * The split fails if there are unexpected references, and the one of the fault handler
	 * is unexpected. Drop it until the split is done: that of the migration keeps the page.
	 */
	folio_put(page_folio(fault->vmf->page));
}

static void huge_fault_settle(struct migrate_vma *args, void *data)
{
	struct cpu_fault *fault = data;

	if (fault->batch->no_huge && !fault->shared)
		folio_get(page_folio(fault->vmf->page));
	if (!fault->result && hmmirror_count_arrived(fault->batch, HMMIRROR_BATCH))
		atomic64_inc(&fault->device->cpu_faults_home);
}

/* Is the page mapped by a PMD? There is no PTE then. */
static bool is_huge_fault(const struct vm_fault *vmf)
{
	return !vmf->pte && folio_order(page_folio(vmf->page)) == HMMIRROR_HUGE_ORDER;
}

/**
 * hmmirror_migrate_to_ram() - the CPU touched a device-private page
 * @vmf: the fault; the caller has locked the page, or holds a reference
 *
 * Return: 0, also if the page could not migrate now: the CPU faults again. VM_FAULT_OOM
 * without memory, VM_FAULT_SIGBUS if the kernel refuses.
 */
vm_fault_t hmmirror_migrate_to_ram(struct vm_fault *vmf)
{
	struct cpu_fault fault = {
		.device = hmmirror_page_device(vmf->page),
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

	compat_set_fault_page(&args, vmf->page);
	atomic64_inc(&fault.device->cpu_faults);
	hmmirror_hold_fault(vmf->vma->vm_mm);
	if (huge)
		ret = compat_migrate_vma(&args, huge_fault_fill, huge_fault_settle, &fault);
	else
		ret = compat_migrate_vma(&args, cpu_fault_fill, cpu_fault_settle, &fault);
	kvfree(fault.batch);
	/*
	 * If a reference keeps the page here, the fault is retried at once. A fault of the
	 * kernel itself has no point of preemption, and the task that holds the reference may
	 * wait for this CPU.
	 */
	cond_resched();
	return ret ? VM_FAULT_SIGBUS : fault.result;
}
