/* SPDX-License-Identifier: GPL-2.0 */
/* What a kernel debugs itself with. */
#ifndef HMMIRROR_COMPAT_DEBUG_H
#define HMMIRROR_COMPAT_DEBUG_H

#include <linux/stddef.h>

/*
 * Return: why no hardware breakpoint may be hit in the handler of a kprobe, NULL if it may. As long
 * as x86 steps over the instruction under a kprobe by a debug exception, it takes each one in a
 * handler for that step, and goes on at the wrong place. 5.13 steps by a breakpoint instruction.
 */
static inline const char *compat_no_breakpoint_in_kprobe(void)
{
#ifdef HAVE_KPROBE_DEBUG_HANDLER
	return "a hardware breakpoint in a kprobe crashes this kernel (before 5.13)";
#else
	return NULL;
#endif
}

/*
 * Return: why a handler can't be called after each read of a variable of the kernel, NULL if
 * it can. On arm64 the CPU stops before the read. The kernel then steps over it only where
 * nobody has given a handler of his own, so with one the read would stop for ever.
 */
static inline const char *compat_no_watchpoint(void)
{
#ifdef CONFIG_ARM64
	return "a watchpoint stops before the read here, and the kernel does not step over it";
#else
	return NULL;
#endif
}

#endif /* HMMIRROR_COMPAT_DEBUG_H */
