/* SPDX-License-Identifier: GPL-2.0 */
/* Memory of a PCI device that another one can reach by DMA (pci_p2pdma). */
#ifndef HMM_PEER_H
#define HMM_PEER_H

#include <stddef.h>

/* Where the memory is, seen from the device that does the DMA (PCI ID 1234:11e8). */
enum hmm_peer {
	HMM_PEER_NEAR,		/* behind the same bridge */
	HMM_PEER_FAR,		/* the host bridge is between them */
};

struct hmm_area;

/**
 * hmm_peer_map - map such memory into an area
 * @area: the window
 * @where: of which device
 * @addr: in the window, page aligned
 * @length: bytes, page multiple
 *
 * By /sys/bus/pci/devices/.../p2pmem/allocate (6.2). Proves by pagemap and by the resources
 * of the PCI device that its memory is mapped.
 *
 * Return: 0, HMM_SKIP or -errno, with the reason in @area->why.
 */
int hmm_peer_map(struct hmm_area *area, enum hmm_peer where, char *addr, size_t length);

/* hmm_peer_forwarded - does the kernel know that this host bridge forwards such DMA? */
int hmm_peer_forwarded(void);

#endif /* HMM_PEER_H */
