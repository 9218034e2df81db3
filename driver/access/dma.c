// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a walk mapped for DMA of a device.
 *
 * There are two such devices: a platform device of the driver's own, whose DMA addresses are
 * physical addresses, and a PCI device behind an IOMMU, if the machine has one. The driver
 * never starts DMA.
 *
 * A map holds hmm_pfns of its range. They change only with mirror->pt.lock held, and an
 * invalidation unmaps the pages that it hits. The walker gets a copy of them: it keeps the
 * flags of pages that are mapped, and would write back flags that an invalidation has
 * cleared meanwhile.
 */
#include <linux/delay.h>
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/slab.h>

#include "access/dma.h"
#include "core/walk.h"

struct hmmirror_dma_map {
	struct hmm_dma_map map;
	struct dma_target *target;
	struct device *dev;
	struct hmmirror *mirror;
	struct list_head list;		/* target->maps */
	unsigned long start;
	unsigned long end;
};

/* A device that pages are mapped for. */
struct dma_target {
	struct device *dev;		/* NULL if there is none, or none any more */
	struct list_head maps;
};

static struct dma_target own_target = { .maps = LIST_HEAD_INIT(own_target.maps) };
static struct dma_target pci_target = { .maps = LIST_HEAD_INIT(pci_target.maps) };
/* Protects both targets and their DMA masks. Nests inside dma_lock of a mirror. */
static DEFINE_MUTEX(targets_lock);
static struct platform_device *own_device;

/* Return: why nothing can be mapped behind an IOMMU, NULL if it can. */
const char *hmmirror_no_iommu(void)
{
	const char *why = NULL;

	if (compat_no_dma())
		return compat_no_dma();
	mutex_lock(&targets_lock);
	if (!pci_target.dev)
		why = "there is no PCI device 1234:11e8 (-device edu of QEMU)";
	else if (!compat_dma_translated(pci_target.dev))
		why = "no IOMMU translates for it (-device intel-iommu, intel_iommu=on)";
	mutex_unlock(&targets_lock);
	return why;
}

static unsigned long map_index(const struct hmmirror_dma_map *dma, unsigned long addr)
{
	return (addr - dma->start) >> PAGE_SHIFT;
}

/* Is there a map, with all of this range? */
bool hmmirror_dma_has_range(struct hmmirror *mirror, unsigned long start, unsigned long end)
{
	const struct hmmirror_dma_map *dma = mirror->dma;

	return dma && start >= dma->start && end <= dma->end;
}

static void invalidate(struct hmmirror *mirror, unsigned long start, unsigned long end)
{
	struct hmmirror_dma_map *dma = mirror->dma;
	unsigned long i;

	if (!dma)
		return;
	start = max(start, dma->start);
	end = min(end, dma->end);
	for (; start < end; start += PAGE_SIZE) {
		i = map_index(dma, start);
		hmm_dma_unmap_pfn(dma->dev, &dma->map, i);
		dma->map.pfn_list[i] = 0;
	}
}

/* A walk whose pages are mapped. */
struct dma_walk {
	struct hmmirror_walk_args walk;
	struct hmmirror_dma_args *args;
	struct hmmirror_dma_map *dma;
};

static void prepare_walk(struct hmmirror_walk_args *walk)
{
	struct dma_walk *dw = container_of(walk, struct dma_walk, walk);
	unsigned long first = map_index(dw->dma, walk->start);
	unsigned long nr = (walk->end - walk->start) >> PAGE_SHIFT;
	unsigned long i;

	for (i = 0; i < nr; i++)
		walk->entries[i] |= READ_ONCE(dw->dma->map.pfn_list[first + i]) &
				    COMPAT_PFN_DMA_FLAGS;
}

static void map_one(struct dma_walk *dw, unsigned long i, unsigned long hmm_pfn)
{
	struct hmmirror_dma_map *dma = dw->dma;
	unsigned long index = map_index(dma, dw->walk.start) + i;
	struct hmmirror_dma_page *result = &dw->args->results[i];
	dma_addr_t address;

	dma->map.pfn_list[index] = hmm_pfn;
	if (!(hmm_pfn & HMM_PFN_VALID))
		return;
	address = compat_dma_map_pfn(dma->dev, &dma->map, index);
	if (dma_mapping_error(dma->dev, address)) {
		dw->args->error = -EIO;
		return;
	}
	if (hmm_pfn & HMM_PFN_DMA_MAPPED)
		result->flags |= HMMIRROR_DMA_PAGE_KEPT;
	result->flags |= HMMIRROR_DMA_PAGE_MAPPED;
	result->address = address;
	if (dma->map.pfn_list[index] & HMM_PFN_P2PDMA_BUS) {
		result->flags |= HMMIRROR_DMA_PAGE_PEER_BUS;
		result->memory = address;
	} else {
		if (dma->map.pfn_list[index] & HMM_PFN_P2PDMA)
			result->flags |= HMMIRROR_DMA_PAGE_PEER;
		result->memory = compat_dma_to_memory(dma->dev, address);
	}
	dw->args->mapped++;
}

