// SPDX-License-Identifier: GPL-2.0
/*
 * fork(), ptrace, core dumps, exec, exit and SIGKILL in a process that has pages on a
 * device.
 *
 * Fork copies device entries and must make private pages read-only in both processes;
 * reading another process's memory must migrate them back; the end of an address space must
 * free every page of the device, whichever way it ends.
 */
#include <fcntl.h>
#include <linux/elf.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "device_case.h"

FIXTURE(device_process)
{
	struct device_case c;
};

FIXTURE_VARIANT(device_process)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_process, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_process, huge)
{
	.state = "dev_huge",
};

FIXTURE_VARIANT_ADD(device_process, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_process, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_process)
{
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
}

FIXTURE_TEARDOWN(device_process)
{
	device_end(_metadata, &self->c);
}

/* Both processes have the data, and neither sees what the other writes. */
TEST_F(device_process, fork_child_reads)
{
	struct device_case *c = &self->c;
	pid_t child;

	if (!MAKE_CASE())
		return;
	child = fork();
	if (!child)
		_exit(hmm_pattern_check(c->addr, c->length, 0) == -1 ? 0 : 1);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	CHECK_DATA(0);
	CHECK_CPU_USED(c->pages);
}

TEST_F(device_process, fork_child_writes)
{
	struct device_case *c = &self->c;
	pid_t child;

	if (!MAKE_CASE())
		return;
	child = fork();
	if (!child) {
		hmm_pattern_fill(c->addr, c->length, 1);
		_exit(hmm_pattern_check(c->addr, c->length, 1) == -1 ? 0 : 1);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	CHECK_DATA(0);
	hmm_pattern_fill(c->addr, c->length, 2);
	CHECK_DATA(2);
}

TEST_F(device_process, fork_parent_writes)
{
	struct device_case *c = &self->c;
	pid_t child;
	int go;

	if (!MAKE_CASE())
		return;
	child = hmm_fork_waiter(&go);
	if (!child)
		_exit(hmm_pattern_check(c->addr, c->length, 0) == -1 ? 0 : 1);
	ASSERT_LT(0, child);
	hmm_pattern_fill(c->addr, c->length, 3);
	CHECK_DATA(3);
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	CHECK_DATA(3);
}

/* The parent unmaps the pages, the child's child has them last. */
TEST_F(device_process, fork_parent_unmaps)
{
	struct device_case *c = &self->c;
	pid_t child, grandchild;
	int go, child_go;

	if (!MAKE_CASE())
		return;
	child = hmm_fork_waiter(&go);
	if (!child) {
		grandchild = hmm_fork_waiter(&child_go);
		if (!grandchild)
			_exit(hmm_pattern_check(c->addr, c->length, 0) == -1 ? 0 : 1);
		if (munmap(c->addr, c->length))
			_exit(2);
		_exit(hmm_waiter_go(grandchild, child_go) ? 3 : 0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, munmap(c->addr, c->length));
	ASSERT_EQ(0, hmm_waiter_go(child, go));
	ASSERT_EQ(0, device_used(_metadata, c));
}

/*
 * MADV_WIPEONFORK and MADV_DONTFORK: the child has empty pages or no mapping, the parent
 * keeps all.
 */
TEST_F(device_process, fork_madv_dontfork)
{
	struct device_case *c = &self->c;
	pid_t child;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, madvise(c->addr, c->length, MADV_WIPEONFORK));
	child = fork();
	if (!child)
		_exit(hmm_all_bytes(c->addr, c->length, 0) == -1 ? 0 : 1);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, madvise(c->addr, c->length, MADV_KEEPONFORK));
	ASSERT_EQ(0, madvise(c->addr, c->length, MADV_DONTFORK));
	child = fork();
	if (!child)
		_exit(hmm_in_core(c->addr) == -ENOMEM ? 0 : 1);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	if (!c->huge)
		device_prove(_metadata, c, 0, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	CHECK_DATA(0);
}

/* In a child that was forked before: open its own mirrors, make the state and prove it. */
static int make_in_child(struct device_case *c)
{
	int ret;

	memset(c->area.device, 0, sizeof(c->area.device));
	c->area.child = 0;
	ret = hmm_state_make(&c->area, c->state, c->offset, c->length);
	return ret ? ret : device_record_pfns(c, hmm_area_device(&c->area, HMM_DEV_PRIVATE));
}

/* A debugger reads and writes a word of each page. */
TEST_F(device_process, ptrace)
{
	struct device_case *c = &self->c;
	int status, go = 0;
	pid_t child;
	char *word;
	size_t i;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	child = fork();
	if (!child) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) || make_in_child(c))
			_exit(1);
		raise(SIGSTOP);
		for (i = 0; i < c->pages; i++) {
			word = c->addr + i * c->page;
			if (hmm_pattern_check(word, 8, 9) != -1 ||
			    hmm_pattern_check(word + 8, c->page - 8, 0) != -1)
				_exit(2);
		}
		_exit(0);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	for (i = 0; i < c->pages; i++) {
		word = c->addr + i * c->page;
		errno = 0;
		if ((__u64)ptrace(PTRACE_PEEKDATA, child, word + 8, NULL) !=
		    hmm_pattern(word + 8, 0))
			go = 1;
		if (ptrace(PTRACE_POKEDATA, child, word, hmm_pattern(word, 9)))
			go = 1;
	}
	ASSERT_EQ(0, ptrace(PTRACE_CONT, child, NULL, NULL));
	ASSERT_EQ(0, hmm_child_result(child));
	ASSERT_EQ(0, go);
	ASSERT_EQ(0, device_used(_metadata, c));
}

