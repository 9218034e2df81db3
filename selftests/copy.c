// SPDX-License-Identifier: GPL-2.0
/*
 * The device reads and writes a process's memory through its mirror, as a GPU does: walk
 * what is not mirrored, then copy page by page.
 *
 * The data must be right at any alignment and in any kind of mapping; a write must respect
 * copy-on-write and protections; an error in the middle must tell how far the copy came and
 * leave the rest alone.
 */
#include "expect.h"
#include "expect_kernel.h"
#include "small_pages.h"

#define PAGES	16

FIXTURE(copy)
{
	struct hmm_area area;
	struct hmmirror_copy copy;
	size_t page;
	size_t length;
	char *addr;
	char *buffer;
	int fd;
};

FIXTURE_SETUP(copy)
{
	FILLED_PAGES(PAGES);
	self->buffer = hmm_map_anon(self->length, 0);
	ASSERT_NE(NULL, self->buffer);
	self->copy.addr = (uintptr_t)self->addr;
	self->copy.length = self->length;
	self->copy.buffer = (uintptr_t)self->buffer;
}

FIXTURE_TEARDOWN(copy)
{
	hmm_unmap(self->buffer, self->length);
	hmm_area_end(&self->area);
}

TEST_F(copy, read)
{
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(0, self->copy.error);
	ASSERT_EQ(self->length, self->copy.copied);
	ASSERT_LE(1, self->copy.faults);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->addr,
					   self->length, 1));
	/* Now all of it is mirrored. */
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(0, self->copy.faults);
	ASSERT_EQ(self->length, self->copy.copied);
}

TEST_F(copy, write)
{
	hmm_pattern_fill_as(self->buffer, self->addr, self->length, 2);
	self->copy.flags = HMMIRROR_COPY_WRITE;
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(0, self->copy.error);
	ASSERT_EQ(self->length, self->copy.copied);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 2));
}

/* Bytes before and behind the copy must not change. */
TEST_F(copy, alignments)
{
	size_t page = hmm_page_size(), s, l;
	const size_t starts[] = { 0, 1, 7, 8, page / 2 + 1, page - 2, page - 1, page };
	const size_t lengths[] = {
		1, 2, 7, 8, 9, page - 1, page, page + 1, 2 * page, 3 * page + 1, 5 * page - 480,
	};

	for (s = 0; s < ARRAY_SIZE(starts); s++) {
		for (l = 0; l < ARRAY_SIZE(lengths); l++) {
			char *at = self->addr + starts[s];
			size_t length = lengths[l];

			memset(self->buffer, 0x55, self->length);
			ASSERT_EQ(0, hmm_dev_read(self->fd, at,
						  self->buffer + 1, length));
			ASSERT_EQ(0, memcmp(at, self->buffer + 1, length))
				TH_LOG("start %zu, length %zu", starts[s],
				       length);
			ASSERT_EQ(0x55, self->buffer[0]);
			ASSERT_EQ(0x55, self->buffer[1 + length]);
		}
	}
	for (s = 0; s < ARRAY_SIZE(starts); s++) {
		for (l = 0; l < ARRAY_SIZE(lengths); l++) {
			char *at = self->addr + starts[s];
			size_t length = lengths[l];

			memset(self->addr, 0x11, self->length);
			memset(self->buffer, 0x22, length);
			ASSERT_EQ(0, hmm_dev_write(self->fd, at, self->buffer,
						   length));
			ASSERT_EQ(-1, hmm_all_bytes(self->addr, starts[s],
						    0x11));
			ASSERT_EQ(-1, hmm_all_bytes(at, length, 0x22))
				TH_LOG("start %zu, length %zu", starts[s],
				       length);
			ASSERT_EQ(-1, hmm_all_bytes(at + length, self->length -
						    starts[s] - length, 0x11));
		}
	}
}

TEST_F(copy, several_mappings)
{
	int file = hmm_file_memfd(4 * self->page, 0);
	size_t mid = 6 * self->page;

	ASSERT_LE(0, file);
	ASSERT_EQ(0, hmm_area_map(&self->area, self->addr + mid,
				  4 * self->page, PROT_READ | PROT_WRITE,
				  MAP_SHARED, file));
	ASSERT_EQ(0, close(file));
	hmm_pattern_fill(self->addr, self->length, 3);
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ));
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->buffer,
				  self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->addr,
					   self->length, 3));
}

