// SPDX-License-Identifier: GPL-2.0
/* Mappings and files to map. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_system.h"
#include "internal.h"

size_t hmm_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/* The stack is at the end of it. */
size_t hmm_address_space(void)
{
	char here;

	return 1UL << (64 - __builtin_clzl((uintptr_t)&here));
}

/* Without huge pages the kernel does not tell. On most CPUs 8-byte entries fill a page. */
size_t hmm_pmd_size(void)
{
	static size_t size;

	if (!size) {
		long told = hmm_read_number("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size");

		size = told > 0 ? (size_t)told : hmm_page_size() / 8 * hmm_page_size();
	}
	return size;
}

size_t hmm_pud_size(void)
{
	return hmm_page_size() / 8 * hmm_pmd_size();
}

unsigned int hmm_pmd_order(void)
{
	return __builtin_ctzl(hmm_pmd_size() / hmm_page_size());
}

unsigned int hmm_pud_order(void)
{
	return __builtin_ctzl(hmm_pud_size() / hmm_page_size());
}

static void *map_aligned(size_t length, size_t align, int prot, int flags)
{
	size_t page = hmm_page_size();
	uintptr_t start, aligned;
	void *p;

	if (align < page)
		align = page;
	flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	p = mmap(NULL, length + align - page, prot, flags, -1, 0);
	if (p == MAP_FAILED)
		return NULL;

	start = (uintptr_t)p;
	aligned = (start + align - 1) & ~(align - 1);
	if (aligned > start)
		munmap(p, aligned - start);
	if (start + align - page > aligned)
		munmap((void *)(aligned + length),
		       start + align - page - aligned);
	return (void *)aligned;
}

void *hmm_map_anon(size_t length, size_t align)
{
	return map_aligned(length, align, PROT_READ | PROT_WRITE, 0);
}

void *hmm_map_none(size_t length, size_t align)
{
	return map_aligned(length, align, PROT_NONE, MAP_NORESERVE);
}

void hmm_unmap(void *addr, size_t length)
{
	if (addr)
		munmap(addr, length);
}

void hmm_touch_read(const void *addr, size_t length)
{
	const char *p = addr;
	size_t i;

	for (i = 0; i < length; i += hmm_page_size())
		__atomic_load_n(p + i, __ATOMIC_RELAXED);
}

void hmm_touch_write(void *addr, size_t length)
{
	char *p = addr;
	size_t i;

	for (i = 0; i < length; i += hmm_page_size())
		__atomic_fetch_or(p + i, 0, __ATOMIC_RELAXED);
}

int hmm_touch_table(void *addr)
{
	hmm_touch_write(addr, 1);
	return madvise(addr, hmm_page_size(), MADV_DONTNEED) ? -errno : 0;
}

int hmm_file_memfd(size_t length, unsigned int flags)
{
	int fd = memfd_create("hmmirror", flags | MFD_CLOEXEC);
	int ret;

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, length)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

static int make_dir(char *dir, size_t size)
{
	static const char *const places[] = { "/tmp", "/dev", "/run", "" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		snprintf(dir, size, "%s/hmmirror.XXXXXX", places[i]);
		if (mkdtemp(dir))
			return 0;
	}
	return -errno;
}

int hmm_file_fs(const char *type, const char *options, size_t length)
{
	char dir[40], path[48];
	int fd, ret = make_dir(dir, sizeof(dir));

	if (ret)
		return ret;
	if (mount("hmmirror", dir, type, 0, options)) {
		ret = -errno;
		rmdir(dir);
		return ret;
	}
	snprintf(path, sizeof(path), "%s/file", dir);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		ret = -errno;
	else if (ftruncate(fd, length))
		ret = -errno;
	unlink(path);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	if (!ret)
		return fd;
	if (fd >= 0)
		close(fd);
	return ret;
}
