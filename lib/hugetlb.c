// SPDX-License-Identifier: GPL-2.0
/* hugetlb pools and files. */
#include <errno.h>
#include <limits.h>
#include <linux/memfd.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_system.h"

static long pool_number(size_t size, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%zukB/%s", size / 1024,
		 name);
	return hmm_read_number(path);
}

int hmm_hugetlb_has(size_t size)
{
	return pool_number(size, "nr_hugepages") >= 0;
}

size_t hmm_hugetlb_between(size_t above, size_t below)
{
	size_t size;

	for (size = below / 2; size > above; size /= 2)
		if (hmm_hugetlb_has(size))
			return size;
	return 0;
}

long hmm_hugetlb_default(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	long kb = -1;
	char line[128];

	if (!file)
		return -errno;
	while (kb < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "Hugepagesize: %ld kB", &kb) != 1)
			kb = -1;
	fclose(file);
	return kb < 0 ? -ENOENT : kb * 1024;
}

long hmm_hugetlb_free(size_t size)
{
	long free = pool_number(size, "free_hugepages");
	long reserved = pool_number(size, "resv_hugepages");

	if (free < 0)
		return free;
	if (reserved < 0)
		return reserved;
	/* 5.5 and 5.6 let the counter fall below 0: it then reads as the largest number */
	return reserved == LONG_MAX ? free : free - reserved;
}

long hmm_hugetlb_pool(size_t size)
{
	return pool_number(size, "nr_hugepages");
}

long hmm_hugetlb_set_pool(size_t size, long pages)
{
	char path[96];
	int ret;

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/hugepages/hugepages-%zukB/nr_hugepages",
		 size / 1024);
	ret = hmm_write_number(path, pages);
	return ret ? ret : hmm_hugetlb_pool(size);
}

/* An unlinked file on a hugetlbfs of this page size. Return: -ENOENT if none is mounted. */
static int open_mounted(size_t size)
{
	FILE *mounts = setmntent("/proc/mounts", "r");
	int fd = -ENOENT;
	struct mntent *entry;
	struct statfs fs;
	char path[256];

	if (!mounts)
		return -errno;
	while (fd == -ENOENT && (entry = getmntent(mounts))) {
		if (strcmp(entry->mnt_type, "hugetlbfs") || statfs(entry->mnt_dir, &fs) ||
		    (size_t)fs.f_bsize != size)
			continue;
		snprintf(path, sizeof(path), "%s/hmm.XXXXXX", entry->mnt_dir);
		fd = mkstemp(path);
		if (fd < 0)
			fd = -errno;
		else
			unlink(path);
	}
	endmntent(mounts);
	return fd;
}

int hmm_hugetlb_file(size_t size, size_t length)
{
	unsigned int log2 = __builtin_ctzll(size);
	int fd = open_mounted(size);

	if (fd == -ENOENT)
		return hmm_file_memfd(length, MFD_HUGETLB |
				      log2 << MFD_HUGE_SHIFT);
	if (fd < 0)
		return fd;
	if (ftruncate(fd, length)) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}