/* Memory that was never touched reads as zeroes; writing populates it. */
TEST_F(copy, unpopulated)
{
	int refused = expect_when(WHEN_ZERO_SPECIAL);
	__u64 flags, entry;

	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	memset(self->buffer, 0xff, self->length);
	ASSERT_EQ(refused ? -EFAULT : 0,
		  hmm_dev_read(self->fd, self->addr, self->buffer,
			       self->length));
	ASSERT_EQ(-1, hmm_all_bytes(self->buffer, self->length,
				    refused ? 0xff : 0));
	ASSERT_EQ(0, hmm_flags_at(self->addr, &flags));
	ASSERT_NE(0, flags & hmm_kpf(KPF_ZERO_PAGE));

	memset(self->buffer, 0x77, self->page);
	ASSERT_EQ(0, hmm_dev_write(self->fd, self->addr, self->buffer,
				   self->page));
	ASSERT_EQ(0, hmm_flags_at(self->addr, &flags));
	ASSERT_EQ(0, flags & hmm_kpf(KPF_ZERO_PAGE));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->page, 0x77));
	/* The page beside it is still the zero page. */
	ASSERT_EQ(0, hmm_pagemap_one(self->addr + self->page, &entry));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr + self->page, self->page, 0));
}

TEST_F(copy, hole)
{
	ASSERT_EQ(0, munmap(self->addr + 5 * self->page, self->page));
	self->copy.addr += 100;
	self->copy.length -= 100;
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(-EFAULT, self->copy.error);
	ASSERT_EQ(5 * self->page - 100, self->copy.copied);
	ASSERT_EQ(0, memcmp(self->addr + 100, self->buffer,
			    self->copy.copied));
	ASSERT_EQ(-1, hmm_all_bytes(self->buffer + self->copy.copied,
				    self->page, 0));
}

TEST_F(copy, write_hole)
{
	memset(self->buffer, 0x33, self->length);
	ASSERT_EQ(0, munmap(self->addr + 5 * self->page, self->page));
	self->copy.flags = HMMIRROR_COPY_WRITE;
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(-EFAULT, self->copy.error);
	ASSERT_EQ(5 * self->page, self->copy.copied);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, 5 * self->page, 0x33));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 6 * self->page,
					self->length - 6 * self->page, 1));
}

TEST_F(copy, write_readonly)
{
	ASSERT_EQ(0, mprotect(self->addr + 4 * self->page, self->page,
			      PROT_READ));
	memset(self->buffer, 0x44, self->length);
	self->copy.flags = HMMIRROR_COPY_WRITE;
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(-EPERM, self->copy.error);
	ASSERT_EQ(4 * self->page, self->copy.copied);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, 4 * self->page, 0x44));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 4 * self->page,
					self->length - 4 * self->page, 1));
}

TEST_F(copy, no_access)
{
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_NONE));
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(expect_when(WHEN_BY_MAPPING) ? -EPERM : -EFAULT,
		  self->copy.error);
	ASSERT_EQ(0, self->copy.copied);
}

/* NOFAULT copies what is mirrored, and faults nothing. */
TEST_F(copy, nofault)
{
	self->copy.flags = HMMIRROR_COPY_NOFAULT;
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(-ENOENT, self->copy.error);
	ASSERT_EQ(0, self->copy.copied);
	ASSERT_EQ(0, self->copy.faults);

	ASSERT_EQ(0, hmm_map(self->fd, self->addr, 3 * self->page,
			     HMMIRROR_REQ_FAULT, NULL));
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(-ENOENT, self->copy.error);
	ASSERT_EQ(3 * self->page, self->copy.copied);
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->addr,
					   3 * self->page, 1));
}

/* For a write, a read-only entry is not mirrored. */
TEST_F(copy, nofault_write)
{
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ));
	ASSERT_EQ(0, hmm_map(self->fd, self->addr, 2 * self->page,
			     HMMIRROR_REQ_FAULT, NULL));
	self->copy.flags = HMMIRROR_COPY_NOFAULT | HMMIRROR_COPY_WRITE;
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(-ENOENT, self->copy.error);
	ASSERT_EQ(0, self->copy.copied);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* The device's write breaks copy-on-write: the child does not see it. */
