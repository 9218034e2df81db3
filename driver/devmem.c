// SPDX-License-Identifier: GPL-2.0
/*
 * The devices' memory: chunks of ZONE_DEVICE pages, added when first needed.
 *
 * A device-private page has no memory behind it that the CPU could reach; the
 * bytes of this pretended device lie in a system page that its zone_device_data
 * points at. A device-coherent page is its own memory. While a page is free,
 * zone_device_data links the free list.
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

struct chunk {
	struct dev_pagemap pgmap;
	struct list_head list;
	struct hmmirror_device *device;
	unsigned long used;	/* under free_lock: pages that are not free */
	bool closing;		/* under free_lock: freed pages are not used again */
};

static struct chunk *page_chunk(struct page *page)
{
	return container_of(page_pgmap(page), struct chunk, pgmap);
}

struct hmmirror_device *hmmirror_devmem_device(struct page *page)
{
	return page_chunk(page)->device;
}

/* The page with the bytes. */
struct page *hmmirror_devmem_data(struct page *page)
{
	return is_device_private_page(page) ? *compat_zone_device_data(page) : page;
}

static void push(struct page **list, struct page *page)
{
	*compat_zone_device_data(page) = *list;
	*list = page;
}

static struct page *pop(struct page **list)
{
	struct page *page = *list;

	if (page)
		*list = *compat_zone_device_data(page);
	return page;
}

static void devmem_free(struct folio *folio)
{
	struct page *page = &folio->page;
	struct chunk *chunk = page_chunk(page);
	struct hmmirror_device *device = chunk->device;

	if (is_device_private_page(page))
		__free_page(*compat_zone_device_data(page));

	spin_lock(&device->free_lock);
	if (!chunk->closing)
		push(&device->free_pages, page);
	chunk->used--;
	device->nr_free++;
	spin_unlock(&device->free_lock);
}

COMPAT_PAGEMAP_OPS(devmem_ops, devmem_free, hmmirror_migrate_to_ram);

static int chunk_range_private(struct chunk *chunk)
{
	struct resource *res;

	res = request_free_mem_region(&iomem_resource, (u64)hmmirror_chunk_mb << 20, "hmmirror");
	if (IS_ERR(res))
		return PTR_ERR(res);

	chunk->pgmap.type = MEMORY_DEVICE_PRIVATE;
	chunk->pgmap.range.start = res->start;
	chunk->pgmap.range.end = res->end;
	return 0;
}

/* The reserved memory is one chunk: there is no more when that is used up. */
static int chunk_range_coherent(struct chunk *chunk)
{
	struct hmmirror_device *device = chunk->device;

	if (!list_empty(&device->chunks) || device->nr_releases)
		return -ENOMEM;

	chunk->pgmap.type = MEMORY_DEVICE_COHERENT;
	chunk->pgmap.range.start = hmmirror_spm_addr[device->id - HMMIRROR_NR_PRIVATE];
	chunk->pgmap.range.end = chunk->pgmap.range.start +
				 ((u64)hmmirror_spm_size_mb << 20) - 1;
	return 0;
}

static void chunk_release_range(struct chunk *chunk)
{
	if (chunk->pgmap.type == MEMORY_DEVICE_PRIVATE)
		release_mem_region(chunk->pgmap.range.start, range_len(&chunk->pgmap.range));
}

static unsigned long chunk_pfn(struct chunk *chunk)
{
	return PHYS_PFN(chunk->pgmap.range.start);
}

static unsigned long chunk_pages(struct chunk *chunk)
{
	return PHYS_PFN(range_len(&chunk->pgmap.range));
}

static void chunk_publish(struct chunk *chunk)
{
	struct hmmirror_device *device = chunk->device;
	unsigned long nr = chunk_pages(chunk);
	unsigned long i;

	spin_lock(&device->free_lock);
	for (i = 0; i < nr; i += HMMIRROR_BATCH)
		push(&device->free_blocks, pfn_to_page(chunk_pfn(chunk) + i));
	device->nr_pages += nr;
	device->nr_free += nr;
	spin_unlock(&device->free_lock);
}

static int chunk_add(struct hmmirror_device *device)
{
	struct chunk *chunk;
	void *addr;
	int ret;

	lockdep_assert_held(&device->chunk_lock);

	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;

	chunk->device = device;
	chunk->pgmap.nr_range = 1;
	chunk->pgmap.ops = &devmem_ops;
	chunk->pgmap.owner = device;

	if (device->memory == HMMIRROR_MEMORY_PRIVATE)
		ret = chunk_range_private(chunk);
	else
		ret = chunk_range_coherent(chunk);
	if (ret)
		goto err_free;

	addr = memremap_pages(&chunk->pgmap, numa_node_id());
	if (IS_ERR(addr)) {
		ret = PTR_ERR(addr);
		goto err_range;
	}

	list_add(&chunk->list, &device->chunks);
	chunk_publish(chunk);
	return 0;

err_range:
	chunk_release_range(chunk);
err_free:
	kfree(chunk);
	return ret;
}

