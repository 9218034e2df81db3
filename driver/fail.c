// SPDX-License-Identifier: GPL-2.0
/*
 * Functions of the kernel that fail because a test asks for it: those that the
 * mapping for DMA and a migration call, and whose failures nothing else brings about.
 *
 * For the time of one call, a kprobe at the start of such a function returns to its
 * caller at once, for this thread only.
 *
 * The kprobe does not return by itself: it sends the thread to return_result(). A kprobe
 * that goes through ftrace (CONFIG_FUNCTION_TRACER) restores every register but the stack
 * pointer, so a handler must leave the stack as it is. The kernel does the same in
 * override_function_with_return(), which modules can't call.
 */
#include <linux/dma-mapping.h>
#include <linux/kprobes.h>
#include <linux/slab.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

#define MAX_SYMBOLS	6

/* Of an event's functions any counts, whichever the kernel has. */
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
	[HMMIRROR_INJECT_SPLIT] = {
		{ "split_huge_page_to_list", -EAGAIN },
		{ "split_huge_page_to_list_to_order", -EAGAIN },
		{ "__split_huge_page_to_list_to_order", -EAGAIN },
		{ "folio_split_unmapped", -EAGAIN },
	},
	/* the mappings that it is to remove stay */
	[HMMIRROR_INJECT_MAPPED] = { { "try_to_migrate", 0 } },
	/* as if all were done by others already, or no table were there */
	[HMMIRROR_INJECT_TABLE_GONE] = {
		{ "__pte_alloc", 0 }, { "__pte_offset_map_lock", 0 },
		{ "pte_offset_map_lock", 0 },
	},
};

struct failing_function {
	struct kprobe probe;
	const struct hmmirror_failing *all;
	struct hmmirror *mirror;
	struct task_struct *task;
	enum hmmirror_event event;
	unsigned long result;
};

struct hmmirror_failing {
	bool on;	/* probes are made and removed by functions that are probed */
	unsigned int nr;
	struct kprobe *probes[(HMMIRROR_INJECT_NR - HMMIRROR_INJECT_TABLE) * MAX_SYMBOLS];
	struct failing_function functions[];
};

/*
 * The compiler makes the return, so it is right for this kernel whatever stands there for
 * a "ret" (return thunks), and for what it keeps on the stack. The caller of the probed
 * function has pushed the return address.
 */
static noinline notrace unsigned long return_result(unsigned long result)
{
	return result;
}

static int function_begins(struct kprobe *probe, struct pt_regs *regs)
{
	struct failing_function *failing = container_of(probe, struct failing_function, probe);

	if (current != failing->task || !READ_ONCE(failing->all->on) ||
	    !hmmirror_injected(failing->mirror, failing->event))
		return 0;
	regs->di = failing->result;
	regs->ip = (unsigned long)return_result;
	return 1;
}

/*
 * A kprobe with a post handler may change the instruction pointer: the kernel neither
 * replaces it by a jump, nor puts it on a function that a live patch redirects as well.
 */
static void function_goes_on(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static int handler_of_none(struct kprobe *probe, struct pt_regs *regs)
{
	return 0;
}

/* A function that this kernel does not have, or has inlined everywhere, never hits. */
static void add_functions(struct hmmirror_failing *all, struct hmmirror *mirror,
			  enum hmmirror_event event)
{
	unsigned int i;

	for (i = 0; i < MAX_SYMBOLS && functions[event][i].symbol; i++) {
		struct failing_function *function = &all->functions[all->nr];

		memset(function, 0, sizeof(*function));
		function->all = all;
		function->mirror = mirror;
		function->task = current;
		function->event = event;
		function->result = functions[event][i].result;
		function->probe.symbol_name = functions[event][i].symbol;
		function->probe.pre_handler = function_begins;
		function->probe.post_handler = function_goes_on;
		if (!register_kprobe(&function->probe))
			all->nr++;
	}
}

/**
 * hmmirror_fail_begin() - let functions fail in this thread, where that is asked for
 * @mirror: whose injections count
 * @first: events that the call knows, from this one
 * @last: to this one
 *
 * Return: what hmmirror_fail_end() wants; NULL if nothing is to fail.
 */
struct hmmirror_failing *hmmirror_fail_begin(struct hmmirror *mirror, enum hmmirror_event first,
					     enum hmmirror_event last)
{
	struct hmmirror_failing *all = NULL;
	enum hmmirror_event event;

	for (event = first; event <= last; event++) {
		if (!hmmirror_inject_asked(mirror, event))
			continue;
		if (!all)
			all = kzalloc(struct_size(all, functions,
						  (last - first + 1) * MAX_SYMBOLS), GFP_KERNEL);
		if (!all)
			break;
		add_functions(all, mirror, event);
	}
	if (all)
		WRITE_ONCE(all->on, true);
	return all;
}

void hmmirror_fail_end(struct hmmirror_failing *all)
{
	unsigned int i;

	if (!all)
		return;
	WRITE_ONCE(all->on, false);
	/* each by itself would wait for all CPUs */
	for (i = 0; i < all->nr; i++)
		all->probes[i] = &all->functions[i].probe;
	unregister_kprobes(all->probes, all->nr);
	kfree(all);
}

/**
 * hmmirror_no_probe() - can the driver send a thread elsewhere at the start of a function?
 * @symbol: the function
 *
 * Only a kprobe that was registered tells: the function can be absent, inlined, renamed by
 * the compiler, on the kernel's list of functions not to probe, or a live patch's.
 *
 * Return: why it can't, NULL if it can.
 */
const char *hmmirror_no_probe(const char *symbol)
{
	struct kprobe probe = {
		.symbol_name = symbol,
		.pre_handler = handler_of_none,
		.post_handler = function_goes_on,
	};

	if (!IS_ENABLED(CONFIG_KPROBES) || !IS_ENABLED(CONFIG_KALLSYMS))
		return "the kernel was built without CONFIG_KPROBES or CONFIG_KALLSYMS";
	if (!IS_ENABLED(CONFIG_X86_64))
		return "registers of a probed function are changed on x86-64 only";
	if (register_kprobe(&probe))
		return "the kernel has no such function, or lets nobody probe it";
	unregister_kprobe(&probe);
	return NULL;
}

/* Return: why none of the functions of an event can fail, NULL if one can. */
static const char *no_function(enum hmmirror_event event)
{
	static u32 known;	/* bit of an event: one of its functions can be probed */
	const char *why = NULL;
	unsigned int i;

	BUILD_BUG_ON(BITS_PER_TYPE(known) < HMMIRROR_INJECT_NR);
	if (READ_ONCE(known) & BIT(event))
		return NULL;
	for (i = 0; i < MAX_SYMBOLS && functions[event][i].symbol; i++) {
		why = hmmirror_no_probe(functions[event][i].symbol);
		if (why)
			continue;
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
