// SPDX-License-Identifier: GPL-2.0
/*
 * What hmm_range_fault() must answer for a range: a model of the walk, in which pages that
 * ask for a fault affect their neighbours.
 *
 * The model goes through the range as the walker does: by VMA, by page table, by page. A
 * page that lacks what it asks for makes the walker fault everything from there to the end
 * of what it handles at once. Older walkers have more rules, each behind an expect_when().
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "expect.h"
#include "expect_kernel.h"

#define ORDER	(HMMIRROR_PTE_ORDER_MASK << HMMIRROR_PTE_ORDER_SHIFT)
#define DEV	HMMIRROR_PTE_PRIVATE

/* What a page lacks for its request: HMMIRROR_REQ_*, or 0. */
static __u64 missing(const struct expect_page *page)
{
	if (!(page->asks & HMMIRROR_REQ_FAULT))
		return 0;
	/* The walker never faults the device's own pages. */
	if (page->now & DEV)
		return 0;
	/* Nor another device's, where it can't tell them apart. */
	if (page->later && !page->now)
		return 0;
	if (page->asks & HMMIRROR_REQ_WRITE && !(page->now & HMMIRROR_PTE_WRITE))
		return HMMIRROR_REQ_ALL;
	return page->now & HMMIRROR_PTE_VALID ? 0 : HMMIRROR_REQ_FAULT;
}

/* Fault one page, and update what the page table holds. */
static int fault_page(struct expect_page *page, __u64 need)
{
	int write = !!(need & HMMIRROR_REQ_WRITE);
	__u64 answer = write ? page->row->write : page->row->read;

	if (answer & EXPECT_FAULT)
		return -EFAULT;
	page->faults++;
	page->moved |= page->now & HMMIRROR_PTE_VALID;
	if (page->now & DEV)
		page->now = page->row->hit;
	else if (!(page->now & (write ? HMMIRROR_PTE_WRITE : HMMIRROR_PTE_VALID)))
		page->now = answer;
	return 0;
}

/* Old walkers clear a page's request before they look at the page. */
static void lose(struct expect_page *page)
{
	if ((page->single && expect_when(WHEN_REQUESTS_LOST)) ||
	    expect_when(WHEN_FIRST_DECIDES))
		page->asks = 0;
}

/* The fault of page @failed failed: the walker leaves that in its entry, or nothing. */
static void fail(struct expect_page *page, size_t failed)
{
	size_t i;

	if (!expect_when(WHEN_REFUSED_EMPTY))
		return;
	for (i = 0; i < failed; i++)
		page[i].entry = 0;
	page[failed].entry = HMMIRROR_PTE_ERROR;
}

/*
 * The walker faults all pages from the one that lacks something to the end of what it
 * handles at once, whatever the others asked for.
 */
static int fault(struct expect_page *page, size_t pages, __u64 need)
{
	size_t i;
	int ret;

	if (need & HMMIRROR_REQ_WRITE && !(page->state->prot & PROT_WRITE))
		return -EPERM;
	for (i = 0; i < pages; i++) {
		ret = fault_page(&page[i], need);
		if (ret) {
			fail(page, i);
			return ret;
		}
		lose(&page[i]);
	}
	return 0;
}

/* The end of what the walker handles at once, from page @first on. */
static size_t stretch_end(const char *addr, const struct expect_page *page,
			  size_t first, size_t pages)
{
	size_t size = hmm_page_size(), end = first, unit = hmm_pmd_size();
	enum expect_level level = page[first].row->level;

	if (level == EXPECT_HUGETLB)
		unit = hmm_state_unit(page[first].state);
	while (++end < pages) {
		if (page[end].vma != page[first].vma)
			break;
		if (level == EXPECT_NO_VMA || level == EXPECT_VMA)
			continue;
		if (((uintptr_t)addr + end * size) % unit == 0)
			break;
	}
	return end;
}

/* Does the walker stop with an error at this PTE? */
static int is_special(const struct expect_page *page)
{
	return page->now & HMMIRROR_PTE_ZERO && !(page->now & ORDER) &&
	       expect_when(WHEN_ZERO_SPECIAL);
}

static __u64 shown(const struct expect_page *page)
{
	if (page->row->shown && page->now == page->row->snapshot)
		return page->row->shown;
	return page->now;
}

