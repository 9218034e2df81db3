// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() by device 0 on pages that a device has: device-private ones of its own
 * and of another device, device-coherent ones, exclusive ones.
 *
 * The walker must report the caller's own device-private pages without a fault, as
 * dev_private_owner says, and fault those of others back to system memory. It must not
 * report a read-only one as writable, and must never pass off a swap entry of another kind
 * as a device page.
 */
#include "walk_cases.h"

FIXTURE(walk_device)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_device)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_device, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(walk_device, populated)
{
	.state = "dev_private_populated",
};

FIXTURE_VARIANT_ADD(walk_device, private_readonly)
{
	.state = "dev_private_readonly",
};

FIXTURE_VARIANT_ADD(walk_device, private_cow)
{
	.state = "dev_private_cow",
};

FIXTURE_VARIANT_ADD(walk_device, other)
{
	.state = "dev_other",
};

FIXTURE_VARIANT_ADD(walk_device, other_readonly)
{
	.state = "dev_other_readonly",
};

FIXTURE_VARIANT_ADD(walk_device, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(walk_device, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(walk_device)
{
}

FIXTURE_TEARDOWN(walk_device)
{
	walk_end(&self->walk);
}

TEST_F(walk_device, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_device, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_device, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_device, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_device, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
