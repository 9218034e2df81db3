// SPDX-License-Identifier: GPL-2.0
/*
 * A range is invalidated while a driver is about to call hmm_range_fault(), or when the
 * walker has answered but the driver has not yet used the answer. The driver under test
 * holds the walk at either point.
 *
 * mmu_interval_read_retry() must catch it whatever changed the range: the walk is done
 * again and reports what is there then. A driver that used the first answer would keep a
 * stale pfn.
 */
#include <errno.h>
#include <numa.h>
#include <numaif.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES		8
#define LIMIT_MS	8000

#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define PRIVATE	HMMIRROR_PTE_PRIVATE

#define MAX_PTES_NONE	"/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

FIXTURE(walk_retry)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t length;
	int fd;
};

FIXTURE_VARIANT(walk_retry)
{
	/* prepare the range: 0, HMM_SKIP or -errno; NULL: small written pages */
	int (*prepare)(struct hmm_area *area, size_t length);
	int (*change)(struct hmm_area *area, size_t length);
	__u64 after;	/* flags that the second walk reports */
};

static int small_pages(struct hmm_area *area, size_t length)
{
	int ret = hmm_area_map_small(area, area->addr, length, PROT_READ | PROT_WRITE);

	if (!ret)
		hmm_pattern_fill(area->addr, length, 0);
	return ret;
}

static int unmap(struct hmm_area *area, size_t length)
{
	return munmap(area->addr, length);
}

FIXTURE_VARIANT_ADD(walk_retry, munmap)
{
	.change = unmap,
	.after = HMMIRROR_PTE_ERROR,
};

static int readonly(struct hmm_area *area, size_t length)
{
	return mprotect(area->addr, length, PROT_READ);
}

FIXTURE_VARIANT_ADD(walk_retry, mprotect)
{
	.change = readonly,
	.after = VALID,
};

static int move(struct hmm_area *area, size_t length)
{
	return mremap(area->addr, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
		      area->addr + length) == MAP_FAILED;
}

FIXTURE_VARIANT_ADD(walk_retry, mremap)
{
	.change = move,
	.after = HMMIRROR_PTE_ERROR,
};

static int zap(struct hmm_area *area, size_t length)
{
	return madvise(area->addr, length, MADV_DONTNEED);
}

FIXTURE_VARIANT_ADD(walk_retry, dontneed)
{
	.change = zap,
	.after = 0,
};

static int share(struct hmm_area *area, size_t length)
{
	(void)length;
	return hmm_area_share(area, 0);
}

FIXTURE_VARIANT_ADD(walk_retry, fork)
{
	.change = share,
	.after = VALID,
};

static int device_memory(struct hmm_area *area, size_t length)
{
	int ret = hmm_area_memory(area, 0);

	return ret ? ret : small_pages(area, length);
}

static int migrate(struct hmm_area *area, size_t length)
{
	return hmm_to_device(hmm_area_device(area, 0), area->addr, length, NULL, NULL);
}

FIXTURE_VARIANT_ADD(walk_retry, migrate)
{
	.prepare = device_memory,
	.change = migrate,
	.after = VALID | WRITE | PRIVATE,
};

/* move_pages(): as compaction and NUMA balancing, another physical page. */
static int two_nodes(struct hmm_area *area, size_t length)
{
	if (access("/sys/devices/system/node/node1", F_OK))
		return hmm_skip(area, "one NUMA node only");
	return small_pages(area, length);
}

static int move_node(struct hmm_area *area, size_t length)
{
	int nodes[PAGES], status[PAGES];
	void *pages[PAGES];
	size_t i, count = length / hmm_page_size();
	long left;

	for (i = 0; i < count; i++)
		pages[i] = area->addr + i * hmm_page_size();
	if (move_pages(0, count, pages, NULL, status, 0))
		return -errno;
	for (i = 0; i < count; i++)
		nodes[i] = !status[i];
	left = move_pages(0, count, pages, nodes, status, MPOL_MF_MOVE);
	if (left < 0)
		return -errno;
	if (left)
		return hmm_fail(area, 0, "move_pages() says that it left %ld pages", left);
	for (i = 0; i < count; i++)
		if (status[i] != nodes[i])
			return -EBUSY;
	return 0;
}

FIXTURE_VARIANT_ADD(walk_retry, move_pages)
{
	.prepare = two_nodes,
	.change = move_node,
	.after = VALID | WRITE,
};

static int mergeable(struct hmm_area *area, size_t length)
{
	int ret = hmm_ksm_supported(area);

	return ret ? ret : small_pages(area, length);
}

