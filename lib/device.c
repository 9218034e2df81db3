// SPDX-License-Identifier: GPL-2.0
/* The device node and its ioctls. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "hmm_buffer.h"
#include "hmm_device.h"
#include "hmm_system.h"

int hmm_open(unsigned int device)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/hmm_dmirror%u", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int hmm_ioctl(int fd, unsigned long request, void *argument)
{
	int ret = ioctl(fd, request, argument);

	return ret < 0 ? -errno : ret;
}

int hmm_ioctl_query(int fd, struct hmmirror_query *query)
{
	if (!query->size)
		query->size = sizeof(*query);
	return hmm_ioctl(fd, HMMIRROR_QUERY, query);
}

int hmm_ioctl_range(int fd, struct hmmirror_range *range)
{
	if (!range->size)
		range->size = sizeof(*range);
	return hmm_ioctl(fd, HMMIRROR_RANGE, range);
}

int hmm_ioctl_copy(int fd, struct hmmirror_copy *copy)
{
	if (!copy->size)
		copy->size = sizeof(*copy);
	return hmm_ioctl(fd, HMMIRROR_COPY, copy);
}

int hmm_ioctl_migrate(int fd, struct hmmirror_migrate *migrate)
{
	if (!migrate->size)
		migrate->size = sizeof(*migrate);
	return hmm_ioctl(fd, HMMIRROR_MIGRATE, migrate);
}

int hmm_ioctl_exclusive(int fd, struct hmmirror_exclusive *exclusive)
{
	if (!exclusive->size)
		exclusive->size = sizeof(*exclusive);
	return hmm_ioctl(fd, HMMIRROR_EXCLUSIVE, exclusive);
}

int hmm_ioctl_stats(int fd, struct hmmirror_stats *stats)
{
	if (!stats->size)
		stats->size = sizeof(*stats);
	return hmm_ioctl(fd, HMMIRROR_STATS, stats);
}

int hmm_ioctl_dma(int fd, struct hmmirror_dma *dma)
{
	if (!dma->size)
		dma->size = sizeof(*dma);
	return hmm_ioctl(fd, HMMIRROR_DMA, dma);
}

int hmm_dma_call(int fd, struct hmmirror_dma *dma, enum hmmirror_dma_op op,
		 const void *addr, size_t length)
{
	int ret;

	dma->op = op;
	dma->addr = (uintptr_t)addr;
	dma->length = length;
	ret = hmm_ioctl_dma(fd, dma);
	return ret ? ret : dma->error;
}

int hmm_feature(int fd, enum hmmirror_feature feature, char *why, size_t size)
{
	struct hmmirror_query query = { .ask = feature };
	int ret = hmm_ioctl_query(fd, &query);

	if (ret)
		return ret;
	if (why)
		snprintf(why, size, "%s", query.reason);
	return !!(query.features & (1ULL << feature));
}

int hmm_memory(int fd)
{
	struct hmmirror_query query = { 0 };
	int ret = hmm_ioctl_query(fd, &query);

	return ret ? ret : (int)query.memory;
}

/* A walk that is invalidated once can take longer than the driver's 1 s on a busy machine. */
#define WALK_MS	10000

static int walk(int fd, struct hmmirror_range *range)
{
	int ret;

	range->timeout_ms = WALK_MS;
	ret = hmm_ioctl_range(fd, range);
	return ret ? ret : range->error;
}

int hmm_walk(int fd, const void *addr, size_t length, __u64 request,
	     __u64 *entries)
{
	struct hmmirror_range range = {
		.addr = (uintptr_t)addr,
		.length = length,
		.entries = (uintptr_t)entries,
		.default_flags = request,
	};

	return walk(fd, &range);
}

void hmm_touch_walk(int fd)
{
	/* refused for its length */
	hmm_walk(fd, NULL, 0, 0, NULL);
	hmm_faults();
}

int hmm_walk_pages(int fd, const void *addr, size_t length, __u64 mask,
		   __u64 *entries)
{
	struct hmmirror_range range = {
		.addr = (uintptr_t)addr,
		.length = length,
		.entries = (uintptr_t)entries,
		.request_mask = mask,
	};

	return walk(fd, &range);
}

int hmm_map(int fd, const void *addr, size_t length, __u64 request,
	    __u64 *entries)
{
	struct hmmirror_range range = {
		.flags = HMMIRROR_RANGE_MAP,
		.addr = (uintptr_t)addr,
		.length = length,
		.entries = (uintptr_t)entries,
		.default_flags = request,
	};
	size_t space = length / hmm_page_size() * sizeof(*entries);
	__u64 *own = NULL;
	int ret;

	if (!entries) {
		own = hmm_map_anon(space, 0);
		if (!own)
			return -ENOMEM;
		range.entries = (uintptr_t)own;
	}
	ret = walk(fd, &range);
	hmm_unmap(own, space);
	return ret;
}

