// SPDX-License-Identifier: GPL-2.0
#include <linux/types.h>
#include <asm/debug.h>

bool probe(void);
bool probe(void)
{
	return ppc_breakpoint_available();
}
