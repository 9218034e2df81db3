// SPDX-License-Identifier: GPL-2.0
/* Walk a window of pages in known states, and check the whole answer. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "expect_kernel.h"
#include "walk_run.h"

/* In a pagemap entry, the offset of a swap entry is behind its type. */
#define SWAP_OFFSET_SHIFT	5

static int fail(struct walk *walk, const char *format, ...)
	HMM_PRINTF(2, 3);

static int fail(struct walk *walk, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(walk->why, sizeof(walk->why), format, list);
	va_end(list);
	return -EIO;
}

int walk_begin(struct walk *walk, size_t pages, size_t align)
{
	size_t words = pages * sizeof(__u64);
	unsigned int flags = walk->flags;
	int ret;

	memset(walk, 0, sizeof(*walk));
	walk->flags = flags;
	ret = hmm_area_begin(&walk->area, pages * hmm_page_size(), align);
	if (ret)
		return ret;
	walk->pages = pages;
	walk->page = hmm_map_anon(pages * sizeof(*walk->page), 0);
	walk->entries = hmm_map_anon(words, 0);
	walk->before = hmm_map_anon(words, 0);
	walk->after = hmm_map_anon(words, 0);
	if (!walk->page || !walk->entries || !walk->before || !walk->after) {
		walk_end(walk);
		return -ENOMEM;
	}
	return 0;
}

void walk_end(struct walk *walk)
{
	size_t words = walk->pages * sizeof(__u64);
	unsigned int flags = walk->flags;

	hmm_area_end(&walk->area);
	hmm_unmap(walk->page, walk->pages * sizeof(*walk->page));
	hmm_unmap(walk->entries, words);
	hmm_unmap(walk->before, words);
	hmm_unmap(walk->after, words);
	memset(walk, 0, sizeof(*walk));
	walk->flags = flags;
}

static char *page_addr(const struct walk *walk, size_t page)
{
	return walk->area.addr + page * hmm_page_size();
}

/* Has the walk before left the pages in this state? To make a huge page anew can take long. */
static int is_made(struct walk *walk, const struct hmm_state *state, size_t first, size_t pages)
{
	size_t size = hmm_page_size(), i;

	for (i = first; i < first + pages; i++)
		if (walk->page[i].state != state)
			return 0;
	return !hmm_state_prove(&walk->area, state, first * size, pages * size);
}

int walk_make(struct walk *walk, const char *state, size_t first, size_t pages)
{
	const struct hmm_state *s = hmm_state_find(state);
	size_t size = hmm_page_size(), i;
	int ret;

	if (!s)
		return fail(walk, "there is no state %s", state);
	if (is_made(walk, s, first, pages))
		return 0;
	ret = hmm_state_make(&walk->area, s, first * size, pages * size);
	if (ret) {
		snprintf(walk->why, sizeof(walk->why), "%s%s%s",
			 ret == HMM_SKIP ? "" : state,
			 ret == HMM_SKIP ? "" : ": ", walk->area.why);
		return ret;
	}
	for (i = first; i < first + pages; i++)
		walk->page[i].state = s;
	return 0;
}

/* Prove each run of pages in one state. */
static int prove_all(struct walk *walk, size_t first, size_t pages)
{
	size_t i, end, size = hmm_page_size();
	int ret;

	for (i = first; i < first + pages; i = end) {
		const struct hmm_state *state = walk->page[i].state;

		if (!state)
			return fail(walk, "page %zu is in no state", i);
		for (end = i; end < first + pages; end++)
			if (walk->page[end].state != state)
				break;
		/* The walk may cut a unit of the state: that was proved as a whole. */
		if (((uintptr_t)page_addr(walk, i) | (end - i) * size) &
		    (hmm_state_unit(state) - 1))
			continue;
		ret = hmm_state_prove(&walk->area, state, i * size,
				      (end - i) * size);
		if (ret)
			return fail(walk, "before the walk, page %zu: %s: %s",
				    i, state->name, walk->area.why);
	}
	return 0;
}

/* Find the start of each page's VMA: the walker stops at the end of one. */
static int find_mappings(struct walk *walk)
{
	unsigned long start, end, at;
	char line[256];
	size_t i;
	FILE *f;

	for (i = 0; i < walk->pages; i++)
		walk->page[i].vma = 0;
	f = fopen("/proc/self/maps", "re");
	if (!f)
		return fail(walk, "/proc/self/maps: %m");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) != 2)
			continue;
		for (i = 0; i < walk->pages; i++) {
			at = (uintptr_t)page_addr(walk, i);
			if (at >= start && at < end)
				walk->page[i].vma = start;
		}
	}
	fclose(f);
	return 0;
}

