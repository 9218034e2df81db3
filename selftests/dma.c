// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_dma_map_pfn() and hmm_dma_unmap_pfn() (6.16): pages of a walk mapped for a device's
 * DMA, directly and behind an IOMMU.
 *
 * The mapping lives in the pfn array beside the walker's answers: a second walk must keep
 * it for a page that stays, drop it for one that changed, and never unmap what is not
 * mapped. Memory that would have to bounce through swiotlb can't be mirrored and must be
 * refused.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_test.h"

#define PAGES		16
#define HUGE		((long)(hmm_pmd_size() / hmm_page_size())) /* pages of a huge page */

#define V		HMMIRROR_PTE_VALID
#define W		(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)
#define FAULT		HMMIRROR_REQ_FAULT
#define WRITE		HMMIRROR_REQ_ALL
#define MAPPED		HMMIRROR_DMA_PAGE_MAPPED
#define KEPT		(HMMIRROR_DMA_PAGE_MAPPED | HMMIRROR_DMA_PAGE_KEPT)

FIXTURE(dma)
{
	struct hmm_area area;
	struct hmmirror_dma call;
	struct hmmirror_dma_page *now;		/* of HUGE pages */
	struct hmmirror_dma_page *before;
	__u8 unmapped[PAGES];
	char why[100];
	char *addr;
	size_t page;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(dma)
{
	unsigned int flags;
	enum hmmirror_feature feature;
	enum hmmirror_dma_way way;
};

FIXTURE_VARIANT_ADD(dma, direct)
{
	.feature = HMMIRROR_FEAT_DMA,
	.way = HMMIRROR_DMA_DIRECT,
};

FIXTURE_VARIANT_ADD(dma, iommu)
{
	.flags = HMMIRROR_DMA_IOMMU,
	.feature = HMMIRROR_FEAT_DMA_IOMMU,
	.way = HMMIRROR_DMA_IOVA,
};

FIXTURE_SETUP(dma)
{
	int has;

	self->page = hmm_page_size();
	self->now = hmm_map_anon(HUGE * sizeof(*self->now), 0);
	ASSERT_NE(NULL, self->now);
	self->before = hmm_map_anon(HUGE * sizeof(*self->before), 0);
	ASSERT_NE(NULL, self->before);
	ASSERT_EQ(0, hmm_area_begin(&self->area, HUGE * self->page, 0));
	self->addr = self->area.addr;
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	has = hmm_feature(self->fd, variant->feature, self->why, sizeof(self->why));
	ASSERT_LE(0, has);
	self->setup_ret = has ? 0 : HMM_SKIP;
}

FIXTURE_TEARDOWN(dma)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->now, HUGE * sizeof(*self->now));
	hmm_unmap(self->before, HUGE * sizeof(*self->before));
}

/* Call the driver for pages of the window; the answer is in self->call. */
static int call(struct _test_data_dma *self, enum hmmirror_dma_op op, size_t first,
		size_t pages, __u64 request)
{
	self->call = (struct hmmirror_dma){
		.request = request,
		.results = (uintptr_t)(op == HMMIRROR_DMA_UNMAP ?
				       (void *)self->unmapped : self->now),
	};
	return hmm_dma_call(self->fd, &self->call, op, self->addr + first * self->page,
			    pages * self->page);
}

static int call_alloc(struct _test_data_dma *self, unsigned int flags, size_t pages,
		      unsigned int bits)
{
	self->call = (struct hmmirror_dma){ .flags = flags, .mask_bits = bits };
	return hmm_dma_call(self->fd, &self->call, HMMIRROR_DMA_ALLOC, self->addr,
			    pages * self->page);
}

static int call_free(struct _test_data_dma *self)
{
	self->call = (struct hmmirror_dma){ 0 };
	return hmm_dma_call(self->fd, &self->call, HMMIRROR_DMA_FREE, NULL, 0);
}

/* Bring pages into a state and allocate a map for them; false if the test was skipped. */
#define PREPARE(_state, _pages)						\
	prepare(_metadata, self, variant, _state, _pages)

