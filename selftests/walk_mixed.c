// SPDX-License-Identifier: GPL-2.0
/* The walker on ranges that hold many states, many mappings, much memory. */
#include "expect_kernel.h"
#include "hmm_test.h"
#include "walk_run.h"

FIXTURE(walk_mixed)
{
	struct walk walk;
};

FIXTURE_SETUP(walk_mixed)
{
}

FIXTURE_TEARDOWN(walk_mixed)
{
	walk_end(&self->walk);
}

/* What takes all of the process comes first, wherever it stands. */
static const struct {
	const char *state;
	size_t first;
	size_t pages;
} many[] = {
	{ "anon_softclean", 17, 2 },
	{ "anon_cow_parent", 0, 2 },
	{ "anon_none", 2, 2 },
	{ "anon_zero", 4, 3 },
	{ "anon_writable", 7, 2 },
	{ "file_private_read", 9, 2 },
	{ "shmem_shared_none", 11, 3 },
	{ "anon_emptied", 14, 1 },
	{ "file_shared_read", 15, 2 },
	{ "anon_mlocked", 19, 2 },
	{ "file_private_written", 21, 3 },
};

#define MANY_PAGES	24

/* Return: false if one of them can't be had, which ends the test. */
static bool put_many(struct __test_metadata *_metadata, struct walk *walk)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(many); i++)
		if (MISS(walk_put(walk, many[i].state, many[i].first,
				  many[i].pages), walk->why))
			return false;
	return true;
}

TEST_F(walk_mixed, snapshot)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!put_many(_metadata, &self->walk))
		return;
	if (MISS(walk_ask(&self->walk, 0, 0, MANY_PAGES, 0), self->walk.why))
		return;
}

TEST_F(walk_mixed, read_fault)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!put_many(_metadata, &self->walk))
		return;
	if (MISS(walk_ask(&self->walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_FAULT),
		 self->walk.why))
		return;
}

TEST_F(walk_mixed, write_fault)
{
	ASSERT_EQ(0, walk_begin(&self->walk, MANY_PAGES, 0));
	if (!put_many(_metadata, &self->walk))
		return;
	if (MISS(walk_ask(&self->walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_ALL),
		 self->walk.why))
		return;
}

TEST_F(walk_mixed, page_requests)
{
	struct walk *walk = &self->walk;
	size_t i;

	ASSERT_EQ(0, walk_begin(walk, MANY_PAGES, 0));
	if (!put_many(_metadata, walk))
		return;
	for (i = 0; i < MANY_PAGES; i++)
		walk->page[i].request = i % 4 == 1 ? HMMIRROR_REQ_FAULT :
					i % 4 == 3 ? HMMIRROR_REQ_ALL : 0;
	if (MISS(walk_ask_pages(walk, 0, 0, MANY_PAGES, HMMIRROR_REQ_ALL),
		 walk->why))
		return;
}

/* Mappings of every size next to each other, a PMD for each kind but the first. */
FIXTURE(walk_mixed_huge)
{
	struct walk walk;
	size_t pmd;	/* pages of one */
};

FIXTURE_SETUP(walk_mixed_huge)
{
	self->pmd = hmm_pmd_size() / hmm_page_size();
}

FIXTURE_TEARDOWN(walk_mixed_huge)
{
	walk_end(&self->walk);
}

#define HUGE_PMDS	6

/* In the place of what a kernel lacks there are ordinary pages. */
static int put_or(struct walk *walk, const char *state, size_t first,
		  size_t pages)
{
	int ret = walk_put(walk, state, first, pages);

	return ret == HMM_SKIP ? walk_put(walk, "anon_writable", first, pages) :
				 ret;
}

static int put_huge(struct walk *walk, size_t pmd)
{
	int ret = walk_put(walk, "anon_emptied", 0, pmd);

	if (!ret)
		ret = put_or(walk, "secret_written", 0, 3);
	if (!ret)
		ret = put_or(walk, "sealed_private", 3, 3);
	if (!ret)
		ret = walk_put(walk, "shmem_shared_none", 6, 3);
	if (!ret)
		ret = put_or(walk, "mthp_64k", 16, 32);
	if (!ret)
		ret = put_or(walk, "anon_uffd_wp_zero", pmd - 40, 1);
	if (!ret)
		ret = walk_put(walk, "stack", pmd - 4, 4);
	if (!ret)
		ret = put_or(walk, "thp_writable", pmd, pmd);
	if (!ret)
		ret = put_or(walk, "hugetlb_read", 2 * pmd, pmd);
	if (!ret)
		ret = put_or(walk, "thp_none", 3 * pmd, pmd);
	if (!ret)
		ret = put_or(walk, "hugetlb_shared_none", 4 * pmd, pmd);
	if (!ret)
		ret = walk_put(walk, "anon_none", 5 * pmd, pmd);
	return ret;
}

