// SPDX-License-Identifier: GPL-2.0
/*
 * The devices' memory: chunks of ZONE_DEVICE pages, added when first needed, cut
 * into blocks that are a huge page or single pages.
 *
 * A device-private page has no memory behind it that the CPU could reach; the
 * bytes of this pretended device lie in a system page that its zone_device_data
 * points at. Those of a huge page lie in as many pages, one behind the other,
 * each of which can be freed by itself: after a split each device page has its
 * own. A device-coherent page is its own memory. While a single page is free,
 * zone_device_data links the free list of its block.
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

/* All that is not constant: under free_lock. */
struct block {
	struct list_head list;	/* whole_blocks or broken_blocks; empty if none is free */
	struct page *first;	/* constant */
	struct page *free;	/* given back */
	unsigned int nr_fresh;	/* the first of the pages that were not given out yet */
	unsigned int nr_used;
};

struct chunk {
	struct dev_pagemap pgmap;
	struct list_head list;
	struct hmmirror_device *device;
	unsigned long used;	/* under free_lock: pages that are not free */
	bool closing;		/* under free_lock: freed pages are not used again */
	struct block blocks[];
};

static struct chunk *page_chunk(struct page *page)
{
	return container_of(page_pgmap(page), struct chunk, pgmap);
}

static unsigned long chunk_pfn(struct chunk *chunk)
{
	return PHYS_PFN(chunk->pgmap.range.start);
}

static unsigned long chunk_pages(struct chunk *chunk)
{
	return PHYS_PFN(range_len(&chunk->pgmap.range));
}

struct hmmirror_device *hmmirror_devmem_device(struct page *page)
{
	return page_chunk(page)->device;
}

/* The page with the bytes. */
struct page *hmmirror_devmem_data(struct page *page)
{
	struct page *head = &page_folio(page)->page;

	if (!is_device_private_page(page))
		return page;
	return (struct page *)*compat_zone_device_data(head) + (page - head);
}

static void free_data(struct page *data, unsigned int order)
{
	unsigned long i;

	for (i = 0; i < 1UL << order; i++)
		__free_page(data + i);
}

static struct page *block_take_page(struct block *block)
{
	struct page *page = block->free;

	block->nr_used++;
	if (!page)
		return block->first + block->nr_fresh++;
	block->free = *compat_zone_device_data(page);
	return page;
}

static struct page *block_take_all(struct block *block)
{
	block->nr_used = HMMIRROR_BATCH;
	block->nr_fresh = HMMIRROR_BATCH;
	return block->first;
}

/*
 * The first page of a block that became whole is the first to be given out. As
 * long as it was not, it can still say that it is the head of a huge page, and
 * the kernel would skip the others when it looks for pages to bring home.
 */
static void block_give(struct block *block, struct page *page, unsigned int order)
{
	block->nr_used -= 1U << order;
	if (!block->nr_used) {
		block->free = NULL;
		block->nr_fresh = 0;
	} else {
		*compat_zone_device_data(page) = block->free;
		block->free = page;
	}
}

static void devmem_free(struct folio *folio)
{
	struct page *page = &folio->page;
	struct chunk *chunk = page_chunk(page);
	struct hmmirror_device *device = chunk->device;
	unsigned int order = folio_order(folio);
	struct block *block = &chunk->blocks[(page_to_pfn(page) - chunk_pfn(chunk)) /
					     HMMIRROR_BATCH];

	if (is_device_private_page(page))
		free_data(*compat_zone_device_data(page), order);

	spin_lock(&device->free_lock);
	block_give(block, page, order);
	if (!chunk->closing) {
		list_move(&block->list, block->nr_used ? &device->broken_blocks :
							 &device->whole_blocks);
		device->nr_ready += 1UL << order;
	}
	chunk->used -= 1UL << order;
	device->nr_free += 1UL << order;
	spin_unlock(&device->free_lock);
}

static void devmem_split(struct folio *head, struct folio *tail)
{
	*compat_zone_device_data(&tail->page) =
		(struct page *)*compat_zone_device_data(&head->page) + (&tail->page - &head->page);
}

COMPAT_PAGEMAP_OPS(devmem_ops, devmem_free, hmmirror_migrate_to_ram, devmem_split);

