// SPDX-License-Identifier: GPL-2.0
/* Good arguments for the calls of the driver's own ABI. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi_calls.h"

/* How long to wait for the end of the opener's mm, ms. */
#define GONE_MS	3000

#define SPAN(_name, _pointer)					\
	.addr = offsetof(struct hmmirror_##_name, addr),	\
	.length = offsetof(struct hmmirror_##_name, length),	\
	.pointer = offsetof(struct hmmirror_##_name, _pointer)

const struct abi_call abi_query = {
	.request = HMMIRROR_QUERY,
	.size = sizeof(struct hmmirror_query),
};

const struct abi_call abi_range = {
	.request = HMMIRROR_RANGE,
	.size = sizeof(struct hmmirror_range),
	.reserved = offsetof(struct hmmirror_range, reserved),
	SPAN(range, entries),
};

const struct abi_call abi_copy = {
	.request = HMMIRROR_COPY,
	.size = sizeof(struct hmmirror_copy),
	.reserved = offsetof(struct hmmirror_copy, reserved),
	SPAN(copy, buffer),
};

const struct abi_call abi_migrate = {
	.request = HMMIRROR_MIGRATE,
	.size = sizeof(struct hmmirror_migrate),
	.first_size = offsetof(struct hmmirror_migrate, cpages),
	.feature = HMMIRROR_FEAT_DEVICE_PRIVATE,
	.reserved = offsetof(struct hmmirror_migrate, reserved),
	SPAN(migrate, outcomes),
};

const struct abi_call abi_exclusive = {
	.request = HMMIRROR_EXCLUSIVE,
	.size = sizeof(struct hmmirror_exclusive),
	.feature = HMMIRROR_FEAT_EXCLUSIVE,
	SPAN(exclusive, held),
};

const struct abi_call abi_stats = {
	.request = HMMIRROR_STATS,
	.size = sizeof(struct hmmirror_stats),
};

/* Arguments that succeed, and neither move pages nor end what the device has. */
static void fill(struct abi_case *c)
{
	memset(&c->arg, 0, sizeof(c->arg));
	c->arg.size = c->call->size;
	if (!c->call->length)
		return;
	*abi_addr(c) = (uintptr_t)c->memory;
	*abi_length(c) = ABI_PAGES * hmm_page_size();
	*abi_pointer(c) = (uintptr_t)c->buffer;
	if (c->call == &abi_range)
		c->arg.range.flags = HMMIRROR_RANGE_MAP;
	if (c->call == &abi_migrate)
		c->arg.migrate.flags = HMMIRROR_MIGRATE_TO_DEVICE;
	if (c->call == &abi_exclusive)
		c->arg.exclusive.op = HMMIRROR_EXCL_MAKE;
}

int abi_begin(struct abi_case *c, const struct abi_call *call)
{
	size_t length = ABI_PAGES * hmm_page_size();

	memset(c, 0, sizeof(*c));
	c->call = call;
	c->fd = hmm_open(0);
	if (c->fd < 0)
		return c->fd;
	c->memory = hmm_map_anon(length, 0);
	c->buffer = hmm_map_anon(length, 0);
	c->none = hmm_map_none(length, 0);
	if (!c->memory || !c->buffer || !c->none)
		return -ENOMEM;
	madvise(c->memory, length, MADV_NOHUGEPAGE);
	hmm_pattern_fill(c->memory, length, 1);
	hmm_pattern_fill(c->buffer, length, 2);
	fill(c);
	return 0;
}

void abi_end(struct abi_case *c)
{
	size_t length = ABI_PAGES * hmm_page_size();

	hmm_unmap(c->memory, length);
	hmm_unmap(c->buffer, length);
	hmm_unmap(c->none, length);
	if (c->fd > 0)
		close(c->fd);
}

int abi_need(struct abi_case *c)
{
	int ret = hmm_feature(c->fd, c->call->feature, c->why,
			      sizeof(c->why));

	return ret < 0 ? ret : ret ? 0 : HMM_SKIP;
}

int abi_call(struct abi_case *c)
{
	return hmm_ioctl(c->fd, c->call->request, &c->arg);
}

/* Nothing is mirrored, the pages are present, and all data is as it was. */
static int nothing_done(struct abi_case *c)
{
	size_t length = ABI_PAGES * hmm_page_size(), i;
	__u64 entries[ABI_PAGES], map[ABI_PAGES];

	if (hmm_mirror(c->fd, c->memory, length, entries) ||
	    hmm_pagemap(c->memory, ABI_PAGES, map))
		return 0;
	for (i = 0; i < ABI_PAGES; i++)
		if (entries[i] || !(map[i] & HMM_PM_PRESENT))
			return 0;
	return hmm_pattern_check(c->memory, length, 1) < 0 &&
	       hmm_pattern_check(c->buffer, length, 2) < 0;
}

int abi_bad_call(struct abi_case *c)
{
	union abi_arg before = c->arg;
	int ret = abi_call(c);

	if (ret >= 0 || memcmp(&before, &c->arg, sizeof(before)))
		return 1;
	return nothing_done(c) ? ret : 1;
}

/* In the process that still has the mirror once its opener is gone. */
static int call_when_gone(struct abi_case *c)
{
	int i, ret = 0;

	for (i = 0; i < GONE_MS; i++) {
		fill(c);
		ret = abi_call(c);
		if (ret)
			break;
		usleep(1000);
	}
	return ret;
}

int abi_call_orphan(struct abi_case *c, int exec)
{
	pid_t opener, caller;
	int result[2], ret = 0;

	if (pipe(result))
		return -errno;
	opener = fork();
	if (!opener) {
		close(c->fd);
		c->fd = hmm_open(0);
		caller = fork();
		if (!caller) {
			ret = call_when_gone(c);
			if (write(result[1], &ret, sizeof(ret)) < 0)
				_exit(1);
			_exit(0);
		}
		if (exec)
			hmm_exec_again();
		_exit(0);
	}
	close(result[1]);
	if (opener < 0 || read(result[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = 1;
	close(result[0]);
	hmm_child_result(opener);
	return ret;
}
