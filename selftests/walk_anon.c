// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on private anonymous memory in small pages, in every state that a PTE
 * can be in: none, the zero page, writable and not, shared by fork, merged by KSM, swapped
 * out; and in mappings that forbid the access.
 *
 * The walker decides for each page from the PTE and from what is asked. It must fault
 * exactly the pages that lack something, report the others as they are, and fault nothing
 * for a snapshot. What goes wrong easily: a read-only PTE passed off as writable, a swap
 * entry taken for a pfn, an error in a range reported for pages before it.
 */
#include "walk_cases.h"

FIXTURE(walk_anon)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_anon)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_anon, none)
{
	.state = "anon_none",
};

FIXTURE_VARIANT_ADD(walk_anon, none_readonly)
{
	.state = "anon_none_readonly",
};

FIXTURE_VARIANT_ADD(walk_anon, none_noaccess)
{
	.state = "anon_none_noaccess",
};

FIXTURE_VARIANT_ADD(walk_anon, emptied)
{
	.state = "anon_emptied",
};

FIXTURE_VARIANT_ADD(walk_anon, zero)
{
	.state = "anon_zero",
};

FIXTURE_VARIANT_ADD(walk_anon, writable)
{
	.state = "anon_writable",
};

FIXTURE_VARIANT_ADD(walk_anon, readonly)
{
	.state = "anon_readonly",
};

FIXTURE_VARIANT_ADD(walk_anon, noaccess)
{
	.state = "anon_noaccess",
};

FIXTURE_VARIANT_ADD(walk_anon, writeonly)
{
	.state = "anon_writeonly",
};

FIXTURE_VARIANT_ADD(walk_anon, mlocked)
{
	.state = "anon_mlocked",
};

FIXTURE_VARIANT_ADD(walk_anon, softclean)
{
	.state = "anon_softclean",
};

FIXTURE_VARIANT_ADD(walk_anon, old)
{
	.state = "anon_old",
};

FIXTURE_VARIANT_ADD(walk_anon, cow_parent)
{
	.state = "anon_cow_parent",
};

FIXTURE_VARIANT_ADD(walk_anon, cow_child)
{
	.state = "anon_cow_child",
};

FIXTURE_VARIANT_ADD(walk_anon, cow_left)
{
	.state = "anon_cow_left",
};

FIXTURE_VARIANT_ADD(walk_anon, ksm)
{
	.state = "anon_ksm",
};

FIXTURE_VARIANT_ADD(walk_anon, swapped)
{
	.state = "anon_swapped",
};

FIXTURE_VARIANT_ADD(walk_anon, hole)
{
	.state = "hole",
};

FIXTURE_SETUP(walk_anon)
{
}

FIXTURE_TEARDOWN(walk_anon)
{
	walk_end(&self->walk);
}

TEST_F(walk_anon, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_anon, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_anon, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_anon, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_anon, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
