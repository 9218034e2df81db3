// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault() on huge and non-present PUDs in anonymous memory, which no system call
 * makes: the driver under test puts them into the page table.
 *
 * A walker that meets an entry that it does not expect at this level must neither follow it
 * as a table nor report it as a page without the right to.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define PAGES	8

#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE

#define HUGE	HMMIRROR_PLANT_PUD_HUGE
#define ABSENT	HMMIRROR_PLANT_PUD_ABSENT

/* 1 GiB of memory that was never used. */
FIXTURE(walk_pud)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t length;
	int fd;
};

FIXTURE_SETUP(walk_pud)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pud_size(), hmm_pud_size()));
	ASSERT_EQ(0, hmm_area_map(&self->area, self->area.addr, self->area.length,
				  PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1));
	/* a kernel without huge pages knows no such advice */
	ASSERT_TRUE(!madvise(self->area.addr, self->area.length, MADV_NOHUGEPAGE) ||
		    errno == EINVAL);
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_pud)
{
	hmm_area_end(&self->area);
}

static int plant(struct hmm_area *area, int fd, enum hmmirror_planted kind)
{
	int ret = hmm_plant(fd, area->addr, kind);

	if (ret == -EOPNOTSUPP)
		return hmm_skip(area,
				"no huge PUDs (CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD), or no write splits them (5.8)");
	return ret ? hmm_fail(area, ret, "HMMIRROR_PLANT") : 0;
}

/* Start of one of three walks: the first pages, some in the middle, the last. */
static char *walk_start(const struct hmm_area *area, size_t length, int i)
{
	size_t offsets[] = { 0, area->length / 2, area->length - length };

	return area->addr + offsets[i];
}

/*
 * Where a huge PUD needs the devmap mark, one without it is nothing that the walker can
 * report: it splits the PUD, the notifier is called, and the walk is retried and finds an
 * empty PUD. Later kernels report any huge PUD.
 */
TEST_F(walk_pud, huge)
{
	int marked = expect_when(WHEN_PUD_MARKED), i;
	size_t page;

	for (i = 0; i < 3; i++) {
		char *addr = walk_start(&self->area, self->length, i);
		struct hmmirror_range range = {
			.addr = (uintptr_t)addr,
			.length = self->length,
			.entries = (uintptr_t)self->entries,
		};

		if (!REQUIRE(plant(&self->area, self->fd, HUGE), self->area.why))
			return;
		ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
		ASSERT_EQ(0, range.error);
		ASSERT_EQ(marked, (int)range.retries);
		for (page = 0; page < PAGES; page++) {
			ASSERT_EQ(marked ? 0 : VALID,
				  hmm_entry_flags(self->entries[page]) & ~HMMIRROR_PTE_ZERO);
			if (marked)
				continue;
			ASSERT_EQ(hmm_pud_order(), hmm_entry_order(self->entries[page]));
			ASSERT_EQ((addr - self->area.addr) / hmm_page_size() + page,
				  hmm_entry_pfn(self->entries[page]));
		}
		ASSERT_EQ(marked ? -ENOENT : 0, hmm_plant_take(self->fd));
	}
}

/* A write splits the PUD and faults small pages in. */
TEST_F(walk_pud, huge_write_fault)
{
	if (!REQUIRE(plant(&self->area, self->fd, HUGE), self->area.why))
		return;
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, HMMIRROR_REQ_ALL,
			      self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, VALID | WRITE);
	ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));
}

/* The walker treats it as an empty PUD. */
TEST_F(walk_pud, absent)
{
	int i;

	if (expect_when(WHEN_PUD_UNSEEN))
		SKIP(return, "without hugetlb this kernel's walker sees no huge PUD");
	if (!REQUIRE(plant(&self->area, self->fd, ABSENT), self->area.why))
		return;
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, hmm_walk(self->fd, walk_start(&self->area, self->length, i),
				      self->length, 0, self->entries));
		ASSERT_ENTRIES(self->entries, PAGES, 0);
	}
	ASSERT_EQ(0, hmm_plant_take(self->fd));
}

TEST_F(walk_pud, absent_write_fault)
{
	if (!REQUIRE(plant(&self->area, self->fd, ABSENT), self->area.why))
		return;
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, HMMIRROR_REQ_ALL,
			      self->entries));
	ASSERT_ENTRIES(self->entries, PAGES, VALID | WRITE);
	ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));
}

/* The driver takes it back, or the kernel zaps it, or forks with it: an empty PUD is left. */
TEST_F(walk_pud, taken_back)
{
	char *addr = self->area.addr;
	pid_t child;

	if (!REQUIRE(plant(&self->area, self->fd, HUGE), self->area.why))
		return;
	ASSERT_EQ(-EBUSY, hmm_plant(self->fd, addr, ABSENT));
	ASSERT_EQ(0, hmm_plant_take(self->fd));
	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, addr + hmm_pmd_size(), HUGE));

	ASSERT_EQ(0, hmm_plant(self->fd, addr, HUGE));
	ASSERT_EQ(0, madvise(addr, self->area.length, MADV_DONTNEED));
	ASSERT_EQ(-ENOENT, hmm_plant_take(self->fd));

	ASSERT_EQ(0, hmm_plant(self->fd, addr, ABSENT));
	child = fork();
	ASSERT_LE(0, child);
	if (!child)
		_exit(0);
	ASSERT_EQ(0, hmm_child_result(child));
	hmm_plant_take(self->fd);

	hmm_touch_write(addr, 1);
	ASSERT_EQ(-ENXIO, hmm_plant(self->fd, addr, HUGE));
	ASSERT_EQ(0, munmap(addr, hmm_page_size()));
	ASSERT_EQ(-EINVAL, hmm_plant(self->fd, addr, HUGE));
}

TEST_F(walk_pud, exit)
{
	enum hmmirror_planted kinds[] = { HUGE, ABSENT };
	int i, fd;
	pid_t child;

	if (!REQUIRE(plant(&self->area, self->fd, HUGE), self->area.why))
		return;
	ASSERT_EQ(0, hmm_plant_take(self->fd));
	for (i = 0; i < 2; i++) {
		child = fork();
		ASSERT_LE(0, child);
		if (!child) {
			fd = hmm_open(0);
			if (hmm_plant(fd, self->area.addr, kinds[i]))
				_exit(1);
			raise(SIGKILL);
		}
		ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	}
}

#include "hmm_main.h"
