// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>
#include <linux/hmm-dma.h>
#include <linux/pci-p2pdma.h>

dma_addr_t probe(struct device *dev, struct hmm_dma_map *map, struct pci_p2pdma_map_state *p2p);
dma_addr_t probe(struct device *dev, struct hmm_dma_map *map, struct pci_p2pdma_map_state *p2p)
{
	map->pfn_list[0] |= HMM_PFN_DMA_MAPPED;
	return hmm_dma_map_pfn(dev, map, 0, p2p);
}
