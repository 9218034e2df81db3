// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that fail because a test asks for it: functions that a migration
 * or the mapping for DMA calls, and that nothing else makes fail.
 *
 * For the time of one call, each has a kprobe at its start, which sends the calling thread
 * to return_result(). override_function_with_return() does the same; the kernel does not
 * export it.
 */
#include <linux/dma-mapping.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hooks/caps.h"
#include "hooks/fail.h"

#define MAX_SYMBOLS	6

/* An event has one function or more; each kernel has some of them, and a call of any counts. */
static const struct function {
	const char *symbol;
	unsigned long result;
} functions[HMMIRROR_INJECT_NR][MAX_SYMBOLS] = {
	[HMMIRROR_INJECT_DMA_ALLOC] = { { "__kvmalloc_node_noprof", 0 } },
	[HMMIRROR_INJECT_DMA_LINK] = { { "dma_iova_link", -ENOMEM } },
	[HMMIRROR_INJECT_DMA_SYNC] = { { "dma_iova_sync", -EIO } },
	[HMMIRROR_INJECT_DMA_MAP] = {
		{ "dma_map_phys", DMA_MAPPING_ERROR }, { "dma_map_page_attrs", DMA_MAPPING_ERROR },
	},
	[HMMIRROR_INJECT_TABLE] = {
		{ "__p4d_alloc", -ENOMEM }, { "__pud_alloc", -ENOMEM },
		{ "__pmd_alloc", -ENOMEM }, { "__pte_alloc", -ENOMEM },
		{ "pte_alloc_one", 0 }, { "__anon_vma_prepare", -ENOMEM },
	},
	[HMMIRROR_INJECT_CHARGE] = {
		{ "__mem_cgroup_charge", -ENOMEM }, { "mem_cgroup_charge", -ENOMEM },
		{ "mem_cgroup_try_charge", -ENOMEM },
	},
	/* the first calls one of the others, or the compiler has put that into it */
	[HMMIRROR_INJECT_SPLIT] = {
		{ "split_folio_to_list", -EAGAIN },
		{ "split_huge_page_to_list", -EAGAIN },
		{ "split_huge_page_to_list_to_order", -EAGAIN },
		{ "__split_huge_page_to_list_to_order", -EAGAIN },
		{ "folio_split_unmapped", -EAGAIN },
	},
	/* the mappings that it should remove stay */
	[HMMIRROR_INJECT_MAPPED] = { { "try_to_migrate", 0 } },
	/* as if another thread had allocated the table, or freed it */
	[HMMIRROR_INJECT_TABLE_GONE] = {
		{ "__pte_alloc", 0 }, { "__pte_offset_map_lock", 0 },
		{ "pte_offset_map_lock", 0 },
	},
};

struct failing_function {
	struct kprobe probe;
	const struct hmmirror_failing *failing;
	struct hmmirror_injections *injections;
	struct task_struct *task;
	enum hmmirror_event event;
	unsigned long result;
};

struct hmmirror_failing {
	bool on;	/* registering a kprobe calls functions that fail */
	unsigned int nr;
	struct kprobe *probes[(HMMIRROR_INJECT_NR - HMMIRROR_INJECT_TABLE) * MAX_SYMBOLS];
	struct failing_function functions[];
};

/*
 * Returns in place of the probed function. The stack and the return address are as a call has
 * left them, as they must be at the start of any function. The compiler makes the return, so
 * it is the kind that this kernel wants (return thunks).
 */
static noinline notrace unsigned long return_result(unsigned long result)
{
	return result;
}

static int handle_call(struct kprobe *probe, struct pt_regs *regs)
{
	struct failing_function *function = container_of(probe, struct failing_function, probe);

	if (current != function->task || !READ_ONCE(function->failing->on) ||
	    !hmmirror_hit_injection(function->injections, function->event))
		return 0;
	compat_redirect(regs, 0, function->result, return_result);
	return 1;
}

/* A function that can't be probed never hits, which hmmirror_set_injection() tells. */
static void add_functions(struct hmmirror_failing *failing,
			  struct hmmirror_injections *injections, enum hmmirror_event event)
{
	unsigned int i;

	for (i = 0; i < MAX_SYMBOLS && functions[event][i].symbol; i++) {
		struct failing_function *function = &failing->functions[failing->nr];

		memset(function, 0, sizeof(*function));
		function->failing = failing;
		function->injections = injections;
		function->task = current;
		function->event = event;
		function->result = functions[event][i].result;
		function->probe.symbol_name = functions[event][i].symbol;
		function->probe.pre_handler = handle_call;
		if (!hmmirror_register_redirect(&function->probe))
			failing->nr++;
	}
}

/**
 * hmmirror_fail_begin() - let functions fail in this thread, where a test has asked for it
 * @injections: those of the mirror
 * @first: first event of the call that begins
 * @last: last event
 *
 * Return: the argument of hmmirror_fail_end(); NULL if nothing is to fail.
 */
struct hmmirror_failing *hmmirror_fail_begin(struct hmmirror_injections *injections,
					     enum hmmirror_event first,
					     enum hmmirror_event last)
{
	struct hmmirror_failing *failing = NULL;
	enum hmmirror_event event;

	for (event = first; event <= last; event++) {
		if (!hmmirror_has_injection(injections, event))
			continue;
		if (!failing)
			failing = kzalloc(struct_size(failing, functions,
						      (last - first + 1) * MAX_SYMBOLS),
					  GFP_KERNEL);
		if (!failing)
			break;
		add_functions(failing, injections, event);
	}
	if (failing)
		WRITE_ONCE(failing->on, true);
	return failing;
}

void hmmirror_fail_end(struct hmmirror_failing *failing)
{
	unsigned int i;

	if (!failing)
		return;
	WRITE_ONCE(failing->on, false);
	/* one call for all: each waits until no CPU is in a handler any more */
	for (i = 0; i < failing->nr; i++)
		failing->probes[i] = &failing->functions[i].probe;
	unregister_kprobes(failing->probes, failing->nr);
	kfree(failing);
}

/* Return: why no function of an event can fail, NULL if one can. */
static const char *no_function(enum hmmirror_event event)
{
	static u32 known;	/* bit of an event: one of its functions can be probed */
	const char *why = NULL;
	unsigned int i;

	BUILD_BUG_ON(BITS_PER_BYTE * sizeof(known) < HMMIRROR_INJECT_NR);
	if (READ_ONCE(known) & BIT(event))
		return NULL;
	for (i = 0; i < MAX_SYMBOLS && functions[event][i].symbol; i++) {
		why = hmmirror_no_redirect(functions[event][i].symbol);
		if (why)
			continue;
		/* a lost update costs another probe of that event */
		WRITE_ONCE(known, known | BIT(event));
		return NULL;
	}
	return why;
}

/* Return: why an event can't be asked for, NULL if it can. */
const char *hmmirror_no_failing(enum hmmirror_event event)
{
	if (!functions[event][0].symbol)
		return NULL;
	if (event < HMMIRROR_INJECT_TABLE && compat_no_dma())
		return compat_no_dma();
	return no_function(event);
}
