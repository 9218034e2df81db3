// SPDX-License-Identifier: GPL-2.0
/*
 * migrate_tags: allocation tags of memory (PROT_MTE) on the way to a device and back.
 *
 * The tags lie beside the data: a copy of the bytes does not have them. A flag of the struct page
 * says that the tags of a page are valid. Where the kernel maps a page without that flag, it clears
 * the tags. So a page that comes back from a device has lost its tags if a copy left them out, and
 * has those of an earlier owner if the flag of the device's page stayed set.
 */
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_test.h"

#define PAGES	4
#define SEED		5
#define OTHER_SEED	9

FIXTURE(migrate_tags)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	size_t page;
	size_t length;
	char *addr;
	unsigned int device;
	unsigned int huge;	/* HMMIRROR_MIGRATE_HUGE, or 0 */
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(migrate_tags)
{
	const char *state;
	unsigned int device;
	int huge;
};

FIXTURE_VARIANT_ADD(migrate_tags, private)
{
	.state = "anon_writable",
	.device = HMM_DEV_PRIVATE,
};

FIXTURE_VARIANT_ADD(migrate_tags, huge)
{
	.state = "thp_writable",
	.device = HMM_DEV_PRIVATE,
	.huge = 1,
};

FIXTURE_VARIANT_ADD(migrate_tags, coherent)
{
	.state = "anon_writable",
	.device = HMM_DEV_COHERENT,
};

FIXTURE_SETUP(migrate_tags)
{
	self->page = hmm_page_size();
	self->length = variant->huge ? hmm_pmd_size() : PAGES * self->page;
	self->huge = variant->huge ? HMMIRROR_MIGRATE_HUGE : 0;
	self->device = variant->device;
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->addr = self->area.addr;
	self->setup_ret = hmm_tag_supported(&self->area);
	if (!self->setup_ret && variant->huge)
		self->setup_ret = hmm_area_huge_memory(&self->area, self->device);
	if (!self->setup_ret)
		self->setup_ret = hmm_area_use_memory(&self->area, self->device, &self->fd,
						      &self->before);
}

FIXTURE_TEARDOWN(migrate_tags)
{
	hmm_unmap(self->area.guard, self->area.guard_length);
	self->area.guard = NULL;
	if (!self->setup_ret)
		EXPECT_EQ(0, hmm_used_since(self->fd, &self->before));
	hmm_area_end(&self->area);
}

/* Pages with the pattern 1 and tags of @seed. Return: for REQUIRE() */
static int make_tagged(struct _test_data_migrate_tags *self, const char *state, unsigned int seed)
{
	int ret = self->setup_ret;

	if (!ret)
		ret = hmm_state_make_named(&self->area, state, 0, self->length);
	if (!ret)
		ret = hmm_tag_enable(&self->area, self->addr, self->length);
	if (ret)
		return ret;
	if (hmm_tag_is_zero(self->addr, self->length) >= 0)
		return hmm_fail(&self->area, 0, "a granule that nobody has tagged has a tag");
	hmm_pattern_fill(self->addr, self->length, 1);
	hmm_tag_fill(self->addr, self->length, seed);
	if (hmm_tag_check(self->addr, self->length, seed) >= 0)
		return hmm_fail(&self->area, 0, "a granule has not the tag that it was given");
	return 0;
}

#define MAKE_TAGGED(_seed)	\
	REQUIRE(make_tagged(self, variant->state, _seed), self->area.why)

static void move_all(struct __test_metadata *_metadata, struct _test_data_migrate_tags *self,
		     unsigned int direction)
{
	long used = direction == HMMIRROR_MIGRATE_TO_DEVICE ? self->length / self->page : 0;
	__u64 migrated = 0;

	ASSERT_EQ(0, hmm_move(self->fd, direction | self->huge, self->addr, self->length, NULL,
			      &migrated));
	ASSERT_EQ(self->length / self->page, migrated);
	ASSERT_EQ(used, hmm_used_since(self->fd, &self->before));
}

#define TO_DEVICE()	move_all(_metadata, self, HMMIRROR_MIGRATE_TO_DEVICE)
#define TO_SYSTEM()	move_all(_metadata, self, HMMIRROR_MIGRATE_TO_SYSTEM)

/* Reads the bytes first: a wrong tag must not be due to wrong data. */
#define CHECK_TAGGED(_seed)							\
	do {									\
		ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));	\
		ASSERT_EQ(-1, hmm_tag_check(self->addr, self->length, _seed));	\
	} while (0)

TEST_F(migrate_tags, to_system)
{
	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	TO_SYSTEM();
	CHECK_TAGGED(SEED);
}

/* Memory of a coherent device stays there, and the CPU reads its tags. */
TEST_F(migrate_tags, cpu_reads)
{
	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	ASSERT_EQ(-1, hmm_tag_check(self->addr, self->length, SEED));
	CHECK_TAGGED(SEED);
}

