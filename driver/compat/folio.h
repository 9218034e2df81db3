/* SPDX-License-Identifier: GPL-2.0 */
/* Folios: before 5.16 a folio is the head page by another name. */
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

static inline unsigned int folio_order(struct folio *folio)
{
	return compound_order(&folio->page);
}

static inline void folio_lock(struct folio *folio)
{
	lock_page(&folio->page);
}

static inline void folio_unlock(struct folio *folio)
{
	unlock_page(&folio->page);
}

static inline bool folio_test_anon(struct folio *folio)
{
	return PageAnon(&folio->page);
}

static inline void folio_get(struct folio *folio)
{
	get_page(&folio->page);
}

static inline void folio_put(struct folio *folio)
{
	BUILD_BUG_ON(offsetof(struct folio, mapping) != offsetof(struct page, mapping));
	put_page(&folio->page);
}
#endif

#endif /* HMMIRROR_COMPAT_FOLIO_H */