static int merge(struct hmm_area *area, size_t length)
{
	static const struct hmm_proof merged = { .set = HMM_PM_PRESENT, .mapped = PAGES };
	int ret = hmm_ksm_merge(area, area->addr, length);

	return ret ? ret : hmm_prove_pages(area, area->addr, length, &merged);
}

FIXTURE_VARIANT_ADD(walk_retry, ksm)
{
	.prepare = mergeable,
	.change = merge,
	.after = VALID,
};

/* Return: the node where a fault finds memory for a huge page; -1 if there is none. Keeps errno. */
static int huge_page_node(void)
{
	size_t size = hmm_pmd_size();
	int saved = errno, node = -1;
	void *addr = hmm_map_anon(size, size);

	if (addr && !madvise(addr, size, MADV_HUGEPAGE)) {
		hmm_touch_write(addr, 1);
		/* a kernel without NUMA does not know the call */
		if (hmm_smaps(addr, "AnonHugePages") > 0 &&
		    move_pages(0, 1, &addr, NULL, &node, 0))
			node = 0;
	}
	hmm_unmap(addr, size);
	errno = saved;
	return node;
}

/* MADV_COLLAPSE wants a huge page of the node that has the small pages. */
static int prefer_huge_page_node(struct hmm_area *area)
{
	int node = huge_page_node();
	unsigned long mask;

	if (node < 0)
		return hmm_skip(area, "no memory for a huge page in one piece");
	mask = 1UL << node;
	if (numa_available() >= 0 && set_mempolicy(MPOL_PREFERRED, &mask, 8 * sizeof(mask)))
		return hmm_fail(area, errno, "set_mempolicy");
	return 0;
}

/*
 * MADV_COLLAPSE. MADV_HUGEPAGE wakes khugepaged, which could collapse the range first: with
 * max_ptes_none 0 it leaves a range with a hole alone, and MADV_COLLAPSE does not.
 */
static int collapsible(struct hmm_area *area, size_t length)
{
	size_t size = hmm_pmd_size();
	size_t page = hmm_page_size();
	int ret;

	(void)length;
	if (madvise(area->addr, 0, MADV_COLLAPSE))
		return hmm_skip(area, "the kernel has no MADV_COLLAPSE");
	ret = hmm_area_set_knob(area, MAX_PTES_NONE, "0");
	if (ret)
		return hmm_fail(area, ret, "%s", MAX_PTES_NONE);
	ret = prefer_huge_page_node(area);
	if (!ret)
		ret = small_pages(area, size);
	if (!ret && madvise(area->addr + size - page, page, MADV_DONTNEED))
		return hmm_fail(area, errno, "MADV_DONTNEED");
	if (!ret && madvise(area->addr, size, MADV_HUGEPAGE))
		return hmm_fail(area, errno, "MADV_HUGEPAGE");
	return ret;
}

static int collapse(struct hmm_area *area, size_t length)
{
	(void)length;
	if (!madvise(area->addr, hmm_pmd_size(), MADV_COLLAPSE))
		return 0;
	/* it needs a huge page beside the small ones, and one can have 512 MiB */
	if (errno == ENOMEM && huge_page_node() < 0)
		return hmm_skip(area, "no memory for one more huge page in one piece");
	return hmm_fail(area, errno, "MADV_COLLAPSE");
}

FIXTURE_VARIANT_ADD(walk_retry, collapse)
{
	.prepare = collapsible,
	.change = collapse,
	.after = VALID | WRITE,
};

/*
 * A huge page of shmem that PTEs map: two VMAs that are too small for a PMD fault it in, and
 * become one again.
 */
static int shmem_by_ptes(struct hmm_area *area, size_t length)
{
	static const struct hmm_proof huge = { .set = HMM_PM_PRESENT, .kpf_set = hmm_kpf(KPF_THP) };
	size_t size = hmm_pmd_size();
	int ret;

	(void)length;
	if (madvise(area->addr, 0, MADV_COLLAPSE))
		return hmm_skip(area, "the kernel has no MADV_COLLAPSE");
	ret = hmm_state_make_named(area, "thp_shmem_written", 0, size);
	if (ret)
		return ret;
	if (mprotect(area->addr, size / 2, PROT_READ))
		return hmm_fail(area, errno, "mprotect");
	hmm_touch_read(area->addr, size);
	if (mprotect(area->addr, size / 2, PROT_READ | PROT_WRITE))
		return hmm_fail(area, errno, "mprotect");
	hmm_touch_write(area->addr, size);
	if (hmm_smaps(area->addr, "ShmemPmdMapped"))
		return hmm_fail(area, 0, "a PMD maps the huge page");
	return hmm_prove_pages(area, area->addr, size, &huge);
}

