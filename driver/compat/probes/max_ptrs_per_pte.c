// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

unsigned long probe(void);
unsigned long probe(void)
{
	return MAX_PTRS_PER_PTE;
}
