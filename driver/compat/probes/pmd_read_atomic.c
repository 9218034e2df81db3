// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

pmd_t probe(pmd_t *pmdp);
pmd_t probe(pmd_t *pmdp)
{
	return pmd_read_atomic(pmdp);
}
