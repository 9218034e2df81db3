// SPDX-License-Identifier: GPL-2.0
/*
 * Which kinds of memory migrate_vma_*() migrates to a device: a variant for each state of
 * lib/, with the outcome that the kernel must give.
 *
 * Most kinds are left alone at one of several points: not collected, refused after the
 * copy, or with an error for the whole VMA. Such a page must be exactly as before.
 * Anonymous pages must migrate, whatever their history.
 */
#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES	8

FIXTURE(migrate_kinds)
{
	struct hmm_area area;
	__u8 *outcomes;
	size_t pages;
};

FIXTURE_VARIANT(migrate_kinds)
{
	const char *state;
	int error;
	__u8 outcome;
	int zeroes;	/* the memory reads as zeroes; else it has the pattern */
	int hole;	/* an empty entry of a file: some kernels collect it, and refuse it later */
	int unread;	/* don't read it: it would wait for userfaultfd, or has no pattern */
	int folio;	/* a large folio: split if the kernel supports huge device pages */
	int forgotten;	/* the attempt changes the state: don't prove it afterwards */
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_writable)
{
	.state = "anon_writable",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_mlocked)
{
	.state = "anon_mlocked",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_softclean)
{
	.state = "anon_softclean",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_old)
{
	.state = "anon_old",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_cow_parent)
{
	.state = "anon_cow_parent",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_cow_child)
{
	.state = "anon_cow_child",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

/* A swapped page is left alone. */
FIXTURE_VARIANT_ADD(migrate_kinds, anon_swapped)
{
	.state = "anon_swapped",
	.outcome = HMMIRROR_OUT_NONE,
};

/* Pages of files are collected and copied, and then refused. */
FIXTURE_VARIANT_ADD(migrate_kinds, file_private_read)
{
	.state = "file_private_read",
	.outcome = HMMIRROR_OUT_REFUSED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, file_private_written)
{
	.state = "file_private_written",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, file_shared_written)
{
	.state = "file_shared_written",
	.outcome = HMMIRROR_OUT_REFUSED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, shmem_shared_written)
{
	.state = "shmem_shared_written",
	.outcome = HMMIRROR_OUT_REFUSED,
};

/* Only anonymous memory is populated. */
FIXTURE_VARIANT_ADD(migrate_kinds, file_private_none)
{
	.state = "file_private_none",
	.outcome = HMMIRROR_OUT_NONE,
	.zeroes = 1,
	.hole = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, shmem_shared_none)
{
	.state = "shmem_shared_none",
	.outcome = HMMIRROR_OUT_NONE,
	.zeroes = 1,
	.hole = 1,
};

/* THPs are split, and migrate page by page. */
FIXTURE_VARIANT_ADD(migrate_kinds, thp_writable)
{
	.state = "thp_writable",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, thp_cow_parent)
{
	.state = "thp_cow_parent",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, thp_zero)
{
	.state = "thp_zero",
	.outcome = HMMIRROR_OUT_POPULATED,
	.zeroes = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, hugetlb)
{
	.state = "hugetlb_shared",
	.error = -EINVAL,
};

FIXTURE_VARIANT_ADD(migrate_kinds, noaccess)
{
	.state = "anon_noaccess",
	.error = -EFAULT,
};

/* An empty PTE in a table that exists. */
FIXTURE_VARIANT_ADD(migrate_kinds, anon_emptied)
{
	.state = "anon_emptied",
	.outcome = HMMIRROR_OUT_POPULATED,
	.zeroes = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_none_readonly)
{
	.state = "anon_none_readonly",
	.outcome = HMMIRROR_OUT_POPULATED,
	.zeroes = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_readonly)
{
	.state = "anon_readonly",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_cow_left)
{
	.state = "anon_cow_left",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, anon_uffd_wp)
{
	.state = "anon_uffd_wp",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

/* Missing, and userfaultfd decides what it will be. */
FIXTURE_VARIANT_ADD(migrate_kinds, anon_uffd_missing)
{
	.state = "anon_uffd_missing",
	.outcome = HMMIRROR_OUT_REFUSED,
	.unread = 1,
};

/* Marked by MADV_FREE, and still present. */
FIXTURE_VARIANT_ADD(migrate_kinds, lazyfree)
{
	.state = "lazyfree",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, tagged)
{
	.state = "tagged",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, marked_targets)
{
	.state = "marked_targets",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, stack)
{
	.state = "stack",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, shmem_private_read)
{
	.state = "shmem_private_read",
	.outcome = HMMIRROR_OUT_REFUSED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, shmem_private_written)
{
	.state = "shmem_private_written",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, shmem_shared_swapped)
{
	.state = "shmem_shared_swapped",
	.outcome = HMMIRROR_OUT_NONE,
	.hole = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, sealed_copied)
{
	.state = "sealed_copied",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, thp_readonly)
{
	.state = "thp_readonly",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, thp_cow_child)
{
	.state = "thp_cow_child",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

FIXTURE_VARIANT_ADD(migrate_kinds, thp_none)
{
	.state = "thp_none",
	.outcome = HMMIRROR_OUT_POPULATED,
	.zeroes = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, thp_uffd_wp)
{
	.state = "thp_uffd_wp",
	.outcome = HMMIRROR_OUT_MIGRATED,
};

/* The PMD is split first, which leaves empty entries as in any file. */
FIXTURE_VARIANT_ADD(migrate_kinds, thp_shmem_written)
{
	.state = "thp_shmem_written",
	.outcome = HMMIRROR_OUT_NONE,
	.hole = 1,
	.forgotten = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mthp_order2)
{
	.state = "mthp_order2",
	.outcome = HMMIRROR_OUT_MIGRATED,
	.folio = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mthp_order4)
{
	.state = "mthp_order4",
	.outcome = HMMIRROR_OUT_MIGRATED,
	.folio = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mthp_order8)
{
	.state = "mthp_order8",
	.outcome = HMMIRROR_OUT_MIGRATED,
	.folio = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mthp_cont_pte)
{
	.state = "mthp_cont_pte",
	.outcome = HMMIRROR_OUT_MIGRATED,
	.folio = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mthp_cow)
{
	.state = "mthp_cow",
	.outcome = HMMIRROR_OUT_MIGRATED,
	.folio = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mthp_none)
{
	.state = "mthp_none",
	.outcome = HMMIRROR_OUT_POPULATED,
	.zeroes = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mthp_shmem)
{
	.state = "mthp_shmem",
	.outcome = HMMIRROR_OUT_NONE,
	.hole = 1,
	.forgotten = 1,
};

/* Pages that a device has already are not collected. */
FIXTURE_VARIANT_ADD(migrate_kinds, dev_other)
{
	.state = "dev_other",
	.outcome = HMMIRROR_OUT_NONE,
};

FIXTURE_VARIANT_ADD(migrate_kinds, dev_coherent)
{
	.state = "dev_coherent",
	.outcome = HMMIRROR_OUT_NONE,
};

FIXTURE_VARIANT_ADD(migrate_kinds, dev_exclusive)
{
	.state = "dev_exclusive",
	.outcome = HMMIRROR_OUT_NONE,
	.forgotten = 1,
};

/* Collected like any page of a file, but the driver can't read it to copy it. */
FIXTURE_VARIANT_ADD(migrate_kinds, secret_written)
{
	.state = "secret_written",
	.outcome = HMMIRROR_OUT_NOCOPY,
};

FIXTURE_VARIANT_ADD(migrate_kinds, mixed_normal)
{
	.state = "mixed_normal",
	.error = -EINVAL,
	.unread = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, pfnmap)
{
	.state = "pfnmap",
	.error = -EINVAL,
	.unread = 1,
};

FIXTURE_VARIANT_ADD(migrate_kinds, io)
{
	.state = "io",
	.error = -EINVAL,
	.unread = 1,
};

FIXTURE_SETUP(migrate_kinds)
{
	const struct hmm_state *state = hmm_state_find(variant->state);

	ASSERT_NE(NULL, state);
	self->pages = PAGES;
	if (hmm_state_unit(state) > hmm_page_size())
		self->pages = hmm_state_unit(state) / hmm_page_size();
	self->outcomes = hmm_map_anon(self->pages, 0);
	ASSERT_NE(NULL, self->outcomes);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->pages * hmm_page_size(),
				    0));
}

FIXTURE_TEARDOWN(migrate_kinds)
{
	hmm_unmap(self->outcomes, self->pages);
	hmm_area_end(&self->area);
}

TEST_F(migrate_kinds, to_device)
{
	const struct hmm_state *state = hmm_state_find(variant->state);
	size_t length = self->pages * hmm_page_size(), i;
	int migrates = variant->outcome == HMMIRROR_OUT_MIGRATED ||
		    variant->outcome == HMMIRROR_OUT_POPULATED;
	struct hmm_area *area = &self->area;
	__u64 migrated = ~0ULL, entry;
	__u8 outcome = variant->outcome;
	int fd;

	if (variant->hole && !expect_when(WHEN_HOLES_ANON))
		outcome = HMMIRROR_OUT_REFUSED;
	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (variant->folio && hmm_area_feature(area, HMMIRROR_FEAT_DEVICE_THP)) {
		outcome = HMMIRROR_OUT_NONE;
		migrates = 0;
	}
	if (!REQUIRE(hmm_state_make(area, state, 0, length), area->why))
		return;
	fd = hmm_area_device(area, 0);
	memset(self->outcomes, 0xee, self->pages);
	ASSERT_EQ(variant->error, hmm_to_device(fd, area->addr, length,
						self->outcomes, &migrated));
	ASSERT_EQ(!variant->error && migrates ? self->pages : 0, migrated);
	for (i = 0; !variant->error && i < self->pages; i++) {
		ASSERT_EQ(outcome, self->outcomes[i])
			TH_LOG("page %zu: %s, want %s", i,
			       hmm_outcome_str(self->outcomes[i]),
			       hmm_outcome_str(outcome));
		ASSERT_EQ(0, hmm_entry(fd, area->addr + i * hmm_page_size(),
				       &entry));
		ASSERT_EQ(migrates, !!(entry & HMMIRROR_PTE_PRIVATE));
	}
	/* A page that did not migrate is as before. */
	if ((!migrates || variant->error) && !variant->forgotten)
		if (!REQUIRE(hmm_state_prove(area, state, 0, length), area->why))
			return;
	if (!(state->prot & PROT_READ) || variant->unread)
		return;
	/* For hugetlb the pattern is in the first small page. */
	if (variant->error)
		length = hmm_page_size();
	ASSERT_EQ(-1, variant->zeroes ? hmm_all_bytes(area->addr, length, 0) :
		  hmm_pattern_check(area->addr, length, 0));
}

/*
 * A hole or a mapping without access stops the migration: pages before it have migrated,
 * the rest is untouched.
 */
FIXTURE(migrate_kinds_stop)
{
	struct hmm_area area;
	__u8 outcomes[PAGES];
};

FIXTURE_VARIANT(migrate_kinds_stop)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(migrate_kinds_stop, hole)
{
	.state = "hole",
};

FIXTURE_VARIANT_ADD(migrate_kinds_stop, noaccess)
{
	.state = "anon_noaccess",
};

FIXTURE_SETUP(migrate_kinds_stop)
{
	ASSERT_EQ(0, hmm_area_begin(&self->area, PAGES * hmm_page_size(), 0));
}

FIXTURE_TEARDOWN(migrate_kinds_stop)
{
	hmm_area_end(&self->area);
}

TEST_F(migrate_kinds_stop, in_the_middle)
{
	const struct hmm_state *writable = hmm_state_find("anon_writable");
	const struct hmm_state *state = hmm_state_find(variant->state);
	size_t page = hmm_page_size(), length = PAGES * page, i;
	struct hmm_area *area = &self->area;
	__u64 migrated = 0, entry;
	int fd;

	if (!REQUIRE(hmm_area_memory(area, 0), area->why))
		return;
	if (!REQUIRE(hmm_state_make(area, writable, 0, length), area->why))
		return;
	if (!REQUIRE(hmm_state_make(area, state, 3 * page, page), area->why))
		return;
	fd = hmm_area_device(area, 0);
	ASSERT_EQ(-EFAULT, hmm_to_device(fd, area->addr, length,
					 self->outcomes, &migrated));
	ASSERT_EQ(3, migrated);
	for (i = 0; i < PAGES; i++) {
		if (i == 3)
			continue;
		ASSERT_EQ(0, hmm_entry(fd, area->addr + i * page, &entry));
		ASSERT_EQ(i < 3, !!(entry & HMMIRROR_PTE_PRIVATE));
		if (i < 3)
			ASSERT_EQ(HMMIRROR_OUT_MIGRATED, self->outcomes[i]);
	}
	ASSERT_EQ(-1, hmm_pattern_check(area->addr, 3 * page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(area->addr + 4 * page, 4 * page, 0));
}

#include "hmm_main.h"
