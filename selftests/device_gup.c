// SPDX-License-Identifier: GPL-2.0
/*
 * get_user_pages() and pin_user_pages() on pages that a device has, by the kernel's own
 * gup_test, by vmsplice(), direct I/O, AIO and io_uring.
 *
 * Device-private pages must be migrated back first; coherent pages may be used where they
 * are, except for a long-term pin (FOLL_LONGTERM), which must migrate them. The other way
 * round, a page with an elevated reference count must not be migrated to a device, nor off
 * it.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "device_case.h"
#include "gup_test.h"

FIXTURE(device_gup)
{
	struct device_case c;
	struct hmm_disk disk;
	size_t part;	/* bytes of I/O */
};

FIXTURE_VARIANT(device_gup)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_gup, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_gup, huge)
{
	.state = "dev_huge",
};

FIXTURE_VARIANT_ADD(device_gup, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_gup, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_gup)
{
	self->disk.number = -1;
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
	self->part = DEVICE_PAGES * self->c.page;
}

FIXTURE_TEARDOWN(device_gup)
{
	hmm_disk_close(&self->disk);
	device_end(_metadata, &self->c);
}

/* Let gup_test take each page once. */
static void gup_once(struct __test_metadata *_metadata, struct device_case *c,
		     unsigned long call, unsigned int flags, unsigned int at_once)
{
	int file = open(GUP_TEST, O_RDWR | O_CLOEXEC);
	int kept = call != PIN_LONGTERM || !c->coherent;
	struct gup_test test = {
		.addr = (uintptr_t)c->addr,
		.size = c->length,
		.nr_pages_per_call = at_once,
		.gup_flags = flags,
	};

	ASSERT_LE(0, file);
	device_make(_metadata, c);
	ASSERT_EQ(0, gup_test(file, call, &test));
	ASSERT_EQ(c->length, test.size);
	close(file);
	if (kept)
		device_check_cpu_used(_metadata, c, 0, c->pages);
	else
		ASSERT_EQ(0, device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, 0));
}

/*
 * Read and write access, with all pages in one call and with some in each. Return: for
 * REQUIRE()
 */
static int gup(struct __test_metadata *_metadata, struct device_case *c, unsigned long call)
{
	if (c->setup_ret)
		return c->setup_ret;
	if (access(GUP_TEST, F_OK))
		return hmm_skip(&c->area, NO_GUP_TEST);
	gup_once(_metadata, c, call, 0, c->pages);
	gup_once(_metadata, c, call, GUP_WRITE, c->pages);
	gup_once(_metadata, c, call, GUP_WRITE, 3);
	return 0;
}

#define GUP(_call) \
	((void)REQUIRE(gup(_metadata, &self->c, _call), self->c.area.why))

TEST_F(device_gup, get_fast)
{
	GUP(GUP_FAST);
}

TEST_F(device_gup, get_slow)
{
	GUP(GUP_SLOW);
}

TEST_F(device_gup, pin_fast)
{
	GUP(PIN_FAST);
}

TEST_F(device_gup, pin_slow)
{
	GUP(PIN_SLOW);
}

/* A long-term pin must not hold a page in device memory, coherent or not. */
TEST_F(device_gup, pin_longterm)
{
	GUP(PIN_LONGTERM);
}

/* vmsplice() puts the pages themselves into a pipe, which is read later. */
TEST_F(device_gup, vmsplice)
{
	struct iovec from = { self->c.addr, self->part };
	struct device_case *c = &self->c;
	int ends[2];

	ASSERT_EQ(0, pipe(ends));
	if (!MAKE_CASE())
		return;
	ASSERT_EQ((ssize_t)self->part, vmsplice(ends[1], &from, 1, 0));
	CHECK_CPU_USED(DEVICE_PAGES);
	ASSERT_EQ((ssize_t)self->part, read(ends[0], c->copy, self->part));
	ASSERT_EQ(-1, hmm_pattern_check_as(c->copy, c->addr, self->part, 0));
	CHECK_DATA(0);
	close(ends[0]);
	close(ends[1]);
}