static int prepare(struct __test_metadata *_metadata, struct _test_data_dma *self,
		   const struct _fixture_variant_dma *variant, const char *state, size_t pages)
{
	if (!REQUIRE(self->setup_ret, self->why))
		return 0;
	if (!REQUIRE(hmm_state_make(&self->area, hmm_state_find(state), 0, pages * self->page),
		     self->area.why))
		return 0;
	ASSERT_EQ(0, call_alloc(self, variant->flags, pages, 0));
	ASSERT_EQ(variant->way, self->call.way);
	return 1;
}

/* All pages are mapped, and each address leads to the CPU's page. */
#define CHECK_MAPPED(_first, _pages, _entry, _flags) \
	check_mapped(_metadata, self, variant, _first, _pages, _entry, _flags)

static void check_mapped(struct __test_metadata *_metadata, struct _test_data_dma *self,
			 const struct _fixture_variant_dma *variant, size_t first,
			 size_t pages, __u64 entry, __u64 flags)
{
	struct hmmirror_dma_page *p;
	char text[HMM_ENTRY_STR_MAX];
	__u64 map;
	size_t i;

	ASSERT_EQ(pages, self->call.pages);
	for (i = 0; i < pages; i++) {
		p = &self->now[i];
		ASSERT_EQ(entry, hmm_entry_flags(p->entry))
			TH_LOG("page %zu: %s", first + i,
			       hmm_entry_str(p->entry, text, sizeof(text)));
		ASSERT_EQ(flags, p->flags);
		ASSERT_EQ(0, hmm_pagemap_one(self->addr + (first + i) * self->page, &map));
		ASSERT_NE(0, map & HMM_PM_PRESENT);
		ASSERT_EQ((map & HMM_PM_PFN_MASK) * self->page, p->memory);
		ASSERT_EQ(variant->way == HMMIRROR_DMA_DIRECT ? p->memory :
			  self->now[0].address + i * self->page, p->address);
	}
}

static void check_not_mapped(struct __test_metadata *_metadata, struct _test_data_dma *self,
			     size_t first, size_t pages, __u64 entry)
{
	size_t i;

	for (i = first; i < first + pages; i++) {
		ASSERT_EQ(entry, self->now[i].entry);
		ASSERT_EQ(0, self->now[i].flags);
		ASSERT_EQ(0, self->now[i].address);
		ASSERT_EQ(0, self->now[i].memory);
	}
}

TEST_F(dma, map)
{
	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, MAPPED);
	ASSERT_EQ(0, call_free(self));
	ASSERT_EQ(PAGES, self->call.pages);
}

/* A page has its slot in the map, in whatever order pages are mapped. */
TEST_F(dma, partial_maps)
{
	__u64 first;

	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 9, 3, FAULT));
	CHECK_MAPPED(9, 3, W, MAPPED);
	first = self->now[0].address;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, 0));
	ASSERT_EQ(PAGES, self->call.pages);
	ASSERT_EQ(MAPPED, self->now[8].flags);
	ASSERT_EQ(KEPT, self->now[9].flags);
	ASSERT_EQ(KEPT, self->now[11].flags);
	ASSERT_EQ(MAPPED, self->now[12].flags);
	ASSERT_EQ(first, self->now[9].address);
	if (variant->way == HMMIRROR_DMA_IOVA)
		ASSERT_EQ(first, self->now[0].address + 9 * self->page);
}

/* Pages that are not present, without and with a fault. */
TEST_F(dma, not_present)
{
	if (!PREPARE("anon_none", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, 0));
	ASSERT_EQ(0, self->call.pages);
	check_not_mapped(_metadata, self, 0, PAGES, 0);
	/* no entry is valid: there is nothing to unmap */
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, 0, PAGES, 0));
	ASSERT_EQ(0, self->call.pages);
	ASSERT_EQ(-1, hmm_all_bytes((char *)self->unmapped, PAGES, 0));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, MAPPED);
}

TEST_F(dma, unmap_twice)
{
	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	memcpy(self->before, self->now, HUGE * sizeof(*self->now));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, 4, 4, 0));
	ASSERT_EQ(4, self->call.pages);
	ASSERT_EQ(-1, hmm_all_bytes((char *)self->unmapped, 4, 1));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, 4, 4, 0));
	ASSERT_EQ(0, self->call.pages);
	ASSERT_EQ(-1, hmm_all_bytes((char *)self->unmapped, 4, 0));

	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 4, 4, WRITE));
	CHECK_MAPPED(4, 4, W, MAPPED);
	ASSERT_EQ(self->before[4].address, self->now[0].address);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, 0, PAGES, 0));
	ASSERT_EQ(PAGES, self->call.pages);
	ASSERT_EQ(0, call_free(self));
	ASSERT_EQ(0, self->call.pages);
}