/* Return: offset of an address in a core file, or -1. */
static off_t core_offset(int core, uintptr_t addr, size_t length)
{
	struct elf64_hdr head;
	struct elf64_phdr part;
	int i;

	if (pread(core, &head, sizeof(head), 0) != sizeof(head))
		return -1;
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(core, &part, sizeof(part), head.e_phoff + i * sizeof(part)) !=
		    sizeof(part))
			return -1;
		if (part.p_type == PT_LOAD && addr >= part.p_vaddr &&
		    addr + length <= part.p_vaddr + part.p_filesz)
			return part.p_offset + addr - part.p_vaddr;
	}
	return -1;
}

#define CORE	"/tmp/hmmirror.core"

/*
 * A process dies, and its core file must have the data. A huge page is missing in it on 6.19 to
 * 7.3: follow_pmd_mask() takes a PMD that is not present for an empty one.
 */
TEST_F(device_process, core_dump)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	struct device_case *c = &self->c;
	off_t offset;
	pid_t child;
	int core;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (hmm_area_set_knob(&c->area, "/proc/sys/kernel/core_pattern", CORE))
		SKIP(return, "no core files (CONFIG_COREDUMP)");
	unlink(CORE);
	child = fork();
	if (!child) {
		if (setrlimit(RLIMIT_CORE, &all) || make_in_child(c))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(-SIGABRT, hmm_child_result(child));
	ASSERT_EQ(0, device_used(_metadata, c));
	core = open(CORE, O_RDONLY | O_CLOEXEC);
	if (core < 0)
		SKIP(return, "no core file was written (CONFIG_ELF_CORE)");
	unlink(CORE);
	offset = core_offset(core, (uintptr_t)c->addr, c->length);
	ASSERT_LE(0, offset);
	ASSERT_EQ((ssize_t)c->length, pread(core, c->copy, c->length, offset));
	close(core);
	if (c->huge)
		ASSERT_NE(-1, hmm_all_bytes(c->copy, c->length, 0))
			TH_LOG("zeroes for a device's huge page (docs/findings/elsewhere.md)");
	CHECK_COPY(0);
}

/* The mm ends by exec(), exit() or SIGKILL, with pages on the device. */
TEST_F(device_process, exec)
{
	struct device_case *c = &self->c;
	pid_t child;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	child = fork();
	if (!child) {
		if (make_in_child(c))
			_exit(1);
		hmm_exec_again();
		_exit(2);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	device_check_freed(_metadata, c);
}

TEST_F(device_process, exit)
{
	struct device_case *c = &self->c;
	pid_t child;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	child = fork();
	if (!child)
		_exit(make_in_child(c) ? 1 : 0);
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_child_result(child));
	device_check_freed(_metadata, c);
}

TEST_F(device_process, killed)
{
	struct device_case *c = &self->c;
	int ends[2];
	pid_t child;
	char byte;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	ASSERT_EQ(0, pipe(ends));
	child = fork();
	if (!child) {
		hmm_die_with_parent();
		byte = make_in_child(c) ? 1 : 0;
		if (write(ends[1], &byte, 1) != 1)
			_exit(1);
		pause();
		_exit(2);
	}
	ASSERT_LT(0, child);
	ASSERT_EQ(1, read(ends[0], &byte, 1));
	ASSERT_EQ(0, byte);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	device_check_freed(_metadata, c);
	close(ends[0]);
	close(ends[1]);
}

#include "hmm_main.h"
