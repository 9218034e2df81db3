// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks of ZONE_DEVICE memory: added when a migration needs pages, removed when they are
 * empty. A coherent device has one chunk, the memory that was reserved for it.
 */
#include <linux/ioport.h>

#include "memory/chunk.h"
#include "memory/fault.h"

unsigned long hmmirror_spm_addr[HMMIRROR_NR_DEVICES - HMMIRROR_NR_PRIVATE];
unsigned int hmmirror_spm_size_mb;
unsigned int hmmirror_chunk_mb;
unsigned int hmmirror_max_device_mb;

COMPAT_PAGEMAP_OPS(devmem_ops, hmmirror_devmem_free, hmmirror_migrate_to_ram,
		   hmmirror_devmem_split);

/* The limit is the driver's own: the bytes of these pages are charged to nobody. */
static int find_private_range(struct hmmirror_chunk *chunk, u64 size)
{
	u64 limit = (u64)READ_ONCE(hmmirror_max_device_mb) << 20;
	struct resource *res;

	/* chunk_lock is held, so nr_pages can only shrink */
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

/* A release that is under way has taken the one chunk off the list. */
static int find_coherent_range(struct hmmirror_chunk *chunk, u64 size)
{
	struct hmmirror_device *device = chunk->device;

	if (!list_empty(&device->chunks) || device->nr_releases)
		return -ENOMEM;

	chunk->pgmap.type = MEMORY_DEVICE_COHERENT;
	chunk->pgmap.range.start = hmmirror_spm_addr[device->id - HMMIRROR_NR_PRIVATE];
	chunk->pgmap.range.end = chunk->pgmap.range.start + size - 1;
	return 0;
}

static void release_range(struct hmmirror_chunk *chunk)
{
	if (chunk->pgmap.type == MEMORY_DEVICE_PRIVATE)
		release_mem_region(chunk->pgmap.range.start, range_len(&chunk->pgmap.range));
}

static int add_chunk(struct hmmirror_device *device)
{
	bool private = device->memory == HMMIRROR_MEMORY_PRIVATE;
	u64 size = (u64)(private ? hmmirror_chunk_mb : hmmirror_spm_size_mb) << 20;
	struct hmmirror_chunk *chunk;
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

	ret = private ? find_private_range(chunk, size) : find_coherent_range(chunk, size);
	if (ret)
		goto err_free;

	addr = memremap_pages(&chunk->pgmap, numa_node_id());
	if (IS_ERR(addr)) {
		ret = PTR_ERR(addr);
		goto err_range;
	}

	list_add(&chunk->list, &device->chunks);
	hmmirror_devmem_add_blocks(chunk);
	return 0;

err_range:
	release_range(chunk);
err_free:
	kvfree(chunk);
	return ret;
}

/**
 * hmmirror_devmem_grow() - add memory until so many pages are free
 * @device: the device
 * @nr: pages that the caller wants to allocate
 * @huge: as one huge page, if @nr is a batch
 *
 * Not under the mmap lock, which nests inside the locks of memory hotplug. Another migration
 * may allocate the pages before the caller does.
 *
 * Return: 0; -ENOMEM if not all or none are free; -EINTR.
 */
int hmmirror_devmem_grow(struct hmmirror_device *device, unsigned long nr, bool huge)
{
	int ret = 0;

	huge = huge && nr == HMMIRROR_BATCH;
	if (hmmirror_devmem_is_ready(device, nr, huge))
		return 0;
	if (mutex_lock_killable(&device->chunk_lock))
		return -EINTR;
	while (!ret && !hmmirror_devmem_is_ready(device, nr, huge))
		ret = add_chunk(device) ? -ENOMEM : 0;
	mutex_unlock(&device->chunk_lock);
	return ret;
}

/**
 * hmmirror_devmem_lock() - keep all memory of the device where it is
 * @device: the device
 *
 * Not under the mmap lock. No memory is added or removed until hmmirror_devmem_unlock().
 */
void hmmirror_devmem_lock(struct hmmirror_device *device)
{
	mutex_lock(&device->chunk_lock);
}

void hmmirror_devmem_unlock(struct hmmirror_device *device)
{
	mutex_unlock(&device->chunk_lock);
}

/* Is it a page of the device? Call with the memory locked. */
bool hmmirror_devmem_has_pfn(struct hmmirror_device *device, unsigned long pfn)
{
	struct hmmirror_chunk *chunk;

	lockdep_assert_held(&device->chunk_lock);
	list_for_each_entry(chunk, &device->chunks, list)
		if (pfn - hmmirror_chunk_pfn(chunk) < hmmirror_chunk_pages(chunk))
			return true;
	return false;
}

/* Take all chunks off the device. None of their pages is allocated any more. */
void hmmirror_chunks_close(struct hmmirror_device *device, struct list_head *chunks)
{
	struct hmmirror_chunk *chunk;

	mutex_lock(&device->chunk_lock);
	spin_lock_irq(&device->free_lock);
	list_for_each_entry(chunk, &device->chunks, list)
		chunk->closing = true;
	INIT_LIST_HEAD(&device->whole_blocks);
	INIT_LIST_HEAD(&device->broken_blocks);
	device->nr_ready = 0;
	spin_unlock_irq(&device->free_lock);
	list_splice_init(&device->chunks, chunks);
	device->nr_releases++;
	mutex_unlock(&device->chunk_lock);
}

/* Return the chunks that could not be removed. They stay closed; the next close finds them. */
void hmmirror_chunks_return(struct hmmirror_device *device, struct list_head *chunks)
{
	mutex_lock(&device->chunk_lock);
	list_splice(chunks, &device->chunks);
	device->nr_releases--;
	mutex_unlock(&device->chunk_lock);
}

bool hmmirror_chunk_is_empty(struct hmmirror_chunk *chunk)
{
	unsigned long used;

	spin_lock_irq(&chunk->device->free_lock);
	used = chunk->used;
	spin_unlock_irq(&chunk->device->free_lock);
	return !used;
}

/* @chunk: closed and empty */
void hmmirror_chunk_remove(struct hmmirror_chunk *chunk)
{
	struct hmmirror_device *device = chunk->device;

	list_del(&chunk->list);
	spin_lock_irq(&device->free_lock);
	device->nr_pages -= hmmirror_chunk_pages(chunk);
	device->nr_free -= hmmirror_chunk_pages(chunk);
	spin_unlock_irq(&device->free_lock);

	memunmap_pages(&chunk->pgmap);
	release_range(chunk);
	kvfree(chunk);
}
