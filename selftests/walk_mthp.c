// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on large folios that PTEs map (mTHP, of 4 to 256 pages).
 *
 * The walker must report each PTE by itself with order 0, although the pages belong to one
 * folio, and also for a range that starts or ends inside a folio. A fault of one page may
 * map the whole folio.
 */
#include "hmm_test.h"
#include "walk_run.h"

FIXTURE(walk_mthp)
{
	struct walk walk;
	size_t unit;	/* small pages of a folio */
};

FIXTURE_VARIANT(walk_mthp)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_mthp, none)
{
	.state = "mthp_none",
};

FIXTURE_VARIANT_ADD(walk_mthp, order2)
{
	.state = "mthp_order2",
};

FIXTURE_VARIANT_ADD(walk_mthp, order4)
{
	.state = "mthp_order4",
};

FIXTURE_VARIANT_ADD(walk_mthp, order8)
{
	.state = "mthp_order8",
};

FIXTURE_VARIANT_ADD(walk_mthp, cont_pte)
{
	.state = "mthp_cont_pte",
};

FIXTURE_VARIANT_ADD(walk_mthp, readonly)
{
	.state = "mthp_readonly",
};

FIXTURE_VARIANT_ADD(walk_mthp, noaccess)
{
	.state = "mthp_noaccess",
};

FIXTURE_VARIANT_ADD(walk_mthp, cow)
{
	.state = "mthp_cow",
};

FIXTURE_VARIANT_ADD(walk_mthp, swapped)
{
	.state = "mthp_swapped",
};

FIXTURE_VARIANT_ADD(walk_mthp, shmem_none)
{
	.state = "mthp_shmem_none",
};

FIXTURE_VARIANT_ADD(walk_mthp, shmem)
{
	.state = "mthp_shmem",
};

FIXTURE_SETUP(walk_mthp)
{
	const struct hmm_state *state = hmm_state_find(variant->state);

	ASSERT_NE(NULL, state);
	self->unit = hmm_state_unit(state) / hmm_page_size();
}

FIXTURE_TEARDOWN(walk_mthp)
{
	walk_end(&self->walk);
}

/* Make two folios, with a page of another kind on either side; done again before each walk. */
static int make_folios(struct walk *walk, const char *state, size_t unit)
{
	int ret;

	walk_end(walk);
	ret = walk_begin(walk, 4 * unit, 0);
	if (!ret)
		ret = walk_make(walk, state, unit, 2 * unit);
	if (!ret)
		ret = walk_make(walk, "anon_zero", unit - 1, 1);
	if (!ret)
		ret = walk_make(walk, "anon_writable", 3 * unit, 1);
	return ret;
}

static void walk_folios(struct __test_metadata *_metadata, struct walk *walk,
			const char *state, size_t unit, __u64 request)
{
	if (!REQUIRE(make_folios(walk, state, unit), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, unit - 1, 2 * unit + 2, request), walk->why))
		return;
}

TEST_F(walk_mthp, snapshot)
{
	walk_folios(_metadata, &self->walk, variant->state, self->unit, 0);
}

TEST_F(walk_mthp, read_fault)
{
	walk_folios(_metadata, &self->walk, variant->state, self->unit, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_mthp, write_fault)
{
	walk_folios(_metadata, &self->walk, variant->state, self->unit, HMMIRROR_REQ_ALL);
}

/* From inside the first folio to inside the second; and one page in the middle of a folio. */
TEST_F(walk_mthp, unaligned_range)
{
	static const __u64 requests[] = {
		0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL,
	};
	struct walk *walk = &self->walk;
	size_t unit = self->unit, i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		if (!REQUIRE(make_folios(walk, variant->state, unit), walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, unit + 1, unit + 1, requests[i]), walk->why))
			return;
		if (!REQUIRE(make_folios(walk, variant->state, unit), walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, unit + unit / 2, 1, requests[i]), walk->why))
			return;
	}
}

/*
 * The first, a middle and the last page ask; then a mix of requests, and a mix under a mask
 * that leaves only the reads.
 */
TEST_F(walk_mthp, page_requests)
{
	static const __u64 kinds[] = { HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL };
	size_t unit = self->unit, i, page;
	size_t picked[] = { unit, unit + unit / 2, 3 * unit - 1 };
	struct walk *walk = &self->walk;

	for (i = 0; i < ARRAY_SIZE(kinds) * ARRAY_SIZE(picked); i++) {
		if (!REQUIRE(make_folios(walk, variant->state, unit), walk->why))
			return;
		walk->page[picked[i / 2]].request = kinds[i % 2];
		if (!REQUIRE(walk_ask_pages(walk, 0, unit - 1, 2 * unit + 2, HMMIRROR_REQ_ALL),
			     walk->why))
			return;
	}
	for (i = 0; i < 2; i++) {
		if (!REQUIRE(make_folios(walk, variant->state, unit), walk->why))
			return;
		for (page = unit; page < 3 * unit; page++)
			walk->page[page].request = page % 3 == 1 ? HMMIRROR_REQ_FAULT :
						   page % 3 == 2 ? HMMIRROR_REQ_ALL : 0;
		if (!REQUIRE(walk_ask_pages(walk, 0, unit - 1, 2 * unit + 2, i ?
					    HMMIRROR_REQ_FAULT : HMMIRROR_REQ_ALL), walk->why))
			return;
	}
}

#include "hmm_main.h"
