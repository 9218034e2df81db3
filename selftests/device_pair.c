// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that migrate between two devices, or that one device has and another uses.
 *
 * One device can't migrate pages out of another's memory, nor read them there: they go
 * through system memory. Each device must find what the other wrote, and a migration must
 * not take pages that belong to the other (pgmap_owner).
 */
#include <errno.h>
#include <unistd.h>

#include "small_pages.h"

#define PAGES	8

FIXTURE(device_pair)
{
	struct hmm_area area;
	struct hmmirror_stats before[2];
	char *addr;
	char *copy;
	size_t page;
	size_t length;
	int setup_ret;
	int fd[2];
};

FIXTURE_VARIANT(device_pair)
{
	unsigned int device[2];
};

FIXTURE_VARIANT_ADD(device_pair, private_private)
{
	.device = { HMM_DEV_PRIVATE, HMM_DEV_PRIVATE_OTHER },
};

FIXTURE_VARIANT_ADD(device_pair, private_coherent)
{
	.device = { HMM_DEV_PRIVATE, HMM_DEV_COHERENT },
};

FIXTURE_VARIANT_ADD(device_pair, coherent_private)
{
	.device = { HMM_DEV_COHERENT, HMM_DEV_PRIVATE },
};

FIXTURE_VARIANT_ADD(device_pair, coherent_coherent)
{
	.device = { HMM_DEV_COHERENT, HMM_DEV_COHERENT_OTHER },
};

FIXTURE_SETUP(device_pair)
{
	int i;

	SMALL_PAGES(PAGES);
	self->copy = hmm_map_anon(self->length, 0);
	ASSERT_NE(NULL, self->copy);
	for (i = 0; i < 2 && !self->setup_ret; i++)
		self->setup_ret = hmm_area_use_memory(&self->area, variant->device[i],
						      &self->fd[i], &self->before[i]);
}

FIXTURE_TEARDOWN(device_pair)
{
	hmm_area_end(&self->area);
	hmm_unmap(self->copy, self->length);
}

static long used(struct _test_data_device_pair *self, int device)
{
	return hmm_used_since(self->fd[device], &self->before[device]);
}

/* Migrate all of the range to a device, check the pattern there, and write another. */
static void migrate_and_write(struct __test_metadata *_metadata,
			      struct _test_data_device_pair *self, int device, __u64 before,
			      __u64 after)
{
	int fd = self->fd[device];
	__u64 migrated = 0;

	ASSERT_EQ(0, hmm_to_device(fd, self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(PAGES, migrated);
	ASSERT_EQ(PAGES, used(self, device));
	ASSERT_EQ(0, hmm_dev_read(fd, self->addr, self->copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, before));
	hmm_pattern_fill_as(self->copy, self->addr, self->length, after);
	ASSERT_EQ(0, hmm_dev_write(fd, self->addr, self->copy, self->length));
	ASSERT_EQ(PAGES, used(self, device));
}

/* Back and forth between two devices, through system memory. */
TEST_F(device_pair, in_turn)
{
	int i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 0);
	for (i = 0; i < 4; i++) {
		migrate_and_write(_metadata, self, i % 2, i, i + 1);
		ASSERT_EQ(0, hmm_to_system(self->fd[i % 2], self->addr, self->length, NULL,
					   NULL));
		ASSERT_EQ(0, used(self, i % 2));
	}
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 4));
}

/* The second device writes pages that the first has, without migrating them. */
TEST_F(device_pair, write_other_devices_page)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 0);
	migrate_and_write(_metadata, self, 0, 0, 1);
	hmm_pattern_fill_as(self->copy, self->addr, self->page, 2);
	if (hmm_dev_write(self->fd[1], self->addr + self->page, self->copy, 8) == -EFAULT)
		SKIP(return, "the walker of this kernel refuses pages of another device");
	hmm_pattern_fill_as(self->copy, self->addr, self->page, 2);
	ASSERT_EQ(0, hmm_dev_write(self->fd[1], self->addr, self->copy, self->page));
	ASSERT_EQ(0, hmm_dev_read(self->fd[0], self->addr, self->copy, self->page));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->page, 2));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->page, 2));
	ASSERT_EQ(hmm_pattern(self->addr, 2), *(__u64 *)(self->addr + self->page));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 2 * self->page,
					self->length - 2 * self->page, 1));
}

/* Some pages on each device, some on none: each call takes only what it may. */
TEST_F(device_pair, mixed)
{
	__u64 migrated = 0;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 3);
	ASSERT_EQ(0, hmm_to_device(self->fd[0], self->addr, 3 * self->page, NULL, NULL));
	ASSERT_EQ(0, hmm_to_device(self->fd[1], self->addr, 6 * self->page, NULL, &migrated));
	ASSERT_EQ(3, migrated);
	ASSERT_EQ(0, hmm_to_device(self->fd[0], self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(2, migrated);
	ASSERT_EQ(5, used(self, 0));
	ASSERT_EQ(3, used(self, 1));
	ASSERT_EQ(0, hmm_to_system(self->fd[0], self->addr, self->length, NULL, &migrated));
	ASSERT_EQ(5, migrated);
	ASSERT_EQ(3, used(self, 1));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 3));
}

/* Two processes share the pages by fork, and each migrates them to a device of its own. */
TEST_F(device_pair, two_processes)
{
	pid_t child;
	int go, fd;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 4);
	ASSERT_EQ(0, hmm_to_device(self->fd[0], self->addr, self->length, NULL, NULL));
	child = hmm_fork_waiter(&go);
	if (!child) {
		fd = hmm_open(variant->device[1]);
		if (fd < 0 || hmm_to_device(fd, self->addr, self->length, NULL, NULL))
			_exit(1);
		if (hmm_pattern_check(self->addr, self->length, 4) != -1)
			_exit(2);
		hmm_pattern_fill(self->addr, self->length, 5);
		if (hmm_to_device(fd, self->addr, self->length, NULL, NULL))
			_exit(3);
		_exit(hmm_pattern_check(self->addr, self->length, 5) == -1 ? 0 : 4);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(0, hmm_dev_read(self->fd[0], self->addr, self->copy, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->copy, self->addr, self->length, 4));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 4));
	ASSERT_EQ(0, used(self, 1));
}

#include "hmm_main.h"
