// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

unsigned long probe(void);
unsigned long probe(void)
{
	return _PAGE_DEVMAP;
}