/* The bytes of these pages lie in memory that is charged to nobody. */
static int chunk_range_private(struct chunk *chunk, u64 size)
{
	u64 limit = (u64)READ_ONCE(hmmirror_max_device_mb) << 20;
	struct resource *res;

	/* more can't come meanwhile, only less */
	if (((u64)READ_ONCE(chunk->device->nr_pages) << PAGE_SHIFT) + size > limit)
		return -ENOMEM;

	res = request_free_mem_region(&iomem_resource, size, "hmmirror");
	if (IS_ERR(res))
		return PTR_ERR(res);

	chunk->pgmap.type = MEMORY_DEVICE_PRIVATE;
	chunk->pgmap.range.start = res->start;
	chunk->pgmap.range.end = res->end;
	return 0;
}

/* The reserved memory is one chunk: there is no more when that is used up. */
static int chunk_range_coherent(struct chunk *chunk, u64 size)
{
	struct hmmirror_device *device = chunk->device;

	if (!list_empty(&device->chunks) || device->nr_releases)
		return -ENOMEM;

	chunk->pgmap.type = MEMORY_DEVICE_COHERENT;
	chunk->pgmap.range.start = hmmirror_spm_addr[device->id - HMMIRROR_NR_PRIVATE];
	chunk->pgmap.range.end = chunk->pgmap.range.start + size - 1;
	return 0;
}

static void chunk_release_range(struct chunk *chunk)
{
	if (chunk->pgmap.type == MEMORY_DEVICE_PRIVATE)
		release_mem_region(chunk->pgmap.range.start, range_len(&chunk->pgmap.range));
}

static void chunk_publish(struct chunk *chunk)
{
	struct hmmirror_device *device = chunk->device;
	unsigned long nr = chunk_pages(chunk);
	unsigned long i;

	spin_lock(&device->free_lock);
	for (i = 0; i < nr / HMMIRROR_BATCH; i++) {
		struct block *block = &chunk->blocks[i];

		block->first = pfn_to_page(chunk_pfn(chunk) + i * HMMIRROR_BATCH);
		list_add_tail(&block->list, &device->whole_blocks);
	}
	device->nr_pages += nr;
	device->nr_free += nr;
	device->nr_ready += nr;
	spin_unlock(&device->free_lock);
}

static int chunk_add(struct hmmirror_device *device)
{
	bool private = device->memory == HMMIRROR_MEMORY_PRIVATE;
	u64 size = (u64)(private ? hmmirror_chunk_mb : hmmirror_spm_size_mb) << 20;
	struct chunk *chunk;
	void *addr;
	int ret;

	lockdep_assert_held(&device->chunk_lock);

	chunk = kvzalloc(struct_size(chunk, blocks, size / (HMMIRROR_BATCH << PAGE_SHIFT)),
			 GFP_KERNEL);
	if (!chunk)
		return -ENOMEM;

	chunk->device = device;
	chunk->pgmap.nr_range = 1;
	chunk->pgmap.ops = &devmem_ops;
	chunk->pgmap.owner = device;

	if (private)
		ret = chunk_range_private(chunk, size);
	else
		ret = chunk_range_coherent(chunk, size);
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
	kvfree(chunk);
	return ret;
}

static struct block *first_block(struct list_head *blocks)
{
	return list_first_entry_or_null(blocks, struct block, list);
}

static struct page *take_free(struct hmmirror_device *device, unsigned int order)
{
	struct page *page = NULL;
	struct block *block;

	spin_lock(&device->free_lock);
	block = order ? NULL : first_block(&device->broken_blocks);
	if (!block)
		block = first_block(&device->whole_blocks);
	if (block) {
		page = order ? block_take_all(block) : block_take_page(block);
		if (block->nr_used == HMMIRROR_BATCH)
			list_del_init(&block->list);
		else
			list_move(&block->list, &device->broken_blocks);
		page_chunk(block->first)->used += 1UL << order;
		device->nr_free -= 1UL << order;
		device->nr_ready -= 1UL << order;
	}
	spin_unlock(&device->free_lock);
	return page;
}

static bool is_ready(struct hmmirror_device *device, unsigned long nr, bool huge)
{
	bool ready;

	spin_lock(&device->free_lock);
	ready = device->nr_ready >= nr && (!huge || first_block(&device->whole_blocks));
	spin_unlock(&device->free_lock);
	return ready;
}