/* The page and its mapping stay when write access is added. */
TEST_F(dma, made_writable)
{
	if (!PREPARE("file_shared_read", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, FAULT));
	CHECK_MAPPED(0, PAGES, V, MAPPED);
	memcpy(self->before, self->now, HUGE * sizeof(*self->now));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, FAULT));
	CHECK_MAPPED(0, PAGES, V, KEPT);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, KEPT);
	ASSERT_EQ(self->before[0].address, self->now[0].address);
	ASSERT_EQ(self->before[7].memory, self->now[7].memory);
}

/* Another page takes its place: the old mapping is gone. */
TEST_F(dma, cow)
{
	if (!PREPARE("anon_cow_parent", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, FAULT));
	CHECK_MAPPED(0, PAGES, V, MAPPED);
	memcpy(self->before, self->now, HUGE * sizeof(*self->now));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, MAPPED);
	ASSERT_NE(self->before[3].memory, self->now[3].memory);
}

TEST_F(dma, invalidated)
{
	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	ASSERT_EQ(0, madvise(self->addr + 3 * self->page, 2 * self->page, MADV_DONTNEED));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, 2, 4, 0));
	ASSERT_EQ(2, self->call.pages);
	ASSERT_EQ(1, self->unmapped[0]);
	ASSERT_EQ(0, self->unmapped[1]);
	ASSERT_EQ(0, self->unmapped[2]);
	ASSERT_EQ(1, self->unmapped[3]);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 2, 4, WRITE));
	CHECK_MAPPED(2, 4, W, MAPPED);
	ASSERT_EQ(0, munmap(self->addr, PAGES * self->page));
	ASSERT_EQ(0, call_free(self));
	ASSERT_EQ(0, self->call.pages);
}

/* Pages before the error are mapped, the rest is untouched. */
TEST_F(dma, walk_error)
{
	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, munmap(self->addr + 8 * self->page, self->page));
	ASSERT_EQ(-EFAULT, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	check_not_mapped(_metadata, self, 8, PAGES - 8, HMMIRROR_PTE_UNTOUCHED);
	CHECK_MAPPED(0, 8, W, MAPPED);
	/* and an error entry of a snapshot is not mapped */
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 8, 1, 0));
	check_not_mapped(_metadata, self, 0, 1, HMMIRROR_PTE_ERROR);
}

/* Device-private memory is migrated back to be mapped. */
TEST_F(dma, device_memory)
{
	if (!PREPARE("dev_private", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, 0));
	ASSERT_EQ(0, self->call.pages);
	check_not_mapped(_metadata, self, 0, PAGES, 0);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, MAPPED);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, PAGES * self->page, 0));
}

static void check_huge(struct __test_metadata *_metadata, struct _test_data_dma *self,
		       const struct _fixture_variant_dma *variant, const char *state)
{
	if (!PREPARE(state, HUGE))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, HUGE, WRITE));
	CHECK_MAPPED(0, HUGE, W, MAPPED);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, HUGE, 0));
	CHECK_MAPPED(0, HUGE, W, KEPT);
}

TEST_F(dma, thp)
{
	check_huge(_metadata, self, variant, "thp_writable");
}

TEST_F(dma, hugetlb)
{
	check_huge(_metadata, self, variant, "hugetlb_writable");
}

/* Two mirrors of one device map the same pages. */
TEST_F(dma, two_mirrors)
{
	int fd;

	if (!PREPARE("anon_writable", PAGES))
		return;
	fd = self->fd;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	memcpy(self->before, self->now, HUGE * sizeof(*self->now));
	self->fd = hmm_open(0);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, call_alloc(self, variant->flags, PAGES, 0));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, MAPPED);
	if (variant->way == HMMIRROR_DMA_IOVA)
		ASSERT_NE(self->before[0].address, self->now[0].address);
	/* close one while its pages are mapped; the other is not affected */
	ASSERT_EQ(0, close(self->fd));
	self->fd = fd;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, KEPT);
}

