// SPDX-License-Identifier: GPL-2.0
/* What the kernel reports about pages. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"

/* Separators between the words of a line. */
#define WORD_ENDS	" \t\n"

static int read_words(const char *path, __u64 first, size_t count,
		      __u64 *words)
{
	size_t want = count * sizeof(*words);
	size_t done = 0;
	int fd, ret = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (done < want) {
		ssize_t n = pread(fd, (char *)words + done, want - done,
				  first * sizeof(*words) + done);

		if (n <= 0) {
			ret = n ? -errno : -ENXIO;
			break;
		}
		done += n;
	}
	close(fd);
	return ret;
}

int hmm_pagemap(const void *addr, size_t pages, __u64 *entries)
{
	return read_words("/proc/self/pagemap",
			  (uintptr_t)addr / hmm_page_size(), pages, entries);
}

int hmm_pagemap_one(const void *addr, __u64 *entry)
{
	return hmm_pagemap(addr, 1, entry);
}

/* struct pm_scan_arg and PAGEMAP_SCAN of newer headers */
struct scan {
	__u64 size;
	__u64 flags;
	__u64 start;
	__u64 end;
	__u64 walk_end;
	__u64 vec;
	__u64 vec_len;
	__u64 max_pages;
	__u64 category_inverted;
	__u64 category_mask;
	__u64 category_anyof_mask;
	__u64 return_mask;
};

#define SCAN		_IOWR('f', 16, struct scan)
#define CATEGORIES	(HMM_SCAN_WRITTEN | HMM_SCAN_FILE | HMM_SCAN_PRESENT | HMM_SCAN_SWAPPED | \
			 HMM_SCAN_PFNZERO | HMM_SCAN_HUGE)

int hmm_pagemap_scan(const void *addr, size_t length, __u64 flags, __u64 only,
		     struct hmm_region *regions, size_t max)
{
	struct scan scan = {
		.size = sizeof(scan),
		.flags = flags,
		.start = (uintptr_t)addr,
		.end = (uintptr_t)addr + length,
		.vec = (uintptr_t)regions,
		.vec_len = max,
		.category_mask = only,
		.return_mask = CATEGORIES,
	};
	int fd, ret;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = ioctl(fd, SCAN, &scan);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

int hmm_page_flags(__u64 pfn, size_t pages, __u64 *flags)
{
	return read_words("/proc/kpageflags", pfn, pages, flags);
}

int hmm_page_count(__u64 pfn, size_t pages, __u64 *counts)
{
	return read_words("/proc/kpagecount", pfn, pages, counts);
}

int hmm_flags_at(const void *addr, __u64 *flags)
{
	__u64 entry;
	int ret = hmm_pagemap_one(addr, &entry);

	if (ret)
		return ret;
	if (!(entry & HMM_PM_PRESENT))
		return -ENXIO;
	return hmm_page_flags(entry & HMM_PM_PFN_MASK, 1, flags);
}

int hmm_ksm_flag(void)
{
	static int works = -1;
	size_t size = hmm_page_size();
	char *page;
	__u64 flags;
	int ret;

	if (works >= 0)
		return works;
	page = hmm_map_anon(size, 0);
	if (!page)
		return -errno;
	/* A page is only merged where MADV_MERGEABLE asked for it. */
	*page = 1;
	ret = hmm_flags_at(page, &flags);
	hmm_unmap(page, size);
	if (ret)
		return ret;
	works = !(flags & hmm_kpf(KPF_KSM));
	return works;
}

/*
 * Find the line of smaps that starts with @field and a colon, in the mapping of @addr. The
 * text after the colon goes to @line.
 */
static int smaps_line(const void *addr, const char *field, char *line,
		      size_t size)
{
	unsigned long start, end, at = (uintptr_t)addr;
	size_t length = strlen(field);
	int ret = -ENXIO;
	FILE *f;

	f = fopen("/proc/self/smaps", "re");
	if (!f)
		return -errno;
	while (fgets(line, size, f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2) {
			if (ret == -ENOENT)
				break;
			if (at >= start && at < end)
				ret = -ENOENT;
			continue;
		}
		if (ret == -ENOENT && !strncmp(line, field, length) &&
		    line[length] == ':') {
			memmove(line, line + length + 1,
				strlen(line + length + 1) + 1);
			ret = 0;
			break;
		}
	}
	fclose(f);
	return ret;
}

long hmm_smaps(const void *addr, const char *field)
{
	char line[256];
	int ret = smaps_line(addr, field, line, sizeof(line));

	return ret ? ret : strtol(line, NULL, 10);
}

int hmm_smaps_flag(const void *addr, const char *flag)
{
	char line[256], *word, *rest = NULL;
	int ret = smaps_line(addr, "VmFlags", line, sizeof(line));

	if (ret)
		return ret;
	for (word = strtok_r(line, WORD_ENDS, &rest); word;
	     word = strtok_r(NULL, WORD_ENDS, &rest))
		if (!strcmp(word, flag))
			return 1;
	return 0;
}

int hmm_in_core(const void *addr)
{
	size_t page = hmm_page_size();
	unsigned char in = 0;

	if (mincore((void *)((uintptr_t)addr & ~(page - 1)), page, &in))
		return -errno;
	return in & 1;
}
