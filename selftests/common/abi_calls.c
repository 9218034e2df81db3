// SPDX-License-Identifier: GPL-2.0
/* Calls of our ABI with good arguments. */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "abi_calls.h"

/* How long an opener may take to be gone, in steps of a millisecond. */
#define GONE_STEPS	3000

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

/* One that moves nothing and takes nothing away when it succeeds. */
static void fill(struct abi_world *world)
{
	memset(&world->arg, 0, sizeof(world->arg));
	world->arg.size = world->call->size;
	if (!world->call->length)
		return;
	*abi_addr(world) = (uintptr_t)world->memory;
	*abi_length(world) = ABI_PAGES * hmm_page_size();
	*abi_pointer(world) = (uintptr_t)world->buffer;
	if (world->call == &abi_range)
		world->arg.range.flags = HMMIRROR_RANGE_MAP;
	if (world->call == &abi_migrate)
		world->arg.migrate.flags = HMMIRROR_MIGRATE_TO_DEVICE;
	if (world->call == &abi_exclusive)
		world->arg.exclusive.op = HMMIRROR_EXCL_TAKE;
}

int abi_begin(struct abi_world *world, const struct abi_call *call)
{
	size_t length = ABI_PAGES * hmm_page_size();

	memset(world, 0, sizeof(*world));
	world->call = call;
	world->fd = hmm_open(0);
	if (world->fd < 0)
		return world->fd;
	world->memory = hmm_map_anon(length, 0);
	world->buffer = hmm_map_anon(length, 0);
	world->none = hmm_map_none(length, 0);
	if (!world->memory || !world->buffer || !world->none)
		return -ENOMEM;
	madvise(world->memory, length, MADV_NOHUGEPAGE);
	hmm_pattern_fill(world->memory, length, 1);
	hmm_pattern_fill(world->buffer, length, 2);
	fill(world);
	return 0;
}

void abi_end(struct abi_world *world)
{
	size_t length = ABI_PAGES * hmm_page_size();

	hmm_unmap(world->memory, length);
	hmm_unmap(world->buffer, length);
	hmm_unmap(world->none, length);
	if (world->fd > 0)
		close(world->fd);
}

int abi_need(struct abi_world *world)
{
	int ret = hmm_feature(world->fd, world->call->feature, world->why,
			      sizeof(world->why));

	return ret < 0 ? ret : ret ? 0 : HMM_SKIP;
}

int abi_call(struct abi_world *world)
{
	return hmm_ioctl(world->fd, world->call->request, &world->arg);
}

/* The device has nothing, the pages are where they were, as they were. */
static int nothing_done(struct abi_world *world)
{
	size_t length = ABI_PAGES * hmm_page_size(), i;
	__u64 entries[ABI_PAGES], map[ABI_PAGES];

	if (hmm_mirror(world->fd, world->memory, length, entries) ||
	    hmm_pagemap(world->memory, ABI_PAGES, map))
		return 0;
	for (i = 0; i < ABI_PAGES; i++)
		if (entries[i] || !(map[i] & HMM_PM_PRESENT))
			return 0;
	return hmm_pattern_check(world->memory, length, 1) < 0 &&
	       hmm_pattern_check(world->buffer, length, 2) < 0;
}

int abi_bad_call(struct abi_world *world)
{
	union abi_arg before = world->arg;
	int ret = abi_call(world);

	if (ret >= 0 || memcmp(&before, &world->arg, sizeof(before)))
		return 1;
	return nothing_done(world) ? ret : 1;
}

/* The last one who has the mirror, when its opener is gone. */
static int call_when_gone(struct abi_world *world)
{
	int i, ret = 0;

	for (i = 0; i < GONE_STEPS; i++) {
		fill(world);
		ret = abi_call(world);
		if (ret)
			break;
		usleep(1000);
	}
	return ret;
}

int abi_call_orphan(struct abi_world *world, int exec)
{
	char *const argv[] = { "/proc/self/exe", "--help", NULL };
	pid_t opener, caller;
	int result[2], null, ret = 0;

	if (pipe(result))
		return -errno;
	opener = fork();
	if (!opener) {
		close(world->fd);
		world->fd = hmm_open(0);
		caller = fork();
		if (!caller) {
			ret = call_when_gone(world);
			if (write(result[1], &ret, sizeof(ret)) < 0)
				_exit(1);
			_exit(0);
		}
		null = memfd_create("out", 0);
		dup2(null, STDOUT_FILENO);
		if (exec)
			execv(argv[0], argv);
		_exit(0);
	}
	close(result[1]);
	if (opener < 0 || read(result[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = 1;
	close(result[0]);
	hmm_child_result(opener);
	return ret;
}
