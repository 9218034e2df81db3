// SPDX-License-Identifier: GPL-2.0
/*
 * What was walked, mapped for DMA of a device, and HMMIRROR_DMA on top of it.
 *
 * There are two devices: one of our own, whose DMA addresses are those of the
 * memory, and a PCI device that sits behind an IOMMU, if there is one. No DMA is
 * ever started.
 *
 * map->pfn_list is changed only with mirror->lock held, and an invalidation
 * unmaps what it hits. The walker gets a copy: it keeps the flags that tell what
 * is mapped, but would write back ones that are gone.
 */
#include <linux/pci.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

struct hmmirror_dma_map {
	struct hmm_dma_map map;
	struct device *dev;
	unsigned int *maps;	/* of dev */
	unsigned long start;
	unsigned long end;
};

static struct platform_device *own_device;
static struct device *pci_device;	/* bound to us, or NULL */
static unsigned int own_maps, pci_maps;
static DEFINE_MUTEX(mask_lock);	/* protects all these, and the DMA masks */

static int bind_device(struct pci_dev *pdev, const struct pci_device_id *id)
{
	if (pci_device)
		return -EBUSY;
	pci_device = &pdev->dev;
	return 0;
}

/* The module goes, or somebody takes the device away by sysfs: there is one. */
static void unbind_device(struct pci_dev *pdev)
{
	mutex_lock(&mask_lock);
	pci_device = NULL;
	mutex_unlock(&mask_lock);
}

/* QEMU's "edu", which nobody else has a driver for */
static const struct pci_device_id dma_ids[] = {
	{ PCI_DEVICE(0x1234, 0x11e8) },
	{ }
};

static struct pci_driver dma_driver = {
	.name = "hmmirror",
	.id_table = dma_ids,
	.probe = bind_device,
	.remove = unbind_device,
	/* a map of a mirror that is open may be in use */
	.driver.suppress_bind_attrs = true,
};

/* Return: why nothing can be mapped behind an IOMMU, NULL if it can. */
const char *hmmirror_no_iommu(void)
{
	const char *why = compat_no_dma();

	if (why)
		return why;
	mutex_lock(&mask_lock);
	if (!pci_device)
		why = "there is no PCI device 1234:11e8 (-device edu of QEMU)";
	else if (!compat_dma_translated(pci_device))
		why = "no IOMMU translates for it (-device intel-iommu, intel_iommu=on)";
	mutex_unlock(&mask_lock);
	return why;
}

static bool map_covers(const struct hmmirror_dma_map *dma, unsigned long start, unsigned long end)
{
	return dma && start >= dma->start && end <= dma->end;
}

static unsigned long map_index(const struct hmmirror_dma_map *dma, unsigned long addr)
{
	return (addr - dma->start) >> PAGE_SHIFT;
}

/**
 * hmmirror_dma_invalidate() - the device must not reach these pages any more
 * @mirror: the mirror, locked
 * @start: first byte
 * @end: first byte behind
 */
void hmmirror_dma_invalidate(struct hmmirror *mirror, unsigned long start, unsigned long end)
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

/* A walk whose pages are to be mapped. */
struct dma_walk {
	struct hmmirror_walk walk;
	struct hmmirror_dma_map *dma;
	struct hmmirror_dma_page *results;
	u64 mapped;
	int error;
};

static void prepare_walk(struct hmmirror_walk *walk)
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
	struct hmmirror_dma_page *result = &dw->results[i];
	struct pci_p2pdma_map_state p2p = {};
	dma_addr_t address;

	dma->map.pfn_list[index] = hmm_pfn;
	if (!(hmm_pfn & HMM_PFN_VALID))
		return;
	address = hmm_dma_map_pfn(dma->dev, &dma->map, index, &p2p);
	if (dma_mapping_error(dma->dev, address)) {
		dw->error = -EIO;
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
	dw->mapped++;
}

/* mirror->lock held, and nothing was invalidated since the walk began */
static void accept_walk(struct hmmirror_walk *walk, unsigned long nr)
{
	struct dma_walk *dw = container_of(walk, struct dma_walk, walk);
	unsigned long i;

	for (i = 0; i < nr && !dw->error; i++)
		map_one(dw, i, walk->entries[i]);
}