static int get_disk(struct hmm_disk *disk, long length, struct hmm_area *area)
{
	int ret = hmm_disk_open(disk, length);

	if (ret == -ENODEV)
		return hmm_skip(area, "no disk in zram (CONFIG_ZRAM)");
	return ret ? hmm_fail(area, ret, "a disk in zram") : 0;
}

/* The disk has the data of the pages, and so have the pages. */
static void check_disk(struct __test_metadata *_metadata, struct device_case *c,
		       const struct hmm_disk *disk, size_t part, __u64 seed)
{
	ASSERT_EQ((ssize_t)part, pread(disk->fd, c->copy, part, 0));
	ASSERT_EQ(-1, hmm_pattern_check_as(c->copy, c->addr, part, seed));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, part, seed));
}

#define CHECK_DISK(_seed) \
	check_disk(_metadata, &self->c, &self->disk, self->part, _seed)

/* A disk reads and writes the pages without a copy in between. */
TEST_F(device_gup, direct_io)
{
	struct device_case *c = &self->c;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!REQUIRE(get_disk(&self->disk, self->part, &c->area), c->area.why))
		return;
	device_make(_metadata, c);
	ASSERT_EQ((ssize_t)self->part, pwrite(self->disk.fd, c->addr, self->part, 0));
	CHECK_CPU_USED(DEVICE_PAGES);
	CHECK_DISK(0);
	CHECK_DATA(0);

	hmm_pattern_fill(c->addr, self->part, 1);
	ASSERT_EQ((ssize_t)self->part, pwrite(self->disk.fd, c->addr, self->part, 0));
	device_make(_metadata, c);
	ASSERT_EQ((ssize_t)self->part, pread(self->disk.fd, c->addr, self->part, 0));
	CHECK_CPU_USED(DEVICE_PAGES);
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, self->part, 1));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + self->part, c->length - self->part, 0));
}

static int aio(aio_context_t context, int fd, unsigned int op, void *addr, size_t length)
{
	struct iocb call = {
		.aio_lio_opcode = op,
		.aio_fildes = fd,
		.aio_buf = (uintptr_t)addr,
		.aio_nbytes = length,
	};
	struct iocb *calls = &call;
	struct io_event event = { 0 };

	if (syscall(SYS_io_submit, context, 1L, &calls) != 1)
		return -errno;
	if (syscall(SYS_io_getevents, context, 1L, 1L, &event, NULL) != 1)
		return -errno;
	return event.res;
}

/* The same, asynchronously. */
TEST_F(device_gup, aio)
{
	struct device_case *c = &self->c;
	aio_context_t context = 0;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!REQUIRE(get_disk(&self->disk, self->part, &c->area), c->area.why))
		return;
	if (syscall(SYS_io_setup, 1L, &context))
		SKIP(return, "no AIO (CONFIG_AIO)");
	device_make(_metadata, c);
	ASSERT_EQ((int)self->part, aio(context, self->disk.fd, IOCB_CMD_PWRITE, c->addr,
				       self->part));
	CHECK_CPU_USED(DEVICE_PAGES);
	CHECK_DISK(0);
	hmm_pattern_fill(c->addr, self->part, 2);
	ASSERT_EQ((int)self->part, aio(context, self->disk.fd, IOCB_CMD_PWRITE, c->addr,
				       self->part));
	device_make(_metadata, c);
	ASSERT_EQ((int)self->part, aio(context, self->disk.fd, IOCB_CMD_PREAD, c->addr,
				       self->part));
	CHECK_CPU_USED(DEVICE_PAGES);
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, self->part, 2));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + self->part, c->length - self->part, 0));
	syscall(SYS_io_destroy, context);
}

/* Return: an io_uring that has the memory registered, or -errno. */
static int ring_with(void *addr, size_t length)
{
	struct io_uring_params params = { 0 };
	struct iovec memory = { addr, length };
	int ring = syscall(SYS_io_uring_setup, 1, &params), ret;

	if (ring < 0)
		return -EOPNOTSUPP;
	if (!syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &memory, 1))
		return ring;
	ret = -errno;
	close(ring);
	return ret;
}

