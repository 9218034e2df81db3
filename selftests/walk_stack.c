// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() below a stack (VM_GROWSDOWN).
 *
 * A CPU that touches the page below makes the stack grow. The walker must not do that,
 * whichever variant of hmm_range_fault() is used: to it, there is no mapping.
 */
#include <sys/mman.h>

#include "hmm_test.h"
#include "walk_run.h"

#define PAGES	16

FIXTURE(walk_stack)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_stack)
{
	__u64 request;
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(walk_stack, snapshot)
{
	.request = 0,
};

FIXTURE_VARIANT_ADD(walk_stack, read_fault)
{
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_stack, write_fault)
{
	.request = HMMIRROR_REQ_ALL,
};

FIXTURE_VARIANT_ADD(walk_stack, unlocked)
{
	.request = HMMIRROR_REQ_ALL,
	.flags = HMMIRROR_RANGE_UNLOCKED,
};

FIXTURE_SETUP(walk_stack)
{
	self->walk.flags = variant->flags;
}

FIXTURE_TEARDOWN(walk_stack)
{
	walk_end(&self->walk);
}

TEST_F(walk_stack, below)
{
	size_t middle = PAGES / 2, size = hmm_page_size();
	struct walk *walk = &self->walk;
	char *stack;

	ASSERT_EQ(0, walk_begin(walk, PAGES, 0));
	stack = walk->area.addr + middle * size;
	if (!REQUIRE(walk_make(walk, "hole", 0, middle), walk->why))
		return;
	if (!REQUIRE(walk_make(walk, "stack", middle, middle), walk->why))
		return;
	/*
	 * a range that includes the page below, one that does not, and one that starts
	 * there
	 */
	if (!REQUIRE(walk_ask(walk, 0, 0, PAGES, variant->request), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, middle, middle, variant->request), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, middle - 1, 2, variant->request), walk->why))
		return;
	ASSERT_EQ(0, hmm_prove_mapping(&walk->area, walk->area.addr,
				       middle * size, -1));

	/* a CPU access makes the stack grow, and then the page is like any other */
	hmm_pattern_fill(stack - size, size, 0);
	ASSERT_EQ(0, hmm_prove_mapping(&walk->area, stack - size, size,
				       PROT_READ | PROT_WRITE));
	ASSERT_EQ(0, hmm_prove_mapping(&walk->area, walk->area.addr,
				       (middle - 1) * size, -1));
	walk->page[middle - 1].state = walk->page[middle].state;
	if (!REQUIRE(walk_ask(walk, 0, middle - 2, 4, variant->request), walk->why))
		return;
}

#include "hmm_main.h"