FIXTURE_VARIANT_ADD(walk_retry, collapse_shmem)
{
	.prepare = shmem_by_ptes,
	.change = collapse,
	.after = VALID | WRITE,
};

static int prove_swapped(struct hmm_area *area, const char *addr, size_t length)
{
	static const struct hmm_proof away = { .set = HMM_PM_SWAP, .clear = HMM_PM_PRESENT };

	return hmm_prove_pages(area, addr, length, &away);
}

/* Swap out and in once, to see whether that is possible. */
static int swappable(struct hmm_area *area, size_t length)
{
	int ret = small_pages(area, length);

	if (!ret)
		ret = hmm_area_pageout(area, area->addr, length, prove_swapped);
	if (!ret)
		hmm_pattern_fill(area->addr, length, 0);
	return ret;
}

static int swap_out(struct hmm_area *area, size_t length)
{
	int ret = hmm_area_pageout(area, area->addr, length, prove_swapped);

	return ret ? ret : prove_swapped(area, area->addr, length);
}

FIXTURE_VARIANT_ADD(walk_retry, swap)
{
	.prepare = swappable,
	.change = swap_out,
	.after = 0,
};

static int shared_file(struct hmm_area *area, size_t length)
{
	int fd = memfd_create("events", MFD_CLOEXEC), ret;

	if (fd < 0 || ftruncate(fd, length))
		return hmm_fail(area, errno, "memfd");
	ret = hmm_area_close_later(area, fd);
	if (!ret)
		ret = hmm_area_map(area, area->addr, length, PROT_READ | PROT_WRITE,
				   MAP_SHARED, fd);
	if (!ret)
		hmm_pattern_fill(area->addr, length, 0);
	return ret;
}

/* Truncate the file that is mapped there, found by its mapping. */
static int truncate_file(struct hmm_area *area, size_t length)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx",
		 (unsigned long)area->addr, (unsigned long)area->addr + length);
	return truncate(path, 0) ? -errno : 0;
}

FIXTURE_VARIANT_ADD(walk_retry, truncate)
{
	.prepare = shared_file,
	.change = truncate_file,
	.after = 0,
};

FIXTURE_SETUP(walk_retry)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_retry)
{
	hmm_area_end(&self->area);
}

static void check_retry(struct __test_metadata *_metadata, struct _test_data_walk_retry *self,
			const struct _fixture_variant_walk_retry *variant,
			enum hmmirror_stage stage)
{
	struct hmm_call walk = {
		.fd = self->fd,
		.addr = self->area.addr,
		.length = self->length,
		.entries = self->entries,
	};
	struct hmmirror_stats stats;
	__u64 after = variant->after, map;
	size_t page;
	int ret;

	if (after == HMMIRROR_PTE_ERROR && expect_when(WHEN_REFUSED_EMPTY))
		after = 0;
	if (!REQUIRE((variant->prepare ?: small_pages)(&self->area, self->length), self->area.why))
		return;
	ASSERT_EQ(0, hmm_stats(self->fd, HMMIRROR_STATS_RESET, &stats));
	ASSERT_EQ(0, hmm_hold_arm(self->fd, stage, LIMIT_MS));
	ASSERT_EQ(0, hmm_call_begin(&walk));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(self->fd, 2000));
	ret = variant->change(&self->area, self->length);
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
	ASSERT_EQ(0, hmm_call_end(&walk));
	if (!REQUIRE(ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &stats));
	ASSERT_EQ(2, stats.walks);
	ASSERT_EQ(1, stats.retries);
	for (page = 0; page < PAGES; page++) {
		ASSERT_EQ(after, hmm_entry_flags(self->entries[page]));
		if (!(after & VALID) || after & PRIVATE)
			continue;
		ASSERT_EQ(0, hmm_pagemap_one(self->area.addr + page * hmm_page_size(), &map));
		ASSERT_EQ(map & HMM_PM_PFN_MASK, hmm_entry_pfn(self->entries[page]));
	}
}

/* The range changes before the walker is called. */
TEST_F(walk_retry, before_walk)
{
	check_retry(_metadata, self, variant, HMMIRROR_STAGE_WALK);
}

/* The range changes between the answer and its use. */
TEST_F(walk_retry, after_walk)
{
	check_retry(_metadata, self, variant, HMMIRROR_STAGE_WALKED);
}

#include "hmm_main.h"