/* Register memory with a new io_uring. Return: for REQUIRE() */
static int get_ring(struct hmm_area *area, void *addr, size_t length, int *ring)
{
	*ring = ring_with(addr, length);
	if (*ring == -EOPNOTSUPP)
		return hmm_skip(area, "no io_uring (CONFIG_IO_URING)");
	return *ring < 0 ? hmm_fail(area, *ring, "memory of an io_uring") : 0;
}

static int ring_unregister(int ring)
{
	return syscall(SYS_io_uring_register, ring, IORING_UNREGISTER_BUFFERS, NULL, 0) ?
	       -errno : 0;
}

/* A registered buffer is pinned long-term, and so in system memory, wherever it was. */
TEST_F(device_gup, io_uring_buffer)
{
	struct device_case *c = &self->c;
	int ring;

	if (!MAKE_CASE())
		return;
	if (!REQUIRE(get_ring(&c->area, c->addr, c->length, &ring), c->area.why))
		return;
	ASSERT_EQ(0, device_used(_metadata, c));
	CHECK_DATA(0);
	ASSERT_EQ(0, ring_unregister(ring));
	close(ring);
}

/* Pages with an additional reference must not be migrated. */
FIXTURE(device_gup_pinned)
{
	struct device_case c;
	__u8 outcomes[DEVICE_PAGES];
	__u64 migrated;
};

FIXTURE_VARIANT(device_gup_pinned)
{
	const char *state;
	unsigned int device;
};