/* All of them but the ends; and from within a hugetlb page to within the next. */
static void mixed_huge(struct __test_metadata *_metadata, struct walk *walk,
		       size_t pmd, __u64 request)
{
	/* what userfaultfd would have to be asked for to be written has a test */
	size_t first = request == HMMIRROR_REQ_ALL ? pmd - 30 : 2;

	ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
	if (MISS(put_huge(walk, pmd), walk->why))
		return;
	if (MISS(walk_ask(walk, 0, first, HUGE_PMDS * pmd - 7 - first, request),
		 walk->why))
		return;
	if (request) {
		walk_end(walk);
		ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
		if (MISS(put_huge(walk, pmd), walk->why))
			return;
	}
	if (MISS(walk_ask(walk, 0, 2 * pmd + pmd / 2, 2 * pmd + 9, request),
		 walk->why))
		return;
}

TEST_F(walk_mixed_huge, snapshot)
{
	mixed_huge(_metadata, &self->walk, self->pmd, 0);
}

TEST_F(walk_mixed_huge, read_fault)
{
	mixed_huge(_metadata, &self->walk, self->pmd, HMMIRROR_REQ_FAULT);
}

TEST_F(walk_mixed_huge, write_fault)
{
	mixed_huge(_metadata, &self->walk, self->pmd, HMMIRROR_REQ_ALL);
}

TEST_F(walk_mixed_huge, page_requests)
{
	size_t pmd = self->pmd, i;
	struct walk *walk = &self->walk;

	ASSERT_EQ(0, walk_begin(walk, HUGE_PMDS * pmd, 0));
	if (MISS(put_huge(walk, pmd), walk->why))
		return;
	for (i = pmd - 30; i < HUGE_PMDS * pmd; i++)
		walk->page[i].request = i % 97 == 5 ? HMMIRROR_REQ_FAULT :
					i % 97 == 50 ? HMMIRROR_REQ_ALL : 0;
	if (MISS(walk_ask_pages(walk, 0, pmd - 30, 5 * pmd + 20,
				HMMIRROR_REQ_ALL), walk->why))
		return;
}

/* What may not be accessed between huge pages: passed over, or the end. */
TEST_F(walk_mixed_huge, refused_between)
{
	static const char *const states[] = { "hole", "anon_noaccess" };
	size_t pmd = self->pmd, i;
	struct walk *walk = &self->walk;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		walk_end(walk);
		ASSERT_EQ(0, walk_begin(walk, 3 * pmd, 0));
		if (MISS(put_or(walk, "thp_writable", 0, pmd), walk->why))
			return;
		if (MISS(walk_put(walk, states[i], pmd, pmd), walk->why))
			return;
		if (MISS(put_or(walk, "hugetlb_writable", 2 * pmd, pmd),
			 walk->why))
			return;
		if (MISS(walk_ask(walk, 0, pmd - 7, pmd + 16, 0), walk->why))
			return;
		/* this changes nothing, so that there can be another */
		if (MISS(walk_ask(walk, 0, pmd - 7, pmd + 16,
				  HMMIRROR_REQ_FAULT), walk->why))
			return;
		if (MISS(walk_ask(walk, 0, pmd - 7, pmd + 16,
				  HMMIRROR_REQ_ALL), walk->why))
			return;
	}
}

/*
 * Where a walk ends with an error: all before it has its answer, all from
 * there on is as it was given.
 */
FIXTURE(walk_error)
{
	struct walk walk;
};

FIXTURE_VARIANT(walk_error)
{
	const char *state;
	int error;
	__u64 request;
};

FIXTURE_VARIANT_ADD(walk_error, hole)
{
	.state = "hole",
	.error = -EFAULT,
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_error, noaccess)
{
	.state = "anon_noaccess",
	.error = -EFAULT,
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_error, past_eof)
{
	.state = "file_past_eof",
	.error = -EFAULT,
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_error, readonly)
{
	.state = "anon_readonly",
	.error = -EPERM,
	.request = HMMIRROR_REQ_ALL,
};

FIXTURE_VARIANT_ADD(walk_error, none_readonly)
{
	.state = "anon_none_readonly",
	.error = -EPERM,
	.request = HMMIRROR_REQ_ALL,
};

FIXTURE_SETUP(walk_error)
{
}

FIXTURE_TEARDOWN(walk_error)
{
	walk_end(&self->walk);
}