int hmm_mirror(int fd, const void *addr, size_t length, __u64 *entries)
{
	struct hmmirror_range range = {
		.flags = HMMIRROR_RANGE_MIRROR,
		.addr = (uintptr_t)addr,
		.length = length,
		.entries = (uintptr_t)entries,
	};

	return walk(fd, &range);
}

int hmm_entry(int fd, const void *addr, __u64 *entry)
{
	size_t page = hmm_page_size();

	return hmm_walk(fd, (void *)((uintptr_t)addr & ~(page - 1)), page, 0,
			entry);
}

static int copy(int fd, struct hmmirror_copy *copy)
{
	int ret = hmm_ioctl_copy(fd, copy);

	return ret ? ret : copy->error;
}

int hmm_dev_read(int fd, const void *addr, void *buffer, size_t length)
{
	struct hmmirror_copy c = {
		.addr = (uintptr_t)addr,
		.length = length,
		.buffer = (uintptr_t)buffer,
	};

	return copy(fd, &c);
}

int hmm_dev_write(int fd, void *addr, const void *buffer, size_t length)
{
	struct hmmirror_copy c = {
		.flags = HMMIRROR_COPY_WRITE,
		.addr = (uintptr_t)addr,
		.length = length,
		.buffer = (uintptr_t)buffer,
	};

	return copy(fd, &c);
}

int hmm_move(int fd, unsigned int flags, const void *addr, size_t length,
	     __u8 *outcomes, __u64 *migrated)
{
	struct hmmirror_migrate m = {
		.flags = flags,
		.addr = (uintptr_t)addr,
		.length = length,
		.outcomes = (uintptr_t)outcomes,
	};
	int ret = hmm_ioctl_migrate(fd, &m);

	if (ret)
		return ret;
	if (migrated)
		*migrated = m.migrated;
	return m.error;
}

int hmm_to_device(int fd, const void *addr, size_t length, __u8 *outcomes,
		  __u64 *migrated)
{
	return hmm_move(fd, HMMIRROR_MIGRATE_TO_DEVICE, addr, length, outcomes,
			migrated);
}

int hmm_to_system(int fd, const void *addr, size_t length, __u8 *outcomes,
		  __u64 *migrated)
{
	return hmm_move(fd, HMMIRROR_MIGRATE_TO_SYSTEM, addr, length, outcomes,
			migrated);
}

int hmm_excl_pages(int fd, enum hmmirror_exclusive_op op, const void *addr,
		   size_t length, __u8 *held, __u64 *pages)
{
	struct hmmirror_exclusive e = {
		.op = op,
		.addr = (uintptr_t)addr,
		.length = length,
		.held = (uintptr_t)held,
	};
	int ret = hmm_ioctl_exclusive(fd, &e);

	if (ret)
		return ret;
	if (pages)
		*pages = e.pages;
	return e.error;
}

int hmm_excl_atomic(int fd, enum hmmirror_exclusive_op op, void *addr,
		    __u64 operand, __u64 compare, __u64 *before)
{
	struct hmmirror_exclusive e = {
		.op = op,
		.addr = (uintptr_t)addr,
		.length = 8,
		.operand = operand,
		.compare = compare,
	};
	int ret = hmm_ioctl_exclusive(fd, &e);

	if (ret)
		return ret;
	if (before)
		*before = e.value;
	return e.error;
}

int hmm_stats(int fd, unsigned int flags, struct hmmirror_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->flags = flags;
	return hmm_ioctl_stats(fd, stats);
}

long hmm_used_since(int fd, const struct hmmirror_stats *before)
{
	struct hmmirror_stats now;

	if (hmm_stats(fd, 0, &now))
		return LONG_MIN;
	return hmm_stats_used(&now) - hmm_stats_used(before);
}

int hmm_test_abi(int fd, unsigned long request, const void *addr,
		 size_t pages, void *buffer, struct hmm_dmirror_cmd *cmd)
{
	struct hmm_dmirror_cmd own;

	if (!cmd)
		cmd = &own;
	memset(cmd, 0, sizeof(*cmd));
	cmd->addr = (uintptr_t)addr;
	cmd->ptr = (uintptr_t)buffer;
	cmd->npages = pages;
	return hmm_ioctl(fd, request, cmd);
}
