// SPDX-License-Identifier: GPL-2.0
/*
 * Migrations in which one page fails, for each page of the range in turn: its allocation,
 * its copy, or the kernel's allocation of a page table.
 *
 * The page that fails must be restored (remove_migration_ptes(), putback to the LRU) with
 * its data and its sharing, and all others must migrate; nothing may stay isolated or in
 * use on the device.
 */
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "small_pages.h"

#define PAGES	8

FIXTURE(migrate_fail)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	__u8 outcomes[PAGES];
	char *addr;
	size_t page;
	size_t length;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(migrate_fail)
{
	unsigned int device;
	enum hmmirror_event event;
	__u8 outcome;
};

FIXTURE_VARIANT_ADD(migrate_fail, private_alloc)
{
	.device = HMM_DEV_PRIVATE,
	.event = HMMIRROR_INJECT_ALLOC,
	.outcome = HMMIRROR_OUT_NOMEM,
};

FIXTURE_VARIANT_ADD(migrate_fail, private_copy)
{
	.device = HMM_DEV_PRIVATE,
	.event = HMMIRROR_INJECT_COPY,
	.outcome = HMMIRROR_OUT_NOCOPY,
};

FIXTURE_VARIANT_ADD(migrate_fail, coherent_alloc)
{
	.device = HMM_DEV_COHERENT,
	.event = HMMIRROR_INJECT_ALLOC,
	.outcome = HMMIRROR_OUT_NOMEM,
};

FIXTURE_VARIANT_ADD(migrate_fail, coherent_copy)
{
	.device = HMM_DEV_COHERENT,
	.event = HMMIRROR_INJECT_COPY,
	.outcome = HMMIRROR_OUT_NOCOPY,
};

FIXTURE_SETUP(migrate_fail)
{
	SMALL_PAGES(PAGES);
	USE_MEMORY(variant->device);
}

FIXTURE_TEARDOWN(migrate_fail)
{
	hmm_area_end(&self->area);
}

/* Migrate the range while @pages pages from @first on fail, and check each page's outcome. */
static void migrate_failing(struct __test_metadata *_metadata,
			    struct _test_data_migrate_fail *self,
			    const struct _fixture_variant_migrate_fail *variant,
			    unsigned int flags, size_t first, size_t pages, __u8 others)
{
	__u64 migrated = 0;
	size_t i;

	ASSERT_LE(0, hmm_inject(self->fd, variant->event, first + 1, pages));
	ASSERT_EQ(0, hmm_move(self->fd, flags, self->addr, self->length, self->outcomes,
			      &migrated));
	ASSERT_EQ((int)pages, hmm_inject(self->fd, variant->event, 0, 0));
	ASSERT_EQ(PAGES - pages, migrated);
	for (i = 0; i < PAGES; i++) {
		__u8 want = i >= first && i < first + pages ? variant->outcome : others;

		ASSERT_EQ(want, self->outcomes[i])
			TH_LOG("failing from %zu, %zu pages: page %zu %s, want %s", first,
			       pages, i, hmm_outcome_str(self->outcomes[i]),
			       hmm_outcome_str(want));
	}
}

/* Migrate all pages back. */
static void migrate_back(struct __test_metadata *_metadata, struct _test_data_migrate_fail *self)
{
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr, self->length, NULL, NULL));
	ASSERT_EQ(0, USED());
}

TEST_F(migrate_fail, to_device)
{
	long isolated = hmm_isolated(LONG_MAX);
	size_t n;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	for (n = 0; n < PAGES; n++) {
		hmm_pattern_fill(self->addr, self->length, n);
		migrate_failing(_metadata, self, variant, HMMIRROR_MIGRATE_TO_DEVICE, n, 1,
				HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ(PAGES - 1, USED());
		ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, n));
		migrate_back(_metadata, self);
		ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, n));
	}
	ASSERT_GE(isolated + 1, hmm_isolated(isolated + 1));
}

TEST_F(migrate_fail, to_system)
{
	size_t n;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	for (n = 0; n < PAGES; n++) {
		hmm_pattern_fill(self->addr, self->length, n);
		ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
		migrate_failing(_metadata, self, variant, HMMIRROR_MIGRATE_TO_SYSTEM, n, 1,
				HMMIRROR_OUT_MIGRATED);
		/* the page that failed is still on the device, with its data */
		ASSERT_EQ(1, USED());
		ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, n));
		migrate_back(_metadata, self);
	}
}

TEST_F(migrate_fail, unpopulated)
{
	size_t n;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	for (n = 0; n < PAGES; n++) {
		ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
		ASSERT_EQ(0, USED());
		migrate_failing(_metadata, self, variant, HMMIRROR_MIGRATE_TO_DEVICE, n, 1,
				HMMIRROR_OUT_POPULATED);
		ASSERT_EQ(PAGES - 1, USED());
		ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
	}
}

