// SPDX-License-Identifier: GPL-2.0
/* The driver does not use it; the kernel's own tests, of which it has a copy, do. */
#include <linux/build_bug.h>
#include <linux/mm.h>

int probe(void);
int probe(void)
{
	BUILD_BUG_ON(FOLL_LONGTERM != 0x100);
	return 0;
}