static int memory_above_4g(void)
{
	unsigned long start, end;
	char line[128];
	int found = 0;
	FILE *f = fopen("/proc/iomem", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx : System RAM", &start, &end) == 2 &&
		    strstr(line, "System RAM") && end >> 32)
			found = 1;
	if (f)
		fclose(f);
	return found;
}

/*
 * With a 32-bit mask, a device that can't reach all memory would need bounce buffers, which
 * the kernel refuses. Behind an IOMMU it reaches all of it.
 */
TEST_F(dma, mask_32_bits)
{
	if (!REQUIRE(self->setup_ret, self->why))
		return;
	if (!memory_above_4g())
		SKIP(return, "no memory above 4 GiB");
	if (!REQUIRE(hmm_state_make_named(&self->area, "anon_writable", 0, PAGES * self->page),
		     self->area.why))
		return;
	if (variant->way == HMMIRROR_DMA_DIRECT) {
		ASSERT_EQ(-EOPNOTSUPP, call_alloc(self, 0, PAGES, 32));
		ASSERT_EQ(-EINVAL, call_free(self));
		/* the mask was for that map only */
		ASSERT_EQ(0, call_alloc(self, 0, PAGES, 0));
		return;
	}
	ASSERT_EQ(0, call_alloc(self, variant->flags, PAGES, 32));
	ASSERT_EQ(HMMIRROR_DMA_IOVA, self->call.way);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
	CHECK_MAPPED(0, PAGES, W, MAPPED);
	ASSERT_EQ(0, (self->now[0].address + PAGES * self->page - 1) >> 32);
}

/*
 * A map too large for the IOVA space of a 32-bit mask: each page gets an address of its
 * own.
 */
TEST_F(dma, addresses_run_out)
{
	size_t below = (5ULL << 30) / hmm_page_size(), i;
	__u64 map;

	if (!REQUIRE(self->setup_ret, self->why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "anon_writable", 0, PAGES * self->page),
		     self->area.why))
		return;
	self->addr -= below * self->page;
	if (variant->way != HMMIRROR_DMA_IOVA) {
		/* there is no IOVA space to run out of */
		ASSERT_EQ(0, call_alloc(self, variant->flags, below + PAGES, 0));
		ASSERT_EQ(HMMIRROR_DMA_DIRECT, self->call.way);
		return;
	}
	ASSERT_EQ(0, call_alloc(self, variant->flags, below + PAGES, 32));
	ASSERT_EQ(HMMIRROR_DMA_SINGLE, self->call.way);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, below, PAGES, WRITE));
	ASSERT_EQ(PAGES, self->call.pages);
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(MAPPED, self->now[i].flags);
		ASSERT_EQ(0, self->now[i].address >> 32);
		ASSERT_EQ(0, hmm_pagemap_one(self->area.addr + i * self->page, &map));
		ASSERT_EQ((map & HMM_PM_PFN_MASK) * self->page, self->now[i].memory);
	}
	memcpy(self->before, self->now, HUGE * sizeof(*self->now));
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, below, PAGES, WRITE));
	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(KEPT, self->now[i].flags);
		ASSERT_EQ(self->before[i].address, self->now[i].address);
	}
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, below, 4, 0));
	ASSERT_EQ(4, self->call.pages);
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, below, 4, 0));
	ASSERT_EQ(0, self->call.pages);
	ASSERT_EQ(0, call_free(self));
	ASSERT_EQ(PAGES - 4, self->call.pages);
}

/* Addresses are free again with their map: a 32-bit mask has them for less than four. */
TEST_F(dma, addresses_given_back)
{
	size_t below = (1ULL << 30) / hmm_page_size();
	int i;

	if (!REQUIRE(self->setup_ret, self->why))
		return;
	if (variant->way != HMMIRROR_DMA_IOVA)
		SKIP(return, "there is no IOVA space to run out of");
	self->addr -= below * self->page;
	for (i = 0; i < 6; i++) {
		ASSERT_EQ(0, call_alloc(self, variant->flags, below, 32));
		ASSERT_EQ(HMMIRROR_DMA_IOVA, self->call.way)
			TH_LOG("map %d", i);
		ASSERT_EQ(0, call_free(self));
	}
}

