// SPDX-License-Identifier: GPL-2.0
/*
 * @NAME@: say here what is tested and why it can go wrong, in the kernel's words.
 *
 * What stands below is a complete test: a snapshot by hmm_range_fault() of written anonymous
 * pages. It must report each of them as present and writable.
 */
#include "hmm_test.h"

#define PAGES	8

FIXTURE(@NAME@)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t length;
	int fd;
};

FIXTURE_SETUP(@NAME@)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(@NAME@)
{
	hmm_area_end(&self->area);
}

TEST_F(@NAME@, snapshot)
{
	/* Make the state, and prove it; skip the test where the kernel lacks something. */
	if (!REQUIRE(hmm_state_make_named(&self->area, "anon_writable", 0, self->length),
		     self->area.why))
		return;

	/* Call the kernel, and assert exactly what it must answer. */
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, 0, self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
}

#include "hmm_main.h"
