// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on transparent huge pages: anonymous, shmem, the huge zero page, and
 * device-private ones.
 *
 * The walker decides for a huge PMD at once: one page that asks faults it, all pages are
 * reported with the PMD's order, and the pfn must be that of the small page wherever the
 * range starts. Once a PMD is split, it must read the PTEs. A fault that breaks
 * copy-on-write may split it under the walker.
 */
#include "expect_kernel.h"
#include "walk_cases.h"

FIXTURE(walk_thp)
{
	struct walk walk;
	size_t huge;	/* small pages of a huge page */
};

FIXTURE_VARIANT(walk_thp)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_thp, none)
{
	.state = "thp_none",
};

FIXTURE_VARIANT_ADD(walk_thp, writable)
{
	.state = "thp_writable",
};

FIXTURE_VARIANT_ADD(walk_thp, readonly)
{
	.state = "thp_readonly",
};

FIXTURE_VARIANT_ADD(walk_thp, noaccess)
{
	.state = "thp_noaccess",
};

FIXTURE_VARIANT_ADD(walk_thp, cow_parent)
{
	.state = "thp_cow_parent",
};

FIXTURE_VARIANT_ADD(walk_thp, cow_child)
{
	.state = "thp_cow_child",
};

FIXTURE_VARIANT_ADD(walk_thp, zero)
{
	.state = "thp_zero",
};

FIXTURE_VARIANT_ADD(walk_thp, shmem_written)
{
	.state = "thp_shmem_written",
};

FIXTURE_VARIANT_ADD(walk_thp, shmem_read)
{
	.state = "thp_shmem_read",
};

FIXTURE_VARIANT_ADD(walk_thp, shmem_readonly)
{
	.state = "thp_shmem_readonly",
};

FIXTURE_VARIANT_ADD(walk_thp, uffd_wp)
{
	.state = "thp_uffd_wp",
};

FIXTURE_VARIANT_ADD(walk_thp, device)
{
	.state = "dev_huge",
};

FIXTURE_VARIANT_ADD(walk_thp, device_populated)
{
	.state = "dev_huge_populated",
};

FIXTURE_VARIANT_ADD(walk_thp, device_readonly)
{
	.state = "dev_huge_readonly",
};

FIXTURE_VARIANT_ADD(walk_thp, device_cow)
{
	.state = "dev_huge_cow",
};

FIXTURE_VARIANT_ADD(walk_thp, device_other)
{
	.state = "dev_huge_other",
};

FIXTURE_VARIANT_ADD(walk_thp, device_other_readonly)
{
	.state = "dev_huge_other_readonly",
};

FIXTURE_SETUP(walk_thp)
{
	self->huge = hmm_pmd_size() / hmm_page_size();
}

FIXTURE_TEARDOWN(walk_thp)
{
	walk_end(&self->walk);
}

TEST_F(walk_thp, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, self->huge, 0);
}

TEST_F(walk_thp, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, self->huge, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_thp, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, self->huge, HMMIRROR_REQ_ALL);
}

/* The range starts inside a huge page and ends inside the next. */
TEST_F(walk_thp, unaligned_range)
{
	struct walk *walk = &self->walk;
	size_t huge = self->huge;
	static const __u64 requests[] = {
		0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL,
	};
	size_t i;

	ASSERT_EQ(0, walk_begin(walk, 2 * huge, 0));
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		if (!REQUIRE(walk_make(walk, variant->state, 0, 2 * huge), walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, huge - 9, 14, requests[i]), walk->why))
			return;
	}
}

/* One page asks; the walker decides for the whole huge page by that. */
TEST_F(walk_thp, page_requests)
{
	struct walk *walk = &self->walk;
	size_t huge = self->huge;

	ASSERT_EQ(0, walk_begin(walk, huge, 0));
	if (!REQUIRE(walk_make(walk, variant->state, 0, huge), walk->why))
		return;
	walk->page[huge / 2].request = HMMIRROR_REQ_ALL;
	if (!REQUIRE(walk_ask_pages(walk, 0, huge / 2 - 6, 12, HMMIRROR_REQ_ALL), walk->why))
		return;
}