static struct page *take_free(struct hmmirror_device *device)
{
	struct page *page;

	spin_lock(&device->free_lock);
	if (!device->free_pages && device->free_blocks) {
		struct page *block = pop(&device->free_blocks);
		unsigned long i;

		for (i = HMMIRROR_BATCH; i--;)
			push(&device->free_pages, block + i);
	}
	page = pop(&device->free_pages);
	if (page) {
		page_chunk(page)->used++;
		device->nr_free--;
	}
	spin_unlock(&device->free_lock);
	return page;
}

static struct page *take_or_grow(struct hmmirror_device *device)
{
	struct page *page = take_free(device);

	if (page)
		return page;

	mutex_lock(&device->chunk_lock);
	page = take_free(device);
	if (!page && !chunk_add(device))
		page = take_free(device);
	mutex_unlock(&device->chunk_lock);
	return page;
}

/**
 * hmmirror_devmem_alloc() - a page of the device's memory
 * @device: the device
 * @data: where its bytes will be, freed with it; NULL for coherent memory
 *
 * Return: the page, locked, with one reference; NULL if there is no memory.
 */
struct page *hmmirror_devmem_alloc(struct hmmirror_device *device, struct page *data)
{
	struct page *page = take_or_grow(device);

	if (!page)
		return NULL;

	zone_device_folio_init(page_folio(page), page_pgmap(page), 0);
	*compat_zone_device_data(page) = data;
	return page;
}

static unsigned long chunk_used(struct chunk *chunk)
{
	struct hmmirror_device *device = chunk->device;
	unsigned long used;

	spin_lock(&device->free_lock);
	used = chunk->used;
	spin_unlock(&device->free_lock);
	return used;
}

/* Bring every page home; again and again, since a page can be locked or busy. */
static int chunk_empty(struct chunk *chunk)
{
	while (chunk_used(chunk)) {
		hmmirror_evict(chunk->device, chunk_pfn(chunk), chunk_pages(chunk));
		if (!chunk_used(chunk))
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		msleep(20);
	}
	return 0;
}

static void chunk_remove(struct chunk *chunk)
{
	struct hmmirror_device *device = chunk->device;

	list_del(&chunk->list);
	spin_lock(&device->free_lock);
	device->nr_pages -= chunk_pages(chunk);
	device->nr_free -= chunk_pages(chunk);
	spin_unlock(&device->free_lock);

	memunmap_pages(&chunk->pgmap);
	chunk_release_range(chunk);
	kfree(chunk);
}

/**
 * hmmirror_devmem_release() - take the device's memory down
 * @device: the device
 *
 * Pages in use are brought to system memory first, however long that takes.
 * Memory is added again when next needed. The chunks are emptied without
 * chunk_lock: a migration waits for that with an mmap lock held, which bringing
 * pages home can need.
 *
 * Return: 0, or -EINTR when killed meanwhile: the next call goes on.
 */
int hmmirror_devmem_release(struct hmmirror_device *device)
{
	struct chunk *chunk, *next;
	LIST_HEAD(leaving);
	int ret = 0;

	mutex_lock(&device->chunk_lock);
	spin_lock(&device->free_lock);
	list_for_each_entry(chunk, &device->chunks, list)
		chunk->closing = true;
	device->free_pages = NULL;
	device->free_blocks = NULL;
	spin_unlock(&device->free_lock);
	list_splice_init(&device->chunks, &leaving);
	device->nr_releases++;
	mutex_unlock(&device->chunk_lock);

	list_for_each_entry_safe(chunk, next, &leaving, list) {
		ret = chunk_empty(chunk);
		if (ret)
			break;
		chunk_remove(chunk);
	}

	mutex_lock(&device->chunk_lock);
	list_splice(&leaving, &device->chunks);
	device->nr_releases--;
	mutex_unlock(&device->chunk_lock);
	return ret;
}

/**
 * hmmirror_devmem_init() - see what memory the kernel lets a device have
 * @device: the device, with its id
 *
 * The memory itself comes with the first migration.
 */
void hmmirror_devmem_init(struct hmmirror_device *device)
{
	mutex_init(&device->chunk_lock);
	spin_lock_init(&device->free_lock);
	INIT_LIST_HEAD(&device->chunks);

	if (device->id < HMMIRROR_NR_PRIVATE)
		device->memory = IS_ENABLED(CONFIG_DEVICE_PRIVATE) ?
				 HMMIRROR_MEMORY_PRIVATE : HMMIRROR_MEMORY_NONE;
	else
		device->memory = HMMIRROR_MEMORY_COHERENT;
}
