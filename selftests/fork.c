// SPDX-License-Identifier: GPL-2.0
/*
 * fork() with mirrors and with pages on a device.
 *
 * A mirror belongs to the mm that opened it, whichever process uses the inherited file.
 * Device-private entries are copied by fork and become read-only in both processes; the
 * device and either CPU must break copy-on-write before a write, or one process sees the
 * other's data.
 */
#include "hmm_test.h"

#define PAGES	4

FIXTURE(fork)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t length;
	char *addr;
	char *buffer;
	int fd;
};

FIXTURE_SETUP(fork)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, self->length));
	self->addr = self->area.addr;
	self->buffer = hmm_map_anon(self->length, 0);
	ASSERT_NE(NULL, self->buffer);
	hmm_pattern_fill(self->addr, self->length, 1);
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(fork)
{
	hmm_unmap(self->buffer, self->length);
	hmm_area_end(&self->area);
}

/*
 * In a child: write the pattern @seed through a mirror. Return: 0 if the child's memory
 * then has the pattern @own, else an exit status.
 */
static int child_writes(struct _test_data_fork *self, int fd, __u64 seed, __u64 own)
{
	if (fd < 0)
		return 1;
	hmm_pattern_fill_as(self->buffer, self->addr, self->length, seed);
	if (hmm_dev_write(fd, self->addr, self->buffer, self->length))
		return 2;
	return hmm_pattern_check(self->addr, self->length, own) == -1 ? 0 : 3;
}

/* Whichever process uses it, a mirror is of the mm that opened it. */
TEST_F(fork, inherited_file_writes)
{
	pid_t child = fork();

	/* The child's own memory is unchanged. */
	if (!child)
		_exit(child_writes(self, self->fd, 2, 1));
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 2));
}

TEST_F(fork, inherited_file_reads)
{
	pid_t child = fork();

	if (!child) {
		hmm_pattern_fill(self->addr, self->length, 3);
		if (hmm_dev_read(self->fd, self->addr, self->buffer,
				 self->length))
			_exit(1);
		_exit(hmm_pattern_check_as(self->buffer, self->addr,
					   self->length, 1) >= 0 ? 2 : 0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
}

/* The child has unmapped the range. */
TEST_F(fork, inherited_file_walks)
{
	pid_t child = fork();
	int i;

	if (!child) {
		if (munmap(self->addr, self->length))
			_exit(1);
		if (hmm_walk(self->fd, self->addr, self->length, 0,
			     self->entries))
			_exit(2);
		for (i = 0; i < PAGES; i++)
			if (!(self->entries[i] & HMMIRROR_PTE_VALID))
				_exit(3);
		_exit(0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
}

TEST_F(fork, own_file)
{
	pid_t child = fork();

	if (!child)
		_exit(child_writes(self, hmm_open(0), 4, 4));
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* A device write in either process makes a copy of its own. */
TEST_F(fork, cow_both_sides)
{
	int ready[2], fd;
	pid_t child;
	char byte;

	ASSERT_EQ(0, pipe(ready));
	child = fork();
	if (!child) {
		fd = hmm_open(0);
		if (read(ready[0], &byte, 1) != 1)
			_exit(1);
		if (hmm_pattern_check(self->addr, self->length, 1) >= 0)
			_exit(2);
		if (hmm_map(fd, self->addr, self->length, HMMIRROR_REQ_ALL,
			    self->entries))
			_exit(3);
		_exit(self->entries[0] & HMMIRROR_PTE_WRITE ? 0 : 4);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0,
			      self->entries));
	ASSERT_EQ(HMMIRROR_PTE_VALID, hmm_entry_flags(self->entries[0]));
	hmm_pattern_fill_as(self->buffer, self->addr, self->length, 5);
	ASSERT_EQ(0, hmm_dev_write(self->fd, self->addr, self->buffer,
				   self->length));
	ASSERT_EQ(1, write(ready[1], "x", 1));
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 5));
}

static void migrate_all(struct __test_metadata *_metadata, struct _test_data_fork *self)
{
	__u64 migrated = 0;

	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL,
				   &migrated));
	ASSERT_EQ(PAGES, migrated);
}

/* Fork shares pages on the device like any others. */
TEST_F(fork, device_pages_read_by_child)
{
	pid_t child;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	migrate_all(_metadata, self);
	child = fork();
	if (!child)
		_exit(hmm_pattern_check(self->addr, self->length, 1) >= 0);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

TEST_F(fork, device_pages_written_by_child)
{
	pid_t child;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	migrate_all(_metadata, self);
	child = fork();
	if (!child) {
		hmm_pattern_fill(self->addr, self->length, 6);
		_exit(hmm_pattern_check(self->addr, self->length, 6) >= 0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* Fork a child that checks the pages when the test asks; 0 if the test was skipped. */
static pid_t share_device_pages(struct __test_metadata *_metadata,
				struct _test_data_fork *self, int *go)
{
	pid_t child;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return 0;
	migrate_all(_metadata, self);
	child = hmm_fork_waiter(go);
	if (!child)
		_exit(hmm_pattern_check(self->addr, self->length, 1) >= 0);
	ASSERT_LT(0, child);
	return child;
}

TEST_F(fork, device_pages_written_by_parent)
{
	pid_t child;
	int go;

	child = share_device_pages(_metadata, self, &go);
	if (!child)
		return;
	/* The pages are shared now, and read-only for the device too. */
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->length, 0,
			      self->entries));
	ASSERT_EQ(HMMIRROR_PTE_VALID | HMMIRROR_PTE_PRIVATE,
		  hmm_entry_flags(self->entries[0]));
	hmm_pattern_fill(self->addr, self->length, 7);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 7));
}

/* The device writes to pages of its own that fork has shared. */
TEST_F(fork, device_pages_written_by_device)
{
	int go, ret;
	pid_t child;

	child = share_device_pages(_metadata, self, &go);
	if (!child)
		return;
	hmm_pattern_fill_as(self->buffer, self->addr, self->length, 8);
	ret = hmm_dev_write(self->fd, self->addr, self->buffer, self->length);
	/* Whether the write worked or not, the child must not see it. */
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length,
					ret ? 1 : 8));
}

/* A child that exits with a mirror leaves no page behind. */
TEST_F(fork, child_exits_with_mirror)
{
	pid_t child = fork();
	int fd;

	if (!child) {
		fd = hmm_open(0);
		if (hmm_map(fd, self->addr, self->length, HMMIRROR_REQ_ALL,
			    NULL))
			_exit(1);
		_exit(0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, hmm_map(self->fd, self->addr, self->length,
			     HMMIRROR_REQ_ALL, NULL));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

#include "hmm_main.h"
