// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on shmem in small pages: shared anonymous memory, memfd and tmpfs.
 *
 * Unlike a file system, shmem does not ask to be told of the first write: a shared page is
 * writable from the first read on. Swapped out, it leaves no entry in the page table.
 */
#include "walk_cases.h"

FIXTURE(walk_shmem)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_shmem)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_shmem, shared_none)
{
	.state = "shmem_shared_none",
};

FIXTURE_VARIANT_ADD(walk_shmem, shared_cached)
{
	.state = "shmem_shared_cached",
};

FIXTURE_VARIANT_ADD(walk_shmem, shared_read)
{
	.state = "shmem_shared_read",
};

FIXTURE_VARIANT_ADD(walk_shmem, shared_written)
{
	.state = "shmem_shared_written",
};

FIXTURE_VARIANT_ADD(walk_shmem, shared_readonly)
{
	.state = "shmem_shared_readonly",
};

FIXTURE_VARIANT_ADD(walk_shmem, shared_swapped)
{
	.state = "shmem_shared_swapped",
};

FIXTURE_VARIANT_ADD(walk_shmem, private_none)
{
	.state = "shmem_private_none",
};

FIXTURE_VARIANT_ADD(walk_shmem, private_read)
{
	.state = "shmem_private_read",
};

FIXTURE_VARIANT_ADD(walk_shmem, private_written)
{
	.state = "shmem_private_written",
};

FIXTURE_VARIANT_ADD(walk_shmem, tmpfs_written)
{
	.state = "tmpfs_shared_written",
};

FIXTURE_SETUP(walk_shmem)
{
}

FIXTURE_TEARDOWN(walk_shmem)
{
	walk_end(&self->walk);
}

TEST_F(walk_shmem, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_shmem, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_shmem, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_shmem, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_shmem, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
