// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of the devices' memory. Memory comes in chunks (chunk.c), and a chunk is cut into
 * blocks. A block is a huge page, or as many small ones.
 *
 * The CPU can't reach device-private memory, and this device has none: the bytes of such a
 * page lie in a page of the system, to which its zone_device_data points. The bytes of a
 * huge page lie in as many small pages, so that it needs no huge page of the system, and its
 * zone_device_data points to an array of them; after a split each small device page owns its
 * own. A device-coherent page holds its bytes itself. While a small page is free, its
 * zone_device_data links the free list of the block.
 */
#include <linux/migrate.h>

#include "memory/devmem.h"

static const char no_private[] = "the kernel was built without CONFIG_DEVICE_PRIVATE";

/* Return: why nothing can migrate to the device, NULL if it can. */
const char *hmmirror_no_device_memory(const struct hmmirror_device *device)
{
	return device->memory == HMMIRROR_MEMORY_NONE ? no_private : NULL;
}

/* Return: why this device has no huge pages, NULL if it has. */
const char *hmmirror_no_huge(const struct hmmirror_device *device)
{
	if (compat_no_device_thp())
		return compat_no_device_thp();
	if (device->memory == HMMIRROR_MEMORY_COHERENT)
		return "the kernel offers no huge page of a coherent device for the way back";
	return hmmirror_no_device_memory(device);
}

/*
 * The last piece has the first bytes. The pages of a huge page lie in a row, and so do pieces
 * that were allocated together. If both went the same way, the TLB of an emulated CPU, which the
 * address indexes, could have only one of the two pages of a copy at a time.
 */
static struct page **piece(struct page **pieces, unsigned long i)
{
	return &pieces[HMMIRROR_BATCH - 1 - i];
}

/**
 * hmmirror_devmem_data() - find the bytes of a page of a device
 * @page: the page
 *
 * Return: the page of the system that has them, or @page if it is coherent or the system's.
 */
struct page *hmmirror_devmem_data(struct page *page)
{
	struct folio *folio = page_folio(page);
	void *data;

	if (!is_device_private_page(page))
		return page;
	data = *compat_zone_device_data(&folio->page);
	return folio_order(folio) ? *piece(data, page - &folio->page) : data;
}

static void free_pieces(struct page **pieces)
{
	unsigned long i;

	for (i = 0; i < HMMIRROR_BATCH; i++) {
		if (pieces[i])
			__free_page(pieces[i]);
	}
	free_page((unsigned long)pieces);
}

/* Not at the price of the OOM killer: small pages can take the place of a huge one. */
static struct page **alloc_pieces(void)
{
	gfp_t gfp = HMMIRROR_GFP_DATA | __GFP_NORETRY | __GFP_NOWARN;
	struct page **pieces = (struct page **)get_zeroed_page(GFP_KERNEL);
	unsigned long i;

	BUILD_BUG_ON(HMMIRROR_MAX_BATCH * sizeof(*pieces) > PAGE_SIZE);
	if (!pieces)
		return NULL;
	i = compat_alloc_pages_bulk(gfp, HMMIRROR_BATCH, pieces);
	for (; i < HMMIRROR_BATCH; i++) {
		pieces[i] = alloc_page(gfp);
		if (!pieces[i]) {
			free_pieces(pieces);
			return NULL;
		}
	}
	return pieces;
}

static struct page *block_take_page(struct hmmirror_block *block)
{
	struct page *page = block->free;

	block->nr_used++;
	if (!page)
		return block->first + block->nr_fresh++;
	block->free = *compat_zone_device_data(page);
	return page;
}

static struct page *block_take_all(struct hmmirror_block *block)
{
	block->nr_used = HMMIRROR_BATCH;
	block->nr_fresh = HMMIRROR_BATCH;
	return block->first;
}

/*
 * When the last page comes back, start over with the first one. Its struct page may still
 * claim to be the head of a huge page until it is allocated again, and until then the kernel
 * would skip the others when it collects pages of the device by number.
 */
static void block_give(struct hmmirror_block *block, struct page *page, unsigned int order)
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

/* The last reference is gone. This may be an interrupt that ends a bio. */
void hmmirror_devmem_free(struct folio *folio)
{
	struct page *page = &folio->page;
	struct hmmirror_chunk *chunk = hmmirror_page_chunk(page);
	struct hmmirror_device *device = chunk->device;
	unsigned int order = folio_order(folio);
	unsigned long index = page_to_pfn(page) - hmmirror_chunk_pfn(chunk);
	struct hmmirror_block *block = &chunk->blocks[index / HMMIRROR_BATCH];
	unsigned long flags;

	if (is_device_private_page(page)) {
		if (order)
			free_pieces(*compat_zone_device_data(page));
		else
			__free_page(*compat_zone_device_data(page));
	}

	spin_lock_irqsave(&device->free_lock, flags);
	block_give(block, page, order);
	if (!chunk->closing) {
		list_move(&block->list, block->nr_used ? &device->broken_blocks :
							 &device->whole_blocks);
		device->nr_ready += 1UL << order;
	}
	chunk->used -= 1UL << order;
	device->nr_free += 1UL << order;
	spin_unlock_irqrestore(&device->free_lock, flags);
}