/* mirror->pt.lock is held, and nothing was invalidated since the walk began. */
static void accept_walk(struct hmmirror_walk_args *walk, unsigned long nr)
{
	struct dma_walk *dw = container_of(walk, struct dma_walk, walk);
	unsigned long i;

	for (i = 0; i < nr && !dw->args->error; i++)
		map_one(dw, i, walk->entries[i]);
}

/**
 * hmmirror_dma_map_range() - walk a part of the map's range, and map what is valid
 * @mirror: the mirror, with a map that has the range; the caller holds its mm
 * @args: the range; (out) answers and DMA addresses
 *
 * Return: 0 or -EINTR.
 */
int hmmirror_dma_map_range(struct hmmirror *mirror, struct hmmirror_dma_args *args)
{
	struct dma_walk dw = {
		.walk = {
			.start = args->start,
			.end = args->end,
			.entries = args->entries,
			.default_flags = args->request,
			.system_only = true,
			.prepare = prepare_walk,
			.accept = accept_walk,
		},
		.args = args,
		.dma = mirror->dma,
	};
	int ret = hmmirror_walk_range(mirror, &dw.walk);

	if (ret == -EINTR)
		return ret;
	if (ret)
		args->error = ret;
	return 0;
}

/* @unmapped: (out) of each page, whether it was mapped; or NULL. Return: how many were. */
u64 hmmirror_dma_unmap_range(struct hmmirror *mirror, unsigned long start, unsigned long end,
			     u8 *unmapped)
{
	struct hmmirror_dma_map *dma = mirror->dma;
	u64 pages = 0;

	mutex_lock(&mirror->pt.lock);
	for (; start < end; start += PAGE_SIZE) {
		bool was = hmm_dma_unmap_pfn(dma->dev, &dma->map, map_index(dma, start));

		pages += was;
		if (unmapped)
			*unmapped++ = was;
		cond_resched();
	}
	mutex_unlock(&mirror->pt.lock);
	return pages;
}

/*
 * Whether memory must be synced is a property of the device, not of a map. The kernel checks
 * it when it unmaps, and relies on the same answer as when it mapped. So it must not change
 * while there are maps.
 *
 * Return: 0 with the kernel's answer in cmd->error, and a reference to the device if that is
 * 0; -EBUSY.
 */
static int begin_map(struct hmmirror_dma_map *dma, struct hmmirror_dma *cmd)
{
	struct dma_target *target = cmd->flags & HMMIRROR_DMA_IOMMU ? &pci_target : &own_target;
	bool bounced = cmd->flags & HMMIRROR_DMA_BOUNCED;
	u64 mask = DMA_BIT_MASK(cmd->mask_bits ?: 64);
	int ret = 0;

	mutex_lock(&targets_lock);
	dma->target = target;
	dma->dev = target->dev;
	/* it may have been removed since hmmirror_no_iommu() */
	if (!dma->dev) {
		cmd->error = -ENODEV;
		goto out;
	}
	if (bounced && !list_empty(&target->maps)) {
		ret = -EBUSY;
		goto out;
	}
	cmd->error = dma_set_mask(dma->dev, mask);
	if (bounced)
		compat_dma_bounced(dma->dev);
	if (!cmd->error)
		cmd->error = hmm_dma_map_alloc(dma->dev, &dma->map, cmd->length >> PAGE_SHIFT,
					       PAGE_SIZE);
	if (!cmd->error) {
		get_device(dma->dev);
		list_add(&dma->list, &target->maps);
	} else if (bounced) {
		dma_set_mask(dma->dev, mask);
	}
out:
	mutex_unlock(&targets_lock);
	return ret;
}

static void set_map(struct hmmirror *mirror, struct hmmirror_dma_map *dma)
{
	mutex_lock(&mirror->pt.lock);
	mirror->dma = dma;
	mutex_unlock(&mirror->pt.lock);
}

/**
 * hmmirror_dma_create_map() - make a map of a range, with no page mapped
 * @mirror: the mirror
 * @cmd: the range, and how; (out) error and way
 *
 * Return: 0, and there is a map if @cmd->error is 0; -EBUSY or -ENOMEM.
 */
