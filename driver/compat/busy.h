/* SPDX-License-Identifier: GPL-2.0 */
/* Pages that somebody uses: how one is had without a fault, locked, and kept off the LRU. */
#ifndef HMMIRROR_COMPAT_BUSY_H
#define HMMIRROR_COMPAT_BUSY_H

#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/pagemap.h>

#include "folio.h"

#ifdef HAVE_GET_USER_PAGES_FAST_ONLY
#define compat_get_page(_addr, _page)	get_user_pages_fast_only(_addr, 1, 0, _page)
#else
#define compat_get_page(_addr, _page)	__get_user_pages_fast(_addr, 1, 0, _page)
#endif

#ifndef HAVE_FOLIO_CALLS
static inline bool compat_folio_trylock(struct folio *folio)
{
	return trylock_page(&folio->page);
}

static inline bool compat_folio_test_clear_lru(struct folio *folio)
{
	return test_and_clear_bit(PG_lru, &folio->page.flags);
}

static inline void compat_folio_set_lru(struct folio *folio)
{
	SetPageLRU(&folio->page);
}

static inline bool compat_folio_test_swapcache(struct folio *folio)
{
	return PageSwapCache(&folio->page);
}

static inline bool compat_folio_test_writeback(struct folio *folio)
{
	return PageWriteback(&folio->page);
}

static inline void compat_folio_start_writeback(struct folio *folio)
{
	set_page_writeback(&folio->page);
}

static inline void compat_folio_end_writeback(struct folio *folio)
{
	end_page_writeback(&folio->page);
}

#define folio_trylock			compat_folio_trylock
#define folio_test_clear_lru		compat_folio_test_clear_lru
#define folio_set_lru			compat_folio_set_lru
#define folio_test_swapcache		compat_folio_test_swapcache
#define folio_test_writeback		compat_folio_test_writeback
#define folio_start_writeback		compat_folio_start_writeback
#define folio_end_writeback		compat_folio_end_writeback
#endif

#endif /* HMMIRROR_COMPAT_BUSY_H */