TEST_F(copy, cow)
{
	int pipes[2][2];
	char byte;
	pid_t child;

	ASSERT_EQ(0, pipe(pipes[0]));
	ASSERT_EQ(0, pipe(pipes[1]));
	child = fork();
	if (!child) {
		close(pipes[0][1]);
		if (read(pipes[0][0], &byte, 1) != 1)
			_exit(2);
		_exit(hmm_pattern_check(self->addr, self->length, 1) >= 0);
	}
	ASSERT_LT(0, child);
	hmm_pattern_fill_as(self->buffer, self->addr, self->length, 5);
	ASSERT_EQ(0, hmm_dev_write(self->fd, self->addr, self->buffer,
				   self->length));
	ASSERT_EQ(1, write(pipes[0][1], "x", 1));
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 5));
}

/* From mirrored memory into mirrored memory. */
TEST_F(copy, overlap)
{
	char *to = self->addr + 8 * self->page;

	ASSERT_EQ(0, hmm_map(self->fd, self->addr, self->length,
			     HMMIRROR_REQ_ALL, NULL));
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, to, 8 * self->page));
	ASSERT_EQ(-1, hmm_pattern_check_as(to, self->addr, 8 * self->page,
					   1));
	/* Onto itself: nothing changes. */
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->addr,
				  4 * self->page));
	ASSERT_EQ(0, hmm_dev_write(self->fd, self->addr, self->addr,
				   4 * self->page));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 8 * self->page, 1));
}

/* The buffer is not populated, or is on the device. */
TEST_F(copy, buffer_absent)
{
	char *fresh = hmm_map_anon(self->length, 0);

	ASSERT_NE(NULL, fresh);
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, fresh, self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(fresh, self->addr, self->length,
					   1));
}

TEST_F(copy, buffer_on_device)
{
	__u64 migrated = 0;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	hmm_touch_write(self->buffer, self->length);
	ASSERT_EQ(0, hmm_to_device(self->fd, self->buffer, self->length, NULL,
				   &migrated));
	ASSERT_EQ(PAGES, migrated);
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->buffer,
				  self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->addr,
					   self->length, 1));
}

/* The memory is the device's own: no fault is needed. */
TEST_F(copy, device_memory)
{
	struct hmmirror_stats before, after;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL,
				   NULL));
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &before));
	ASSERT_EQ(0, hmm_dev_read(self->fd, self->addr, self->buffer,
				  self->length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->addr,
					   self->length, 1));
	hmm_pattern_fill_as(self->buffer, self->addr, self->length, 6);
	ASSERT_EQ(0, hmm_dev_write(self->fd, self->addr, self->buffer,
				   self->length));
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &after));
	ASSERT_EQ(before.cpu_faults, after.cpu_faults);
	/* And the CPU finds what the device wrote. */
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 6));
}

/*
 * The walker reports the device's own pages without a fault, whatever is requested: the
 * driver must not ask again and again for write access to a read-only one.
 */
TEST_F(copy, device_memory_readonly)
{
	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->length, NULL,
				   NULL));
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	self->copy.flags = HMMIRROR_COPY_WRITE;
	ASSERT_EQ(0, hmm_ioctl_copy(self->fd, &self->copy));
	ASSERT_EQ(-EPERM, self->copy.error);
	ASSERT_EQ(0, self->copy.copied);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

/* Another device's pages are migrated back to be read, or refused. */
TEST_F(copy, other_device_memory)
{
	int other = hmm_area_device(&self->area, HMM_DEV_PRIVATE_OTHER);
	int refused = expect_when(WHEN_OTHER_REFUSED);
	struct hmmirror_stats before, after;

	ASSERT_LE(0, other);
	if (!REQUIRE(hmm_area_memory(&self->area, HMM_DEV_PRIVATE_OTHER), self->area.why))
		return;
	ASSERT_EQ(0, hmm_to_device(other, self->addr, self->length, NULL,
				   NULL));
	ASSERT_EQ(0, hmm_stats(other, 0, &before));
	ASSERT_EQ(refused ? -EFAULT : 0,
		  hmm_dev_read(self->fd, self->addr, self->buffer,
			       self->length));
	ASSERT_EQ(0, hmm_stats(other, 0, &after));
	ASSERT_EQ(refused ? 0 : PAGES,
		  after.cpu_faults_home - before.cpu_faults_home);
	ASSERT_EQ(-1, refused ? hmm_all_bytes(self->buffer, self->length, 0) :
		  hmm_pattern_check_as(self->buffer, self->addr, self->length,
				       1));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
}

