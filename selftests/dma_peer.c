// SPDX-License-Identifier: GPL-2.0
/*
 * Peer-to-peer DMA: memory of one PCI device (a BAR, by pci_p2pdma) in a process's address
 * space, mapped for the DMA of another.
 *
 * Depending on the bridges between the two, the address is a bus address, an IOVA through
 * the host bridge, or there is no way and the mapping must fail. It must never be treated
 * as system memory.
 */
#include "hmm_test.h"

#define PAGES	8
#define W	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)

FIXTURE(dma_peer)
{
	struct hmm_area area;
	struct hmmirror_dma call;
	struct hmmirror_dma_page now[PAGES];
	struct hmmirror_dma_page before[PAGES];
	__u8 unmapped[PAGES];
	size_t page;
	int fd;
};

FIXTURE_VARIANT(dma_peer)
{
	enum hmm_peer where;
	__u64 flags;	/* expected HMMIRROR_DMA_PAGE_* of a page */
};

/* Both are behind one bridge: no IOMMU is involved. */
FIXTURE_VARIANT_ADD(dma_peer, bus)
{
	.where = HMM_PEER_NEAR,
	.flags = HMMIRROR_DMA_PAGE_MAPPED | HMMIRROR_DMA_PAGE_PEER_BUS,
};

FIXTURE_VARIANT_ADD(dma_peer, host_bridge)
{
	.where = HMM_PEER_FAR,
	.flags = HMMIRROR_DMA_PAGE_MAPPED | HMMIRROR_DMA_PAGE_PEER,
};

FIXTURE_SETUP(dma_peer)
{
	self->page = hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin(&self->area, PAGES * self->page, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(dma_peer)
{
	hmm_area_end(&self->area);
}

static int alloc(struct _test_data_dma_peer *self, unsigned int flags)
{
	self->call = (struct hmmirror_dma){ .flags = flags };
	return hmm_dma_call(self->fd, &self->call, HMMIRROR_DMA_ALLOC, self->area.addr,
			    PAGES * self->page);
}

static int map(struct _test_data_dma_peer *self)
{
	memcpy(self->before, self->now, sizeof(self->now));
	self->call = (struct hmmirror_dma){
		.request = HMMIRROR_REQ_ALL,
		.results = (uintptr_t)self->now,
	};
	return hmm_dma_call(self->fd, &self->call, HMMIRROR_DMA_MAP, self->area.addr,
			    PAGES * self->page);
}

static int unmap(struct _test_data_dma_peer *self, size_t first, size_t pages)
{
	self->call = (struct hmmirror_dma){ .results = (uintptr_t)self->unmapped };
	return hmm_dma_call(self->fd, &self->call, HMMIRROR_DMA_UNMAP,
			    self->area.addr + first * self->page, pages * self->page);
}

static int free_map(struct _test_data_dma_peer *self)
{
	self->call = (struct hmmirror_dma){ 0 };
	return hmm_dma_call(self->fd, &self->call, HMMIRROR_DMA_FREE, NULL, 0);
}

/* Map pages of the peer, and allocate a map for the device behind the IOMMU. */
static int prepare(struct _test_data_dma_peer *self,
		   const struct _fixture_variant_dma_peer *variant)
{
	struct hmm_area *area = &self->area;
	int ret = hmm_area_feature(area, HMMIRROR_FEAT_DMA_IOMMU);

	if (!ret)
		ret = hmm_peer_map(area, variant->where, area->addr, area->length);
	if (!ret && variant->where == HMM_PEER_FAR && !hmm_peer_forwarded())
		ret = hmm_skip(area, "the kernel does not know that this host bridge forwards DMA");
	if (!ret)
		ret = alloc(self, HMMIRROR_DMA_IOMMU);
	return ret;
}

/* A bus address is the memory's own address. */
static void check_mapped(struct __test_metadata *_metadata, struct _test_data_dma_peer *self,
			 const struct _fixture_variant_dma_peer *variant, __u64 flags)
{
	__u64 entry, address;
	size_t i;

	ASSERT_EQ(PAGES, self->call.pages);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(0, hmm_pagemap_one(self->area.addr + i * self->page, &entry));
		address = (entry & HMM_PM_PFN_MASK) * self->page;
		ASSERT_EQ(W, hmm_entry_flags(self->now[i].entry));
		ASSERT_EQ(variant->flags | flags, self->now[i].flags);
		ASSERT_EQ(address, self->now[i].memory);
		ASSERT_EQ(variant->where == HMM_PEER_NEAR ? address :
			  self->now[0].address + i * self->page, self->now[i].address);
	}
}

TEST_F(dma_peer, map)
{
	if (!REQUIRE(prepare(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, map(self));
	check_mapped(_metadata, self, variant, 0);
	ASSERT_EQ(0, free_map(self));
	ASSERT_EQ(PAGES, self->call.pages);
}

TEST_F(dma_peer, map_again)
{
	size_t i;

	if (!REQUIRE(prepare(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, map(self));
	ASSERT_EQ(0, map(self));
	check_mapped(_metadata, self, variant, HMMIRROR_DMA_PAGE_KEPT);
	for (i = 0; i < PAGES; i++)
		ASSERT_EQ(self->before[i].address, self->now[i].address);

	ASSERT_EQ(0, unmap(self, 2, 3));
	ASSERT_EQ(3, self->call.pages);
	ASSERT_EQ(-1, hmm_all_bytes((char *)self->unmapped, 3, 1));
	ASSERT_EQ(0, unmap(self, 2, 3));
	ASSERT_EQ(0, self->call.pages);
	ASSERT_EQ(0, map(self));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(variant->flags | (i >= 2 && i < 5 ? 0 : HMMIRROR_DMA_PAGE_KEPT),
			  self->now[i].flags);
		ASSERT_EQ(self->before[i].address, self->now[i].address);
	}
}

TEST_F(dma_peer, invalidated)
{
	if (!REQUIRE(prepare(self, variant), self->area.why))
		return;
	ASSERT_EQ(0, map(self));
	ASSERT_EQ(0, munmap(self->area.addr, 3 * self->page));
	ASSERT_EQ(0, free_map(self));
	ASSERT_EQ(PAGES - 3, self->call.pages);
}

/* A device outside of PCI can't reach the peer's memory. Pages before it are mapped. */
TEST_F(dma_peer, refused)
{
	struct hmm_area *area = &self->area;
	size_t half = PAGES / 2 * self->page, i;

	if (!REQUIRE(hmm_area_feature(area, HMMIRROR_FEAT_DMA), area->why))
		return;
	if (!REQUIRE(hmm_state_make_named(area, "anon_writable", 0, half), area->why))
		return;
	if (!REQUIRE(hmm_peer_map(area, variant->where, area->addr + half, half), area->why))
		return;
	ASSERT_EQ(0, alloc(self, 0));
	ASSERT_EQ(-EIO, map(self));
	ASSERT_EQ(PAGES / 2, self->call.pages);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(W, hmm_entry_flags(self->now[i].entry));
		ASSERT_EQ(i < PAGES / 2 ? HMMIRROR_DMA_PAGE_MAPPED : 0, self->now[i].flags);
	}
	ASSERT_EQ(0, free_map(self));
	ASSERT_EQ(PAGES / 2, self->call.pages);
}

#include "hmm_main.h"
