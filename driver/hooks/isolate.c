// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that a migration finds in use, because a test asks for it: locked, as by a read or a
 * split; off the LRU, as by compaction or reclaim; or in the swap cache and under writeback,
 * as if a fault had brought the page back before it was written out.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hooks/isolate.h"

#define MAX_PAGES	16

struct hmmirror_isolated {
	unsigned int nr;
	struct {
		struct folio *folio;
		enum hmmirror_event event;
	} pages[MAX_PAGES];
};

static bool begin_writeback(struct folio *folio)
{
	bool can;

	if (!folio_trylock(folio))
		return false;
	/* a page stays in the swap cache while it is under writeback */
	can = folio_test_swapcache(folio) && !folio_test_writeback(folio);
	if (can)
		folio_start_writeback(folio);
	folio_unlock(folio);
	return can;
}

static bool isolate(struct folio *folio, enum hmmirror_event event)
{
	switch (event) {
	case HMMIRROR_INJECT_LOCKED:
		return folio_trylock(folio);
	case HMMIRROR_INJECT_ISOLATED:
		return folio_test_clear_lru(folio);
	default:
		return begin_writeback(folio);
	}
}

static void putback(struct folio *folio, enum hmmirror_event event)
{
	if (event == HMMIRROR_INJECT_LOCKED)
		folio_unlock(folio);
	else if (event == HMMIRROR_INJECT_ISOLATED)
		folio_set_lru(folio);
	else
		folio_end_writeback(folio);
}

/* Counts the event only for a page that can be isolated. */
static bool isolate_if_asked(struct hmmirror_injections *injections, struct folio *folio,
			     enum hmmirror_event event)
{
	if (!hmmirror_has_injection(injections, event) || !isolate(folio, event))
		return false;
	if (hmmirror_hit_injection(injections, event))
		return true;
	putback(folio, event);
	return false;
}

static void isolate_address(struct hmmirror_injections *injections,
			    struct hmmirror_isolated *isolated, unsigned long addr)
{
	enum hmmirror_event event;
	struct folio *folio;
	struct page *page;

	if (compat_get_page(addr, &page) != 1)
		return;
	folio = page_folio(page);
	for (event = HMMIRROR_INJECT_LOCKED; event <= HMMIRROR_INJECT_WRITEBACK; event++) {
		if (!isolate_if_asked(injections, folio, event))
			continue;
		/* Drop the reference, which the migration would count; writeback keeps the page. */
		if (event == HMMIRROR_INJECT_WRITEBACK)
			folio_put(folio);
		isolated->pages[isolated->nr].folio = folio;
		isolated->pages[isolated->nr].event = event;
		isolated->nr++;
		return;
	}
	folio_put(folio);
}

static bool is_asked(const struct hmmirror_injections *injections)
{
	enum hmmirror_event event;

	for (event = HMMIRROR_INJECT_LOCKED; event <= HMMIRROR_INJECT_WRITEBACK; event++)
		if (hmmirror_has_injection(injections, event))
			return true;
	return false;
}

/**
 * hmmirror_isolate_pages() - lock or isolate pages, where a test has asked for it
 * @injections: those of the mirror
 * @mm: the mirrored address space; nothing is done unless it is the caller's
 * @start: first byte
 * @end: first byte behind
 *
 * Return: the argument of hmmirror_putback_pages(); NULL if nothing was done.
 */
struct hmmirror_isolated *hmmirror_isolate_pages(struct hmmirror_injections *injections,
						 struct mm_struct *mm, unsigned long start,
						 unsigned long end)
{
	struct hmmirror_isolated *isolated;
	unsigned long addr;

	if (current->mm != mm || !is_asked(injections))
		return NULL;
	isolated = kzalloc(sizeof(*isolated), GFP_KERNEL);
	if (!isolated)
		return NULL;
	for (addr = start; addr < end && isolated->nr < MAX_PAGES; addr += PAGE_SIZE)
		isolate_address(injections, isolated, addr);
	return isolated;
}

void hmmirror_putback_pages(struct hmmirror_isolated *isolated)
{
	unsigned int i;

	if (!isolated)
		return;
	for (i = 0; i < isolated->nr; i++) {
		struct folio *folio = isolated->pages[i].folio;

		putback(folio, isolated->pages[i].event);
		if (isolated->pages[i].event != HMMIRROR_INJECT_WRITEBACK)
			folio_put(folio);
	}
	kfree(isolated);
}
