// SPDX-License-Identifier: GPL-2.0
/*
 * Small pages of uncommon memory: memfd_secret(), sealed memfds, protection keys,
 * MADV_FREE, a stack, allocation tags, marked branch targets.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "cpu.h"
#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_tag.h"
#include "state_tables.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE	0x0010
#endif

#ifndef MADV_COLD
#define MADV_COLD	20
#endif

#ifndef SYS_memfd_secret
#define SYS_memfd_secret	447
#endif

#define RW	(PROT_READ | PROT_WRITE)

enum kind {
	SECRET_NONE,
	SECRET_WRITTEN,
	SEALED_SHARED,
	SEALED_PRIVATE,
	SEALED_COPIED,
	KEY_NONE,
	KEY_WRITTEN,
	STACK,
	GIVEN_UP,
	TAGGED,
	MARKED_TARGETS,
};

/* Pages of this process alone. */
static const struct hmm_proof written = {
	.set = HMM_PM_PRESENT | HMM_PM_EXCLUSIVE,
	.kpf_set = hmm_kpf(KPF_ANON),
};

/* Memory that is not in the kernel's direct map. */
static int make_secret(struct hmm_area *area, const struct hmm_state *state,
		       char *addr, size_t length)
{
	int fd = syscall(SYS_memfd_secret, O_CLOEXEC), ret;

	if (fd < 0)
		return hmm_skip(area, "no secret memory (CONFIG_SECRETMEM, secretmem.enable=1)");
	if (ftruncate(fd, length))
		ret = hmm_fail(area, errno, "ftruncate");
	else
		ret = hmm_area_map(area, addr, length, RW, MAP_SHARED, fd);
	close(fd);
	if (ret)
		return ret;
	if (state->variant == SECRET_WRITTEN)
		hmm_pattern_fill(addr, length, 0);
	if (state->prot != RW && mprotect(addr, length, state->prot))
		return hmm_fail(area, errno, "mprotect");
	return 0;
}

/* Is the mapping called @name in /proc/self/maps? */
static int mapped_as(const char *addr, const char *name)
{
	unsigned long start, end, at = (uintptr_t)addr;
	char line[256];
	int found = 0;
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	if (!f)
		return 0;
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%lx-%lx ", &start, &end) == 2 &&
			at >= start && at < end && strstr(line, name);
	fclose(f);
	return found;
}

/* get_user_pages() refuses secret memory, and does not even fault it in. */
static int refused(char *addr)
{
	char byte;
	struct iovec to = { .iov_base = &byte, .iov_len = 1 };
	struct iovec from = { .iov_base = addr, .iov_len = 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) < 0;
}

static int prove_secret(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	static const struct hmm_proof none = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	static const struct hmm_proof there = {
		.set = HMM_PM_PRESENT | HMM_PM_FILE,
		.kpf_clear = hmm_kpf(KPF_ANON),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	if (!mapped_as(addr, "secretmem") || !refused(addr))
		return hmm_fail(area, 0, "not secret");
	ret = hmm_prove_pages(area, addr, length,
			      state->variant == SECRET_NONE ? &none : &there);
	if (!ret && state->variant == SECRET_WRITTEN && state->prot & PROT_WRITE)
		ret = hmm_prove_writable(area, addr, length);
	return ret;
}

/* A file that no new mapping may write. */
static int make_sealed(struct hmm_area *area, const struct hmm_state *state,
		       char *addr, size_t length)
{
	int shared = state->variant == SEALED_SHARED, ret = 0;
	int fd = hmm_file_memfd(length, MFD_ALLOW_SEALING);
	size_t page = hmm_page_size(), i;

	if (fd < 0)
		return hmm_fail(area, fd, "memfd");
	for (i = 0; !ret && i < length; i += page)
		if (pwrite(fd, "sealed", 6, i) != 6)
			ret = hmm_fail(area, errno, "write");
	if (!ret && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK)) {
		ret = errno == EINVAL ? hmm_skip(area, "no F_SEAL_FUTURE_WRITE") :
					hmm_fail(area, errno, "F_ADD_SEALS");
	}
	if (!ret && shared &&
	    mmap(NULL, length, RW, MAP_SHARED, fd, 0) != MAP_FAILED)
		ret = hmm_fail(area, 0, "the seal has no effect");
	if (!ret)
		ret = hmm_area_map(area, addr, length, state->prot,
				   shared ? MAP_SHARED : MAP_PRIVATE, fd);
	close(fd);
	if (ret)
		return ret;
	if (state->variant == SEALED_COPIED)
		hmm_pattern_fill(addr, length, 0);
	else
		hmm_touch_read(addr, length);
	return 0;
}

