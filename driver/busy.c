// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that look busy to a migration, because a test asks for it: locked, as by who
 * reads or splits them; off the LRU, as by who compacts or reclaims memory; or on their
 * way to the swap, from which a read has brought them back before they got there.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

#define MAX_BUSY	16

struct hmmirror_busy {
	unsigned int nr;
	struct {
		struct folio *folio;
		enum hmmirror_event event;
	} pages[MAX_BUSY];
};

static bool begin_writeback(struct folio *folio)
{
	bool can;

	if (!folio_trylock(folio))
		return false;
	/* others can't take it from the swap while it is on its way there */
	can = folio_test_swapcache(folio) && !folio_test_writeback(folio);
	if (can)
		folio_start_writeback(folio);
	folio_unlock(folio);
	return can;
}

static bool make_busy(struct folio *folio, enum hmmirror_event event)
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

static void make_free(struct folio *folio, enum hmmirror_event event)
{
	if (event == HMMIRROR_INJECT_LOCKED)
		folio_unlock(folio);
	else if (event == HMMIRROR_INJECT_ISOLATED)
		folio_set_lru(folio);
	else
		folio_end_writeback(folio);
}

static bool hit(struct hmmirror *mirror, struct folio *folio, enum hmmirror_event event)
{
	if (!hmmirror_inject_asked(mirror, event) || !make_busy(folio, event))
		return false;
	if (hmmirror_injected(mirror, event))
		return true;
	make_free(folio, event);
	return false;
}

static void look_at(struct hmmirror *mirror, struct hmmirror_busy *busy, unsigned long addr)
{
	enum hmmirror_event event;
	struct folio *folio;
	struct page *page;

	if (compat_get_page(addr, &page) != 1)
		return;
	folio = page_folio(page);
	for (event = HMMIRROR_INJECT_LOCKED; event <= HMMIRROR_INJECT_WRITEBACK; event++) {
		if (!hit(mirror, folio, event))
			continue;
		/* a reference more than there is of such pages would be seen */
		if (event == HMMIRROR_INJECT_WRITEBACK)
			folio_put(folio);
		busy->pages[busy->nr].folio = folio;
		busy->pages[busy->nr].event = event;
		busy->nr++;
		return;
	}
	folio_put(folio);
}

static bool asked_for(struct hmmirror *mirror)
{
	enum hmmirror_event event;

	for (event = HMMIRROR_INJECT_LOCKED; event <= HMMIRROR_INJECT_WRITEBACK; event++)
		if (hmmirror_inject_asked(mirror, event))
			return true;
	return false;
}

/**
 * hmmirror_busy_begin() - make pages busy, where that is asked for
 * @mirror: whose injections count; its opener must be the caller
 * @start: first byte
 * @end: first byte behind
 *
 * Return: what hmmirror_busy_end() wants; NULL if none is.
 */
struct hmmirror_busy *hmmirror_busy_begin(struct hmmirror *mirror, unsigned long start,
					  unsigned long end)
{
	struct hmmirror_busy *busy;
	unsigned long addr;

	if (current->mm != mirror->mm || !asked_for(mirror))
		return NULL;
	busy = kzalloc(sizeof(*busy), GFP_KERNEL);
	for (addr = start; busy && addr < end && busy->nr < MAX_BUSY; addr += PAGE_SIZE)
		look_at(mirror, busy, addr);
	return busy;
}

void hmmirror_busy_end(struct hmmirror_busy *busy)
{
	unsigned int i;

	for (i = 0; busy && i < busy->nr; i++) {
		struct folio *folio = busy->pages[i].folio;

		make_free(folio, busy->pages[i].event);
		if (busy->pages[i].event != HMMIRROR_INJECT_WRITEBACK)
			folio_put(folio);
	}
	kfree(busy);
}