/* A page table exists where a page of the same PMD has made one. */
static int find_tables(struct walk *walk)
{
	size_t pmd = hmm_pmd_size(), i, k, end;

	for (i = 0; i < walk->pages; i = end) {
		int table = 0;

		for (end = i; end < walk->pages; end++) {
			const struct hmm_state *state = walk->page[end].state;
			const struct expect_row *row;

			if (end > i &&
			    (uintptr_t)page_addr(walk, end) % pmd == 0)
				break;
			if (!state)
				continue;
			row = expect_find(state->name);
			if (!row)
				return fail(walk, "expect.c has no row for %s",
					    state->name);
			if (row->level == EXPECT_PTE && !row->empty)
				table = 1;
		}
		for (k = i; k < end; k++)
			walk->page[k].table = table;
	}
	return 0;
}

/*
 * Is this the known bug of 6.19 to 7.3? For a range that starts inside a device-private
 * huge page, they count the pfns from its first page (walk_thp_device.from_within,
 * docs/findings/walker.md).
 */
static int counted_wrong(struct walk *walk, size_t first, size_t i, __u64 right,
			 __u64 got)
{
	size_t huge = hmm_pmd_size() / hmm_page_size();
	size_t within = (uintptr_t)page_addr(walk, first) / hmm_page_size() % huge;

	if (!(walk->page[i].entry & HMMIRROR_PTE_PRIVATE) ||
	    !hmm_entry_order(walk->page[i].entry))
		return 0;
	return i - first < huge - within && got == right - within;
}

static int check_entry(struct walk *walk, size_t first, size_t i, __u64 want)
{
	char got_text[HMM_ENTRY_STR_MAX], want_text[HMM_ENTRY_STR_MAX];
	__u64 got = walk->entries[i], map = walk->after[i], pfn;
	__u64 got_pfn = hmm_entry_pfn(got);
	const char *name = walk->page[i].state->name;

	if ((got ^ want) & ((1ULL << HMMIRROR_PTE_PFN_SHIFT) - 1))
		return fail(walk, "page %zu (%s): got %s, want %s", i, name,
			    hmm_entry_str(got, got_text, sizeof(got_text)),
			    hmm_entry_str(want, want_text, sizeof(want_text)));

	if (walk->page[i].entry & EXPECT_OFFSET) {
		pfn = (uintptr_t)page_addr(walk, i) / hmm_page_size() %
		      (hmm_state_unit(walk->page[i].state) / hmm_page_size());
		return got_pfn == pfn ? 0 :
		       fail(walk, "page %zu (%s): pfn %#llx, want %#llx", i,
			    name, got_pfn, pfn);
	}
	if (!(want & HMMIRROR_PTE_VALID)) {
		if (got_pfn)
			return fail(walk, "page %zu (%s): pfn %#llx in %s", i,
				    name, got_pfn,
				    hmm_entry_str(got, got_text,
						  sizeof(got_text)));
		return 0;
	}
	pfn = map & HMM_PM_PFN_MASK;
	if (want & HMMIRROR_PTE_PRIVATE) {
		if (!(map & HMM_PM_SWAP))
			return fail(walk, "page %zu (%s): pagemap %#llx is no device page",
				    i, name, map);
		pfn >>= SWAP_OFFSET_SHIFT;
	} else if (!(map & HMM_PM_PRESENT)) {
		return fail(walk, "page %zu (%s): valid, but pagemap says %#llx",
			    i, name, map);
	}
	if (pfn != got_pfn && !counted_wrong(walk, first, i, pfn, got_pfn))
		return fail(walk, "page %zu (%s): pfn %#llx, pagemap says %#llx",
			    i, name, got_pfn, pfn);
	return 0;
}

/* A page that was not faulted must be as before; a snapshot faults none. */
static int check_untouched(struct walk *walk, size_t i, int snapshot)
{
	const struct expect_page *page = &walk->page[i];

	if (walk->before[i] == walk->after[i])
		return 0;
	if (!snapshot && (page->faults || page->row->around || page->row->fetched))
		return 0;
	return fail(walk, "page %zu (%s): pagemap was %#llx, is %#llx", i,
		    page->state->name, walk->before[i], walk->after[i]);
}

static int check_faults(struct walk *walk, long before, long after, long want, int or_more)
{
	long faults = after - before;

	if (before < 0)
		return 0;
	if (expect_when(WHEN_FAULTS_COUNTED) && !or_more ? faults == want : faults >= want)
		return 0;
	return fail(walk, "%ld page faults, want %ld", faults, want);
}

