// SPDX-License-Identifier: GPL-2.0
#include <linux/kprobes.h>

int probe(struct pt_regs *regs);
int probe(struct pt_regs *regs)
{
	return kprobe_debug_handler(regs);
}