/* A write of other tags is a write for the page table, too. */
TEST_F(migrate_tags, cpu_writes_tags)
{
	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	hmm_tag_fill(self->addr, self->length, OTHER_SEED);
	CHECK_TAGGED(OTHER_SEED);
}

/* The device knows no tags: what it writes changes none. */
TEST_F(migrate_tags, device_writes)
{
	char bytes[64];

	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	hmm_pattern_fill_as(bytes, self->addr + self->page, sizeof(bytes), 1);
	ASSERT_EQ(0, hmm_dev_write(self->fd, self->addr + self->page, bytes, sizeof(bytes)));
	TO_SYSTEM();
	CHECK_TAGGED(SEED);
}

/* The kernel puts the page back that the device could not take. */
TEST_F(migrate_tags, failed)
{
	size_t pages = self->length / self->page;
	__u64 migrated = 1;

	if (!MAKE_TAGGED(SEED))
		return;
	ASSERT_EQ(0, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 1, pages));
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(0, migrated);
	ASSERT_LT(0, hmm_inject(self->fd, HMMIRROR_INJECT_ALLOC, 0, 0));
	CHECK_TAGGED(SEED);
}

/* The CPU gets all of a huge page back for one byte of it. */
TEST_F(migrate_tags, half)
{
	size_t half = self->length / 2;

	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr, half, NULL, NULL));
	ASSERT_EQ(0, mprotect(self->addr + half, half, PROT_READ));
	CHECK_TAGGED(SEED);
}

/* Both have the page on the device, and each gets its tags. */
TEST_F(migrate_tags, forked)
{
	pid_t child;
	int go;

	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_tag_check(self->addr, self->length, SEED) >= 0);
	ASSERT_LT(0, child);
	hmm_tag_fill(self->addr, self->length, OTHER_SEED);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK_TAGGED(OTHER_SEED);
}

/* A hole that the device fills has no tags, even where its memory had some before. */
TEST_F(migrate_tags, populated)
{
	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	ASSERT_EQ(0, hmm_used_since(self->fd, &self->before));
	TO_DEVICE();
	ASSERT_EQ(-1, hmm_tag_is_zero(self->addr, self->length));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/*
 * The device's memory had tags. Then it gets pages without tags, which come back, and which may
 * have tags from then on: those must be 0, and not what the one before has left.
 */
TEST_F(migrate_tags, none_of_the_owner_before)
{
	if (!MAKE_TAGGED(SEED))
		return;
	TO_DEVICE();
	if (!REQUIRE(hmm_state_make_named(&self->area, variant->state, 0, self->length),
		     self->area.why))
		return;
	ASSERT_EQ(0, hmm_used_since(self->fd, &self->before));
	TO_DEVICE();
	TO_SYSTEM();
	ASSERT_EQ(0, hmm_tag_enable(&self->area, self->addr, self->length));
	ASSERT_EQ(-1, hmm_tag_is_zero(self->addr, self->length));
}

/* In a child: an access with the right tag, or with another. Return: exit status */
static int access_tagged(char *addr, int good)
{
	if (hmm_tag_check_accesses())
		return 1;
	hmm_touch_read(hmm_tag_pointer(addr, good ? SEED : OTHER_SEED), 1);
	return 0;
}

/* The tags are not only there, the CPU compares them: also for the access that is a fault first. */
TEST_F(migrate_tags, compared)
{
	pid_t child;
	int good;

	if (!MAKE_TAGGED(SEED))
		return;
	for (good = 1; good >= 0; good--) {
		TO_DEVICE();
		child = fork();
		ASSERT_LE(0, child);
		if (!child)
			_exit(access_tagged(self->addr, good));
		ASSERT_EQ(good ? 0 : -SIGSEGV, hmm_child_result(child));
		/* the child's access has brought home what it could, for both */
		ASSERT_EQ(0, hmm_move(self->fd, HMMIRROR_MIGRATE_TO_SYSTEM | self->huge, self->addr,
				      self->length, NULL, NULL));
		ASSERT_EQ(0, hmm_used_since(self->fd, &self->before));
		CHECK_TAGGED(SEED);
	}
}

/* Exclusive access takes the page from the CPU and moves nothing. */
TEST_F(migrate_tags, exclusive)
{
	__u64 pages = 0;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_EXCLUSIVE), self->area.why))
		return;
	if (!MAKE_TAGGED(SEED))
		return;
	ASSERT_EQ(0, hmm_excl_pages(self->fd, HMMIRROR_EXCL_MAKE, self->addr, self->page, NULL,
				    &pages));
	ASSERT_EQ(1, pages);
	CHECK_TAGGED(SEED);
}

#include "hmm_main.h"
