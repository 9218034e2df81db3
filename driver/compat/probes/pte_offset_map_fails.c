// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

pte_t *probe(pmd_t *pmd, pmd_t *seen);
pte_t *probe(pmd_t *pmd, pmd_t *seen)
{
	return __pte_offset_map(pmd, 0, seen);
}