#define ERROR_PAGES	12

/* The page in question at the start, in the middle, at the end. */
static void walk_error_at(struct __test_metadata *_metadata, struct walk *walk,
			  const char *state, size_t at, __u64 request,
			  int error)
{
	size_t i;

	walk_end(walk);
	ASSERT_EQ(0, walk_begin(walk, ERROR_PAGES, 0));
	if (at)
		if (MISS(walk_put(walk, "anon_zero", 0, at), walk->why))
			return;
	if (MISS(walk_put(walk, state, at, 1), walk->why))
		return;
	if (at + 1 < ERROR_PAGES)
		if (MISS(walk_put(walk, "anon_emptied", at + 1,
				  ERROR_PAGES - at - 1), walk->why))
			return;
	if (MISS(walk_ask(walk, 0, 0, ERROR_PAGES, request), walk->why))
		return;
	/* The same once more in plain words, where it is as plain as that. */
	if (expect_when(WHEN_BY_MAPPING))
		return;
	ASSERT_EQ(error, walk->error);
	for (i = at; i < ERROR_PAGES; i++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, walk->entries[i]);
	for (i = 0; i < at; i++)
		ASSERT_NE(0, walk->entries[i] & HMMIRROR_PTE_VALID);
}

TEST_F(walk_error, first)
{
	walk_error_at(_metadata, &self->walk, variant->state, 0,
		      variant->request, variant->error);
}

TEST_F(walk_error, middle)
{
	walk_error_at(_metadata, &self->walk, variant->state, ERROR_PAGES / 2,
		      variant->request, variant->error);
}

TEST_F(walk_error, last)
{
	walk_error_at(_metadata, &self->walk, variant->state, ERROR_PAGES - 1,
		      variant->request, variant->error);
}

/* Ranges that start and end where page tables of each level do. */
FIXTURE(walk_level)
{
	struct hmm_area area;
	__u64 *entries;
	size_t pages;
};

FIXTURE_VARIANT(walk_level)
{
	int levels;	/* levels of tables that are not there: 1 is the PTEs' */
};

FIXTURE_VARIANT_ADD(walk_level, pmd)
{
	.levels = 1,
};

FIXTURE_VARIANT_ADD(walk_level, pud)
{
	.levels = 2,
};

FIXTURE_VARIANT_ADD(walk_level, pgd)
{
	.levels = 3,
};

#define LEVEL_PAGES	64

FIXTURE_SETUP(walk_level)
{
	size_t span = hmm_page_size();
	int i;

	for (i = 0; i < variant->levels; i++)
		span *= hmm_page_size() / 8;
	self->entries = hmm_map_anon(LEVEL_PAGES * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_EQ(0, hmm_area_begin(&self->area, 2 * span, span));
	ASSERT_EQ(0, hmm_area_map(&self->area, self->area.addr, 2 * span,
				  PROT_READ | PROT_WRITE, MAP_PRIVATE |
				  MAP_ANONYMOUS | MAP_NORESERVE, -1));
	madvise(self->area.addr, 2 * span, MADV_NOHUGEPAGE);
	/* Around the border between two spans, where none has a table yet. */
	self->area.addr += span - LEVEL_PAGES / 2 * hmm_page_size();
}

FIXTURE_TEARDOWN(walk_level)
{
	hmm_unmap(self->entries, LEVEL_PAGES * sizeof(__u64));
	hmm_area_end(&self->area);
}

TEST_F(walk_level, snapshot)
{
	size_t length = LEVEL_PAGES * hmm_page_size(), i;
	int fd = hmm_area_device(&self->area, 0);
	long faults, tables;

	ASSERT_LE(0, fd);
	memset(self->entries, 0xff, LEVEL_PAGES * sizeof(__u64));
	tables = hmm_status("VmPTE:");
	faults = hmm_faults();
	ASSERT_EQ(0, hmm_walk(fd, self->area.addr, length, 0, self->entries));
	ASSERT_EQ(faults, hmm_faults());
	ASSERT_EQ(tables, hmm_status("VmPTE:"));
	for (i = 0; i < LEVEL_PAGES; i++)
		ASSERT_EQ(0, self->entries[i]);
}

static void fault_levels(struct __test_metadata *_metadata,
			 FIXTURE_DATA(walk_level) * self, __u64 request,
			 __u64 want)
{
	size_t length = LEVEL_PAGES * hmm_page_size(), i;
	int fd = hmm_area_device(&self->area, 0);
	char text[HMM_ENTRY_STR_MAX];

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_walk(fd, self->area.addr, length, request,
			      self->entries));
	for (i = 0; i < LEVEL_PAGES; i++)
		ASSERT_EQ(HMMIRROR_PTE_VALID | want,
			  hmm_entry_flags(self->entries[i]))
			TH_LOG("page %zu: %s", i,
			       hmm_entry_str(self->entries[i], text,
					     sizeof(text)));
}

