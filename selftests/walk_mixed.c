// SPDX-License-Identifier: GPL-2.0
/* The walker on ranges that hold many states, many mappings, much memory. */
#include "expect_kernel.h"
#include "hmm_test.h"
#include "walk_run.h"

FIXTURE(walk_mixed)
{
	struct walk walk;
};

FIXTURE_SETUP(walk_mixed)
{
}

FIXTURE_TEARDOWN(walk_mixed)
{
	walk_end(&self->walk);
}

/* What takes all of the process comes first, wherever it stands. */
static const struct {
	const char *state;
	size_t first;
	size_t pages;
} many[] = {
	{ "anon_softclean", 17, 2 },
	{ "anon_cow_parent", 0, 2 },
	{ "anon_none", 2, 2 },
	{ "anon_zero", 4, 3 },
	{ "anon_writable", 7, 2 },
	{ "file_private_read", 9, 2 },
	{ "shmem_shared_none", 11, 3 },
	{ "anon_emptied", 14, 1 },
	{ "file_shared_read", 15, 2 },
	{ "anon_mlocked", 19, 2 },
	{ "file_private_written", 21, 3 },
};

#define MANY_PAGES	24

/* Return: false if one of them can't be had, which ends the test. */
static bool put_many(struct __test_metadata *_metadata, struct walk *walk)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		if (!REQUIRE(walk_make(walk, many[i].state, many[i].first, many[i].pages),
			     walk->why))
			return false;
	return true;
}

TEST_F(walk_mixed, snapshot)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!put_many(_metadata, &self->walk))
		return;
	if (!REQUIRE(walk_ask(&self->walk, 0, 0, MANY_PAGES, 0), self->walk.why))
		return;
}

TEST_F(walk_mixed, read_fault)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!put_many(_metadata, &self->walk))
		return;
	if (!REQUIRE(walk_ask(&self->walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_FAULT),
		     self->walk.why))
		return;
}

TEST_F(walk_mixed, write_fault)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!put_many(_metadata, &self->walk))
		return;
	if (!REQUIRE(walk_ask(&self->walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_ALL),
		     self->walk.why))
		return;
}

TEST_F(walk_mixed, page_requests)
{
	struct walk *walk = &self->walk;
	size_t i;

	ASSERT_EQ(0, walk_begin(walk, MANY_PAGES, 0));
	if (!put_many(_metadata, walk))
		return;
	for (i = 0; i < MANY_PAGES; i++)
		walk->page[i].request = i % 4 == 1 ? HMMIRROR_REQ_FAULT :
					i % 4 == 3 ? HMMIRROR_REQ_ALL : 0;
	if (!REQUIRE(walk_ask_pages(walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_ALL), walk->why))
		return;
}

/* Mappings of every size next to each other, a PMD for each kind but the first. */
FIXTURE(walk_mixed_huge)
{
	struct walk walk;
	size_t pmd;	/* pages of one */
};

FIXTURE_SETUP(walk_mixed_huge)
{
	self->pmd = hmm_pmd_size() / hmm_page_size();
}

FIXTURE_TEARDOWN(walk_mixed_huge)
{
	walk_end(&self->walk);
}

#define HUGE_PMDS	6

/* In the place of what a kernel lacks there are ordinary pages. */
static int put_or(struct walk *walk, const char *state, size_t first,
		  size_t pages)
{
	int ret = walk_make(walk, state, first, pages);

	return ret == HMM_SKIP ? walk_make(walk, "anon_writable", first, pages) :
				 ret;
}

