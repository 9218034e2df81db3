/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Registers at the start of a probed function: its arguments, and where its thread goes on.
 * The kernel has functions that read an argument and none that sets one.
 */
#ifndef HMMIRROR_COMPAT_REGS_H
#define HMMIRROR_COMPAT_REGS_H

#include <linux/ptrace.h>

#if defined(CONFIG_X86_64)
/* Return: the register of an argument, counted from 0; NULL if it is on the stack. */
static inline unsigned long *compat_argument(struct pt_regs *regs, unsigned int n)
{
	unsigned long *const arguments[] = {
		&regs->di, &regs->si, &regs->dx, &regs->cx, &regs->r8, &regs->r9,
	};

	return n < ARRAY_SIZE(arguments) ? arguments[n] : NULL;
}

static inline const char *compat_no_arguments(void)
{
	return NULL;
}
#elif defined(CONFIG_ARM64)
static inline unsigned long *compat_argument(struct pt_regs *regs, unsigned int n)
{
	return n < 8 ? (unsigned long *)&regs->regs[n] : NULL;
}

static inline const char *compat_no_arguments(void)
{
	return NULL;
}
#elif defined(CONFIG_PPC64)
static inline unsigned long *compat_argument(struct pt_regs *regs, unsigned int n)
{
	return n < 8 ? &regs->gpr[n + 3] : NULL;
}

static inline const char *compat_no_arguments(void)
{
	return IS_ENABLED(CONFIG_PPC64_ELF_ABI_V1) ?
	       "a pointer to a function is one to a descriptor in this kernel (big endian)" : NULL;
}
#else
static inline unsigned long *compat_argument(struct pt_regs *regs, unsigned int n)
{
	return NULL;
}

/* Return: why arguments of a probed function can't be changed, NULL if they can. */
static inline const char *compat_no_arguments(void)
{
	return "the driver does not know in which registers this CPU passes arguments";
}
#endif

/*
 * Sends the thread to a function that gets @value as its argument @n. The function returns to
 * the caller of the probed one: the return address is where a call has left it, on the stack
 * or in the link register.
 *
 * On powerpc, @function may lose the caller's r2, the pointer to the kernel's table of contents. So
 * either the probed function is one that is called through a pointer, after which the caller
 * loads r2 again, or @function is a leaf that uses no global data.
 */
static inline void compat_redirect(struct pt_regs *regs, unsigned int n, unsigned long value,
				   void *function)
{
	unsigned long *argument = compat_argument(regs, n);

	if (!argument)
		return;
	*argument = value;
#ifdef CONFIG_PPC64
	/* a function computes its r2 from its own address in r12 */
	regs->gpr[12] = (unsigned long)function;
#endif
	instruction_pointer_set(regs, (unsigned long)function);
}

#endif /* HMMIRROR_COMPAT_REGS_H */
