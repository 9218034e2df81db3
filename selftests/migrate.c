// SPDX-License-Identifier: GPL-2.0
/*
 * migrate_vma_setup(), _pages() and _finalize() on small anonymous pages, to device-private
 * or device-coherent memory and back.
 *
 * Data, protections, reference counts and the device's free pages must be right after each
 * step, for present and empty entries and the zero page; munmap(), mremap(), mprotect(),
 * exit and close must do with pages on the device what they do with others.
 */
#include "small_pages.h"

#define PAGES	8

FIXTURE(migrate)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	struct hmmirror_stats after;
	__u8 outcomes[PAGES];
	__u64 migrated;
	size_t page;
	size_t length;
	char *addr;
	__u64 kind;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(migrate)
{
	unsigned int device;
};

FIXTURE_VARIANT_ADD(migrate, private)
{
	.device = HMM_DEV_PRIVATE,
};

FIXTURE_VARIANT_ADD(migrate, coherent)
{
	.device = HMM_DEV_COHERENT,
};

FIXTURE_SETUP(migrate)
{
	SMALL_PAGES(PAGES);
	self->kind = variant->device == HMM_DEV_PRIVATE ?
		     HMMIRROR_PTE_PRIVATE : HMMIRROR_PTE_COHERENT;
	USE_MEMORY(variant->device);
}

FIXTURE_TEARDOWN(migrate)
{
	hmm_area_end(&self->area);
}

#define TO_DEVICE() \
	hmm_to_device(self->fd, self->addr, self->length, self->outcomes, \
		      &self->migrated)
#define TO_SYSTEM() \
	hmm_to_system(self->fd, self->addr, self->length, self->outcomes, \
		      &self->migrated)

/* All pages have these flags, order 0, and a pfn if valid. */
static void check_entries(struct __test_metadata *_metadata, int fd, const char *addr,
			  size_t pages, __u64 want)
{
	char text[HMM_ENTRY_STR_MAX];
	__u64 entries[PAGES];
	size_t i;

	ASSERT_EQ(0, hmm_walk(fd, addr, pages * hmm_page_size(), 0, entries));
	for (i = 0; i < pages; i++) {
		ASSERT_EQ(want, hmm_entry_flags(entries[i]))
			TH_LOG("page %zu: %s", i,
			       hmm_entry_str(entries[i], text, sizeof(text)));
		ASSERT_EQ(0, hmm_entry_order(entries[i]));
		ASSERT_EQ(!!(want & HMMIRROR_PTE_VALID),
			  !!hmm_entry_pfn(entries[i]));
	}
}

TEST_F(migrate, round_trip)
{
	__u64 rw = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;
	int i;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 1);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
		ASSERT_EQ(0, TO_DEVICE());
		ASSERT_EQ(PAGES, self->migrated);
		check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_MIGRATED);
		check_entries(_metadata, self->fd, self->addr, PAGES, rw | self->kind);
		ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
		ASSERT_EQ(self->before.to_device + PAGES,
			  self->after.to_device);
		ASSERT_EQ(hmm_stats_used(&self->before) + PAGES, hmm_stats_used(&self->after));

		ASSERT_EQ(0, TO_SYSTEM());
		ASSERT_EQ(PAGES, self->migrated);
		check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_MIGRATED);
		check_entries(_metadata, self->fd, self->addr, PAGES, rw);
		ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
		ASSERT_EQ(self->before.to_system + PAGES,
			  self->after.to_system);
		ASSERT_EQ(hmm_stats_used(&self->before), hmm_stats_used(&self->after));
		ASSERT_EQ(self->before.cpu_faults, self->after.cpu_faults);
		ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 1));
	}
}

/* A CPU access migrates private pages back; coherent ones stay on the device. */
TEST_F(migrate, cpu_read)
{
	__u64 back = self->kind == HMMIRROR_PTE_PRIVATE ? PAGES : 0;
	__u64 rw = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 2);
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(PAGES, self->migrated);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 2));
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(back, self->after.cpu_faults_home -
		  self->before.cpu_faults_home);
	ASSERT_LE(back, self->after.cpu_faults - self->before.cpu_faults);
	ASSERT_EQ(hmm_stats_used(&self->before) - (long)back, hmm_stats_used(&self->after));
	check_entries(_metadata, self->fd, self->addr, PAGES, back ? rw : rw | self->kind);
}