TEST_F(copy, large)
{
	size_t length = 4UL << 20;
	char *memory = hmm_map_anon(length, 0);
	char *buffer = hmm_map_anon(length, 0);

	ASSERT_NE(NULL, memory);
	ASSERT_NE(NULL, buffer);
	hmm_pattern_fill(memory, length, 7);
	ASSERT_EQ(0, hmm_dev_read(self->fd, memory, buffer, length));
	ASSERT_EQ(0, memcmp(memory, buffer, length));
	hmm_pattern_fill_as(buffer, memory, length, 8);
	ASSERT_EQ(0, hmm_dev_write(self->fd, memory + 5, buffer + 5,
				   length - 13));
	ASSERT_EQ(0, memcmp(memory + 5, buffer + 5, length - 13));
	/* The bytes before and behind have the old pattern. */
	ASSERT_NE(0, memcmp(memory, buffer, 8));
	ASSERT_EQ(-1, hmm_pattern_check(memory + length - 8, 8, 7));
}

FIXTURE(copy_huge)
{
	struct hmm_area area;
	char *buffer;
};

FIXTURE_VARIANT(copy_huge)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(copy_huge, thp)
{
	.state = "thp_writable",
};

FIXTURE_VARIANT_ADD(copy_huge, hugetlb)
{
	.state = "hugetlb_writable",
};

FIXTURE_SETUP(copy_huge)
{
	self->buffer = hmm_map_anon(hmm_pmd_size(), 0);
	ASSERT_NE(NULL, self->buffer);
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
}

FIXTURE_TEARDOWN(copy_huge)
{
	hmm_unmap(self->buffer, hmm_pmd_size());
	hmm_area_end(&self->area);
}

TEST_F(copy_huge, read_and_write)
{
	const struct hmm_state *state = hmm_state_find(variant->state);
	size_t length = hmm_pmd_size();
	int fd;

	if (!REQUIRE(hmm_state_make(&self->area, state, 0, length), self->area.why))
		return;
	fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, fd);
	hmm_pattern_fill(self->area.addr, length, 1);
	if (expect_find(variant->state)->level == EXPECT_HUGETLB &&
	    expect_when(WHEN_MAPPING_INVALID)) {
		ASSERT_EQ(-EINVAL, hmm_dev_read(fd, self->area.addr,
						self->buffer, length));
		ASSERT_EQ(-EINVAL, hmm_dev_write(fd, self->area.addr,
						 self->buffer, length));
		return;
	}
	ASSERT_EQ(0, hmm_dev_read(fd, self->area.addr, self->buffer, length));
	ASSERT_EQ(-1, hmm_pattern_check_as(self->buffer, self->area.addr,
					   length, 1));
	hmm_pattern_fill_as(self->buffer, self->area.addr, length, 2);
	ASSERT_EQ(0, hmm_dev_write(fd, self->area.addr, self->buffer, length));
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, length, 2));
}

/*
 * Secret memory is mirrored like any other. This driver copies through the kernel's direct
 * map, which secret pages are not in.
 */
FIXTURE(copy_secret)
{
	struct hmm_area area;
	char buffer[64];
	int fd;
};

FIXTURE_SETUP(copy_secret)
{
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_page_size(), 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(copy_secret)
{
	hmm_area_end(&self->area);
}

TEST_F(copy_secret, read_and_write)
{
	size_t length = hmm_page_size();

	if (!REQUIRE(hmm_state_make(&self->area, hmm_state_find("secret_written"), 0, length),
		     self->area.why))
		return;
	ASSERT_EQ(-EFAULT, hmm_dev_read(self->fd, self->area.addr,
					self->buffer, sizeof(self->buffer)));
	ASSERT_EQ(-EFAULT, hmm_dev_write(self->fd, self->area.addr,
					 self->buffer, sizeof(self->buffer)));
	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, length, 0));
}

#include "hmm_main.h"