static int put_huge(struct walk *walk, size_t pmd)
{
	int ret = walk_make(walk, "anon_emptied", 0, pmd);

	if (!ret)
		ret = put_or(walk, "secret_written", 0, 3);
	if (!ret)
		ret = put_or(walk, "sealed_private", 3, 3);
	if (!ret)
		ret = walk_make(walk, "shmem_shared_none", 6, 3);
	if (!ret)
		ret = put_or(walk, "mthp_64k", 16, 32);
	if (!ret)
		ret = put_or(walk, "anon_uffd_wp_zero", pmd - 40, 1);
	if (!ret)
		ret = walk_make(walk, "stack", pmd - 4, 4);
	if (!ret)
		ret = put_or(walk, "thp_writable", pmd, pmd);
	if (!ret)
		ret = put_or(walk, "hugetlb_read", 2 * pmd, pmd);
	if (!ret)
		ret = put_or(walk, "thp_none", 3 * pmd, pmd);
	if (!ret)
		ret = put_or(walk, "hugetlb_shared_none", 4 * pmd, pmd);
	if (!ret)
		ret = walk_make(walk, "anon_none", 5 * pmd, pmd);
	return ret;
}

/* All of them but the ends; and from within a hugetlb page to within the next. */
static void mixed_huge(struct __test_metadata *_metadata, struct walk *walk,
		       size_t pmd, __u64 request)
{
	/* what userfaultfd would have to be asked for to be written has a test */
	size_t first = request == HMMIRROR_REQ_ALL ? pmd - 30 : 2;

	ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
	if (!REQUIRE(put_huge(walk, pmd), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, first, HUGE_PMDS * pmd - 7 - first, request),
		     walk->why))
		return;
	if (request) {
		walk_end(walk);
		ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
		if (!REQUIRE(put_huge(walk, pmd), walk->why))
			return;
	}
	if (!REQUIRE(walk_ask(walk, 0, 2 * pmd + pmd / 2, 2 * pmd + 9, request), walk->why))
		return;
}

TEST_F(walk_mixed_huge, snapshot)
{
	mixed_huge(_metadata, &self->walk, self->pmd, 0);
}

TEST_F(walk_mixed_huge, read_fault)
{
	mixed_huge(_metadata, &self->walk, self->pmd, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_mixed_huge, write_fault)
{
	mixed_huge(_metadata, &self->walk, self->pmd, HMMIRROR_REQ_ALL);
}

TEST_F(walk_mixed_huge, page_requests)
{
	size_t pmd = self->pmd, i;
	struct walk *walk = &self->walk;

	ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
	if (!REQUIRE(put_huge(walk, pmd), walk->why))
		return;
	for (i = pmd - 30; i < HUGE_PMDS * pmd; i++)
		walk->page[i].request = i % 97 == 5 ? HMMIRROR_REQ_FAULT :
					i % 97 == 50 ? HMMIRROR_REQ_ALL : 0;
	if (!REQUIRE(walk_ask_pages(walk, 0, pmd - 30, 5 * pmd + 20, HMMIRROR_REQ_ALL),
		     walk->why))
		return;
}

/* What may not be accessed between huge pages: passed over, or the end. */
TEST_F(walk_mixed_huge, hole_between)
{
	static const char *const states[] = { "hole", "anon_noaccess" };
	size_t pmd = self->pmd, i;
	struct walk *walk = &self->walk;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		walk_end(walk);
		ASSERT_EQ(0, walk_begin(walk, 3 * pmd, 0));
		if (!REQUIRE(put_or(walk, "thp_writable", 0, pmd), walk->why))
			return;
		if (!REQUIRE(walk_make(walk, states[i], pmd, pmd), walk->why))
			return;
		if (!REQUIRE(put_or(walk, "hugetlb_writable", 2 * pmd, pmd), walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, pmd - 7, pmd + 16, 0), walk->why))
			return;
		/* this changes nothing, so that there can be another */
		if (!REQUIRE(walk_ask(walk, 0, pmd - 7, pmd + 16, HMMIRROR_REQ_FAULT),
			     walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, pmd - 7, pmd + 16, HMMIRROR_REQ_ALL),
			     walk->why))
			return;
	}
}

#include "hmm_main.h"
