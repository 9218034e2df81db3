// SPDX-License-Identifier: GPL-2.0
/*
 * A TCG plugin of QEMU: counts the guest's instructions between the marks of lib/count.c, by
 * where they are.
 *
 *	-plugin plugin.so,out=FILE,modules=START-END[,functions=FILE]
 *
 * Writes a line into FILE for each pair of marks: instructions of programs, of the kernel, and
 * of its modules, whose addresses are START up to END. An instruction that faults is counted
 * again when it is tried again.
 *
 * The second FILE has the addresses of the kernel's functions, in hexadecimal, in order, one a
 * line. With it each line goes on with N:COUNT for the functions in which something was executed,
 * where N counts the lines of that file from 0.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

/* a NOP with four bytes of displacement, the last of which tells the two marks apart */
static const __u8 mark[] = { 0x0f, 0x1f, 0x80, 0, 0x6d, 0x6d, 0x68 };

#define MARK_WHICH	3
#define MARK_BEGIN	1
#define MARK_END	2

enum place { PROGRAMS, KERNEL, MODULES, NR_PLACES };

static FILE *out;
static __u64 modules_start, modules_end;
static __u64 at_begin[NR_PLACES];
/* first addresses, and what was counted when the last pair began */
static __u64 *functions, *function_at_begin;
static size_t nr_functions;

QEMU_EXPORT int qemu_plugin_version = QEMU_API;

#if QEMU_API >= 2
static struct qemu_plugin_u64 counters[NR_PLACES];
static struct qemu_plugin_scoreboard *by_function;

static void make_counters(void)
{
	enum place place;

	for (place = 0; place < NR_PLACES; place++)
		counters[place].score = qemu_plugin_scoreboard_new(sizeof(__u64));
	if (nr_functions)
		by_function = qemu_plugin_scoreboard_new(nr_functions * sizeof(__u64));
}

static struct qemu_plugin_u64 counter_of(size_t function)
{
	return (struct qemu_plugin_u64){ by_function, function * sizeof(__u64) };
}

static void count_in_function(struct qemu_plugin_insn *insn, size_t function)
{
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							    counter_of(function), 1);
}

static __u64 counted_in_function(size_t function)
{
	return qemu_plugin_u64_sum(counter_of(function));
}

static void count(struct qemu_plugin_insn *insn, enum place place)
{
	qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(insn, QEMU_PLUGIN_INLINE_ADD_U64,
							    counters[place], 1);
}

static __u64 counted(enum place place)
{
	return qemu_plugin_u64_sum(counters[place]);
}
#else
static __u64 counters[NR_PLACES];
static __u64 *by_function;

static void make_counters(void)
{
	by_function = calloc(nr_functions + 1, sizeof(*by_function));
	if (!by_function)
		abort();
}

static void count_in_function(struct qemu_plugin_insn *insn, size_t function)
{
	qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
						   &by_function[function], 1);
}

static __u64 counted_in_function(size_t function)
{
	return by_function[function];
}

static void count(struct qemu_plugin_insn *insn, enum place place)
{
	qemu_plugin_register_vcpu_insn_exec_inline(insn, QEMU_PLUGIN_INLINE_ADD_U64,
						   &counters[place], 1);
}

static __u64 counted(enum place place)
{
	return counters[place];
}
#endif

static void begin(unsigned int cpu, void *data)
{
	enum place place;
	size_t function;

	(void)cpu;
	(void)data;
	for (place = 0; place < NR_PLACES; place++)
		at_begin[place] = counted(place);
	for (function = 0; function < nr_functions; function++)
		function_at_begin[function] = counted_in_function(function);
}

static void end(unsigned int cpu, void *data)
{
	enum place place;
	size_t function;
	__u64 more;

	(void)cpu;
	(void)data;
	for (place = 0; place < NR_PLACES; place++)
		fprintf(out, "%s%llu", place ? " " : "",
			(unsigned long long)(counted(place) - at_begin[place]));
	for (function = 0; function < nr_functions; function++) {
		more = counted_in_function(function) - function_at_begin[function];
		if (more)
			fprintf(out, " %zu:%llu", function, (unsigned long long)more);
	}
	fputc('\n', out);
	/* QEMU is killed when the guest has done its work */
	fflush(out);
}

static enum place place_of(__u64 addr)
{
	if (addr >> 63 == 0)
		return PROGRAMS;
	return addr >= modules_start && addr < modules_end ? MODULES : KERNEL;
}

/* The last function that begins at or before an address; nr_functions if there is none. */
static size_t function_of(__u64 addr)
{
	size_t low = 0, high = nr_functions, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (functions[middle] <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : nr_functions;
}

/* Returns MARK_BEGIN, MARK_END, or 0 for any other instruction. */
static int which_mark(const struct qemu_plugin_insn *insn)
{
	__u8 bytes[sizeof(mark)];
	int which;

	if (qemu_plugin_insn_size(insn) != sizeof(mark))
		return 0;
#if QEMU_API >= 3
	qemu_plugin_insn_data(insn, bytes, sizeof(bytes));
#else
	memcpy(bytes, qemu_plugin_insn_data(insn), sizeof(bytes));
#endif
	which = bytes[MARK_WHICH];
	bytes[MARK_WHICH] = 0;
	return memcmp(bytes, mark, sizeof(mark)) ? 0 : which;
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb), i, function;

	(void)id;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		enum place place = place_of(qemu_plugin_insn_vaddr(insn));
		int which = place == PROGRAMS ? which_mark(insn) : 0;

		count(insn, place);
		if (place == KERNEL) {
			function = function_of(qemu_plugin_insn_vaddr(insn));
			if (function < nr_functions)
				count_in_function(insn, function);
		}
		if (which == MARK_BEGIN || which == MARK_END)
			qemu_plugin_register_vcpu_insn_exec_cb(insn,
							       which == MARK_BEGIN ? begin : end,
							       QEMU_PLUGIN_CB_NO_REGS, NULL);
	}
}

/* Returns whether there are any. */
static int read_functions(const char *name)
{
	FILE *file = fopen(name, "r");
	unsigned long long addr;
	size_t room = 0;

	if (!file) {
		perror(name);
		return 0;
	}
	while (fscanf(file, "%llx", &addr) == 1) {
		if (nr_functions == room) {
			room = room ? 2 * room : 4096;
			functions = realloc(functions, room * sizeof(*functions));
			if (!functions)
				abort();
		}
		functions[nr_functions++] = addr;
	}
	fclose(file);
	function_at_begin = calloc(nr_functions + 1, sizeof(*function_at_begin));
	return nr_functions && function_at_begin;
}

/* Returns whether it was understood. */
static int take_argument(const char *argument)
{
	unsigned long long start, end;

	if (!strncmp(argument, "out=", 4)) {
		out = fopen(argument + 4, "w");
		if (!out)
			perror(argument + 4);
		return !!out;
	}
	if (!strncmp(argument, "functions=", 10))
		return read_functions(argument + 10);
	if (sscanf(argument, "modules=%llx-%llx", &start, &end) != 2)
		return 0;
	modules_start = start;
	modules_end = end;
	return 1;
}

QEMU_EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++)
		if (!take_argument(argv[i])) {
			fprintf(stderr, "plugin: cannot use %s\n", argv[i]);
			return -1;
		}
	if (!out || !modules_end) {
		fprintf(stderr, "plugin: it needs out=FILE and modules=START-END\n");
		return -1;
	}
	make_counters();
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