int hmmirror_dma_create_map(struct hmmirror *mirror, struct hmmirror_dma *cmd)
{
	struct hmmirror_dma_map *dma;
	int ret;

	if (mirror->dma)
		return -EBUSY;
	dma = kzalloc(sizeof(*dma), GFP_KERNEL_ACCOUNT);
	if (!dma)
		return -ENOMEM;
	dma->mirror = mirror;
	dma->start = cmd->addr;
	dma->end = cmd->addr + cmd->length;
	ret = begin_map(dma, cmd);
	if (ret || cmd->error) {
		kfree(dma);
		return ret;
	}

	if (compat_dma_uses_iova(&dma->map))
		cmd->way = HMMIRROR_DMA_IOVA;
	else
		cmd->way = dma->map.dma_list ? HMMIRROR_DMA_SINGLE : HMMIRROR_DMA_DIRECT;
	set_map(mirror, dma);
	return 0;
}

/* Hold dma_lock of the mirror, and targets_lock. Return: pages that were mapped. */
static u64 free_map(struct hmmirror_dma_map *dma)
{
	u64 pages = hmmirror_dma_unmap_range(dma->mirror, dma->start, dma->end, NULL);

	set_map(dma->mirror, NULL);
	hmm_dma_map_free(dma->dev, &dma->map);
	list_del(&dma->list);
	put_device(dma->dev);
	kfree(dma);
	return pages;
}

/* @pages: (out) pages that were mapped. Return: 0, or -EINVAL if there is no map. */
int hmmirror_dma_free_map(struct hmmirror *mirror, u64 *pages)
{
	if (!mirror->dma)
		return -EINVAL;
	mutex_lock(&targets_lock);
	*pages = free_map(mirror->dma);
	mutex_unlock(&targets_lock);
	return 0;
}

static void destroy(struct hmmirror *mirror)
{
	mutex_lock(&mirror->dma_lock);
	mutex_lock(&targets_lock);
	if (mirror->dma)
		free_map(mirror->dma);
	mutex_unlock(&mirror->dma_lock);
	/* A removal of the device unlocks dma_lock under targets_lock: it has finished with it. */
	mutex_unlock(&targets_lock);
}

const struct hmmirror_part hmmirror_dma_part = {
	.invalidate = invalidate,
	.destroy = destroy,
};

static int bind_device(struct pci_dev *pdev, const struct pci_device_id *id)
{
	int ret = -EBUSY;

	mutex_lock(&targets_lock);
	if (!pci_target.dev) {
		pci_target.dev = &pdev->dev;
		ret = 0;
	}
	mutex_unlock(&targets_lock);
	return ret;
}

/*
 * The device goes: sysfs removes it, or the module is unloaded. It loses its IOMMU domain
 * after this, so no page may stay mapped. A call that uses the map holds dma_lock, which is
 * outside of targets_lock: try, and let the call finish.
 */
static void unbind_device(struct pci_dev *pdev)
{
	struct hmmirror_dma_map *dma;
	struct hmmirror *mirror;

	mutex_lock(&targets_lock);
	pci_target.dev = NULL;
	while ((dma = list_first_entry_or_null(&pci_target.maps, struct hmmirror_dma_map, list))) {
		/* destroy() waits for targets_lock, so the mirror stays */
		mirror = dma->mirror;
		if (mutex_trylock(&mirror->dma_lock)) {
			free_map(dma);
			mutex_unlock(&mirror->dma_lock);
			continue;
		}
		mutex_unlock(&targets_lock);
		msleep(20);
		mutex_lock(&targets_lock);
	}
	mutex_unlock(&targets_lock);
}

/* QEMU's "edu", for which there is no other driver */
static const struct pci_device_id dma_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};

static struct pci_driver dma_driver = {
	.name = "hmmirror",
	.id_table = dma_ids,
	.probe = bind_device,
	.remove = unbind_device,
};

int hmmirror_dma_init(void)
{
	int ret;

	if (compat_no_dma())
		return 0;
	own_device = platform_device_register_simple("hmmirror", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(own_device))
		return PTR_ERR(own_device);
	own_target.dev = &own_device->dev;
	compat_dma_set_coherent(own_target.dev);
	ret = pci_register_driver(&dma_driver);
	if (ret)
		platform_device_unregister(own_device);
	return ret;
}

void hmmirror_dma_exit(void)
{
	if (compat_no_dma())
		return;
	pci_unregister_driver(&dma_driver);
	platform_device_unregister(own_device);
}
