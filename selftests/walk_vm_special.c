// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on mappings that a driver made: VM_IO, VM_PFNMAP and VM_MIXEDMAP.
 *
 * A special PTE has no struct page, so that there is nothing to mirror: the walker must
 * refuse it, and yet report the normal pages that a VM_MIXEDMAP mapping has beside it. The
 * driver under test provides the mappings.
 */
#include "walk_cases.h"

FIXTURE(walk_vm_special)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_vm_special)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_vm_special, mixed_normal)
{
	.state = "mixed_normal",
};

FIXTURE_VARIANT_ADD(walk_vm_special, mixed_special)
{
	.state = "mixed_special",
};

FIXTURE_VARIANT_ADD(walk_vm_special, mixed_special_readonly)
{
	.state = "mixed_special_readonly",
};

FIXTURE_VARIANT_ADD(walk_vm_special, pfnmap)
{
	.state = "pfnmap",
};

FIXTURE_VARIANT_ADD(walk_vm_special, io)
{
	.state = "io",
};

FIXTURE_SETUP(walk_vm_special)
{
}

FIXTURE_TEARDOWN(walk_vm_special)
{
	walk_end(&self->walk);
}

TEST_F(walk_vm_special, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_vm_special, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_vm_special, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_vm_special, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_vm_special, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