TEST_F(migrate, cpu_write)
{
	__u64 back = self->kind == HMMIRROR_PTE_PRIVATE ? 1 : 0;
	__u64 rw = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 3);
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
	hmm_pattern_fill(self->addr + 5 * self->page, self->page, 4);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(back, self->after.cpu_faults_home -
		  self->before.cpu_faults_home);
	check_entries(_metadata, self->fd, self->addr, 5, rw | self->kind);
	check_entries(_metadata, self->fd, self->addr + 5 * self->page, 1, back ? rw : rw |
		      self->kind);
	check_entries(_metadata, self->fd, self->addr + 6 * self->page, 2, rw | self->kind);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + 5 * self->page,
					self->page, 4));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 5 * self->page, 3));
}

/* Empty entries are populated on the device, and read as zeroes. */
TEST_F(migrate, unpopulated)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(PAGES, self->migrated);
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_POPULATED);
	check_entries(_metadata, self->fd, self->addr, PAGES, self->kind |
		    HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

TEST_F(migrate, zero_page)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "anon_zero", 0, self->length),
		     self->area.why))
		return;
	ASSERT_EQ(0, TO_DEVICE());
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_POPULATED);
	check_entries(_metadata, self->fd, self->addr, PAGES, self->kind |
		    HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/* Empty entries of a read-only mapping: read-only zeroed pages. */
TEST_F(migrate, unpopulated_readonly)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ASSERT_EQ(0, TO_DEVICE());
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_POPULATED);
	check_entries(_metadata, self->fd, self->addr, PAGES, self->kind | HMMIRROR_PTE_VALID);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

TEST_F(migrate, readonly)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 5);
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	ASSERT_EQ(0, TO_DEVICE());
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_MIGRATED);
	check_entries(_metadata, self->fd, self->addr, PAGES, self->kind | HMMIRROR_PTE_VALID);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 5));
	/* Back in system memory and writable, it is like any page. */
	ASSERT_EQ(0, TO_SYSTEM());
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->addr, self->length, 6);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 6));
}

/* Only some pages are present; each has its own outcome. */
TEST_F(migrate, mixed)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr + self->page, 2 * self->page, 7);
	hmm_touch_read(self->addr + 4 * self->page, self->page);
	hmm_pattern_fill(self->addr + 6 * self->page, self->page, 7);
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(PAGES, self->migrated);
	check_outcomes(_metadata, self->outcomes, 0, 1, HMMIRROR_OUT_POPULATED);
	check_outcomes(_metadata, self->outcomes, 1, 2, HMMIRROR_OUT_MIGRATED);
	check_outcomes(_metadata, self->outcomes, 3, 3, HMMIRROR_OUT_POPULATED);
	check_outcomes(_metadata, self->outcomes, 6, 1, HMMIRROR_OUT_MIGRATED);
	check_outcomes(_metadata, self->outcomes, 7, 1, HMMIRROR_OUT_POPULATED);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->page, 0));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr + self->page,
					2 * self->page, 7));
}

/* Pages that are on the device already are not collected again. */
TEST_F(migrate, to_device_twice)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 8);
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, self->migrated);
	/* Coherent pages are present, so that the kernel looks at them. */
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_NONE);
	check_entries(_metadata, self->fd, self->addr, PAGES, self->kind |
		    HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 8));
}

TEST_F(migrate, to_system_nothing)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, 4 * self->page, 9);
	ASSERT_EQ(0, TO_SYSTEM());
	ASSERT_EQ(0, self->migrated);
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_NONE);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, 4 * self->page, 9));
}

TEST_F(migrate, to_system_part)
{
	__u64 rw = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 10);
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, hmm_to_system(self->fd, self->addr + 2 * self->page,
				   3 * self->page, self->outcomes,
				   &self->migrated));
	ASSERT_EQ(3, self->migrated);
	check_entries(_metadata, self->fd, self->addr, 2, rw | self->kind);
	check_entries(_metadata, self->fd, self->addr + 2 * self->page, 3, rw);
	check_entries(_metadata, self->fd, self->addr + 5 * self->page, 3, rw | self->kind);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 10));
}

