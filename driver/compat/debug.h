/* SPDX-License-Identifier: GPL-2.0 */
/* What a kernel debugs itself with. */
#ifndef HMMIRROR_COMPAT_DEBUG_H
#define HMMIRROR_COMPAT_DEBUG_H

#include <linux/stddef.h>

/*
 * Return: why no hardware breakpoint may be hit in the handler of a kprobe, NULL if it
 * may. Before 5.10, which reworked the debug exception on x86, it was taken for the
 * single step of the kprobe, and the stack pointer was set for that.
 */
static inline const char *compat_no_breakpoint_in_kprobe(void)
{
#if defined(CONFIG_X86_64) && !defined(HAVE_VIRTUAL_DR6)
	return "a hardware breakpoint in a kprobe crashes this kernel (before 5.10)";
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