TEST_F(walk_level, read_fault)
{
	if (MISS(expect_when(WHEN_ZERO_SPECIAL) ? HMM_SKIP : 0,
		 "the walker of this kernel refuses the zero page"))
		return;
	fault_levels(_metadata, self, HMMIRROR_REQ_FAULT, HMMIRROR_PTE_ZERO);
}

TEST_F(walk_level, write_fault)
{
	fault_levels(_metadata, self, HMMIRROR_REQ_ALL, HMMIRROR_PTE_WRITE);
}

/* A gigabyte in one call, and the memory for it given back afterwards. */
FIXTURE(walk_large)
{
	struct hmm_area area;
	__u64 *entries;
	size_t length;
};

FIXTURE_SETUP(walk_large)
{
	size_t pages;

	self->length = 1UL << 30;
	pages = self->length / hmm_page_size();
	self->entries = hmm_map_anon(pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	hmm_touch_write(self->entries, pages * sizeof(__u64));
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
}

FIXTURE_TEARDOWN(walk_large)
{
	hmm_unmap(self->entries,
		  self->length / hmm_page_size() * sizeof(__u64));
	hmm_area_end(&self->area);
}

/*
 * What calls may leave behind by chance, in KiB: caches of the allocators, on each CPU.
 * Each of the four needs 2 MiB.
 */
#define LEFT_OVER	6144

TEST_F(walk_large, snapshot)
{
	size_t pages = self->length / hmm_page_size(), i, mapped = 1024;
	int fd = hmm_area_device(&self->area, 0);
	__u64 want = HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE;
	long before, after;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, hmm_area_map_small(&self->area, self->area.addr,
					self->length,
					PROT_READ | PROT_WRITE));
	/* One page of each megabyte has something. */
	for (i = 0; i < pages; i += pages / mapped)
		self->area.addr[i * hmm_page_size()] = 1;
	ASSERT_EQ(0, hmm_walk(fd, self->area.addr, self->length, 0,
			      self->entries));
	for (i = 0; i < pages; i++)
		if (hmm_entry_flags(self->entries[i]) !=
		    (i % (pages / mapped) ? 0 : want))
			break;
	ASSERT_EQ(pages, i);

	before = hmm_meminfo("MemFree:");
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, hmm_walk(fd, self->area.addr, self->length, 0,
				      self->entries));
	/* some is given back later, or others have it for a moment */
	for (i = 0; i < 200; i++) {
		after = hmm_meminfo("MemFree:");
		if (before - after < LEFT_OVER)
			break;
		usleep(10000);
	}
	EXPECT_GT(LEFT_OVER, before - after);
}

/* The huge zero page costs no memory; every second one is to be faulted in. */
TEST_F(walk_large, read_fault)
{
	size_t pages = self->length / hmm_page_size(), i;
	const struct hmm_state *state = hmm_state_find("thp_zero");
	__u64 want = HMMIRROR_PTE_VALID | HMMIRROR_PTE_ZERO;
	unsigned int order = expect_when(WHEN_ORDER) ? 9 : 0;
	int fd = hmm_area_device(&self->area, 0);
	struct hmm_area *area = &self->area;
	size_t pmd = hmm_pmd_size();

	ASSERT_LE(0, fd);
	if (MISS(hmm_state_make(area, state, 0, pmd), area->why))
		return;
	if (MISS(hmm_state_make(area, hmm_state_find("thp_none"), 0,
				self->length), area->why))
		return;
	for (i = 0; i < self->length; i += 2 * pmd)
		hmm_touch_read(area->addr + i, 1);
	ASSERT_EQ(0, hmm_walk(fd, area->addr, self->length, HMMIRROR_REQ_FAULT,
			      self->entries));
	for (i = 0; i < pages; i++)
		if (hmm_entry_flags(self->entries[i]) != want ||
		    hmm_entry_order(self->entries[i]) != order)
			break;
	ASSERT_EQ(pages, i);
	/* One page frame after the other in each, and the same in all. */
	for (i = 1; i < pages; i++)
		if (self->entries[i] != (i % (pmd / hmm_page_size()) ?
		    self->entries[i - 1] + (1ULL << HMMIRROR_PTE_PFN_SHIFT) :
		    self->entries[0]))
			break;
	ASSERT_EQ(pages, i);
}

#include "hmm_main.h"