FIXTURE_VARIANT_ADD(device_gup_pinned, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_gup_pinned, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_SETUP(device_gup_pinned)
{
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
	ASSERT_EQ(0, hmm_area_map_small(&self->c.area, self->c.addr, self->c.length,
					PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->c.addr, self->c.length, 0);
}

FIXTURE_TEARDOWN(device_gup_pinned)
{
	device_end(_metadata, &self->c);
}

/* Pages 2 to 4 have an additional reference; all others migrate. */
#define PINNED_FIRST	2
#define PINNED_PAGES	3

static void check_others_migrate(struct __test_metadata *_metadata, struct device_case *c,
				 __u8 *outcomes)
{
	__u64 migrated = 0;
	size_t i;

	ASSERT_EQ(0, hmm_to_device(c->fd, c->addr, c->length, outcomes, &migrated));
	ASSERT_EQ(DEVICE_PAGES - PINNED_PAGES, migrated);
	for (i = 0; i < DEVICE_PAGES; i++) {
		ASSERT_EQ(i >= PINNED_FIRST && i < PINNED_FIRST + PINNED_PAGES ?
			  HMMIRROR_OUT_NONE : HMMIRROR_OUT_MIGRATED, outcomes[i])
			TH_LOG("page %zu: %s", i, hmm_outcome_str(outcomes[i]));
	}
	ASSERT_EQ(DEVICE_PAGES - PINNED_PAGES, device_used(_metadata, c));
}

/* Migrate until all pages have moved: a reference may be dropped late. */
static void migrate_all(struct __test_metadata *_metadata, struct device_case *c)
{
	int i;

	for (i = 0; i < 100 && device_used(_metadata, c) < DEVICE_PAGES; i++) {
		ASSERT_EQ(0, hmm_to_device(c->fd, c->addr, c->length, NULL, NULL));
		if (i)
			usleep(1000);
	}
	ASSERT_EQ(DEVICE_PAGES, device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, 0));
}

/* A pipe has a reference (FOLL_PIN or FOLL_GET, short-term). */
TEST_F(device_gup_pinned, vmsplice)
{
	struct device_case *c = &self->c;
	struct iovec from = { c->addr + PINNED_FIRST * c->page, PINNED_PAGES * c->page };
	int ends[2];

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ((ssize_t)from.iov_len, vmsplice(ends[1], &from, 1, 0));
	check_others_migrate(_metadata, c, self->outcomes);
	/* a write to the page is seen by the pipe: it is the same page */
	hmm_pattern_fill(from.iov_base, from.iov_len, 1);
	ASSERT_EQ((ssize_t)from.iov_len, read(ends[0], c->copy, from.iov_len));
	ASSERT_EQ(-1, hmm_pattern_check_as(c->copy, from.iov_base, from.iov_len, 1));
	hmm_pattern_fill(from.iov_base, from.iov_len, 0);
	migrate_all(_metadata, c);
	close(ends[0]);
	close(ends[1]);
}

static int pin_by_ring(struct device_case *c, int *ring)
{
	if (c->setup_ret)
		return c->setup_ret;
	return get_ring(&c->area, c->addr + PINNED_FIRST * c->page, PINNED_PAGES * c->page, ring);
}

/* A long-term pin: memory registered for I/O. */
TEST_F(device_gup_pinned, io_uring_buffer)
{
	struct device_case *c = &self->c;
	int ring;

	if (!REQUIRE(pin_by_ring(c, &ring), c->area.why))
		return;
	check_others_migrate(_metadata, c, self->outcomes);
	ASSERT_EQ(0, ring_unregister(ring));
	close(ring);
	migrate_all(_metadata, c);
}

/* An empty entry in the range is populated, pinned pages stay, and all others migrate. */
TEST_F(device_gup_pinned, beside_a_hole)
{
	struct device_case *c = &self->c;
	struct iovec from = { c->addr + PINNED_FIRST * c->page, PINNED_PAGES * c->page };
	int ends[2];

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	ASSERT_EQ(0, madvise(c->addr, c->page, MADV_DONTNEED));
	ASSERT_EQ(0, pipe(ends));
	ASSERT_EQ((ssize_t)from.iov_len, vmsplice(ends[1], &from, 1, 0));
	ASSERT_EQ(0, hmm_to_device(c->fd, c->addr, c->length, self->outcomes,
				   &self->migrated));
	ASSERT_EQ(DEVICE_PAGES - PINNED_PAGES, self->migrated);
	ASSERT_EQ(HMMIRROR_OUT_POPULATED, self->outcomes[0]);
	ASSERT_EQ(HMMIRROR_OUT_NONE, self->outcomes[PINNED_FIRST]);
	ASSERT_EQ(-1, hmm_all_bytes(c->addr, c->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + c->page, c->length - c->page, 0));
	close(ends[0]);
	close(ends[1]);
}

/* Registered twice, the second time when the others are on the device. */
TEST_F(device_gup_pinned, io_uring_buffer_twice)
{
	struct device_case *c = &self->c;
	int ring, again;

	if (!REQUIRE(pin_by_ring(c, &ring), c->area.why))
		return;
	check_others_migrate(_metadata, c, self->outcomes);
	again = ring_with(c->addr, c->length);
	ASSERT_LE(0, again);
	ASSERT_EQ(0, device_used(_metadata, c));
	ASSERT_EQ(0, hmm_to_device(c->fd, c->addr, c->length, NULL, &self->migrated));
	ASSERT_EQ(0, self->migrated);
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, 0));
	ASSERT_EQ(0, ring_unregister(ring));
	ASSERT_EQ(0, ring_unregister(again));
	close(ring);
	close(again);
	migrate_all(_metadata, c);
}

/*
 * A page in device-coherent memory that a pipe has a reference to can't be migrated off the
 * device, neither by a call nor for a long-term pin; once the pipe is read, it can. With
 * one additional reference kernels find out early or late, with two at once.
 */
static void check_referenced_on_device(struct __test_metadata *_metadata,
				       struct device_case *c, int pipes, __u8 *outcomes)
{
	struct iovec from = { c->addr + PINNED_FIRST * c->page, PINNED_PAGES * c->page };
	__u64 migrated = 0;
	int ends[2][2], ring, i;

