// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

pmd_t probe(swp_entry_t entry);
pmd_t probe(swp_entry_t entry)
{
	return __swp_entry_to_pmd(entry);
}
