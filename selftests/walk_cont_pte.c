// SPDX-License-Identifier: GPL-2.0
/*
 * walk_cont_pte: a change of one page among contiguous PTEs.
 *
 * Where the PTEs of a folio are alike, the kernel may mark them as contiguous, and the CPU then
 * has one TLB entry for all. To change one of them, the kernel must write all anew without the
 * mark. Each of the others must keep its page and its access; the one that changed must be walked,
 * faulted and migrated by itself.
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmm_test.h"

#define VALID	HMMIRROR_PTE_VALID
#define WRITE	HMMIRROR_PTE_WRITE
#define MOST	256

FIXTURE(walk_cont_pte)
{
	struct hmm_area area;
	__u64 before[MOST];
	__u64 after[MOST];
	size_t page;
	size_t pages;
	size_t length;
	size_t changed;	/* index of the page that changes */
	char *addr;	/* of that page */
	int fd;
};

FIXTURE_VARIANT(walk_cont_pte)
{
	int place;
};

FIXTURE_VARIANT_ADD(walk_cont_pte, first)
{
	.place = 0,
};

FIXTURE_VARIANT_ADD(walk_cont_pte, middle)
{
	.place = 1,
};

FIXTURE_VARIANT_ADD(walk_cont_pte, last)
{
	.place = 2,
};

FIXTURE_SETUP(walk_cont_pte)
{
	self->page = hmm_page_size();
	self->length = hmm_state_unit(hmm_state_find("mthp_cont_pte"));
	self->pages = self->length / self->page;
	ASSERT_GE(MOST, self->pages);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->changed = variant->place == 2 ? self->pages - 1 : variant->place * self->pages / 2;
	self->addr = self->area.addr + self->changed * self->page;
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_cont_pte)
{
	hmm_area_end(&self->area);
}

/* Return: for REQUIRE() */
static int make(struct _test_data_walk_cont_pte *self)
{
	int ret = hmm_state_make_named(&self->area, "mthp_cont_pte", 0, self->length);

	if (!ret && hmm_walk(self->fd, self->area.addr, self->length, 0, self->before))
		ret = hmm_fail(&self->area, 0, "the walk before the change failed");
	return ret;
}

#define MAKE()		REQUIRE(make(self), self->area.why)

/* The others are as before; the page that changed has @flags. */
static void check(struct __test_metadata *_metadata, struct _test_data_walk_cont_pte *self,
		  __u64 request, __u64 flags)
{
	size_t i;

	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, request, self->after));
	for (i = 0; i < self->pages; i++) {
		if (i == self->changed) {
			ASSERT_EQ(flags, hmm_entry_flags(self->after[i]));
			continue;
		}
		ASSERT_EQ(VALID | WRITE, hmm_entry_flags(self->after[i])) TH_LOG("page %zu", i);
		ASSERT_EQ(self->before[i], self->after[i]) TH_LOG("page %zu", i);
	}
}

#define CHECK(_request, _flags)	check(_metadata, self, _request, _flags)
#define CHECK_DATA()	ASSERT_EQ(-1, hmm_pattern_check(self->area.addr, self->length, 0))

TEST_F(walk_cont_pte, mprotect)
{
	if (!MAKE())
		return;
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ));
	CHECK(0, VALID);
	ASSERT_EQ(-EPERM, hmm_walk(self->fd, self->area.addr, self->length, HMMIRROR_REQ_ALL,
				   self->after));
	ASSERT_EQ(0, mprotect(self->addr, self->page, PROT_READ | PROT_WRITE));
	CHECK(HMMIRROR_REQ_ALL, VALID | WRITE);
	ASSERT_EQ(self->before[self->changed], self->after[self->changed]);
	CHECK_DATA();
}

TEST_F(walk_cont_pte, dontneed)
{
	if (!MAKE())
		return;
	ASSERT_EQ(0, madvise(self->addr, self->page, MADV_DONTNEED));
	CHECK(0, 0);
	CHECK(HMMIRROR_REQ_ALL, VALID | WRITE);
	ASSERT_NE(hmm_entry_pfn(self->before[self->changed]),
		  hmm_entry_pfn(self->after[self->changed]));
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->page, 0));
}

/* After a fork all are read-only. A fault for one page must not make another writable. */
TEST_F(walk_cont_pte, write_after_fork)
{
	size_t i;

	if (!MAKE())
		return;
	ASSERT_EQ(0, hmm_area_share(&self->area, 0));
	ASSERT_EQ(0, hmm_walk(self->fd, self->addr, self->page, HMMIRROR_REQ_ALL, self->after));
	ASSERT_EQ(VALID | WRITE, hmm_entry_flags(self->after[0]));
	ASSERT_NE(hmm_entry_pfn(self->before[self->changed]), hmm_entry_pfn(self->after[0]));
	ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, 0, self->after));
	for (i = 0; i < self->pages; i++) {
		ASSERT_EQ(i == self->changed ? VALID | WRITE : VALID,
			  hmm_entry_flags(self->after[i])) TH_LOG("page %zu", i);
		if (i != self->changed)
			ASSERT_EQ(hmm_entry_pfn(self->before[i]), hmm_entry_pfn(self->after[i]));
	}
	CHECK_DATA();
}

/* Kernels with huge device pages split the folio first, and others refuse the page. */
TEST_F(walk_cont_pte, migrate)
{
	__u64 migrated = 2;
	int splits;

	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	splits = !hmm_area_feature(&self->area, HMMIRROR_FEAT_DEVICE_THP);
	if (!MAKE())
		return;
	ASSERT_EQ(0, hmm_to_device(self->fd, self->addr, self->page, NULL, &migrated));
	ASSERT_EQ(splits, migrated);
	CHECK(0, splits ? HMMIRROR_PTE_PRIVATE | VALID | WRITE : VALID | WRITE);
	CHECK_DATA();
	CHECK(0, VALID | WRITE);
}

/*
 * A write to another page does not end the exclusive access to this one. Older kernels refuse all
 * but the first page of a folio, and with that one they take all from the CPU.
 */
TEST_F(walk_cont_pte, exclusive)
{
	int by_page = expect_when(WHEN_EXCLUSIVE_PAGE);
	int refused = self->changed && !by_page;
	__u64 pages = 0;
	__u8 held = 0;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_EXCLUSIVE), self->area.why))
		return;
	if (!MAKE())
		return;
	ASSERT_EQ(refused ? -EBUSY : 0, hmm_excl_pages(self->fd, HMMIRROR_EXCL_MAKE, self->addr,
						       self->page, NULL, &pages));
	ASSERT_EQ(!refused, pages);
	if (refused) {
		CHECK(0, VALID | WRITE);
		return;
	}
	if (by_page) {
		CHECK(0, 0);
	} else {
		ASSERT_EQ(0, hmm_walk(self->fd, self->area.addr, self->length, 0, self->after));
		ASSERT_EQ(-1, hmm_all_bytes((char *)self->after,
					    self->pages * sizeof(*self->after), 0));
	}
	if (self->changed)
		hmm_touch_write(self->area.addr, self->changed * self->page);
	hmm_touch_write(self->addr + self->page,
			self->length - (self->changed + 1) * self->page);
	ASSERT_EQ(0, hmm_excl_pages(self->fd, HMMIRROR_EXCL_TEST, self->addr, self->page, &held,
				    NULL));
	ASSERT_EQ(1, held);
	CHECK_DATA();
	CHECK(0, VALID | WRITE);
	ASSERT_EQ(self->before[self->changed], self->after[self->changed]);
}

#include "hmm_main.h"
