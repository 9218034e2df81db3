/* SPDX-License-Identifier: GPL-2.0 */
/* Memory of a PCI device that others may reach by DMA (pci_p2pdma). */
#ifndef HMM_PEER_H
#define HMM_PEER_H

#include <stddef.h>

/* Where the memory is, seen from the device that does DMA, PCI device 1234:11e8. */
enum hmm_peer {
	HMM_PEER_NEAR,		/* behind the same bridge */
	HMM_PEER_FAR,		/* the host bridge is between them */
};

struct hmm_area;

/**
 * hmm_peer_map - map such memory into a window
 * @area: the window
 * @where: whose memory
 * @addr: where in the window, page aligned
 * @length: bytes, page multiple
 *
 * Proves by pagemap and by the resources of the PCI device that its memory is
 * there. From /sys/bus/pci/devices/.../p2pmem/allocate, which 6.2 and later have.
 *
 * Return: 0, HMM_SKIP or -errno, with the reason in @area->why.
 */
int hmm_peer_map(struct hmm_area *area, enum hmm_peer where, char *addr, size_t length);

/* hmm_peer_forwarded - does the kernel trust this host bridge to forward such DMA? */
int hmm_peer_forwarded(void);

#endif /* HMM_PEER_H */
