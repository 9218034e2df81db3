// SPDX-License-Identifier: GPL-2.0
/* States of small pages of files: in the page cache and in shmem. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_system.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

/* Bits of .variant: the kind of file, how it is mapped, what was done. */
#define IN_RAMFS	0x01
#define IN_TMPFS	0x02	/* else in a memfd */
#define SHARED		0x04	/* else private */
#define CACHED		0x08	/* has contents, but is not mapped yet */
#define READ		0x10	/* mapped by reading */
#define WRITTEN		0x20	/* mapped by writing */
#define PAST_EOF	0x40	/* the file ends before the range */
#define SWAPPED		0x80	/* and then swapped out */

static int open_file(struct hmm_area *area, const struct hmm_state *state,
		     size_t length)
{
	const char *type = state->variant & IN_RAMFS ? "ramfs" : "tmpfs";
	int fd;

	if (state->variant & PAST_EOF)
		length = 0;
	if (!(state->variant & (IN_RAMFS | IN_TMPFS))) {
		fd = hmm_file_memfd(length, 0);
		return fd < 0 ? hmm_fail(area, fd, "memfd") : fd;
	}
	fd = hmm_file_fs(type, NULL, length);
	if (fd == -ENODEV)
		return hmm_skip(area, "no %s", type);
	if (fd == -EPERM)
		return hmm_skip(area, "not allowed to mount %s", type);
	return fd < 0 ? hmm_fail(area, fd, "file in %s", type) : fd;
}

/* Fill the file by write(2), which maps nothing. */
static int fill_file(struct hmm_area *area, int fd, const char *addr,
		     size_t length)
{
	char *data = hmm_map_anon(length, 0);
	int ret = 0;

	if (!data)
		return hmm_fail(area, errno, "mmap");
	hmm_pattern_fill_as(data, addr, length, 0);
	if (pwrite(fd, data, length, 0) != (ssize_t)length)
		ret = hmm_fail(area, errno, "write");
	hmm_unmap(data, length);
	return ret;
}

/* A swapped page of a file has no PTE; smaps counts it. */
static int prove_swapped(struct hmm_area *area, const char *addr, size_t length)
{
	static const struct hmm_proof gone = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	long swapped = hmm_smaps(addr, "Swap");

	if (swapped < (long)(length / 1024))
		return hmm_fail(area, 0, "%ld of %zu KiB swapped out", swapped,
				length / 1024);
	return hmm_prove_pages(area, addr, length, &gone);
}

static int make_file(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	int flags = state->variant & SHARED ? MAP_SHARED : MAP_PRIVATE;
	int fd = open_file(area, state, length), ret = 0;

	/* HMM_SKIP could be a file descriptor, but 0 to 2 are in use. */
	if (fd <= HMM_SKIP)
		return fd;
	if (state->variant & (CACHED | READ | WRITTEN))
		ret = fill_file(area, fd, addr, length);
	if (!ret)
		ret = hmm_area_map(area, addr, length, RW, flags, fd);
	if (!ret && madvise(addr, length, MADV_NOHUGEPAGE) && errno != EINVAL)
		ret = hmm_fail(area, errno, "MADV_NOHUGEPAGE");
	close(fd);
	if (ret)
		return ret;

	if (state->variant & READ)
		hmm_touch_read(addr, length);
	if (state->variant & WRITTEN)
		hmm_pattern_fill(addr, length, 0);
	if (state->variant & SWAPPED) {
		ret = hmm_area_pageout(area, addr, length, prove_swapped);
		if (ret)
			return ret;
	}
	if (state->prot != RW && mprotect(addr, length, state->prot))
		return hmm_fail(area, errno, "mprotect");
	return 0;
}

static int prove_unmapped(struct hmm_area *area, const struct hmm_state *state,
			  char *addr, size_t length)
{
	static const struct hmm_proof proof = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	size_t page = hmm_page_size(), i;
	int in, ret = hmm_prove_pages(area, addr, length, &proof);

	if (ret)
		return ret;
	/* mincore() reports what is in the page cache. */
	for (i = 0; i < length; i += page) {
		in = hmm_in_core(addr + i);
		if (in < 0)
			return hmm_fail(area, in, "mincore");
		if (in != !!(state->variant & CACHED))
			return hmm_fail(area, 0, "page %zu: %s the page cache",
					i / page, in ? "in" : "not in");
	}
	return 0;
}