/*
 * The kernel splits a huge page into small ones: each tail becomes a page by itself, and then,
 * with @tail being NULL, the head.
 */
void hmmirror_devmem_split(struct folio *head, struct folio *tail)
{
	struct page **pieces = *compat_zone_device_data(&head->page);

	if (tail) {
		*compat_zone_device_data(&tail->page) =
			*piece(pieces, &tail->page - &head->page);
		return;
	}
	*compat_zone_device_data(&head->page) = *piece(pieces, 0);
	free_page((unsigned long)pieces);
}

/* Make the pages of a new chunk available. */
void hmmirror_devmem_add_blocks(struct hmmirror_chunk *chunk)
{
	struct hmmirror_device *device = chunk->device;
	unsigned long nr = hmmirror_chunk_pages(chunk);
	unsigned long i;

	spin_lock_irq(&device->free_lock);
	for (i = 0; i < nr / HMMIRROR_BATCH; i++) {
		struct hmmirror_block *block = &chunk->blocks[i];

		block->first = pfn_to_page(hmmirror_chunk_pfn(chunk) + i * HMMIRROR_BATCH);
		list_add_tail(&block->list, &device->whole_blocks);
	}
	device->nr_pages += nr;
	device->nr_free += nr;
	device->nr_ready += nr;
	spin_unlock_irq(&device->free_lock);
}

static struct hmmirror_block *first_block(struct list_head *blocks)
{
	return list_first_entry_or_null(blocks, struct hmmirror_block, list);
}

static struct page *take_free(struct hmmirror_device *device, unsigned int order)
{
	struct hmmirror_block *block;
	struct page *page = NULL;

	spin_lock_irq(&device->free_lock);
	block = order ? NULL : first_block(&device->broken_blocks);
	if (!block)
		block = first_block(&device->whole_blocks);
	if (block) {
		page = order ? block_take_all(block) : block_take_page(block);
		if (block->nr_used == HMMIRROR_BATCH)
			list_del_init(&block->list);
		else
			list_move(&block->list, &device->broken_blocks);
		hmmirror_page_chunk(block->first)->used += 1UL << order;
		device->nr_free -= 1UL << order;
		device->nr_ready -= 1UL << order;
	}
	spin_unlock_irq(&device->free_lock);
	return page;
}

/* Could so many pages be allocated now? @huge: one huge page as well? */
bool hmmirror_devmem_is_ready(struct hmmirror_device *device, unsigned long nr, bool huge)
{
	bool ready;

	spin_lock_irq(&device->free_lock);
	ready = device->nr_ready >= nr && (!huge || first_block(&device->whole_blocks));
	spin_unlock_irq(&device->free_lock);
	return ready;
}

void hmmirror_devmem_count(struct hmmirror_device *device, u64 *pages, u64 *free)
{
	spin_lock_irq(&device->free_lock);
	*pages = device->nr_pages;
	*free = device->nr_free;
	spin_unlock_irq(&device->free_lock);
}

/**
 * hmmirror_devmem_alloc() - allocate a page of the device's memory
 * @device: the device
 * @data: where the bytes will be, freed with the page; NULL for coherent memory
 * @order: 0, or HMMIRROR_HUGE_ORDER with an array of as many pages at @data
 *
 * Return: the page, locked, with one reference; NULL if none is ready.
 */
struct page *hmmirror_devmem_alloc(struct hmmirror_device *device, void *data,
				   unsigned int order)
{
	struct page *page = take_free(device, order);

	if (!page)
		return NULL;

	/* not page_folio(): this may still look like the tail of a huge page that is gone */
	zone_device_folio_init((struct folio *)page, page_pgmap(page), order);
	*compat_zone_device_data(page) = data;
	return page;
}

/**
 * hmmirror_devmem_alloc_huge() - allocate a huge page of the device's memory
 * @device: the device, with private memory
 *
 * Return: the page, locked, with one reference and with memory for its bytes; NULL if there
 * is none.
 */
struct page *hmmirror_devmem_alloc_huge(struct hmmirror_device *device)
{
	struct page **pieces;
	struct page *page;

	if (hmmirror_fail_huge_alloc(device))
		return NULL;
	pieces = alloc_pieces();
	if (!pieces)
		return NULL;

	page = hmmirror_devmem_alloc(device, pieces, HMMIRROR_HUGE_ORDER);
	if (!page)
		free_pieces(pieces);
	return page;
}

/* @device: with its id. Its memory is added by the first migration to it. */
void hmmirror_devmem_init(struct hmmirror_device *device)
{
	mutex_init(&device->chunk_lock);
	spin_lock_init(&device->free_lock);
	INIT_LIST_HEAD(&device->chunks);
	INIT_LIST_HEAD(&device->whole_blocks);
	INIT_LIST_HEAD(&device->broken_blocks);

	if (device->id >= HMMIRROR_NR_PRIVATE)
		device->memory = HMMIRROR_MEMORY_COHERENT;
	else if (IS_ENABLED(CONFIG_DEVICE_PRIVATE))
		device->memory = HMMIRROR_MEMORY_PRIVATE;
	else
		device->memory = HMMIRROR_MEMORY_NONE;
}
