// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_STAGE_COLLECT: a migration that stops where the kernel has found something
 * in a PMD and is about to look at what. No lock of a page table is held there.
 *
 * A kprobe at the start of the function that looks sends the thread to ours, which
 * has the same arguments and one more, waits, and then calls the kernel's.
 *
 * That call goes through the pointer by which the kernel has called it. The address of the
 * kprobe would not do: with CONFIG_X86_KERNEL_IBT it is behind the ENDBR at which an indirect
 * call must arrive, and with CONFIG_FUNCTION_TRACER it is a call of ftrace.
 */
#include <linux/kprobes.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

#define COLLECT_FUNCTION	"migrate_vma_collect_pmd"

struct hmmirror_collect {
	struct kprobe probe;
	struct hmmirror *mirror;
	struct task_struct *task;
	bool stopped;		/* once is enough, and our own call must go through */
};

static int wait_first(pmd_t *pmdp, unsigned long start, unsigned long end,
		      struct mm_walk *walk, struct hmmirror_collect *collect)
{
	hmmirror_hold_here(collect->mirror, HMMIRROR_STAGE_COLLECT);
	return compat_pmd_entry(walk)(pmdp, start, end, walk);
}

static int kernel_comes(struct kprobe *probe, struct pt_regs *regs)
{
	struct hmmirror_collect *collect = container_of(probe, struct hmmirror_collect, probe);

	if (current != collect->task || collect->stopped)
		return 0;
	collect->stopped = true;
	/* the fifth argument; the kernel's function has four */
	regs->r8 = (unsigned long)collect;
	regs->ip = (unsigned long)wait_first;
	return 1;
}

/* For the right to change the instruction pointer, see fail.c. */
static void kernel_goes_on(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/**
 * hmmirror_collect_begin() - stop the next migration of this thread, if it is asked for
 * @mirror: whose hold counts
 *
 * Return: what hmmirror_collect_end() wants; NULL if nothing is to stop.
 */
struct hmmirror_collect *hmmirror_collect_begin(struct hmmirror *mirror)
{
	struct hmmirror_collect *collect;

	if (READ_ONCE(mirror->hold.held) != HMMIRROR_HELD_ARMED ||
	    READ_ONCE(mirror->hold.stage) != HMMIRROR_STAGE_COLLECT)
		return NULL;
	collect = kzalloc(sizeof(*collect), GFP_KERNEL);
	if (!collect)
		return NULL;
	collect->mirror = mirror;
	collect->task = current;
	collect->probe.symbol_name = COLLECT_FUNCTION;
	collect->probe.pre_handler = kernel_comes;
	collect->probe.post_handler = kernel_goes_on;
	if (!register_kprobe(&collect->probe))
		return collect;
	kfree(collect);
	return NULL;
}

void hmmirror_collect_end(struct hmmirror_collect *collect)
{
	if (!collect)
		return;
	unregister_kprobe(&collect->probe);
	kfree(collect);
}

/* Return: why no migration can stop there, NULL if one can. */
const char *hmmirror_no_collect(void)
{
	return hmmirror_no_probe(COLLECT_FUNCTION);
}
