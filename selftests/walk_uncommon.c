// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on memory that few programs use: memfd_secret(), sealed memfds,
 * protection keys, MADV_FREE, a stack.
 *
 * The walker does not look at any of this, and must give the same answers as for ordinary
 * pages in such a PTE. In particular a protection key binds threads and not the device, and
 * a secret page is present for the process although the kernel's direct map lacks it.
 */
#include "walk_cases.h"

FIXTURE(walk_uncommon)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_uncommon)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_uncommon, secret_none)
{
	.state = "secret_none",
};

FIXTURE_VARIANT_ADD(walk_uncommon, secret_written)
{
	.state = "secret_written",
};

FIXTURE_VARIANT_ADD(walk_uncommon, secret_readonly)
{
	.state = "secret_readonly",
};

FIXTURE_VARIANT_ADD(walk_uncommon, sealed_shared)
{
	.state = "sealed_shared",
};

FIXTURE_VARIANT_ADD(walk_uncommon, sealed_private)
{
	.state = "sealed_private",
};

FIXTURE_VARIANT_ADD(walk_uncommon, sealed_copied)
{
	.state = "sealed_copied",
};

FIXTURE_VARIANT_ADD(walk_uncommon, key_none)
{
	.state = "key_none",
};

FIXTURE_VARIANT_ADD(walk_uncommon, key_written)
{
	.state = "key_written",
};

FIXTURE_VARIANT_ADD(walk_uncommon, lazyfree)
{
	.state = "lazyfree",
};

FIXTURE_VARIANT_ADD(walk_uncommon, tagged)
{
	.state = "tagged",
};

FIXTURE_VARIANT_ADD(walk_uncommon, marked_targets)
{
	.state = "marked_targets",
};

FIXTURE_VARIANT_ADD(walk_uncommon, stack)
{
	.state = "stack",
};

FIXTURE_SETUP(walk_uncommon)
{
}

FIXTURE_TEARDOWN(walk_uncommon)
{
	walk_end(&self->walk);
}

TEST_F(walk_uncommon, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_uncommon, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_uncommon, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_uncommon, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_uncommon, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