/*
 * The pfns of a device-private huge page for a range that starts inside it.
 *
 * hmm_vma_handle_absent_pmd() counts from the pfn of the PMD entry, which is that of the first
 * page: no kernel with huge pages in device memory is known to be free of this, so the test fails
 * on 6.19 to 7.3. Other tests accept pfns that are wrong in this way (walk_run.c), so that one bug
 * is one failure.
 */
FIXTURE(walk_thp_device)
{
	struct walk walk;
};

FIXTURE_SETUP(walk_thp_device)
{
}

FIXTURE_TEARDOWN(walk_thp_device)
{
	walk_end(&self->walk);
}

TEST_F(walk_thp_device, from_within)
{
	size_t huge = hmm_pmd_size() / hmm_page_size(), first = 300, i;
	struct walk *walk = &self->walk;
	__u64 base, pfn;

	ASSERT_EQ(0, walk_begin(walk, huge, 0));
	if (!REQUIRE(walk_make(walk, "dev_huge", 0, huge), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, 0, huge, 0), walk->why))
		return;
	base = hmm_entry_pfn(walk->entries[0]);
	if (!REQUIRE(walk_ask(walk, 0, first, 9, 0), walk->why))
		return;
	for (i = 0; i < 9; i++) {
		pfn = hmm_entry_pfn(walk->entries[first + i]);
		ASSERT_EQ(base + first + i, pfn)
			TH_LOG("page %zu of a device's huge page: %s", first + i,
			       pfn == base + i ?
			       "counted from the page's first pfn (docs/findings/walker.md)" :
			       "wrong pfn");
	}
}

/*
 * A range within a huge page: the order of each answer is that of the whole mapping, which
 * begins before the range and goes on behind it. A driver must not take the order for the
 * number of pages that it may use.
 */
FIXTURE(walk_thp_order)
{
	struct hmm_area area;
	__u64 entries[2];
	int fd;
};

FIXTURE_VARIANT(walk_thp_order)
{
	const char *state;
	__u64 flags;
};

FIXTURE_VARIANT_ADD(walk_thp_order, anon)
{
	.state = "thp_writable",
	.flags = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
};

FIXTURE_VARIANT_ADD(walk_thp_order, shmem)
{
	.state = "thp_shmem_written",
	.flags = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
};

FIXTURE_VARIANT_ADD(walk_thp_order, device)
{
	.state = "dev_huge",
	.flags = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE | HMMIRROR_PTE_PRIVATE,
};

FIXTURE_SETUP(walk_thp_order)
{
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
	self->fd = hmm_area_device(&self->area, HMM_DEV_PRIVATE);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_thp_order)
{
	hmm_area_end(&self->area);
}

TEST_F(walk_thp_order, beyond_range)
{
	static const __u64 requests[] = { 0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL };
	size_t page = hmm_page_size(), first = 2, i, r;
	struct hmm_area *area = &self->area;
	unsigned int order = 0;

	if (!REQUIRE(hmm_area_feature(area, HMMIRROR_FEAT_ORDER), area->why))
		return;
	while (page << order < hmm_pmd_size())
		order++;
	if (!REQUIRE(hmm_state_make_named(area, variant->state, 0, hmm_pmd_size()), area->why))
		return;
	for (r = 0; r < ARRAY_SIZE(requests); r++) {
		ASSERT_EQ(0, hmm_walk(self->fd, area->addr + first * page, 2 * page,
				      requests[r], self->entries));
		ASSERT_ENTRIES(self->entries, 2, variant->flags);
		for (i = 0; i < 2; i++)
			ASSERT_EQ(order, hmm_entry_order(self->entries[i]));
		ASSERT_EQ(hmm_entry_pfn(self->entries[0]) + 1, hmm_entry_pfn(self->entries[1]));
	}
}

/*
 * A huge page one page of which was zapped or unmapped: its PMD is split, and PTEs map the
 * rest of the folio.
 */