/* What page @from lacks; or all pages to @to, if they are decided as a whole. */
static __u64 needed(const struct expect_page *page, size_t from, size_t to,
		    int at_once)
{
	/* without a table of its entries, a hugetlb page is a hole as any other */
	int by_first = page[from].row->level == EXPECT_HUGETLB && !page[from].row->empty;
	size_t asking = by_first || !at_once ? from + 1 : to, i;
	__u64 need = 0;

	for (i = from; i < asking; i++) {
		need |= missing(&page[i]);
		if (need && expect_when(WHEN_FIRST_DECIDES))
			break;
	}
	return need;
}

/* Report a page. Old walkers take the answer for a request when they pass a second time. */
static void answer(struct expect_page *page)
{
	page->entry = shown(page);
	if (page->single && expect_when(WHEN_REQUESTS_LOST))
		page->asks = page->entry & HMMIRROR_PTE_VALID ?
			     HMMIRROR_REQ_FAULT : 0;
}

/*
 * Walk what is handled at once. Return: 0, or the error with the entries so far. With
 * @once, 1 after a fault.
 */
static int walk_stretch(struct expect_page *page, size_t from, size_t to,
			int once)
{
	enum expect_level level = page[from].row->level;
	int at_once = level != EXPECT_PTE || !page[from].table;
	__u64 need;
	size_t i;
	int ret;

	if (page[from].row->driver && expect_when(WHEN_REFUSED_EMPTY))
		return -EFAULT;
	while (from < to) {
		need = needed(page, from, to, at_once);
		if (need && (level == EXPECT_NO_VMA || level == EXPECT_VMA ||
			     (page[from].row->refused && !page[from].now))) {
			if (level == EXPECT_NO_VMA)
				fail(&page[from], 0);
			return -EFAULT;
		}
		if (need) {
			ret = fault(&page[from], to - from, need);
			if (ret && (!at_once || level == EXPECT_HUGETLB))
				lose(&page[from]);
			if (ret || once)
				return ret ? ret : 1;
			/* Now there is a page table, and it is read PTE by PTE. */
			if (level != EXPECT_HUGETLB)
				at_once = 0;
			continue;
		}
		if (is_special(&page[from])) {
			lose(&page[from]);
			return -EFAULT;
		}
		i = at_once ? to : from + 1;
		for (; from < i; from++)
			answer(&page[from]);
	}
	return 0;
}

/* Take the answers from page @first on back. */
static void forget(struct expect_page *page, size_t first, size_t pages)
{
	for (; first < pages; first++)
		page[first].entry = HMMIRROR_PTE_UNTOUCHED;
}

static size_t without_empty(const struct expect_page *page, size_t pages)
{
	while (pages && !page[pages - 1].entry)
		pages--;
	return pages;
}

/*
 * After an error: an answer of 0 in front of untouched entries looks untouched, and an error
 * looks like that of the page which ended the walk.
 */
static void blank(struct expect_page *page, size_t pages)
{
	size_t i = 0;

	while (i < pages && page[i].entry != HMMIRROR_PTE_UNTOUCHED)
		i++;
	i = without_empty(page, i);
	if (i && page[i - 1].entry == HMMIRROR_PTE_ERROR && expect_when(WHEN_REFUSED_EMPTY))
		i = without_empty(page, i - 1);
	forget(page, i, pages);
}

/* Walk pages @from to @to. Return: as walk_stretch(). */
static int walk_part(const char *addr, struct expect_page *page, size_t from,
		     size_t to, int once)
{
	size_t end;
	int ret = 0;

	for (; from < to && !ret; from = end) {
		end = stretch_end(addr, page, from, to);
		ret = walk_stretch(page, from, end, once);
	}
	return ret;
}

static size_t mapping_end(const struct expect_page *page, size_t first,
			  size_t pages)
{
	size_t end = first;

	while (++end < pages && page[end].vma == page[first].vma)
		;
	return end;
}

/* Return: the error of a walker that refuses this mapping as a whole, or 0. */
static int refused(const struct expect_row *row)
{
	int invalid = expect_when(WHEN_MAPPING_INVALID);

	if (row->driver)
		return invalid ? -EINVAL : -EFAULT;
	if (row->level == EXPECT_HUGETLB && invalid)
		return -EINVAL;
	return row->level == EXPECT_VMA ? -EPERM : 0;
}

/* Is there no request at all? */
static int is_snapshot(const struct expect_page *page, size_t pages)
{
	size_t i;

	for (i = 0; i < pages; i++)
		if (page[i].single || page[i].request)
			return 0;
	return 1;
}

