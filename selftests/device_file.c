// SPDX-License-Identifier: GPL-2.0
/*
 * Private copies of file pages (MAP_PRIVATE, written) that a device has, or that migrate to
 * it, while the file is truncated, punched or written.
 *
 * The copies are anonymous pages. Truncation zaps them all the same, also where they are
 * device entries or migration entries (zap_nonpresent_ptes()); a hole or a write must leave
 * them alone.
 */
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device_case.h"

#define LEFT		3	/* pages of the file that are left after ftruncate() */
#define LIMIT_MS	5000

FIXTURE(device_file)
{
	struct device_case c;
	int file;
};

FIXTURE_VARIANT(device_file)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_file, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_file, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_file, exclusive)
{
	.state = "dev_exclusive",
};

/* The mapping is private and was written: its pages are anonymous. */
FIXTURE_SETUP(device_file)
{
	struct device_case *c = &self->c;

	device_begin(_metadata, c, variant->state, DEVICE_ACROSS_TABLES);
	self->file = hmm_file_memfd(c->length, 0);
	ASSERT_LE(0, self->file);
	if (c->setup_ret)
		return;
	ASSERT_EQ(0, hmm_area_map(&c->area, c->addr, c->length, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE, self->file));
	hmm_pattern_fill(c->addr, c->length, 0);
	device_migrate(_metadata, c);
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
}

FIXTURE_TEARDOWN(device_file)
{
	device_end(_metadata, &self->c);
	close(self->file);
}

static int readable(char *addr)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { addr, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/* Truncation takes the pages behind the new end, private copies too. */
TEST_F(device_file, truncate)
{
	struct device_case *c = &self->c;
	size_t left = LEFT * c->page;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	ASSERT_EQ(0, ftruncate(self->file, left));
	device_check_kept(_metadata, c, c->addr, LEFT);
	ASSERT_EQ(c->exclusive ? 0 : LEFT, device_used(_metadata, c));
	ASSERT_EQ(0, readable(c->addr + left));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, left, 0));
	ASSERT_EQ(0, ftruncate(self->file, c->length));
	ASSERT_EQ(-1, hmm_all_bytes(c->addr + left, c->length - left, 0));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, left, 0));
}

/* A hole takes pages of the file only, and none of those is mapped. */
TEST_F(device_file, punch_hole)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	ASSERT_EQ(0, fallocate(self->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			       c->length));
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	CHECK_DATA(0);
}

/* A write to the file does not change private copies. */
TEST_F(device_file, written)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	hmm_pattern_fill_as(c->copy, c->addr, c->length, 8);
	ASSERT_EQ((ssize_t)c->length, pwrite(self->file, c->copy, c->length, 0));
	device_check_kept(_metadata, c, c->addr, c->pages);
	CHECK_DATA(0);
	ASSERT_EQ(0, madvise(c->addr, c->length, MADV_DONTNEED));
	ASSERT_EQ(0, device_used(_metadata, c));
	CHECK_DATA(8);
}

/* A migration of such copies to the device, held where their PTEs are migration entries. */
FIXTURE(device_file_held)
{
	struct device_case c;
	struct hmm_call call;
	int file;
};

FIXTURE_SETUP(device_file_held)
{
	struct device_case *c = &self->c;

	device_begin(_metadata, c, "dev_private", DEVICE_AT_TABLE_START);
	self->file = hmm_file_memfd(c->length, 0);
	ASSERT_LE(0, self->file);
	if (c->setup_ret)
		return;
	ASSERT_EQ(0, hmm_area_map(&c->area, c->addr, c->length, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE, self->file));
	hmm_pattern_fill(c->addr, c->length, 0);
	self->call.fd = c->fd;
	self->call.addr = c->addr;
	self->call.length = c->length;
}

FIXTURE_TEARDOWN(device_file_held)
{
	if (!self->c.setup_ret) {
		hmm_hold_release(self->c.fd);
		hmm_call_end(&self->call);
	}
	device_end(_metadata, &self->c);
	close(self->file);
}

/* Truncation takes migration entries too: the migration brings back no page behind the end. */
TEST_F(device_file_held, truncate)
{
	struct device_case *c = &self->c;
	size_t left = LEFT * c->page;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	ASSERT_EQ(0, hmm_hold_migration(&self->call, HMMIRROR_STAGE_SETUP, LIMIT_MS));
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(0, ftruncate(self->file, left));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(c->fd));
	ASSERT_EQ(0, hmm_call_end(&self->call));
	ASSERT_EQ(LEFT, device_used(_metadata, c));
	ASSERT_EQ(0, readable(c->addr + left));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, left, 0));
}

#include "hmm_main.h"
