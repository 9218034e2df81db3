// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/pagemap.h>

bool probe(struct folio *folio);
bool probe(struct folio *folio)
{
	bool known = folio_test_anon(folio) || folio_test_swapcache(folio) ||
		     folio_test_writeback(folio) || folio_test_clear_lru(folio) ||
		     folio_order(folio) || folio_trylock(folio);

	folio_get(folio);
	folio_lock(folio);
	folio_set_lru(folio);
	folio_start_writeback(folio);
	folio_end_writeback(folio);
	folio_unlock(folio);
	folio_put(folio);
	return known;
}