TEST_F(migrate, other_device)
{
	unsigned int number = variant->device + 1;
	int other;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_area_memory(&self->area, number), self->area.why))
		return;
	other = hmm_area_device(&self->area, number);
	hmm_pattern_fill(self->addr, self->length, 11);
	ASSERT_EQ(0, hmm_to_device(other, self->addr, self->length, NULL,
				   &self->migrated));
	ASSERT_EQ(PAGES, self->migrated);
	/* Pages of another device are not ours to migrate, in either direction. */
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, self->migrated);
	ASSERT_EQ(0, TO_SYSTEM());
	ASSERT_EQ(0, self->migrated);
	check_entries(_metadata, other, self->addr, PAGES, self->kind |
		    HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 11));
}

/* The mirror is closed while pages are on the device: no data is lost. */
TEST_F(migrate, close)
{
	int fd = hmm_open(variant->device);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_LE(0, fd);
	hmm_pattern_fill(self->addr, self->length, 12);
	ASSERT_EQ(0, hmm_to_device(fd, self->addr, self->length, NULL,
				   &self->migrated));
	ASSERT_EQ(PAGES, self->migrated);
	ASSERT_EQ(0, close(fd));
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 12));
	hmm_pattern_fill(self->addr, self->length, 13);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 13));
}

TEST_F(migrate, munmap)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 14);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, munmap(self->addr, self->length));
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(hmm_stats_used(&self->before), hmm_stats_used(&self->after));
	ASSERT_EQ(self->before.cpu_faults, self->after.cpu_faults);
}

TEST_F(migrate, dontneed)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 15);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(hmm_stats_used(&self->before), hmm_stats_used(&self->after));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

TEST_F(migrate, mremap)
{
	char *to = hmm_map_none(self->length, 0);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_NE(NULL, to);
	hmm_pattern_fill(self->addr, self->length, 16);
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(to, mremap(self->addr, self->length, self->length,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	check_entries(_metadata, self->fd, to, PAGES, self->kind |
		    HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
	ASSERT_EQ(-1, hmm_pattern_check_as(to, self->addr, self->length, 16));
}

TEST_F(migrate, mprotect)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 17);
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(0, mprotect(self->addr, self->length, PROT_READ));
	check_entries(_metadata, self->fd, self->addr, PAGES, self->kind | HMMIRROR_PTE_VALID);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 17));
	ASSERT_EQ(0, mprotect(self->addr, self->length,
			      PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->addr, self->length, 18);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 18));
}

TEST_F(migrate, exit)
{
	pid_t child;
	int fd;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
	child = fork();
	if (!child) {
		fd = hmm_open(variant->device);
		hmm_pattern_fill(self->addr, self->length, 19);
		if (hmm_to_device(fd, self->addr, self->length, NULL,
				  &self->migrated))
			_exit(2);
		_exit(self->migrated != PAGES);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->after));
	ASSERT_EQ(self->before.to_device, self->after.to_device);
	ASSERT_EQ(hmm_stats_used(&self->before), hmm_stats_used(&self->after));
}

/* Several mappings in one call. */
TEST_F(migrate, several_mappings)
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	hmm_pattern_fill(self->addr, self->length, 20);
	ASSERT_EQ(0, mprotect(self->addr + 3 * self->page, 2 * self->page,
			      PROT_READ));
	ASSERT_EQ(0, TO_DEVICE());
	ASSERT_EQ(PAGES, self->migrated);
	check_outcomes(_metadata, self->outcomes, 0, PAGES, HMMIRROR_OUT_MIGRATED);
	check_entries(_metadata, self->fd, self->addr, 3, self->kind |
		    HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE);
	check_entries(_metadata, self->fd, self->addr + 3 * self->page, 2, self->kind |
		      HMMIRROR_PTE_VALID);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 20));
}

/* More pages than the driver migrates at a time. */
TEST_F(migrate, large)
{
	size_t length = 4UL << 20, pages = length / self->page;
	char *memory = hmm_map_anon(length, 0);

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_NE(NULL, memory);
	hmm_pattern_fill(memory, length, 21);
	ASSERT_EQ(0, hmm_to_device(self->fd, memory, length, NULL,
				   &self->migrated));
	ASSERT_EQ(pages, self->migrated);
	ASSERT_EQ(0, hmm_to_system(self->fd, memory, length, NULL,
				   &self->migrated));
	ASSERT_EQ(pages, self->migrated);
	ASSERT_EQ(-1, hmm_pattern_check(memory, length, 21));
}

#include "hmm_main.h"