/* Put the error of a cut snapshot, which the walker does not return, into the entry. */
static void cut(struct expect_page *page, size_t from, size_t to)
{
	while (from < to && page[from].entry != HMMIRROR_PTE_UNTOUCHED)
		from++;
	if (from < to)
		page[from].entry = HMMIRROR_PTE_ERROR;
}

/* Walk pages that the driver passes to the walker in one call. */
static int walk_call(const char *addr, struct expect_page *page, size_t from,
		     size_t to)
{
	int error = refused(page[from].row);

	if (error)
		return error;
	if (expect_when(WHEN_WALKED_TWICE)) {
		walk_part(addr, page, from, to, 1);
		forget(page, from, to);
	}
	return walk_part(addr, page, from, to, 0);
}

static int wants_write(const struct expect_page *page)
{
	return page->request & HMMIRROR_REQ_WRITE &&
	       !(page->state->prot & PROT_WRITE);
}

/*
 * Walk a mapping for a walker that does not check VM_WRITE: the driver passes the pages up
 * to the first write request.
 */
static int walk_checked(const char *addr, struct expect_page *page, size_t from,
			size_t to)
{
	size_t end;
	int error;

	for (; from < to; from = end) {
		error = refused(page[from].row);
		if (error)
			return error;
		for (end = from; end < to && !wants_write(&page[end]); end++)
			;
		if (end > from) {
			error = walk_call(addr, page, from, end);
			if (error)
				return error;
			continue;
		}
		/* the device's own pages are reported as they are */
		end = from + 1;
		if (!(page[from].now & DEV))
			return -EPERM;
		answer(&page[from]);
	}
	return 0;
}

static int walk_by_mapping(const char *addr, struct expect_page *page,
			   size_t pages)
{
	int unheard = is_snapshot(page, pages) &&
		      expect_when(WHEN_SNAPSHOT_CUT);
	int checked = expect_when(WHEN_WRITE_UNCHECKED), error = 0;
	size_t i, end;

	for (i = 0; i < pages && !error; i = end) {
		end = mapping_end(page, i, pages);
		error = checked && page[i].vma ?
			walk_checked(addr, page, i, end) :
			walk_call(addr, page, i, end);
		if (error && unheard && !refused(page[i].row)) {
			cut(page, i, end);
			error = 0;
		}
	}
	return error;
}

static int walk_all(const char *addr, struct expect_page *page, size_t pages)
{
	int error = expect_when(WHEN_BY_MAPPING) ?
		    walk_by_mapping(addr, page, pages) :
		    walk_part(addr, page, 0, pages, 0);

	if (error && expect_when(WHEN_NOTHING_BLANKED))
		blank(page, pages);
	return error;
}

/*
 * Where the walker can't tell whose a device page is, the driver migrates pages of other
 * devices back afterwards, one by one.
 */
static int bring_home(struct expect_page *page, size_t pages)
{
	size_t i;
	int error;

	for (i = 0; i < pages; i++) {
		if (!page[i].later || page[i].now ||
		    !(page[i].request & HMMIRROR_REQ_FAULT))
			continue;
		error = fault(&page[i], 1, page[i].request);
		if (error) {
			forget(page, i, pages);
			blank(page, pages);
			return error;
		}
		page[i].entry = page[i].now;
	}
	return 0;
}

/* Walk once, from what the page tables hold now. */
static int try(const char *addr, struct expect_page *page, size_t pages)
{
	size_t i;
	int ret;

	for (i = 0; i < pages; i++) {
		page[i].asks = page[i].request;
		page[i].moved = 0;
	}
	forget(page, 0, pages);
	ret = walk_all(addr, page, pages);
	return ret ? ret : bring_home(page, pages);
}

static int any_moved(const struct expect_page *page, size_t pages)
{
	while (pages--)
		if (page[pages].moved)
			return 1;
	return 0;
}

int expect_walk(const char *addr, struct expect_page *page, size_t pages,
		int *error)
{
	size_t i;

	for (i = 0; i < pages; i++) {
		page[i].row = expect_find(page[i].state->name);
		if (!page[i].row)
			return -ENOENT;
		page[i].faults = 0;
		page[i].now = page[i].row->snapshot;
		page[i].later = page[i].row->others &&
				expect_when(WHEN_OTHER_LATER);
	}
	/* A page that is replaced by a fault invalidates the range: walk again. */
	do {
		*error = try(addr, page, pages);
	} while (any_moved(page, pages));
	for (i = 0; !expect_when(WHEN_ORDER) && i < pages; i++)
		page[i].entry &= ~ORDER;
	return 0;
}
