// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault_unlocked_timeout() (7.3) on pages whose faults keep the mmap lock.
 *
 * This variant takes the mmap lock itself and lets a fault drop it. Where no fault does, it
 * must give the same answers as hmm_range_fault(). States whose faults drop the lock have
 * tests of their own, in walk_unlocked_fault.c and walk_unlocked_uffd.c: such a fault ends
 * the faulting of the pages behind it.
 */
#include "walk_cases.h"

FIXTURE(walk_unlocked)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_unlocked)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_unlocked, none)
{
	.state = "anon_none",
};

FIXTURE_VARIANT_ADD(walk_unlocked, writable)
{
	.state = "anon_writable",
};

FIXTURE_VARIANT_ADD(walk_unlocked, readonly)
{
	.state = "anon_readonly",
};

FIXTURE_VARIANT_ADD(walk_unlocked, cow)
{
	.state = "anon_cow_parent",
};

FIXTURE_VARIANT_ADD(walk_unlocked, swapped)
{
	.state = "anon_swapped",
};

FIXTURE_VARIANT_ADD(walk_unlocked, noaccess)
{
	.state = "anon_noaccess",
};

FIXTURE_VARIANT_ADD(walk_unlocked, hole)
{
	.state = "hole",
};

FIXTURE_VARIANT_ADD(walk_unlocked, past_eof)
{
	.state = "file_past_eof",
};

FIXTURE_VARIANT_ADD(walk_unlocked, device)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(walk_unlocked, other_device)
{
	.state = "dev_other",
};

FIXTURE_SETUP(walk_unlocked)
{
	self->walk.flags = HMMIRROR_RANGE_UNLOCKED;
}

FIXTURE_TEARDOWN(walk_unlocked)
{
	walk_end(&self->walk);
}

TEST_F(walk_unlocked, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_unlocked, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_unlocked, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_unlocked, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_unlocked, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
