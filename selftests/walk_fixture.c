// SPDX-License-Identifier: GPL-2.0
/* The walker on mappings that a driver made. */
#include "hmm_test.h"
#include "walk_run.h"

FIXTURE(walk_fixture)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_fixture)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_fixture, mixed_normal)
{
	.state = "mixed_normal",
};

FIXTURE_VARIANT_ADD(walk_fixture, mixed_special)
{
	.state = "mixed_special",
};

FIXTURE_VARIANT_ADD(walk_fixture, mixed_special_readonly)
{
	.state = "mixed_special_readonly",
};

FIXTURE_VARIANT_ADD(walk_fixture, pfnmap)
{
	.state = "pfnmap",
};

FIXTURE_VARIANT_ADD(walk_fixture, io)
{
	.state = "io",
};

FIXTURE_SETUP(walk_fixture)
{
}

FIXTURE_TEARDOWN(walk_fixture)
{
	walk_end(&self->walk);
}

#define WALK_FIXTURE walk_fixture
#include "walk_tests.h"

#include "hmm_main.h"
