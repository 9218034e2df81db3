// SPDX-License-Identifier: GPL-2.0
/*
 * What migrate_vma_setup() tells a driver about each page: is there one, may it move, could it
 * be written, is it huge?
 *
 * A driver plans the whole migration by these bits. What the pages become afterwards does not
 * show all of them: the kernel itself ignores MIGRATE_PFN_WRITE of a huge page, and a driver
 * that maps its page by that bit would let the device write to memory that is read-only.
 */
#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES	8

#define HOLE		HMMIRROR_OFFER_MOVE
#define READ_ONLY	(HMMIRROR_OFFER_PAGE | HMMIRROR_OFFER_MOVE)
#define WRITABLE	(READ_ONLY | HMMIRROR_OFFER_WRITE)

FIXTURE(migrate_offer)
{
	struct hmm_area area;
	struct hmmirror_migrate arg;
	__u8 *offers;
	size_t pages;
	int fd;
};

FIXTURE_VARIANT(migrate_offer)
{
	const char *state;
	unsigned int device;	/* whose memory the pages move to, or from */
	__u32 flags;
	__u8 offer;		/* of each page; of the first one of a huge page */
};

FIXTURE_VARIANT_ADD(migrate_offer, writable)
{
	.state = "anon_writable",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = WRITABLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, readonly)
{
	.state = "anon_readonly",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = READ_ONLY,
};

FIXTURE_VARIANT_ADD(migrate_offer, cow_parent)
{
	.state = "anon_cow_parent",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = READ_ONLY,
};

FIXTURE_VARIANT_ADD(migrate_offer, cow_child)
{
	.state = "anon_cow_child",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = READ_ONLY,
};

/* Nobody else has the page any more, but that shows only at the next write. */
FIXTURE_VARIANT_ADD(migrate_offer, cow_left)
{
	.state = "anon_cow_left",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = READ_ONLY,
};

FIXTURE_VARIANT_ADD(migrate_offer, none)
{
	.state = "anon_none",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = HOLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, emptied)
{
	.state = "anon_emptied",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = HOLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, zero)
{
	.state = "anon_zero",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = HOLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, swapped)
{
	.state = "anon_swapped",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
};

FIXTURE_VARIANT_ADD(migrate_offer, shmem_written)
{
	.state = "shmem_shared_written",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = WRITABLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, shmem_private_read)
{
	.state = "shmem_private_read",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = READ_ONLY,
};

/* A device's pages are not the system's, whoever asks. */
FIXTURE_VARIANT_ADD(migrate_offer, device_again)
{
	.state = "dev_private",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
};

FIXTURE_VARIANT_ADD(migrate_offer, device)
{
	.state = "dev_private",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
	.offer = WRITABLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, device_readonly)
{
	.state = "dev_private_readonly",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
	.offer = READ_ONLY,
};

FIXTURE_VARIANT_ADD(migrate_offer, device_cow)
{
	.state = "dev_private_cow",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
	.offer = READ_ONLY,
};

FIXTURE_VARIANT_ADD(migrate_offer, other_device)
{
	.state = "dev_other",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
};

FIXTURE_VARIANT_ADD(migrate_offer, coherent)
{
	.state = "dev_coherent",
	.device = HMM_DEV_COHERENT,
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
	.offer = WRITABLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, coherent_other)
{
	.state = "dev_coherent",
	.device = HMM_DEV_COHERENT_OTHER,
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
};

/* What is the system's already is not asked for. */
FIXTURE_VARIANT_ADD(migrate_offer, system_again)
{
	.state = "anon_writable",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
};

FIXTURE_VARIANT_ADD(migrate_offer, thp_split)
{
	.state = "thp_writable",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
	.offer = WRITABLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, thp)
{
	.state = "thp_writable",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
	.offer = WRITABLE | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, thp_readonly)
{
	.state = "thp_readonly",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
	.offer = READ_ONLY | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, thp_cow)
{
	.state = "thp_cow_parent",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
	.offer = READ_ONLY | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, thp_none)
{
	.state = "thp_none",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
	.offer = HOLE | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, thp_zero)
{
	.state = "thp_zero",
	.flags = HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
	.offer = HOLE | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, huge)
{
	.state = "dev_huge",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM | HMMIRROR_MIGRATE_HUGE,
	.offer = WRITABLE | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, huge_readonly)
{
	.state = "dev_huge_readonly",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM | HMMIRROR_MIGRATE_HUGE,
	.offer = READ_ONLY | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, huge_cow)
{
	.state = "dev_huge_cow",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM | HMMIRROR_MIGRATE_HUGE,
	.offer = READ_ONLY | HMMIRROR_OFFER_HUGE,
};

FIXTURE_VARIANT_ADD(migrate_offer, huge_split)
{
	.state = "dev_huge",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM,
	.offer = WRITABLE,
};

FIXTURE_VARIANT_ADD(migrate_offer, huge_other)
{
	.state = "dev_huge_other",
	.flags = HMMIRROR_MIGRATE_TO_SYSTEM | HMMIRROR_MIGRATE_HUGE,
};

FIXTURE_SETUP(migrate_offer)
{
	const struct hmm_state *state = hmm_state_find(variant->state);
	size_t unit;

	ASSERT_NE(NULL, state);
	unit = hmm_state_unit(state);
	self->pages = unit > hmm_page_size() ? unit / hmm_page_size() : PAGES;
	self->offers = hmm_map_anon(self->pages, 0);
	ASSERT_NE(NULL, self->offers);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->pages * hmm_page_size(), 0));
}

FIXTURE_TEARDOWN(migrate_offer)
{
	hmm_unmap(self->offers, self->pages);
	hmm_area_end(&self->area);
}

TEST_F(migrate_offer, bits)
{
	int huge = variant->offer & HMMIRROR_OFFER_HUGE;
	size_t length = self->pages * hmm_page_size(), i;
	struct hmm_area *area = &self->area;
	__u64 offered = 0;

	if (!REQUIRE(hmm_area_memory(area, variant->device), area->why))
		return;
	if (variant->flags & HMMIRROR_MIGRATE_HUGE &&
	    !REQUIRE(hmm_area_huge_memory(area, variant->device), area->why))
		return;
	if (!REQUIRE(hmm_state_make(area, hmm_state_find(variant->state), 0, length), area->why))
		return;
	self->arg.flags = variant->flags;
	self->arg.addr = (uintptr_t)area->addr;
	self->arg.length = length;
	self->arg.offers = (uintptr_t)self->offers;
	memset(self->offers, 0xee, self->pages);
	ASSERT_EQ(0, hmm_ioctl_migrate(hmm_area_device(area, variant->device), &self->arg));
	ASSERT_EQ(0, self->arg.error);
	for (i = 0; i < self->pages; i++) {
		ASSERT_EQ(huge && i ? 0 : variant->offer, self->offers[i])
			TH_LOG("page %zu", i);
		offered += !!(self->offers[i] & HMMIRROR_OFFER_MOVE);
	}
	/* A huge page counts once. Both came with 5.9: that trait, and a count to be seen. */
	if (!expect_when(WHEN_HOLES_ANON))
		return;
	ASSERT_EQ(offered, self->arg.cpages);
}

#include "hmm_main.h"
