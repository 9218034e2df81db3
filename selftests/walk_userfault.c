// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on memory that is registered with userfaultfd: missing, minor and
 * write-protected pages.
 *
 * A fault there would have to wait for the monitor, but hmm_range_fault() faults without
 * FAULT_FLAG_ALLOW_RETRY: the walk must fail with -EFAULT and leave the entries untouched.
 * A write-protected page is present and must be reported as read-only.
 */
#include "walk_cases.h"

FIXTURE(walk_userfault)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_userfault)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(walk_userfault, missing)
{
	.state = "anon_uffd_missing",
};

FIXTURE_VARIANT_ADD(walk_userfault, wp)
{
	.state = "anon_uffd_wp",
};

FIXTURE_VARIANT_ADD(walk_userfault, wp_zero)
{
	.state = "anon_uffd_wp_zero",
};

FIXTURE_VARIANT_ADD(walk_userfault, wp_swapped)
{
	.state = "anon_uffd_wp_swapped",
};

FIXTURE_VARIANT_ADD(walk_userfault, shmem_missing)
{
	.state = "shmem_uffd_missing",
};

FIXTURE_VARIANT_ADD(walk_userfault, shmem_minor)
{
	.state = "shmem_uffd_minor",
};

FIXTURE_VARIANT_ADD(walk_userfault, shmem_wp)
{
	.state = "shmem_uffd_wp",
};

FIXTURE_SETUP(walk_userfault)
{
}

FIXTURE_TEARDOWN(walk_userfault)
{
	walk_end(&self->walk);
}

TEST_F(walk_userfault, snapshot)
{
	walk_range(_metadata, &self->walk, variant->state, 0, 0);
}

TEST_F(walk_userfault, read_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_userfault, write_fault)
{
	walk_range(_metadata, &self->walk, variant->state, 0, HMMIRROR_REQ_ALL);
}

TEST_F(walk_userfault, page_requests)
{
	walk_page_requests(_metadata, &self->walk, variant->state);
}

TEST_F(walk_userfault, among_others)
{
	walk_among_others(_metadata, &self->walk, variant->state);
}

#include "hmm_main.h"
