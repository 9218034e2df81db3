// SPDX-License-Identifier: GPL-2.0
/* hugetlb pools and files, by libhugetlbfs where that can. */
#include <errno.h>
#include <limits.h>
#include <linux/memfd.h>
#include <stddef.h>
#include <stdio.h>
#include <unistd.h>

/* hugetlbfs.h uses size_t without declaring it. */
#include <hugetlbfs.h>

#include "hmm_buffer.h"
#include "hmm_system.h"

#define SIZES_MAX	8

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
	long sizes[SIZES_MAX];
	int i, n = gethugepagesizes(sizes, SIZES_MAX);

	for (i = 0; i < n; i++)
		if (sizes[i] == (long)size)
			return 1;
	return 0;
}

long hmm_hugetlb_default(void)
{
	long size = gethugepagesize();

	return size < 0 ? -errno : size;
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

int hmm_hugetlb_file(size_t size, size_t length)
{
	unsigned int log2 = __builtin_ctzll(size);
	int fd;

	if (!hugetlbfs_find_path_for_size(size))
		return hmm_file_memfd(length, MFD_HUGETLB |
				      log2 << MFD_HUGE_SHIFT);
	fd = hugetlbfs_unlinked_fd_for_size(size);
	if (fd < 0)
		return errno ? -errno : -EIO;
	if (ftruncate(fd, length)) {
		int ret = -errno;

		close(fd);
		return ret;
	}
	return fd;
}
