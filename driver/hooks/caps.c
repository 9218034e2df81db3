// SPDX-License-Identifier: GPL-2.0
/*
 * What the hooks need of the kernel, and why a kernel does not offer it.
 *
 * A handler of a kprobe may change every register of the probed function but the stack
 * pointer: a kprobe at a function that ftrace can trace (CONFIG_FUNCTION_TRACER) goes
 * through ftrace, which restores all others. docs/kernel-options.md has the other options
 * of a kernel that matter.
 */
#include <linux/kernel.h>

#include "compat/compat.h"
#include "hooks/caps.h"

/* Return: why registers of a probed function can't be changed, NULL if they can. */
const char *hmmirror_no_kprobes(void)
{
	if (!IS_ENABLED(CONFIG_KPROBES) || !IS_ENABLED(CONFIG_KALLSYMS))
		return "the kernel was built without CONFIG_KPROBES or CONFIG_KALLSYMS";
	return compat_no_arguments();
}

/* Return: why a hardware breakpoint can't be hit in the handler of a kprobe, NULL if it can. */
const char *hmmirror_no_breakpoints(void)
{
	if (!IS_ENABLED(CONFIG_HAVE_HW_BREAKPOINT))
		return "the kernel was built without hardware breakpoints (CONFIG_PERF_EVENTS)";
	if (compat_no_watchpoint())
		return compat_no_watchpoint();
	return compat_no_breakpoint_in_kprobe();
}

static void do_nothing(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/**
 * hmmirror_register_redirect() - register a kprobe whose handler may call compat_redirect()
 * @probe: with symbol_name and pre_handler; the handler returns 1 if it has called it
 *
 * The kernel allows that to a kprobe with a post handler: it neither optimizes it into a
 * jump, nor lets it share a function with a live patch.
 *
 * Return: as register_kprobe().
 */
int hmmirror_register_redirect(struct kprobe *probe)
{
	probe->post_handler = do_nothing;
	return register_kprobe(probe);
}

static int let_pass(struct kprobe *probe, struct pt_regs *regs)
{
	return 0;
}

/**
 * hmmirror_no_redirect() - can a kprobe send a thread elsewhere at the start of a function?
 * @symbol: the function
 *
 * Registers a kprobe, as nothing else tells: the function may be absent, inlined, renamed by
 * the compiler, not to be probed, or redirected by a live patch.
 *
 * Return: why it can't, NULL if it can.
 */
const char *hmmirror_no_redirect(const char *symbol)
{
	struct kprobe probe = { .symbol_name = symbol, .pre_handler = let_pass };

	if (hmmirror_no_kprobes())
		return hmmirror_no_kprobes();
	if (hmmirror_register_redirect(&probe))
		return "the kernel has no such function, or lets nobody probe it";
	unregister_kprobe(&probe);
	return NULL;
}