TEST_F(migrate_fail, zero_page)
{
	size_t n;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	for (n = 0; n < PAGES; n++) {
		if (!REQUIRE(hmm_state_make_named(&self->area, "anon_zero", 0, self->length),
			     self->area.why))
			return;
		ASSERT_EQ(0, USED());
		migrate_failing(_metadata, self, variant, HMMIRROR_MIGRATE_TO_DEVICE, n, 1,
				HMMIRROR_OUT_POPULATED);
		ASSERT_EQ(PAGES - 1, USED());
		ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
	}
}

/* Pages that fork has shared: the page that fails stays shared. */
TEST_F(migrate_fail, shared)
{
	size_t n;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!expect_when(WHEN_HOME_FOR_ALL))
		SKIP(return, "shared pages are migrated back for one process at a time");
	if (!REQUIRE(hmm_state_make_named(&self->area, "anon_cow_parent", 0, self->length),
		     self->area.why))
		return;
	for (n = 0; n < PAGES; n++) {
		migrate_failing(_metadata, self, variant, HMMIRROR_MIGRATE_TO_DEVICE, n, 1,
				HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ(PAGES - 1, USED());
		migrate_back(_metadata, self);
	}
	ASSERT_EQ(0, hmm_state_prove(&self->area, hmm_state_find("anon_cow_parent"), 0,
				     self->length))
		TH_LOG("%s", self->area.why);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 0));
}

/* Several pages in a row fail, up to all. */
TEST_F(migrate_fail, several_pages)
{
	size_t n;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	for (n = 2; n <= PAGES; n += 2) {
		hmm_pattern_fill(self->addr, self->length, n);
		migrate_failing(_metadata, self, variant, HMMIRROR_MIGRATE_TO_DEVICE, PAGES -
				n, n, HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ((long)(PAGES - n), USED());
		ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, NULL));
		ASSERT_EQ(PAGES, USED());
		migrate_failing(_metadata, self, variant, HMMIRROR_MIGRATE_TO_SYSTEM, 0, n,
				HMMIRROR_OUT_MIGRATED);
		ASSERT_EQ((long)n, USED());
		ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, n));
		migrate_back(_metadata, self);
	}
}

/*
 * Map at an address that needs new page tables of all levels. Without five levels the
 * kernel ignores the upper hint.
 */
static char *map_without_tables(size_t length, unsigned int number)
{
	void *hint = (void *)((number + 1UL) << 48);
	char *addr = mmap(hint, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	if (addr == hint)
		return addr;
	if (addr != MAP_FAILED)
		munmap(addr, length);
	hint = (void *)((number + 16UL) << 40);
	addr = mmap(hint, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return addr == MAP_FAILED ? NULL : addr;
}

FIXTURE(migrate_fail_tables)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	int fd;
};

FIXTURE_SETUP(migrate_fail_tables)
{
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_page_size(), 0));
}

FIXTURE_TEARDOWN(migrate_fail_tables)
{
	hmm_area_end(&self->area);
}

/* Levels of page tables that the address space needs. */
static unsigned int levels(void)
{
	size_t size = hmm_page_size();
	unsigned int n = 0;

	for (; size < hmm_address_space(); size *= hmm_page_size() / 8)
		n++;
	return n;
}

/*
 * Each allocation of migrate_vma_insert_page() fails in turn: the page is not populated,
 * the next one is, and the first one too once there is memory.
 */
TEST_F(migrate_fail_tables, alloc_fails)
{
	size_t page = hmm_page_size(), length = 2 * page;
	__u8 outcomes[2];
	unsigned int n;
	char *addr;
	int hits = 1;

	if (!REQUIRE(hmm_area_use_memory(&self->area, HMM_DEV_PRIVATE, &self->fd,
					 &self->before), self->area.why))
		return;
	for (n = 1; hits && n < 10; n++) {
		addr = map_without_tables(length, n);
		ASSERT_NE(NULL, addr);
		if (hmm_inject(self->fd, HMMIRROR_INJECT_TABLE, n, 1) == -EOPNOTSUPP)
			SKIP(return, "functions of the kernel can't be made to fail");
		ASSERT_EQ(0, hmm_to_device(self->fd, addr, length, outcomes, NULL));
		hits = hmm_inject(self->fd, HMMIRROR_INJECT_TABLE, 0, 0);
		ASSERT_EQ(hits ? HMMIRROR_OUT_REFUSED : HMMIRROR_OUT_POPULATED, outcomes[0])
			TH_LOG("allocation %u: %s", n, hmm_outcome_str(outcomes[0]));
		ASSERT_EQ(HMMIRROR_OUT_POPULATED, outcomes[1]);
		ASSERT_EQ(0, hmm_to_device(self->fd, addr, page, outcomes, NULL));
		ASSERT_EQ(hits ? HMMIRROR_OUT_POPULATED : HMMIRROR_OUT_NONE, outcomes[0]);
		ASSERT_EQ(-1, hmm_all_bytes(addr, length, 0));
		hmm_unmap(addr, length);
	}
	/* at least a table of each level below the first, and an anon_vma; then none is left */
	ASSERT_EQ(0, hits);
	ASSERT_LE(levels() + 2, n);
	ASSERT_EQ(0, hmm_used_since(self->fd, &self->before));
}

#include "hmm_main.h"
