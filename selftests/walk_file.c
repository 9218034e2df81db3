// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on file mappings in small pages, private and shared, from a page that
 * is not in the page cache to one that was written, and behind the end of the file.
 *
 * A write to a private mapping copies the page, a write to a shared one may first have to
 * ask the file system: the walker must not report such a PTE as writable. A fault may map
 * neighbouring pages too (fault-around), and behind the end of the file it fails.
 */
#include "walk_cases.h"

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

TEST_F(walk_file, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_file, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_file, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_file, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_file, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
