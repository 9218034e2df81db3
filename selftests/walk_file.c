// SPDX-License-Identifier: GPL-2.0
/* The walker on small pages of files in the page cache. */
#include "hmm_test.h"
#include "walk_run.h"

FIXTURE(walk_file)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_file)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_file, private_none)
{
	.state = "file_private_none",
};

FIXTURE_VARIANT_ADD(walk_file, private_cached)
{
	.state = "file_private_cached",
};

FIXTURE_VARIANT_ADD(walk_file, private_read)
{
	.state = "file_private_read",
};

FIXTURE_VARIANT_ADD(walk_file, private_written)
{
	.state = "file_private_written",
};

FIXTURE_VARIANT_ADD(walk_file, private_readonly)
{
	.state = "file_private_readonly",
};

FIXTURE_VARIANT_ADD(walk_file, shared_none)
{
	.state = "file_shared_none",
};

FIXTURE_VARIANT_ADD(walk_file, shared_read)
{
	.state = "file_shared_read",
};

FIXTURE_VARIANT_ADD(walk_file, shared_written)
{
	.state = "file_shared_written",
};

FIXTURE_VARIANT_ADD(walk_file, shared_readonly)
{
	.state = "file_shared_readonly",
};

FIXTURE_VARIANT_ADD(walk_file, past_eof)
{
	.state = "file_past_eof",
};

FIXTURE_SETUP(walk_file)
{
}

FIXTURE_TEARDOWN(walk_file)
{
	walk_end(&self->walk);
}

#define WALK_FIXTURE walk_file
#include "walk_tests.h"

#include "hmm_main.h"
