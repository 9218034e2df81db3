// SPDX-License-Identifier: GPL-2.0
/*
 * The lists of a struct hmm_dma_map: hmm_dma_map_alloc() allocates one of page frames and, where
 * each page gets an I/O address of its own, one of these. hmm_dma_map_free() must free what is
 * there, and so must an allocation that fails half way.
 *
 * With pages of 4 KiB only vmalloc() can give lists for so many, and /proc/meminfo counts its
 * memory. kmalloc() gives more with larger pages. There is no room for them in 32 bits.
 */
#include <errno.h>

#include "hmm_test.h"

#define ROUNDS	4
#define PAGES	(5ULL << 18)

FIXTURE(dma_lists)
{
	struct hmm_area area;
	char why[100];
	char *addr;
	size_t length;
	size_t max_length;	/* of a call */
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(dma_lists)
{
	unsigned int flags;
	unsigned int bits;
	enum hmmirror_feature feature;
	enum hmmirror_dma_way way;
	unsigned int fails;	/* the allocation that fails; 0: none */
};

FIXTURE_VARIANT_ADD(dma_lists, direct)
{
	.feature = HMMIRROR_FEAT_DMA,
	.way = HMMIRROR_DMA_DIRECT,
};

FIXTURE_VARIANT_ADD(dma_lists, iova)
{
	.flags = HMMIRROR_DMA_IOMMU,
	.feature = HMMIRROR_FEAT_DMA_IOMMU,
	.way = HMMIRROR_DMA_IOVA,
};

/* 32 bits are not enough for addresses in one piece. */
FIXTURE_VARIANT_ADD(dma_lists, single)
{
	.flags = HMMIRROR_DMA_IOMMU,
	.bits = 32,
	.feature = HMMIRROR_FEAT_DMA_IOMMU,
	.way = HMMIRROR_DMA_SINGLE,
};

FIXTURE_VARIANT_ADD(dma_lists, second_fails)
{
	.flags = HMMIRROR_DMA_IOMMU,
	.bits = 32,
	.feature = HMMIRROR_FEAT_DMA_IOMMU,
	.fails = 2,
};

FIXTURE_SETUP(dma_lists)
{
	struct hmmirror_query query = { 0 };
	int has;

	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_page_size(), 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, hmm_ioctl_query(self->fd, &query));
	self->max_length = query.max_range;
	self->length = PAGES * hmm_page_size();
	/* that it fails can be seen with shorter lists, too, which nobody counts */
	if (variant->fails && self->length > self->max_length)
		self->length = self->max_length;
	/* nothing has to be mapped there */
	self->addr = self->area.addr - self->length;
	has = hmm_feature(self->fd, variant->feature, self->why, sizeof(self->why));
	ASSERT_LE(0, has);
	self->setup_ret = has ? 0 : HMM_SKIP;
}

FIXTURE_TEARDOWN(dma_lists)
{
	hmm_area_end(&self->area);
}

TEST_F(dma_lists, freed)
{
	long list_kb = PAGES * sizeof(__u64) / 1024;
	long before = hmm_meminfo("VmallocUsed:"), more;
	int i;

	if (!REQUIRE(self->setup_ret, self->why))
		return;
	if (variant->fails &&
	    !REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_PMD_RACE), self->area.why))
		return;
	if (before <= 0)
		SKIP(return, "no count of vmalloc() memory in /proc/meminfo");
	if (self->length > self->max_length)
		SKIP(return, "no call takes so many pages of this size (max_range_mb)");
	for (i = 0; i < ROUNDS; i++) {
		struct hmmirror_dma dma = { .flags = variant->flags, .mask_bits = variant->bits };

		if (variant->fails)
			ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_DMA_ALLOC,
						variant->fails, 1));
		ASSERT_EQ(variant->fails ? -ENOMEM : 0,
			  hmm_dma_call(self->fd, &dma, HMMIRROR_DMA_ALLOC, self->addr,
				       self->length));
		if (variant->fails) {
			ASSERT_EQ(1, hmm_inject(self->fd, HMMIRROR_INJECT_DMA_ALLOC, 0, 0));
			continue;
		}
		ASSERT_EQ(variant->way, dma.way);
		/* other tasks end meanwhile, and their stacks are such memory, too */
		if (hmm_meminfo("VmallocUsed:") < before + list_kb / 2)
			SKIP(return, "kmalloc() gives lists of this length: nobody counts them");
		dma = (struct hmmirror_dma){ 0 };
		ASSERT_EQ(0, hmm_dma_call(self->fd, &dma, HMMIRROR_DMA_FREE, NULL, 0));
	}
	more = hmm_meminfo("VmallocUsed:") - before;
	ASSERT_FALSE(more > 2 * list_kb)
		TH_LOG("%ld KiB more after %d maps, a list has %ld", more, ROUNDS, list_kb);
}

#include "hmm_main.h"
