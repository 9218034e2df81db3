// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on hugetlb pages: of PMD size, and of sizes that several entries of a page
 * table map, where the CPU has such.
 *
 * The walker has a callback of its own for them, which decides by the request of the first
 * page that the range has of a huge page, whatever the others ask for, and reports the
 * whole huge page at once. It must take the hugetlb locks, drop them for the fault, and
 * give the right pfn to a range that starts inside a huge page.
 */
#include "expect_kernel.h"
#include "walk_cases.h"

FIXTURE(walk_hugetlb)
{
	struct walk walk;
	size_t huge;	/* small pages of a huge page */
};

FIXTURE_VARIANT(walk_hugetlb)
{
	const char *state;
	const char *used;	/* the same size, in use; NULL: hugetlb_writable */
};

FIXTURE_VARIANT_ADD(walk_hugetlb, none)
{
	.state = "hugetlb_none",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, writable)
{
	.state = "hugetlb_writable",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, read)
{
	.state = "hugetlb_read",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, readonly)
{
	.state = "hugetlb_readonly",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, noaccess)
{
	.state = "hugetlb_noaccess",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, shared)
{
	.state = "hugetlb_shared",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, shared_none)
{
	.state = "hugetlb_shared_none",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cow_parent)
{
	.state = "hugetlb_cow_parent",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cow_child)
{
	.state = "hugetlb_cow_child",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, uffd_missing)
{
	.state = "hugetlb_uffd_missing",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, uffd_minor)
{
	.state = "hugetlb_uffd_minor",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, uffd_wp)
{
	.state = "hugetlb_uffd_wp",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cont_pte_none)
{
	.state = "hugetlb_cont_pte_none",
	.used = "hugetlb_cont_pte",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cont_pte)
{
	.state = "hugetlb_cont_pte",
	.used = "hugetlb_cont_pte",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cont_pte_read)
{
	.state = "hugetlb_cont_pte_read",
	.used = "hugetlb_cont_pte",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cont_pte_cow)
{
	.state = "hugetlb_cont_pte_cow",
	.used = "hugetlb_cont_pte",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cont_pmd_none)
{
	.state = "hugetlb_cont_pmd_none",
	.used = "hugetlb_cont_pmd",
};

FIXTURE_VARIANT_ADD(walk_hugetlb, cont_pmd)
{
	.state = "hugetlb_cont_pmd",
	.used = "hugetlb_cont_pmd",
};

FIXTURE_SETUP(walk_hugetlb)
{
	const struct hmm_state *state = hmm_state_find(variant->state);

	ASSERT_NE(NULL, state);
	self->huge = hmm_state_unit(state) / hmm_page_size();
}

FIXTURE_TEARDOWN(walk_hugetlb)
{
	walk_end(&self->walk);
}

TEST_F(walk_hugetlb, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, self->huge, 0);
}

TEST_F(walk_hugetlb, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, self->huge, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_hugetlb, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, self->huge, HMMIRROR_REQ_ALL);
}

/* The range starts inside a huge page and ends inside the next, which is in use. */
TEST_F(walk_hugetlb, unaligned_range)
{
	static const __u64 requests[] = {
		0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL,
	};
	struct walk *walk = &self->walk;
	size_t huge = self->huge, i;

	ASSERT_EQ(0, walk_begin(walk, 2 * huge, huge * hmm_page_size()));
	/* one for each huge page of the range, and one for the copy of a write fault */
	if (huge > 1 &&
	    !REQUIRE(hmm_area_need_hugetlb(&walk->area, huge * hmm_page_size(), 3),
		     walk->area.why))
		return;
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		if (!REQUIRE(walk_make(walk, variant->state, 0, huge), walk->why))
			return;
		if (!REQUIRE(walk_make(walk, variant->used ? variant->used : "hugetlb_writable",
				       huge, huge), walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, huge - 9, 14, requests[i]), walk->why))
			return;
	}
}

/* The request of the first page of the range counts for all of a huge page. */
TEST_F(walk_hugetlb, page_requests)
{
	struct walk *walk = &self->walk;
	size_t huge = self->huge;

	ASSERT_EQ(0, walk_begin(walk, huge, huge * hmm_page_size()));
	if (!REQUIRE(walk_make(walk, variant->state, 0, huge), walk->why))
		return;
	walk->page[9].request = HMMIRROR_REQ_ALL;
	if (!REQUIRE(walk_ask_pages(walk, 0, 2, 12, HMMIRROR_REQ_ALL), walk->why))
		return;
	/*
	 * In a hole any request counts. And the walker of 5.4 took the valid answer for a
	 * request, and of a file that fault makes the page writable.
	 */
	if ((expect_find(variant->state)->empty ||
	     (expect_when(WHEN_WALKED_TWICE) &&
	      !strcmp(variant->state, "hugetlb_shared_none"))) &&
	    !REQUIRE(walk_make(walk, variant->state, 0, huge), walk->why))
		return;
	walk->page[2].request = HMMIRROR_REQ_ALL;
	walk->page[9].request = 0;
	if (!REQUIRE(walk_ask_pages(walk, 0, 2, 12, HMMIRROR_REQ_ALL), walk->why))
		return;
}

/* Pages of all sizes that fit the guest, side by side, each in a callback of its own. */
FIXTURE(walk_hugetlb_sizes)
{
	struct walk walk;
	size_t first;	/* pages before the first huge one */
	size_t end;	/* pages up to where the last one ends */
};

FIXTURE_SETUP(walk_hugetlb_sizes)
{
}

FIXTURE_TEARDOWN(walk_hugetlb_sizes)
{
	walk_end(&self->walk);
}

/* Sizes grow with the address, so that each page begins where the one before it ends. */
static int make_sizes(struct _test_data_walk_hugetlb_sizes *self)
{
	size_t cont = hmm_state_unit(hmm_state_find("hugetlb_cont_pte")) / hmm_page_size();
	size_t more = hmm_state_unit(hmm_state_find("hugetlb_cont_pmd")) / hmm_page_size();
	size_t pmd = hmm_pmd_size() / hmm_page_size();
	struct walk *walk = &self->walk;
	int ret;

	/* at run time the kernel hardly finds a GiB in one piece */
	if (more * hmm_page_size() >> 30)
		more = 1;
	self->first = (more > 1 ? more : 2 * pmd) - pmd - cont;
	self->end = more > 1 ? 2 * more : 2 * pmd;
	ret = walk_begin(walk, self->end, self->end / 2 * hmm_page_size());
	if (!ret)
		ret = walk_make(walk, "hugetlb_cont_pte", self->first, cont);
	if (!ret)
		ret = walk_make(walk, "hugetlb_writable", self->first + cont, pmd);
	if (!ret && more > 1)
		ret = walk_make(walk, "hugetlb_cont_pmd", more, more);
	return ret;
}

static void walk_sizes(struct __test_metadata *_metadata,
		       struct _test_data_walk_hugetlb_sizes *self, __u64 request)
{
	struct walk *walk = &self->walk;

	if (!REQUIRE(make_sizes(self), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, self->first + 3, self->end - self->first - 8, request),
		     walk->why))
		return;
}

TEST_F(walk_hugetlb_sizes, snapshot)
{
	walk_sizes(_metadata, self, 0);
}

TEST_F(walk_hugetlb_sizes, read_fault)
{
	walk_sizes(_metadata, self, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_hugetlb_sizes, write_fault)
{
	walk_sizes(_metadata, self, HMMIRROR_REQ_ALL);
}

#include "hmm_main.h"
