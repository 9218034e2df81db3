/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests that are made of every state of huge pages. A program that includes
 * this has a fixture that holds a struct walk and the pages of a huge page, and defines
 * its name as WALK_FIXTURE; the fixture's variants name a state.
 */
#include "walk_run.h"

static void walk_huge(struct __test_metadata *_metadata, struct walk *walk,
		      const char *state, size_t huge, __u64 request)
{
	ASSERT_EQ(0, walk_begin(walk, huge, 0));
	if (MISS(walk_put(walk, state, 0, huge), walk->why))
		return;
	if (MISS(walk_ask(walk, 0, 0, huge, request), walk->why))
		return;
}

TEST_F(WALK_FIXTURE, snapshot)
{
	walk_huge(_metadata, &self->walk, variant->state, self->huge, 0);
}

TEST_F(WALK_FIXTURE, read_fault)
{
	walk_huge(_metadata, &self->walk, variant->state, self->huge,
		  HMMIRROR_REQ_FAULT);
}

TEST_F(WALK_FIXTURE, write_fault)
{
	walk_huge(_metadata, &self->walk, variant->state, self->huge,
		  HMMIRROR_REQ_ALL);
}