/* Memory that needs syncing can't be mapped for a mirror. */
TEST_F(dma, bounce_buffer)
{
	if (!REQUIRE(self->setup_ret, self->why))
		return;
	ASSERT_EQ(-EOPNOTSUPP, call_alloc(self, variant->flags | HMMIRROR_DMA_BOUNCED,
					  PAGES, 0));
	/* setting the mask again undoes it */
	ASSERT_EQ(0, call_alloc(self, variant->flags, PAGES, 0));
	ASSERT_EQ(0, call_free(self));
}

/*
 * All mirrors share one DMA device: while it has mappings, another mirror may not make it
 * bounce.
 */
TEST_F(dma, bounce_buffer_while_mapped)
{
	struct hmmirror_dma other = { .flags = variant->flags | HMMIRROR_DMA_BOUNCED };
	int fd;

	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, 0));
	ASSERT_EQ(PAGES, self->call.pages);
	fd = hmm_area_device(&self->area, 1);
	ASSERT_LE(0, fd);
	ASSERT_EQ(-EBUSY, hmm_dma_call(fd, &other, HMMIRROR_DMA_ALLOC, self->addr, self->page));
	ASSERT_EQ(0, call_free(self));
	ASSERT_EQ(PAGES, self->call.pages);
	ASSERT_EQ(-EOPNOTSUPP, hmm_dma_call(fd, &other, HMMIRROR_DMA_ALLOC, self->addr,
					    self->page));
	/* and the next map is not affected */
	ASSERT_EQ(0, call_alloc(self, variant->flags, PAGES, 0));
}

/* Can functions of the kernel be made to fail? */
static int injectable(struct hmm_area *area, int setup_ret)
{
	return setup_ret ? setup_ret : hmm_area_feature(area, HMMIRROR_FEAT_PMD_RACE);
}

/* An allocation for the map fails: there is no map, and the next try works. */
TEST_F(dma, alloc_fails)
{
	size_t below = (5ULL << 30) / hmm_page_size();

	if (!REQUIRE(injectable(&self->area, self->setup_ret), self->setup_ret ? self->why :
		     self->area.why))
		return;
	ASSERT_LE(0, hmm_inject(self->fd, HMMIRROR_INJECT_DMA_ALLOC, 1, 1));
	ASSERT_EQ(-ENOMEM, call_alloc(self, variant->flags, PAGES, 0));
	ASSERT_EQ(1, hmm_inject(self->fd, HMMIRROR_INJECT_DMA_ALLOC, 0, 0));
	ASSERT_EQ(0, call_alloc(self, variant->flags, PAGES, 0));
	ASSERT_EQ(0, call_free(self));
	if (variant->way != HMMIRROR_DMA_IOVA)
		return;

	/* where each page has its own address, there are two allocations */
	self->addr -= below * self->page;
	ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_DMA_ALLOC, 2, 1));
	ASSERT_EQ(-ENOMEM, call_alloc(self, variant->flags, below + PAGES, 32));
	ASSERT_EQ(1, hmm_inject(self->fd, HMMIRROR_INJECT_DMA_ALLOC, 0, 0));
	ASSERT_EQ(0, call_alloc(self, variant->flags, below + PAGES, 32));
	ASSERT_EQ(HMMIRROR_DMA_SINGLE, self->call.way);
	ASSERT_EQ(0, call_free(self));
}

/* Mapping one page fails: those before it stay mapped, and the next try continues. */
TEST_F(dma, map_fails)
{
	static const enum hmmirror_event events[] = {
		HMMIRROR_INJECT_DMA_MAP,
		HMMIRROR_INJECT_DMA_LINK,
		HMMIRROR_INJECT_DMA_SYNC,
	};
	size_t i, page, first = variant->way == HMMIRROR_DMA_IOVA;
	size_t last = variant->way == HMMIRROR_DMA_IOVA ? 2 : 0;

	if (!REQUIRE(injectable(&self->area, self->setup_ret), self->setup_ret ? self->why :
		     self->area.why))
		return;
	if (!PREPARE("anon_writable", PAGES))
		return;
	for (i = first; i <= last; i++) {
		ASSERT_LE(0, hmm_inject(self->fd, events[i], 3, 1));
		ASSERT_EQ(-EIO, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
		ASSERT_EQ(1, hmm_inject(self->fd, events[i], 0, 0));
		ASSERT_EQ(2, self->call.pages);
		for (page = 0; page < PAGES; page++)
			ASSERT_EQ(page < 2 ? MAPPED : 0, self->now[page].flags);
		ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, WRITE));
		for (page = 0; page < PAGES; page++)
			ASSERT_EQ(page < 2 ? KEPT : MAPPED, self->now[page].flags);
		ASSERT_EQ(0, call(self, HMMIRROR_DMA_UNMAP, 0, PAGES, 0));
		ASSERT_EQ(PAGES, self->call.pages);
	}
}

