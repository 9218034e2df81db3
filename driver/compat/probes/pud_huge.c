// SPDX-License-Identifier: GPL-2.0
#include <linux/hugetlb.h>

int probe(pud_t pud);
int probe(pud_t pud)
{
	return pud_huge(pud);
}