/*
 * Whether memory has to be synced is known of a device, not of a map; the kernel
 * looks at it again when it unmaps, and takes it that it was so from the start. So
 * nobody can set it while there are maps.
 *
 * Return: 0 with the kernel's answer in cmd->error, and if that is 0, a reference
 * to dma->dev; -EBUSY.
 */
static int map_begin(struct hmmirror_dma_map *dma, struct hmmirror_dma *cmd)
{
	bool bounced = cmd->flags & HMMIRROR_DMA_BOUNCED;
	u64 mask = DMA_BIT_MASK(cmd->mask_bits ?: 64);
	bool pci = cmd->flags & HMMIRROR_DMA_IOMMU;
	int ret = 0;

	mutex_lock(&mask_lock);
	dma->dev = pci ? pci_device : &own_device->dev;
	dma->maps = pci ? &pci_maps : &own_maps;
	/* it can have been taken away since hmmirror_no_iommu() was asked */
	if (!dma->dev) {
		cmd->error = -ENODEV;
		goto out;
	}
	if (bounced && *dma->maps) {
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
		++*dma->maps;
	} else if (bounced) {
		dma_set_mask(dma->dev, mask);
	}
out:
	mutex_unlock(&mask_lock);
	return ret;
}

static int alloc_map(struct hmmirror *mirror, struct hmmirror_dma *cmd)
{
	struct hmmirror_dma_map *dma;
	int ret;

	if (mirror->dma)
		return -EBUSY;
	dma = kzalloc(sizeof(*dma), GFP_KERNEL_ACCOUNT);
	if (!dma)
		return -ENOMEM;
	dma->start = cmd->addr;
	dma->end = cmd->addr + cmd->length;
	ret = map_begin(dma, cmd);
	if (ret || cmd->error) {
		kfree(dma);
		return ret;
	}

	if (compat_dma_uses_iova(&dma->map))
		cmd->way = HMMIRROR_DMA_IOVA;
	else
		cmd->way = dma->map.dma_list ? HMMIRROR_DMA_SINGLE : HMMIRROR_DMA_DIRECT;
	mutex_lock(&mirror->lock);
	mirror->dma = dma;
	mutex_unlock(&mirror->lock);
	return 0;
}

/* Return: pages that were mapped; which ones is in @unmapped, if not NULL. */
static u64 unmap_pages(struct hmmirror *mirror, unsigned long start, unsigned long end,
		       u8 *unmapped)
{
	struct hmmirror_dma_map *dma = mirror->dma;
	u64 pages = 0;

	mutex_lock(&mirror->lock);
	for (; start < end; start += PAGE_SIZE) {
		bool was = hmm_dma_unmap_pfn(dma->dev, &dma->map, map_index(dma, start));

		pages += was;
		if (unmapped)
			*unmapped++ = was;
		cond_resched();
	}
	mutex_unlock(&mirror->lock);
	return pages;
}

/* The last of a mirror, or mirror->dma_lock is held. */
u64 hmmirror_dma_free(struct hmmirror *mirror)
{
	struct hmmirror_dma_map *dma = mirror->dma;
	u64 pages;

	if (!dma)
		return 0;
	pages = unmap_pages(mirror, dma->start, dma->end, NULL);
	mutex_lock(&mirror->lock);
	mirror->dma = NULL;
	mutex_unlock(&mirror->lock);
	hmm_dma_map_free(dma->dev, &dma->map);
	mutex_lock(&mask_lock);
	--*dma->maps;
	mutex_unlock(&mask_lock);
	put_device(dma->dev);
	kfree(dma);
	return pages;
}

static int map_range(struct hmmirror *mirror, struct hmmirror_dma *cmd)
{
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	struct dma_walk dw = {
		.walk = {
			.start = cmd->addr,
			.end = cmd->addr + cmd->length,
			.default_flags = cmd->request,
			.system_only = true,
			.prepare = prepare_walk,
			.accept = accept_walk,
		},
		.dma = mirror->dma,
	};
	unsigned long i;
	int ret = -ENOMEM;

	if (!hmmirror_user_writable(cmd->results, nr * sizeof(*dw.results)))
		return -EFAULT;
	dw.walk.entries = kvmalloc_array(nr, sizeof(u64), GFP_KERNEL_ACCOUNT);
	dw.results = kvcalloc(nr, sizeof(*dw.results), GFP_KERNEL_ACCOUNT);
	if (!dw.walk.entries || !dw.results)
		goto out;

	ret = hmmirror_walk(mirror, &dw.walk);
	if (ret == -EINTR)
		goto out;
	cmd->error = ret ?: dw.error;
	cmd->pages = dw.mapped;
	for (i = 0; i < nr; i++)
		dw.results[i].entry = dw.walk.entries[i];
	ret = 0;
	if (copy_to_user(u64_to_user_ptr(cmd->results), dw.results, nr * sizeof(*dw.results)))
		ret = -EFAULT;
out:
	kvfree(dw.results);
	kvfree(dw.walk.entries);
	return ret;
}

