// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on a range with one page that makes it fail: a hole, no access, the end
 * of a file, a write to a read-only mapping.
 *
 * The pages before the error must have their answers, and the entries from there on must be
 * left as the caller passed them: a driver that maps what was answered would otherwise map
 * garbage.
 */
#include "expect_kernel.h"
#include "hmm_test.h"
#include "walk_run.h"

FIXTURE(walk_error)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_error)
{
	const char *state;
	int error;
	__u64 request;
};

FIXTURE_VARIANT_ADD(walk_error, hole)
{
	.state = "hole",
	.error = -EFAULT,
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_error, noaccess)
{
	.state = "anon_noaccess",
	.error = -EFAULT,
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_error, past_eof)
{
	.state = "file_past_eof",
	.error = -EFAULT,
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_error, readonly)
{
	.state = "anon_readonly",
	.error = -EPERM,
	.request = HMMIRROR_REQ_ALL,
};

FIXTURE_VARIANT_ADD(walk_error, none_readonly)
{
	.state = "anon_none_readonly",
	.error = -EPERM,
	.request = HMMIRROR_REQ_ALL,
};

FIXTURE_SETUP(walk_error)
{
}

FIXTURE_TEARDOWN(walk_error)
{
	walk_end(&self->walk);
}

#define ERROR_PAGES	12

/* @at: the page that makes the walk fail, at the start, in the middle or at the end. */
static void walk_error_at(struct __test_metadata *_metadata, struct walk *walk,
			  const char *state, size_t at, __u64 request,
			  int error)
{
	size_t i;

	walk_end(walk);
	ASSERT_EQ(0, walk_begin(walk, ERROR_PAGES, 0));
	if (at)
		if (!REQUIRE(walk_make(walk, "anon_zero", 0, at), walk->why))
			return;
	if (!REQUIRE(walk_make(walk, state, at, 1), walk->why))
		return;
	if (at + 1 < ERROR_PAGES)
		if (!REQUIRE(walk_make(walk, "anon_emptied", at + 1, ERROR_PAGES - at - 1),
			     walk->why))
			return;
	if (!REQUIRE(walk_ask(walk, 0, 0, ERROR_PAGES, request), walk->why))
		return;
	/*
	 * Assert the same once more without the model of expect.c, where the kernel's
	 * answer is as simple as that.
	 */
	if (expect_when(WHEN_BY_MAPPING))
		return;
	ASSERT_EQ(error, walk->error);
	for (i = at; i < ERROR_PAGES; i++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, walk->entries[i]);
	for (i = 0; i < at; i++)
		ASSERT_NE(0, walk->entries[i] & HMMIRROR_PTE_VALID);
}

TEST_F(walk_error, first)
{
	walk_error_at(_metadata, &self->walk, variant->state, 0,
		      variant->request, variant->error);
}

TEST_F(walk_error, middle)
{
	walk_error_at(_metadata, &self->walk, variant->state, ERROR_PAGES / 2,
		      variant->request, variant->error);
}

TEST_F(walk_error, last)
{
	walk_error_at(_metadata, &self->walk, variant->state, ERROR_PAGES - 1,
		      variant->request, variant->error);
}

#include "hmm_main.h"