static int prove_sealed(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	static const struct hmm_proof of_file = {
		.set = HMM_PM_PRESENT | HMM_PM_FILE,
		.kpf_clear = hmm_kpf(KPF_ANON),
	};
	static const struct hmm_proof copied = {
		.set = HMM_PM_PRESENT | HMM_PM_EXCLUSIVE,
		.clear = HMM_PM_FILE,
		.kpf_set = hmm_kpf(KPF_ANON),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	/* without VM_MAYWRITE, mprotect() has to refuse write access */
	if (state->variant == SEALED_SHARED && hmm_smaps_flag(addr, "mw") != 0)
		return hmm_fail(area, 0, "the mapping may be written");
	if (state->variant != SEALED_COPIED)
		return hmm_prove_pages(area, addr, length, &of_file);
	ret = hmm_prove_pages(area, addr, length, &copied);
	return ret ? ret : hmm_prove_writable(area, addr, length);
}

/* A mapping that grows when the page below it is touched. */
static int make_stack(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	int ret = hmm_area_map(area, addr, length, state->prot, MAP_PRIVATE |
			       MAP_ANONYMOUS | MAP_GROWSDOWN, -1);

	if (!ret)
		hmm_pattern_fill(addr, length, 0);
	return ret;
}

static int prove_stack(struct hmm_area *area, const struct hmm_state *state,
		       char *addr, size_t length)
{
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	if (hmm_smaps_flag(addr, "gd") != 1)
		return hmm_fail(area, 0, "no gd among VmFlags");
	ret = hmm_prove_pages(area, addr, length, &written);
	return ret ? ret : hmm_prove_writable(area, addr, length);
}

static void free_key(struct hmm_area *area, const struct hmm_undo *undo)
{
	(void)area;
	pkey_free(undo->number);
}

/* A protection key that denies this process all access, whatever the PTE allows. */
static int make_key(struct hmm_area *area, const struct hmm_state *state,
		    char *addr, size_t length)
{
	int key = pkey_alloc(0, PKEY_DISABLE_ACCESS), ret;
	struct hmm_undo *undo;

	if (key < 0)
		return hmm_skip(area, "no protection keys (pkey_alloc() fails)");
	undo = hmm_area_undo(area, free_key);
	if (!undo) {
		pkey_free(key);
		return hmm_fail(area, ENOSPC, "undo list");
	}
	undo->number = key;
	if (pkey_set(key, PKEY_DISABLE_ACCESS))
		return hmm_skip(area, "the C library cannot set a protection key's rights");
	ret = hmm_area_map_small(area, addr, length, RW);
	if (ret)
		return ret;
	if (pkey_mprotect(addr, length, RW, key))
		return hmm_fail(area, errno, "pkey_mprotect");
	if (state->variant == KEY_WRITTEN) {
		pkey_set(key, 0);
		hmm_pattern_fill(addr, length, 0);
		pkey_set(key, PKEY_DISABLE_ACCESS);
	}
	return 0;
}

static int prove_key(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	static const struct hmm_proof none = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	long key = hmm_smaps(addr, "ProtectionKey");
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	if (key < 1 || pkey_get(key) != PKEY_DISABLE_ACCESS)
		return hmm_fail(area, 0, "protection key %ld", key);
	return hmm_prove_pages(area, addr, length,
			       state->variant == KEY_NONE ? &none : &written);
}

/* Marked by MADV_FREE: the kernel may drop the pages until they are written again. */
static int make_lazy(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	int ret = hmm_area_map_small(area, addr, length, state->prot);

	if (ret)
		return ret;
	hmm_pattern_fill(addr, length, 0);
	if (madvise(addr, length, MADV_FREE))
		return hmm_fail(area, errno, "MADV_FREE");
	/* MADV_COLD drains the batch of pages that MADV_FREE has to mark */
	if (madvise(addr, length, MADV_COLD))
		return errno == EINVAL ? hmm_skip(area, "no MADV_COLD") :
					 hmm_fail(area, errno, "MADV_COLD");
	return 0;
}

static int prove_lazy(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.set = HMM_PM_PRESENT | HMM_PM_EXCLUSIVE,
		.kpf_set = hmm_kpf(KPF_ANON),
		/* a page that can be dropped is not backed by swap */
		.kpf_clear = hmm_kpf(KPF_SWAPBACKED),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	return ret ? ret : hmm_prove_pages(area, addr, length, &proof);
}

/* Memory with allocation tags, which the CPU keeps beside the data. */
static int make_tagged(struct hmm_area *area, const struct hmm_state *state,
		       char *addr, size_t length)
{
	int ret = hmm_tag_supported(area);

	if (!ret)
		ret = hmm_area_map_small(area, addr, length, state->prot);
	if (!ret)
		ret = hmm_tag_enable(area, addr, length);
	if (ret)
		return ret;
	hmm_pattern_fill(addr, length, 0);
	hmm_tag_fill(addr, length, 0);
	return 0;
}

static int prove_tagged(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (!ret && hmm_smaps_flag(addr, "mt") != 1)
		ret = hmm_fail(area, 0, "no mt among VmFlags");
	if (!ret)
		ret = hmm_prove_pages(area, addr, length, &written);
	if (!ret && hmm_tag_check(addr, length, 0) != -1)
		ret = hmm_fail(area, 0, "other tags than it was given");
	return ret ? ret : hmm_prove_writable(area, addr, length);
}

/* Code in which an indirect jump may land on marked instructions only, by a bit of the PTE. */
static int make_targets(struct hmm_area *area, const struct hmm_state *state,
			char *addr, size_t length)
{
	int ret;

	if (!PROT_BTI)
		return hmm_skip(area, "the instruction set has no branch target marks (PROT_BTI)");
	ret = hmm_area_map_small(area, addr, length, RW);
	if (ret)
		return ret;
	hmm_pattern_fill(addr, length, 0);
	if (!mprotect(addr, length, state->prot | PROT_BTI))
		return 0;
	if (errno == EINVAL)
		return hmm_skip(area, "the CPU or the kernel has no branch target marks (BTI)");
	return hmm_fail(area, errno, "PROT_BTI");
}

static int prove_targets(struct hmm_area *area, const struct hmm_state *state,
			 char *addr, size_t length)
{
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (!ret && hmm_smaps_flag(addr, "bt") != 1)
		ret = hmm_fail(area, 0, "no bt among VmFlags");
	return ret ? ret : hmm_prove_pages(area, addr, length, &written);
}

#define STATE(_name, _prot, _variant, _what, _maker)			\
	STATE_ROW(_name, _what, HMM_UNIT_PAGE, 0, _prot, _variant,	\
		  make_##_maker, prove_##_maker)

const struct hmm_state hmm_states_special[] = {
	STATE("secret_none", RW, SECRET_NONE, "secret memory, never touched", secret),
	STATE("secret_written", RW, SECRET_WRITTEN, "secret memory, written", secret),
	STATE("secret_readonly", PROT_READ, SECRET_WRITTEN,
	      "secret memory, written, then protected against it", secret),
	STATE("sealed_shared", PROT_READ, SEALED_SHARED,
	      "shared memfd, sealed against writing, read", sealed),
	STATE("sealed_private", RW, SEALED_PRIVATE,
	      "private memfd, sealed against writing, read", sealed),
	STATE("sealed_copied", RW, SEALED_COPIED,
	      "private memfd, sealed against writing, written: a copy", sealed),
	STATE("key_none", RW, KEY_NONE,
	      "behind a protection key, never touched", key),
	STATE("key_written", RW, KEY_WRITTEN,
	      "behind a protection key, written", key),
	STATE("lazyfree", RW, GIVEN_UP, "written, then given up: MADV_FREE", lazy),
	STATE("stack", RW, STACK, "grows downwards, written", stack),
	STATE("tagged", RW, TAGGED, "with allocation tags, written", tagged),
	STATE("marked_targets", PROT_READ | PROT_EXEC, MARKED_TARGETS,
	      "code whose branch targets are marked", targets),
	{ 0 }
};
