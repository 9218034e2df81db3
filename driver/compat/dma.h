/* SPDX-License-Identifier: GPL-2.0 */
/* Pages of a walk mapped for DMA: newer than 6.12. */
#ifndef HMMIRROR_COMPAT_DMA_H
#define HMMIRROR_COMPAT_DMA_H

#include <linux/dma-mapping.h>
#include <linux/errno.h>
#include <linux/hmm.h>
#include <linux/iommu.h>

/* What an address of @dev leads to, as the hardware sees it. */
#ifdef CONFIG_IOMMU_API
static inline bool compat_dma_translated(struct device *dev)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	return domain && domain->type != IOMMU_DOMAIN_IDENTITY;
}

static inline phys_addr_t compat_dma_to_memory(struct device *dev, dma_addr_t address)
{
	if (!compat_dma_translated(dev))
		return address;
	return iommu_iova_to_phys(iommu_get_domain_for_dev(dev), address);
}
#else
static inline bool compat_dma_translated(struct device *dev)
{
	return false;
}

static inline phys_addr_t compat_dma_to_memory(struct device *dev, dma_addr_t address)
{
	return address;
}
#endif

/*
 * Where CPU caches can hide memory from a device, firmware says of which they do not. It does not
 * know a device that the driver plays by itself, with the CPU's accesses.
 */
static inline void compat_dma_set_coherent(struct device *dev)
{
#if defined(HAVE_DEV_SET_DMA_COHERENT)
	dev_set_dma_coherent(dev);
#elif defined(HAVE_DEVICE_DMA_COHERENT)
	dev->dma_coherent = true;
#endif
}

#ifdef HAVE_HMM_DMA
#include <linux/dma-map-ops.h>
#include <linux/hmm-dma.h>
#include <linux/pci-p2pdma.h>

#define COMPAT_PFN_DMA_FLAGS (HMM_PFN_DMA_MAPPED | HMM_PFN_P2PDMA | HMM_PFN_P2PDMA_BUS)

static inline bool compat_dma_uses_iova(struct hmm_dma_map *map)
{
	return dma_use_iova(&map->state);
}

/* Map one page. The state would spare a lookup if the next page belongs to the same device. */
static inline dma_addr_t compat_dma_map_pfn(struct device *dev, struct hmm_dma_map *map, size_t idx)
{
	struct pci_p2pdma_map_state p2p = {};

	return hmm_dma_map_pfn(dev, map, idx, &p2p);
}

/* What the bounce buffers do when one is used; setting the mask undoes it. */
static inline void compat_dma_bounced(struct device *dev)
{
	dma_reset_need_sync(dev);
}
#else
static inline void compat_dma_bounced(struct device *dev)
{
}

#define COMPAT_PFN_DMA_FLAGS	0UL
#define HMM_PFN_DMA_MAPPED	0UL
#define HMM_PFN_P2PDMA		0UL
#define HMM_PFN_P2PDMA_BUS	0UL

struct hmm_dma_map {
	unsigned long *pfn_list;
	dma_addr_t *dma_list;
};

static inline bool compat_dma_uses_iova(struct hmm_dma_map *map)
{
	return false;
}

static inline int hmm_dma_map_alloc(struct device *dev, struct hmm_dma_map *map,
				    size_t nr_entries, size_t dma_entry_size)
{
	return -EOPNOTSUPP;
}

static inline void hmm_dma_map_free(struct device *dev, struct hmm_dma_map *map)
{
}

static inline dma_addr_t compat_dma_map_pfn(struct device *dev, struct hmm_dma_map *map, size_t idx)
{
	return ~(dma_addr_t)0;
}

static inline bool hmm_dma_unmap_pfn(struct device *dev, struct hmm_dma_map *map, size_t idx)
{
	return false;
}
#endif

/* Return: why the kernel can't map what it walked for DMA, NULL if it can. */
static inline const char *compat_no_dma(void)
{
#ifdef HAVE_HMM_DMA
	return NULL;
#else
	return "the kernel has no hmm_dma_map_pfn()";
#endif
}

#endif /* HMMIRROR_COMPAT_DMA_H */
