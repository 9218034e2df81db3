// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_STAGE_COLLECT: stops a migration right before migrate_vma_collect_pmd() reads a
 * PMD that was not empty. The thread holds no page table lock there.
 *
 * A kprobe at the start of that function sends the thread to hold_and_collect(), which gets
 * the same arguments and one more, waits, and then calls the kernel's function. It does so
 * through the pointer by which the page-table walk has called it. The address of the kprobe
 * would not do: with CONFIG_X86_KERNEL_IBT it is behind the ENDBR at which an indirect call
 * must arrive.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hooks/caps.h"
#include "hooks/collect.h"

#define COLLECT_FUNCTION	"migrate_vma_collect_pmd"

struct hmmirror_collect {
	struct kprobe probe;
	struct hmmirror_hold_point *hold;
	struct task_struct *task;
	bool stopped;	/* the call of hold_and_collect() must pass, and so do later PMDs */
};

static int hold_and_collect(pmd_t *pmdp, unsigned long start, unsigned long end,
			    struct mm_walk *walk, struct hmmirror_collect *collect)
{
	hmmirror_hold_here(collect->hold, HMMIRROR_STAGE_COLLECT);
	return compat_pmd_entry(walk)(pmdp, start, end, walk);
}

static int handle_call(struct kprobe *probe, struct pt_regs *regs)
{
	struct hmmirror_collect *collect = container_of(probe, struct hmmirror_collect, probe);

	if (current != collect->task || collect->stopped)
		return 0;
	collect->stopped = true;
	/* the fifth argument; the kernel's function has four */
	compat_redirect(regs, 4, (unsigned long)collect, hold_and_collect);
	return 1;
}

/**
 * hmmirror_collect_begin() - stop the next migration of this thread, if a hold is armed
 * @hold: the hold of the mirror
 *
 * Return: the argument of hmmirror_collect_end(); NULL if nothing is to stop.
 */
struct hmmirror_collect *hmmirror_collect_begin(struct hmmirror_hold_point *hold)
{
	struct hmmirror_collect *collect;

	if (!hmmirror_is_hold_armed(hold, HMMIRROR_STAGE_COLLECT))
		return NULL;
	collect = kzalloc(sizeof(*collect), GFP_KERNEL);
	if (!collect)
		return NULL;
	collect->hold = hold;
	collect->task = current;
	collect->probe.symbol_name = COLLECT_FUNCTION;
	collect->probe.pre_handler = handle_call;
	if (!hmmirror_register_redirect(&collect->probe))
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
	return hmmirror_no_redirect(COLLECT_FUNCTION);
}