static int unmap_range(struct hmmirror *mirror, struct hmmirror_dma *cmd)
{
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	u8 *unmapped;
	int ret;

	if (!hmmirror_user_writable(cmd->results, nr))
		return -EFAULT;
	unmapped = kvmalloc(nr, GFP_KERNEL_ACCOUNT);
	if (!unmapped)
		return -ENOMEM;
	cmd->pages = unmap_pages(mirror, cmd->addr, cmd->addr + cmd->length, unmapped);
	ret = copy_to_user(u64_to_user_ptr(cmd->results), unmapped, nr) ? -EFAULT : 0;
	kvfree(unmapped);
	return ret;
}

static int check_call(struct hmmirror *mirror, const struct hmmirror_dma *cmd)
{
	if (cmd->op > HMMIRROR_DMA_FREE)
		return -EINVAL;
	if (cmd->op != HMMIRROR_DMA_ALLOC && (cmd->flags || cmd->mask_bits))
		return -EINVAL;
	if (cmd->flags & ~(HMMIRROR_DMA_IOMMU | HMMIRROR_DMA_BOUNCED))
		return -EINVAL;
	if (cmd->mask_bits && (cmd->mask_bits < 24 || cmd->mask_bits > 64))
		return -EINVAL;
	if (cmd->request && (cmd->op != HMMIRROR_DMA_MAP || !hmmirror_request_ok(cmd->request)))
		return -EINVAL;
	if (cmd->op == HMMIRROR_DMA_FREE)
		return cmd->addr || cmd->length ? -EINVAL : 0;
	return hmmirror_check_span(mirror, cmd->addr, cmd->length, PAGE_SIZE);
}

int hmmirror_ioctl_dma(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_failing *failing;
	struct hmmirror_dma *cmd = arg;
	int ret;

	ret = check_call(mirror, cmd);
	if (ret)
		return ret;
	if (cmd->flags & HMMIRROR_DMA_IOMMU ? hmmirror_no_iommu() : compat_no_dma())
		return -EOPNOTSUPP;
	cmd->error = 0;
	cmd->pages = 0;

	if (!hmmirror_mm_get(mirror))
		return -ESRCH;
	ret = -EINTR;
	if (mutex_lock_killable(&mirror->dma_lock))
		goto out;
	failing = hmmirror_fail_begin(mirror, HMMIRROR_INJECT_DMA_ALLOC,
				      HMMIRROR_INJECT_DMA_MAP);
	if (cmd->op == HMMIRROR_DMA_ALLOC)
		ret = alloc_map(mirror, cmd);
	else if (cmd->op == HMMIRROR_DMA_FREE)
		ret = mirror->dma ? 0 : -EINVAL;
	else
		ret = map_covers(mirror->dma, cmd->addr, cmd->addr + cmd->length) ? 0 : -EINVAL;

	if (!ret && cmd->op == HMMIRROR_DMA_MAP)
		ret = map_range(mirror, cmd);
	else if (!ret && cmd->op == HMMIRROR_DMA_UNMAP)
		ret = unmap_range(mirror, cmd);
	else if (!ret && cmd->op == HMMIRROR_DMA_FREE)
		cmd->pages = hmmirror_dma_free(mirror);
	hmmirror_fail_end(failing);
	mutex_unlock(&mirror->dma_lock);
out:
	mmput(mirror->mm);
	return ret;
}

int __init hmmirror_dma_init(void)
{
	int ret;

	if (compat_no_dma())
		return 0;
	own_device = platform_device_register_simple("hmmirror", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(own_device))
		return PTR_ERR(own_device);
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