/**
 * hmmirror_devmem_grow() - see that pages can be allocated, adding memory if need be
 * @device: the device
 * @nr: so many
 * @huge: as one huge page, if they are to be a batch
 *
 * Outside of mmap lock, which is taken under the locks that adding memory needs.
 * Others may take the pages before the caller does.
 *
 * Return: 0; -ENOMEM with fewer ready, or none; -EINTR.
 */
int hmmirror_devmem_grow(struct hmmirror_device *device, unsigned long nr, bool huge)
{
	int ret = 0;

	huge = huge && nr == HMMIRROR_BATCH;
	if (is_ready(device, nr, huge))
		return 0;
	if (mutex_lock_killable(&device->chunk_lock))
		return -EINTR;
	while (!ret && !is_ready(device, nr, huge))
		ret = chunk_add(device) ? -ENOMEM : 0;
	mutex_unlock(&device->chunk_lock);
	return ret;
}

/**
 * hmmirror_devmem_alloc() - a page of the device's memory
 * @device: the device
 * @data: where its bytes will be, freed with it; NULL for coherent memory
 * @order: 0, or HMMIRROR_HUGE_ORDER with as many pages at @data
 *
 * Return: the page, locked, with one reference; NULL if none is ready.
 */
struct page *hmmirror_devmem_alloc(struct hmmirror_device *device, struct page *data,
				   unsigned int order)
{
	struct page *page = take_free(device, order);

	if (!page)
		return NULL;

	/* not page_folio(): it can have been the tail of a huge page that is gone */
	zone_device_folio_init((struct folio *)page, page_pgmap(page), order);
	*compat_zone_device_data(page) = data;
	return page;
}

/**
 * hmmirror_devmem_alloc_huge() - a huge page of the device's memory
 * @device: the device, with private memory
 *
 * Return: the page, locked, with one reference and with memory for its bytes;
 * NULL if there is none.
 */
struct page *hmmirror_devmem_alloc_huge(struct hmmirror_device *device)
{
	struct page *data, *page;

	if (hmmirror_fail_huge(device))
		return NULL;
	data = alloc_pages(GFP_TRANSHUGE & ~(__GFP_COMP | __GFP_MOVABLE), HMMIRROR_HUGE_ORDER);
	if (!data)
		return NULL;
	split_page(data, HMMIRROR_HUGE_ORDER);

	page = hmmirror_devmem_alloc(device, data, HMMIRROR_HUGE_ORDER);
	if (!page)
		free_data(data, HMMIRROR_HUGE_ORDER);
	return page;
}

/**
 * hmmirror_devmem_stay() - none of the device's memory is taken down until _go()
 * @device: the device
 *
 * Outside of mmap lock. No page of the device can be allocated meanwhile that is not
 * there already.
 */
void hmmirror_devmem_stay(struct hmmirror_device *device)
{
	mutex_lock(&device->chunk_lock);
}

/* Between _stay() and _go(): is there such a page, and will it stay? */
bool hmmirror_devmem_has(struct hmmirror_device *device, unsigned long pfn)
{
	struct chunk *chunk;

	list_for_each_entry(chunk, &device->chunks, list)
		if (pfn - chunk_pfn(chunk) < chunk_pages(chunk))
			return true;
	return false;
}

void hmmirror_devmem_go(struct hmmirror_device *device)
{
	mutex_unlock(&device->chunk_lock);
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
	kvfree(chunk);
}

/**
 * hmmirror_devmem_release() - take the device's memory down
 * @device: the device
 *
 * Pages in use are brought to system memory first, however long that takes.
 * Memory is added again when next needed, which waits for nothing of this: the
 * chunks are emptied without chunk_lock.
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
	INIT_LIST_HEAD(&device->whole_blocks);
	INIT_LIST_HEAD(&device->broken_blocks);
	device->nr_ready = 0;
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
	INIT_LIST_HEAD(&device->whole_blocks);
	INIT_LIST_HEAD(&device->broken_blocks);

	if (device->id < HMMIRROR_NR_PRIVATE)
		device->memory = IS_ENABLED(CONFIG_DEVICE_PRIVATE) ?
				 HMMIRROR_MEMORY_PRIVATE : HMMIRROR_MEMORY_NONE;
	else
		device->memory = HMMIRROR_MEMORY_COHERENT;
}