FIXTURE(walk_thp_part)
{
	struct hmm_area area;
	__u64 *entries;
	size_t huge;
};

FIXTURE_VARIANT(walk_thp_part)
{
	int unmap;	/* munmap(); else MADV_DONTNEED */
	__u64 request;
	int error;	/* of hmm_range_fault() */
	__u64 lost;	/* expected answer for the page that was zapped */
};

FIXTURE_VARIANT_ADD(walk_thp_part, dontneed_snapshot)
{
	.lost = 0,
};

FIXTURE_VARIANT_ADD(walk_thp_part, dontneed_read)
{
	.request = HMMIRROR_REQ_FAULT,
	.lost = HMMIRROR_PTE_VALID | HMMIRROR_PTE_ZERO,
};

FIXTURE_VARIANT_ADD(walk_thp_part, dontneed_write)
{
	.request = HMMIRROR_REQ_ALL,
	.lost = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE,
};

FIXTURE_VARIANT_ADD(walk_thp_part, munmap_snapshot)
{
	.unmap = 1,
	.lost = HMMIRROR_PTE_ERROR,
};

FIXTURE_VARIANT_ADD(walk_thp_part, munmap_read)
{
	.unmap = 1,
	.request = HMMIRROR_REQ_FAULT,
	.error = -EFAULT,
	.lost = HMMIRROR_PTE_UNTOUCHED,
};

FIXTURE_SETUP(walk_thp_part)
{
	self->huge = hmm_pmd_size() / hmm_page_size();
	self->entries = hmm_map_anon(self->huge * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
}

FIXTURE_TEARDOWN(walk_thp_part)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->entries, self->huge * sizeof(__u64));
}

TEST_F(walk_thp_part, walk)
{
	const struct hmm_state *state = hmm_state_find("thp_writable");
	struct hmm_area *area = &self->area;
	size_t lost = self->huge / 2 + 1, page = hmm_page_size(), i;
	char text[HMM_ENTRY_STR_MAX], *at = area->addr + lost * page;
	__u64 map, want, answer = variant->lost;
	int fd, error = variant->error;

	if (answer == HMMIRROR_PTE_ERROR && expect_when(WHEN_REFUSED_EMPTY))
		answer = 0;
	if (answer & HMMIRROR_PTE_ZERO && expect_when(WHEN_ZERO_SPECIAL)) {
		answer = HMMIRROR_PTE_UNTOUCHED;
		error = -EFAULT;
	}
	if (!REQUIRE(hmm_state_make(area, state, 0, area->length), area->why))
		return;
	ASSERT_EQ(0, variant->unmap ? munmap(at, page) :
				      madvise(at, page, MADV_DONTNEED));
	/* The pages still belong to a compound page, but no PMD maps it. */
	ASSERT_EQ(0, hmm_smaps(area->addr, "AnonHugePages"));
	ASSERT_EQ(0, hmm_flags_at(area->addr, &map));
	ASSERT_NE(0, map & hmm_kpf(KPF_THP));

	fd = hmm_area_device(area, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(error, hmm_walk(fd, area->addr, area->length,
				  variant->request, self->entries));
	for (i = 0; i < self->huge; i++) {
		want = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;
		if (i == lost)
			want = answer;
		else if (i > lost && error)
			want = HMMIRROR_PTE_UNTOUCHED;
		ASSERT_EQ(want, hmm_entry_flags(self->entries[i]))
			TH_LOG("page %zu: %s", i,
			       hmm_entry_str(self->entries[i], text,
					     sizeof(text)));
		ASSERT_EQ(0, hmm_entry_order(self->entries[i]));
		if (!(want & HMMIRROR_PTE_VALID))
			continue;
		ASSERT_EQ(0, hmm_pagemap_one(area->addr + i * page, &map));
		ASSERT_EQ(map & HMM_PM_PFN_MASK,
			  hmm_entry_pfn(self->entries[i]));
	}
}

#include "hmm_main.h"
