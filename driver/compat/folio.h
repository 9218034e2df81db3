/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Folios: before 5.16 a folio is the head page by another name. While 5.16 was made, there was a
 * struct folio before all the calls that take one. So the calls have names of their own here,
 * which cannot clash with those that are there.
 */
#ifndef HMMIRROR_COMPAT_FOLIO_H
#define HMMIRROR_COMPAT_FOLIO_H

#include <linux/mm.h>
#include <linux/pagemap.h>

#ifndef HAVE_FOLIO
struct folio {
	union {
		struct {
			unsigned long flags;
			struct list_head lru;
			struct address_space *mapping;
		};
		struct page page;
	};
};

#define page_folio(_page)	((struct folio *)compound_head(_page))
#endif

#ifndef HAVE_FOLIO_CALLS
static inline unsigned int compat_folio_order(struct folio *folio)
{
	return compound_order(&folio->page);
}

static inline void compat_folio_lock(struct folio *folio)
{
	lock_page(&folio->page);
}

static inline void compat_folio_unlock(struct folio *folio)
{
	unlock_page(&folio->page);
}

static inline bool compat_folio_test_anon(struct folio *folio)
{
	return PageAnon(&folio->page);
}

static inline void compat_folio_get(struct folio *folio)
{
	get_page(&folio->page);
}

static inline void compat_folio_put(struct folio *folio)
{
	BUILD_BUG_ON(offsetof(struct folio, mapping) != offsetof(struct page, mapping));
	put_page(&folio->page);
}

#define folio_order	compat_folio_order
#define folio_lock	compat_folio_lock
#define folio_unlock	compat_folio_unlock
#define folio_test_anon	compat_folio_test_anon
#define folio_get	compat_folio_get
#define folio_put	compat_folio_put
#endif

#endif /* HMMIRROR_COMPAT_FOLIO_H */