	ASSERT_EQ(0, hmm_to_device(c->fd, c->addr, c->length, NULL, NULL));
	for (i = 0; i < pipes; i++) {
		ASSERT_EQ(0, pipe(ends[i]));
		ASSERT_EQ((ssize_t)from.iov_len, vmsplice(ends[i][1], &from, 1, 0));
	}
	ASSERT_EQ(0, hmm_to_system(c->fd, c->addr, c->length, outcomes, &migrated));
	ASSERT_EQ(DEVICE_PAGES - PINNED_PAGES, migrated);
	for (i = PINNED_FIRST; i < PINNED_FIRST + PINNED_PAGES; i++) {
		ASSERT_TRUE(outcomes[i] == HMMIRROR_OUT_NONE ||
			    (pipes == 1 && outcomes[i] == HMMIRROR_OUT_REFUSED))
			TH_LOG("page %d: %s", i, hmm_outcome_str(outcomes[i]));
	}
	ASSERT_EQ(PINNED_PAGES, device_used(_metadata, c));
	ring = ring_with(c->addr, c->length);
	ASSERT_GT(0, ring);
	ASSERT_EQ(PINNED_PAGES, device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, 0));

	for (i = 0; i < pipes; i++) {
		ASSERT_EQ((ssize_t)from.iov_len, read(ends[i][0], c->copy, from.iov_len));
		ASSERT_EQ(-1, hmm_pattern_check_as(c->copy, from.iov_base, from.iov_len, 0));
		close(ends[i][0]);
		close(ends[i][1]);
	}
	ring = ring_with(c->addr, c->length);
	ASSERT_LE(0, ring);
	ASSERT_EQ(0, device_used(_metadata, c));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr, c->length, 0));
	ASSERT_EQ(0, ring_unregister(ring));
	close(ring);
}

TEST_F(device_gup_pinned, referenced_on_device)
{
	struct device_case *c = &self->c;
	int ring;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!c->coherent)
		SKIP(return, "nobody can hold device-private pages");
	if (!REQUIRE(get_ring(&c->area, c->copy, c->length, &ring), c->area.why))
		return;
	close(ring);
	check_referenced_on_device(_metadata, c, 1, self->outcomes);
	check_referenced_on_device(_metadata, c, 2, self->outcomes);
}

#define SOFT_OFFLINE	"/sys/devices/system/memory/soft_offline_page"

FIXTURE(device_gup_exclusive)
{
	struct device_case c;
};

FIXTURE_SETUP(device_gup_exclusive)
{
	device_begin(_metadata, &self->c, "dev_exclusive", DEVICE_AT_TABLE_START);
}

FIXTURE_TEARDOWN(device_gup_exclusive)
{
	device_end(_metadata, &self->c);
}

/*
 * A pinned page can't be migrated. If a device has exclusive access to it, the attempt must
 * leave that entry as it was: remove_migration_ptes() ends the attempt, and has to tell a
 * device-exclusive entry from a migration entry.
 */
TEST_F(device_gup_exclusive, pinned_and_offlined)
{
	struct device_case *c = &self->c;
	char text[32];
	__u64 map;
	int ring;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (access(SOFT_OFFLINE, W_OK))
		SKIP(return, "no soft_offline_page (CONFIG_MEMORY_FAILURE)");
	ASSERT_EQ(0, hmm_area_map_small(&c->area, c->addr, c->length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(c->addr, c->length, 0);
	if (!REQUIRE(get_ring(&c->area, c->addr, c->page, &ring), c->area.why))
		return;
	ASSERT_EQ(0, hmm_pagemap_one(c->addr, &map));
	device_migrate(_metadata, c);
	device_prove(_metadata, c, 0, c->pages);
	snprintf(text, sizeof(text), "0x%llx", (map & HMM_PM_PFN_MASK) * c->page);
	ASSERT_GT(0, hmm_write_text(SOFT_OFFLINE, text));
	/* the device was told, and has given the page up: only the CPU's entry is left */
	device_check_kept(_metadata, c, c->addr, c->pages);
	CHECK_DATA(0);
	ASSERT_EQ(0, ring_unregister(ring));
	close(ring);
}

#include "hmm_main.h"