TEST_F(dma, arguments)
{
	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(-EBUSY, call_alloc(self, variant->flags, PAGES, 0));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_MAP, PAGES, 1, 0));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_MAP, 0, PAGES + 1, 0));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_UNMAP, PAGES - 1, 2, 0));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_UNMAP, 0, 1, FAULT));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_MAP, 0, 1, HMMIRROR_REQ_WRITE));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_FREE, 0, 1, 0));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_FREE + 1, 0, 1, 0));
	self->call.op = HMMIRROR_DMA_MAP;
	self->call.results = 8;
	ASSERT_EQ(-EFAULT, hmm_ioctl_dma(self->fd, &self->call));
	self->call.results = (uintptr_t)self->now;
	self->call.flags = HMMIRROR_DMA_IOMMU;
	ASSERT_EQ(-EINVAL, hmm_ioctl_dma(self->fd, &self->call));
	ASSERT_EQ(0, call_free(self));
	ASSERT_EQ(-EINVAL, call_free(self));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_MAP, 0, 1, 0));
	ASSERT_EQ(-EINVAL, call_alloc(self, 4, PAGES, 0));
	ASSERT_EQ(-EINVAL, call_alloc(self, variant->flags, PAGES, 23));
	ASSERT_EQ(-EINVAL, call_alloc(self, variant->flags, PAGES, 65));
	ASSERT_EQ(-EINVAL, call_alloc(self, variant->flags, 0, 0));
}

/* The query and the call agree. */
TEST_F(dma, query_matches)
{
	ASSERT_EQ(!!self->setup_ret, !!self->why[0]);
	ASSERT_EQ(self->setup_ret ? -EOPNOTSUPP : 0, call_alloc(self, variant->flags, PAGES, 0));
}

#define PCI_DRIVER	"/sys/bus/pci/drivers/hmmirror"

static int write_one(const char *path)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int ret = fd < 0 || write(fd, "1", 1) != 1 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

/* Return: 0, or -errno; @path is that of a file of the PCI device. */
static int pci_file(const char *name, char *path, size_t size)
{
	struct dirent *entry;
	DIR *dir = opendir(PCI_DRIVER);
	int ret = -ENODEV;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (strchr(entry->d_name, ':') &&
		    snprintf(path, size, "/sys/bus/pci/devices/%s/%s", entry->d_name, name) > 0)
			ret = 0;
	closedir(dir);
	return ret;
}

/*
 * The device is removed while pages are mapped for it: it loses its IOMMU domain, so they must
 * be unmapped before, and the mirror has no map any more. It comes back as good as new.
 */
TEST_F(dma, device_removed)
{
	char path[100];

	if (variant->way != HMMIRROR_DMA_IOVA)
		SKIP(return, "only the device behind an IOMMU is a PCI device");
	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, 0));
	ASSERT_EQ(PAGES, self->call.pages);
	ASSERT_EQ(0, pci_file("remove", path, sizeof(path)));
	ASSERT_EQ(0, write_one(path));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_MAP, 0, PAGES, 0));
	ASSERT_EQ(-EINVAL, call(self, HMMIRROR_DMA_UNMAP, 0, PAGES, 0));
	ASSERT_EQ(-EINVAL, call_free(self));
	ASSERT_EQ(-EOPNOTSUPP, call_alloc(self, variant->flags, PAGES, 0));
	ASSERT_EQ(0, madvise(self->addr, PAGES * self->page, MADV_DONTNEED));

	ASSERT_EQ(0, write_one("/sys/bus/pci/rescan"));
	if (!PREPARE("anon_writable", PAGES))
		return;
	ASSERT_EQ(0, call(self, HMMIRROR_DMA_MAP, 0, PAGES, 0));
	CHECK_MAPPED(0, PAGES, W, MAPPED);
	ASSERT_EQ(0, call_free(self));
}

#include "hmm_main.h"