static int prove_file(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof of_file = {
		.set = HMM_PM_PRESENT | HMM_PM_FILE,
		.kpf_clear = hmm_kpf(KPF_ANON) | hmm_kpf(KPF_THP),
	};
	static const struct hmm_proof copied = {
		.set = HMM_PM_PRESENT | HMM_PM_EXCLUSIVE,
		.clear = HMM_PM_FILE,
		.kpf_set = hmm_kpf(KPF_ANON),
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);
	int copy = (state->variant & WRITTEN) && !(state->variant & SHARED);

	if (ret)
		return ret;
	if (state->variant & SWAPPED)
		return prove_swapped(area, addr, length);
	if (!(state->variant & (READ | WRITTEN)))
		return prove_unmapped(area, state, addr, length);
	ret = hmm_prove_pages(area, addr, length, copy ? &copied : &of_file);
	if (!ret && (state->variant & WRITTEN) && (state->prot & PROT_WRITE))
		ret = hmm_prove_writable(area, addr, length);
	return ret;
}

#define FILE_STATE(_name, _prot, _variant, _what)			\
	STATE_ROW(_name, _what, HMM_UNIT_PAGE, 0, _prot, _variant,	\
		  make_file, prove_file)

const struct hmm_state hmm_states_file[] = {
	FILE_STATE("file_private_none", RW, IN_RAMFS,
		   "private file, not in the page cache"),
	FILE_STATE("file_private_cached", RW, IN_RAMFS | CACHED,
		   "private file, in the page cache, not mapped"),
	FILE_STATE("file_private_read", RW, IN_RAMFS | READ,
		   "private file, read"),
	FILE_STATE("file_private_written", RW, IN_RAMFS | WRITTEN,
		   "private file, written: a copy"),
	FILE_STATE("file_private_readonly", PROT_READ, IN_RAMFS | READ,
		   "private file, read, no write access"),
	FILE_STATE("file_shared_none", RW, IN_RAMFS | SHARED,
		   "shared file, not in the page cache"),
	FILE_STATE("file_shared_read", RW, IN_RAMFS | SHARED | READ,
		   "shared file, read: the next write is to be seen"),
	FILE_STATE("file_shared_written", RW, IN_RAMFS | SHARED | WRITTEN,
		   "shared file, written"),
	FILE_STATE("file_shared_readonly", PROT_READ,
		   IN_RAMFS | SHARED | READ,
		   "shared file, read, no write access"),
	FILE_STATE("file_past_eof", RW, IN_RAMFS | SHARED | PAST_EOF,
		   "shared file, past its end"),
	FILE_STATE("shmem_shared_none", RW, SHARED,
		   "shared memfd, never touched"),
	FILE_STATE("shmem_shared_cached", RW, SHARED | CACHED,
		   "shared memfd, has content, not mapped"),
	FILE_STATE("shmem_shared_read", RW, SHARED | READ,
		   "shared memfd, read"),
	FILE_STATE("shmem_shared_written", RW, SHARED | WRITTEN,
		   "shared memfd, written"),
	FILE_STATE("shmem_shared_readonly", PROT_READ, SHARED | READ,
		   "shared memfd, read, no write access"),
	FILE_STATE("shmem_shared_swapped", RW, SHARED | WRITTEN | SWAPPED,
		   "shared memfd, written, swapped out"),
	FILE_STATE("shmem_private_none", RW, 0,
		   "private memfd, never touched"),
	FILE_STATE("shmem_private_read", RW, READ,
		   "private memfd, read"),
	FILE_STATE("shmem_private_written", RW, WRITTEN,
		   "private memfd, written: a copy"),
	FILE_STATE("tmpfs_shared_written", RW, IN_TMPFS | SHARED | WRITTEN,
		   "shared file in tmpfs, written"),
	{ 0 }
};
