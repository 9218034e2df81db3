/* SPDX-License-Identifier: GPL-2.0 */
/* What a kernel debugs itself with. */
#ifndef HMMIRROR_COMPAT_DEBUG_H
#define HMMIRROR_COMPAT_DEBUG_H

#include <linux/kernel.h>
#include <linux/ptrace.h>

#ifdef HAVE_PPC_BREAKPOINT
#include <asm/debug.h>
#endif

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

#if defined(CONFIG_X86_64) || defined(CONFIG_PPC_BOOK3S_64)
static inline const char *compat_no_watchpoint(void)
{
#ifdef HAVE_PPC_BREAKPOINT
	if (!ppc_breakpoint_available())
		return "the CPU has no watchpoints (DAWR)";
#endif
	return NULL;
}

/* The CPU calls the handler when it has read. */
static inline bool compat_finish_read(struct pt_regs *regs, u64 value, long offset)
{
	return true;
}
#elif defined(CONFIG_ARM64)
static inline const char *compat_no_watchpoint(void)
{
	return NULL;
}

/* Does this instruction read 8 bytes into one register, and change no other? */
static inline bool compat_is_plain_read(u32 instruction)
{
	static const struct {
		u32 mask;
		u32 bits;
	} reads[] = {
		{ 0xffc00000, 0xf9400000 },	/* ldr, with an offset */
		{ 0xffe00c00, 0xf8400000 },	/* ldur */
		{ 0xffe00c00, 0xf8600800 },	/* ldr, with an offset in a register */
		{ 0xfffffc00, 0xc8dffc00 },	/* ldar */
		{ 0xfffffc00, 0xf8bfc000 },	/* ldapr */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reads); i++)
		if ((instruction & reads[i].mask) == reads[i].bits)
			return true;
	return false;
}

/*
 * The CPU calls the handler before it reads. The kernel steps over the instruction only for
 * handlers of its own, so this does what the instruction would do. One that it does not know
 * runs again on what is @offset behind, which nobody watches: it must not come back for ever.
 */
static inline bool compat_finish_read(struct pt_regs *regs, u64 value, long offset)
{
	u32 instruction = le32_to_cpup((__le32 *)instruction_pointer(regs));
	unsigned int to = instruction & 31, base = instruction >> 5 & 31;

	if (!compat_is_plain_read(instruction)) {
		if (base < 31)
			regs->regs[base] += offset;
		return false;
	}
	if (to < 31)
		regs->regs[to] = value;
	instruction_pointer_set(regs, instruction_pointer(regs) + 4);
	return true;
}
#else
/* Return: why the driver can't be called at each read of a variable, NULL if it can. */
static inline const char *compat_no_watchpoint(void)
{
	return "the driver does not know how this CPU goes on after a watchpoint";
}

/**
 * compat_finish_read() - go on behind the read that has hit a watchpoint
 * @regs: of the handler
 * @value: what is to be read
 * @offset: from what is watched to something that has the same value, bytes
 *
 * Return: false if it is an instruction that this does not know; it does not count as a read.
 */
static inline bool compat_finish_read(struct pt_regs *regs, u64 value, long offset)
{
	return false;
}
#endif

#endif /* HMMIRROR_COMPAT_DEBUG_H */