static int check(struct walk *walk, size_t first, size_t pages, int want_error,
		 const long *faults, int snapshot)
{
	int ret, fetched = 0;
	long want_faults = 0;
	size_t i;

	if (walk->error != want_error)
		return fail(walk, "the walk gave %d (%s), want %d (%s)",
			    walk->error, strerror(-walk->error), want_error,
			    strerror(-want_error));
	for (i = first; i < first + pages; i++) {
		ret = check_entry(walk, first, i, walk->page[i].entry);
		if (!ret)
			ret = check_untouched(walk, i, snapshot);
		if (ret)
			return ret;
		want_faults += walk->page[i].faults;
		fetched |= walk->page[i].row->fetched;
	}
	return check_faults(walk, faults[0], faults[1], want_faults, !snapshot && fetched);
}

/* Is there only one right answer? HMM_SKIP with walk->why if not. */
static int can_tell(struct walk *walk, size_t first, size_t pages)
{
	size_t i;

	for (i = first; i < first + pages; i++) {
		if (walk->page[i].row->watched && walk->page[i].request &&
		    expect_when(WHEN_FAULTS_WAIT)) {
			fail(walk, "a fault of this kernel waits for userfaultfd");
			return HMM_SKIP;
		}
		if (!walk->page[i].row->cold || !walk->page[i].single)
			continue;
		fail(walk,
		     "the walker of this kernel begins anew where it reads a file");
		return HMM_SKIP;
	}
	return 0;
}

static int ask(struct walk *walk, unsigned int device, size_t first,
	       size_t pages, struct hmmirror_range *range)
{
	int fd, want_error, ret, snapshot = 1;
	char *addr = page_addr(walk, first);
	long faults[2];
	size_t i;

	fd = hmm_area_device(&walk->area, device);
	if (fd < 0)
		return fail(walk, "/dev/hmm_dmirror%u: %s", device,
			    strerror(-fd));
	if (walk->flags & HMMIRROR_RANGE_UNLOCKED) {
		ret = hmm_feature(fd, HMMIRROR_FEAT_UNLOCKED, walk->why, sizeof(walk->why));
		if (ret < 1)
			return ret ? ret : HMM_SKIP;
	}
	ret = prove_all(walk, first, pages);
	if (!ret)
		ret = find_mappings(walk);
	if (!ret)
		ret = find_tables(walk);
	if (ret)
		return ret;
	ret = expect_walk(addr, &walk->page[first], pages, &want_error);
	if (ret)
		return fail(walk, "expect_walk: %s", strerror(-ret));
	for (i = first; i < first + pages; i++) {
		struct expect_page *page = &walk->page[i];

		if (page->entry & HMMIRROR_PTE_COHERENT &&
		    page->state->variant != (int)device)
			page->entry |= HMMIRROR_PTE_OTHER;
		if (page->request)
			snapshot = 0;
	}
	ret = can_tell(walk, first, pages);
	if (ret)
		return ret;
	ret = hmm_pagemap(addr, pages, &walk->before[first]);
	if (ret)
		return fail(walk, "/proc/self/pagemap: %s", strerror(-ret));

	range->flags = walk->flags;
	range->addr = (uintptr_t)addr;
	range->length = pages * hmm_page_size();
	range->entries = (uintptr_t)&walk->entries[first];
	hmm_touch_walk(fd);
	faults[0] = expect_faults();
	ret = hmm_ioctl_range(fd, range);
	faults[1] = expect_faults();
	if (ret)
		return fail(walk, "HMMIRROR_RANGE: %s", strerror(-ret));
	walk->error = range->error;

	ret = hmm_pagemap(addr, pages, &walk->after[first]);
	if (ret)
		return fail(walk, "/proc/self/pagemap: %s", strerror(-ret));
	return check(walk, first, pages, want_error, faults, snapshot);
}

int walk_ask(struct walk *walk, unsigned int device, size_t first,
	     size_t pages, __u64 request)
{
	struct hmmirror_range range = { .default_flags = request };
	size_t i;

	for (i = first; i < first + pages; i++) {
		walk->page[i].request = request;
		walk->page[i].single = 0;
		/* A value that must neither be read nor stay. */
		walk->entries[i] = 0xdeadbeefdeadbeefULL;
	}
	return ask(walk, device, first, pages, &range);
}

int walk_ask_pages(struct walk *walk, unsigned int device, size_t first,
		   size_t pages, __u64 mask)
{
	struct hmmirror_range range = { .request_mask = mask };
	size_t i;

	for (i = first; i < first + pages; i++) {
		walk->entries[i] = walk->page[i].request;
		walk->page[i].request &= mask;
		walk->page[i].single = 1;
	}
	return ask(walk, device, first, pages, &range);
}
