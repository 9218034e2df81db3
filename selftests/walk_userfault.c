// SPDX-License-Identifier: GPL-2.0
/* The walker on small pages that userfaultfd watches. */
#include "hmm_test.h"
#include "walk_run.h"

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

#define WALK_FIXTURE walk_userfault
#include "walk_tests.h"

#include "hmm_main.h"
