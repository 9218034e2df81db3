// SPDX-License-Identifier: GPL-2.0
/*
 * Today's way to add device memory on kernels before 5.10. Up to 5.3 such memory
 * lives and dies with a struct device: each pgmap gets one of its own.
 */
#include <linux/device.h>
#include <linux/slab.h>

#define COMPAT_PAGEMAP_C
#include "compat.h"

#ifndef HAVE_REQUEST_FREE_MEM_REGION
/* Memory is added by sections on kernels that lack this. */
struct resource *request_free_mem_region(struct resource *base, unsigned long size,
					 const char *name)
{
	unsigned long section = 1UL << PA_SECTION_SHIFT;
	struct resource *res;
	resource_size_t addr;

	size = ALIGN(size, section);
	addr = min_t(u64, base->end, (1ULL << MAX_PHYSMEM_BITS) - 1) + 1 - size;
	for (addr &= ~(section - 1); addr > size && addr >= base->start; addr -= size) {
		if (region_intersects(addr, size, 0, IORES_DESC_NONE) != REGION_DISJOINT)
			continue;
		res = request_mem_region(addr, size, name);
		if (!res)
			return ERR_PTR(-ENOMEM);
		res->desc = IORES_DESC_DEVICE_PRIVATE_MEMORY;
		return res;
	}
	return ERR_PTR(-ERANGE);
}
#endif

#if !defined(HAVE_PGMAP_OWNER) || !defined(HAVE_PGMAP_RANGE)

static void set_range(struct dev_pagemap *real, const struct compat_pagemap *pgmap)
{
	real->type = pgmap->type;
	real->res.name = "hmmirror";
	real->res.flags = IORESOURCE_MEM;
	real->res.start = pgmap->range.start;
	real->res.end = pgmap->range.end;
}

/* of all pgmaps that have gone through here */
static const struct dev_pagemap_ops *our_ops;

#ifdef HAVE_MEMREMAP_PAGES
static bool is_ours(const struct dev_pagemap *real)
{
	return real->ops == our_ops;
}

void *compat_memremap_pages(struct compat_pagemap *pgmap, int nid)
{
	our_ops = pgmap->ops;
	set_range(&pgmap->real, pgmap);
	pgmap->real.ops = pgmap->ops;
#ifdef HAVE_PGMAP_OWNER
	pgmap->real.owner = pgmap->owner;
#endif
	return memremap_pages(&pgmap->real, nid);
}

void compat_memunmap_pages(struct compat_pagemap *pgmap)
{
	memunmap_pages(&pgmap->real);
}

static struct compat_pagemap *around(struct dev_pagemap *real)
{
	return container_of(real, struct compat_pagemap, real);
}
#else
static void free_our_page(struct page *page)
{
	if (compat_shared_keep(page))
		return;
	/* it would be taken for a page that has its reverse mapping already */
	page->mapping = NULL;
	our_ops->page_free(page);
}

#ifdef HAVE_DEV_PAGEMAP_OPS
/* 5.3: the callbacks are as they are today */
static vm_fault_t fault_our_page(struct vm_fault *vmf)
{
	return our_ops->migrate_to_ram(vmf);
}

static const struct dev_pagemap_ops wrapped_ops = {
	.page_free = free_our_page,
	.migrate_to_ram = fault_our_page,
};

static bool is_ours(const struct dev_pagemap *real)
{
	return real->ops == &wrapped_ops;
}

static struct compat_pagemap *around(struct dev_pagemap *real)
{
	return container_of(real, struct compat_pagemap, real);
}

static struct dev_pagemap *set_up(struct compat_pagemap *pgmap)
{
	pgmap->real.ops = &wrapped_ops;
	return &pgmap->real;
}

static void tear_down(struct compat_pagemap *pgmap)
{
}
#else
static void page_free(struct page *page, void *data)
{
	free_our_page(page);
}

static vm_fault_t page_fault(struct vm_area_struct *vma, unsigned long addr,
			     const struct page *page, unsigned int flags, pmd_t *pmd)
{
	struct vm_fault vmf = {
		.vma = vma,
		.address = addr,
		.page = (struct page *)page,
		.flags = flags,
		.pmd = pmd,
	};

	return our_ops->migrate_to_ram(&vmf);
}

static bool is_ours(const struct dev_pagemap *real)
{
	return real->page_free == page_free;
}

static struct compat_pagemap *around(struct dev_pagemap *real)
{
	return container_of(real, struct compat_pagemap, devmem.pagemap);
}

static void ref_release(struct percpu_ref *ref)
{
	complete(&container_of(ref, struct hmm_devmem, ref)->completion);
}

static void ref_cleanup(struct percpu_ref *ref)
{
	wait_for_completion(&container_of(ref, struct hmm_devmem, ref)->completion);
	percpu_ref_exit(ref);
}

static struct dev_pagemap *set_up(struct compat_pagemap *pgmap)
{
	struct dev_pagemap *real = &pgmap->devmem.pagemap;
	int ret;

	ret = percpu_ref_init(&pgmap->devmem.ref, ref_release, 0, GFP_KERNEL);
	if (ret)
		return ERR_PTR(ret);
	init_completion(&pgmap->devmem.completion);
	pgmap->devmem.page_fault = page_fault;
	real->page_free = page_free;
	real->ref = &pgmap->devmem.ref;
	real->kill = percpu_ref_kill;
#ifdef HAVE_PAGEMAP_CLEANUP
	real->cleanup = ref_cleanup;
#endif
	dev_pagemap_get_ops();
	return real;
}

static void tear_down(struct compat_pagemap *pgmap)
{
#ifndef HAVE_PAGEMAP_CLEANUP
	ref_cleanup(&pgmap->devmem.ref);
#endif
	dev_pagemap_put_ops();
}
#endif

static void device_release(struct device *dev)
{
	kfree(dev);
}

/* What hangs on the device ends with it: the memory. */
static void remove_device(struct compat_pagemap *pgmap)
{
	put_device(pgmap->dev);
	tear_down(pgmap);
}

void *compat_memremap_pages(struct compat_pagemap *pgmap, int nid)
{
	struct dev_pagemap *real;
	struct device *dev;
	void *addr;

	dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	if (!dev)
		return ERR_PTR(-ENOMEM);
	real = set_up(pgmap);
	if (IS_ERR(real)) {
		kfree(dev);
		return real;
	}

	device_initialize(dev);
	dev->release = device_release;
	set_dev_node(dev, nid);
	pgmap->dev = dev;
	our_ops = pgmap->ops;
	set_range(real, pgmap);

	addr = devm_memremap_pages(dev, real);
	if (IS_ERR(addr))
		remove_device(pgmap);
	return addr;
}

void compat_memunmap_pages(struct compat_pagemap *pgmap)
{
	remove_device(pgmap);
}
#endif

/* Of another driver's memory, no more is told than that it is not ours. */
struct compat_pagemap *page_pgmap(const struct page *page)
{
	static struct compat_pagemap foreign;

	return is_ours(page->pgmap) ? around(page->pgmap) : &foreign;
}

#endif
