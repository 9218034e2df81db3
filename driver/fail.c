// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that fail because a test asks for it: those that the
 * mapping for DMA calls, and whose failures nothing else brings about.
 *
 * For the time of one call, a kprobe at the start of such a function returns to its
 * caller at once, for this thread only.
 */
#include <linux/dma-mapping.h>
#include <linux/kprobes.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

static const struct {
	const char *symbol;
	unsigned long result;
} functions[HMMIRROR_INJECT_NR] = {
	[HMMIRROR_INJECT_DMA_ALLOC] = { "__kvmalloc_node_noprof", 0 },
	[HMMIRROR_INJECT_DMA_LINK] = { "dma_iova_link", -ENOMEM },
	[HMMIRROR_INJECT_DMA_SYNC] = { "dma_iova_sync", -EIO },
	[HMMIRROR_INJECT_DMA_MAP] = { "dma_map_phys", DMA_MAPPING_ERROR },
};

struct hmmirror_failing {
	struct kprobe probe;
	struct hmmirror *mirror;
	struct task_struct *task;
	enum hmmirror_event event;
	bool registered;
};

static int function_begins(struct kprobe *probe, struct pt_regs *regs)
{
	struct hmmirror_failing *failing = container_of(probe, struct hmmirror_failing, probe);

	if (current != failing->task || !hmmirror_injected(failing->mirror, failing->event))
		return 0;
	/* as its ret would do */
	regs->ax = functions[failing->event].result;
	regs->ip = *(unsigned long *)regs->sp;
	regs->sp += sizeof(unsigned long);
	return 1;
}

/* A probe that has one is not made a jump, which could not go elsewhere. */
static void function_goes_on(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

/**
 * hmmirror_fail_begin() - let functions fail in this thread, where that is asked for
 * @mirror: whose injections count
 *
 * Return: what hmmirror_fail_end() wants; NULL if nothing is to fail.
 */
struct hmmirror_failing *hmmirror_fail_begin(struct hmmirror *mirror)
{
	struct hmmirror_failing *all = NULL;
	enum hmmirror_event event;

	for (event = 0; event < HMMIRROR_INJECT_NR; event++) {
		if (!functions[event].symbol || !READ_ONCE(mirror->injections[event].times))
			continue;
		if (!all)
			all = kcalloc(HMMIRROR_INJECT_NR, sizeof(*all), GFP_KERNEL);
		if (!all)
			break;
		all[event].mirror = mirror;
		all[event].task = current;
		all[event].event = event;
		all[event].probe.symbol_name = functions[event].symbol;
		all[event].probe.pre_handler = function_begins;
		all[event].probe.post_handler = function_goes_on;
		/* one that can't be had does not hit, which is what is told */
		all[event].registered = !register_kprobe(&all[event].probe);
	}
	return all;
}

void hmmirror_fail_end(struct hmmirror_failing *all)
{
	enum hmmirror_event event;

	for (event = 0; all && event < HMMIRROR_INJECT_NR; event++)
		if (all[event].registered)
			unregister_kprobe(&all[event].probe);
	kfree(all);
}

/* Return: why an event can't be asked for, NULL if it can. */
const char *hmmirror_no_failing(enum hmmirror_event event)
{
	if (!functions[event].symbol)
		return NULL;
	return compat_no_dma() ?: hmmirror_no_flicker();
}
