// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on ranges that hold pages in many states, in many mappings: small pages
 * of a dozen kinds side by side; PTEs, THPs and hugetlb pages next to each other.
 *
 * The walker goes through the range VMA by VMA and table by table. A request, a hole or an
 * error in one part must not leak into the next, and a fault in the middle must resume at
 * the right page.
 */
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

/* States that change the whole process are made first, wherever they are in the range. */
static const struct {
	const char *state;
	size_t first;
	size_t pages;
} mixed_states[] = {
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

/* Return: false if a state can't be made and the test was skipped. */
static bool make_mixed_states(struct __test_metadata *_metadata, struct walk *walk)
{
	bool lacks[ARRAY_SIZE(mixed_states)] = { false };
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(mixed_states); i++) {
		ret = walk_make(walk, mixed_states[i].state, mixed_states[i].first,
				mixed_states[i].pages);
		lacks[i] = ret == HMM_SKIP;
		if (!lacks[i] && !REQUIRE(ret, walk->why))
			return false;
	}
	/* ordinary pages instead, once no state is left that would fork and share them */
	for (i = 0; i < ARRAY_SIZE(mixed_states); i++)
		if (lacks[i] && !REQUIRE(walk_make(walk, "anon_writable", mixed_states[i].first,
						   mixed_states[i].pages), walk->why))
			return false;
	return true;
}

TEST_F(walk_mixed, snapshot)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!make_mixed_states(_metadata, &self->walk))
		return;
	if (!REQUIRE(walk_ask(&self->walk, 0, 0, MANY_PAGES, 0), self->walk.why))
		return;
}

TEST_F(walk_mixed, read_fault)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!make_mixed_states(_metadata, &self->walk))
		return;
	if (!REQUIRE(walk_ask(&self->walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_FAULT),
		     self->walk.why))
		return;
}

TEST_F(walk_mixed, write_fault)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!make_mixed_states(_metadata, &self->walk))
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
	if (!make_mixed_states(_metadata, walk))
		return;
	for (i = 0; i < MANY_PAGES; i++)
		walk->page[i].request = i % 4 == 1 ? HMMIRROR_REQ_FAULT :
					i % 4 == 3 ? HMMIRROR_REQ_ALL : 0;
	if (!REQUIRE(walk_ask_pages(walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_ALL), walk->why))
		return;
}

/* A PMD's range of each kind of mapping, next to each other; the first has small pages. */
FIXTURE(walk_mixed_huge)
{
	struct walk walk;
	size_t pmd;	/* small pages that a PMD maps */
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

/* Make ordinary pages instead of a state that this kernel lacks. */
static int make_or_plain(struct walk *walk, const char *state, size_t first, size_t pages)
{
	int ret = walk_make(walk, state, first, pages);

	return ret == HMM_SKIP ? walk_make(walk, "anon_writable", first, pages) :
				 ret;
}

static int make_huge_range(struct walk *walk, size_t pmd)
{
	int ret = walk_make(walk, "anon_emptied", 0, pmd);

	if (!ret)
		ret = make_or_plain(walk, "secret_written", 0, 3);
	if (!ret)
		ret = make_or_plain(walk, "sealed_private", 3, 3);
	if (!ret)
		ret = walk_make(walk, "shmem_shared_none", 6, 3);
	if (!ret)
		ret = make_or_plain(walk, "mthp_order4", 16, 32);
	if (!ret)
		ret = make_or_plain(walk, "anon_uffd_wp_zero", pmd - 40, 1);
	if (!ret)
		ret = walk_make(walk, "stack", pmd - 4, 4);
	if (!ret)
		ret = make_or_plain(walk, "thp_writable", pmd, pmd);
	if (!ret)
		ret = make_or_plain(walk, "hugetlb_read", 2 * pmd, pmd);
	if (!ret)
		ret = make_or_plain(walk, "thp_none", 3 * pmd, pmd);
	if (!ret)
		ret = make_or_plain(walk, "hugetlb_shared_none", 4 * pmd, pmd);
	if (!ret)
		ret = walk_make(walk, "anon_none", 5 * pmd, pmd);
	return ret;
}

/* Walk the range without its ends; then from inside a hugetlb page to inside the next. */
static void walk_huge_range(struct __test_metadata *_metadata, struct walk *walk, size_t pmd,
			    __u64 request)
{
	/* a write to the page that userfaultfd protects fails, which walk_userfault.c tests */
	size_t first = request == HMMIRROR_REQ_ALL ? pmd - 30 : 2;

	ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
	if (!REQUIRE(make_huge_range(walk, pmd), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, first, HUGE_PMDS * pmd - 7 - first, request),
		     walk->why))
		return;
	if (request) {
		walk_end(walk);
		ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
		if (!REQUIRE(make_huge_range(walk, pmd), walk->why))
			return;
	}
	if (!REQUIRE(walk_ask(walk, 0, 2 * pmd + pmd / 2, 2 * pmd + 9, request), walk->why))
		return;
}

TEST_F(walk_mixed_huge, snapshot)
{
	walk_huge_range(_metadata, &self->walk, self->pmd, 0);
}

TEST_F(walk_mixed_huge, read_fault)
{
	walk_huge_range(_metadata, &self->walk, self->pmd, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_mixed_huge, write_fault)
{
	walk_huge_range(_metadata, &self->walk, self->pmd, HMMIRROR_REQ_ALL);
}

TEST_F(walk_mixed_huge, page_requests)
{
	size_t pmd = self->pmd, i;
	struct walk *walk = &self->walk;

	ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
	if (!REQUIRE(make_huge_range(walk, pmd), walk->why))
		return;
	for (i = pmd - 30; i < HUGE_PMDS * pmd; i++)
		walk->page[i].request = i % 97 == 5 ? HMMIRROR_REQ_FAULT :
					i % 97 == 50 ? HMMIRROR_REQ_ALL : 0;
	if (!REQUIRE(walk_ask_pages(walk, 0, pmd - 30, 5 * pmd + 20, HMMIRROR_REQ_ALL),
		     walk->why))
		return;
}

/*
 * A hole, or a mapping without access, between huge pages: a snapshot passes over it, a
 * fault ends there.
 */
TEST_F(walk_mixed_huge, hole_between)
{
	static const char *const states[] = { "hole", "anon_noaccess" };
	size_t pmd = self->pmd, i;
	struct walk *walk = &self->walk;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		walk_end(walk);
		ASSERT_EQ(0, walk_begin(walk, 3 * pmd, 0));
		if (!REQUIRE(make_or_plain(walk, "thp_writable", 0, pmd), walk->why))
			return;
		if (!REQUIRE(walk_make(walk, states[i], pmd, pmd), walk->why))
			return;
		if (!REQUIRE(make_or_plain(walk, "hugetlb_writable", 2 * pmd, pmd), walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, pmd - 7, pmd + 16, 0), walk->why))
			return;
		/* the walk changes nothing, so that the next one meets the same */
		if (!REQUIRE(walk_ask(walk, 0, pmd - 7, pmd + 16, HMMIRROR_REQ_FAULT),
			     walk->why))
			return;
		if (!REQUIRE(walk_ask(walk, 0, pmd - 7, pmd + 16, HMMIRROR_REQ_ALL),
			     walk->why))
			return;
	}
}

#include "hmm_main.h"
