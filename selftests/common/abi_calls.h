/* SPDX-License-Identifier: GPL-2.0 */
/* Calls of our ABI as data: good arguments, to be spoiled one at a time. */
#ifndef ABI_CALLS_H
#define ABI_CALLS_H

#include "hmmirror_lib.h"

#define ABI_PAGES	4

/* An argument as every call has it, and as bytes. */
union abi_arg {
	struct {
		__u32 size;
		__u32 flags;
	};
	struct hmmirror_query query;
	struct hmmirror_range range;
	struct hmmirror_copy copy;
	struct hmmirror_migrate migrate;
	struct hmmirror_exclusive exclusive;
	struct hmmirror_stats stats;
	unsigned char bytes[512];
};

/**
 * struct abi_call - one call
 * @request: its number
 * @size: bytes of its argument
 * @addr: where in it the address is
 * @length: where the length is
 * @pointer: where the pointer to the caller's buffer is
 * @reserved: where a reserved field is
 * @feature: what the kernel must have for it to work
 */
struct abi_call {
	unsigned long request;
	size_t size;
	size_t addr;
	size_t length;
	size_t pointer;
	size_t reserved;
	enum hmmirror_feature feature;
};

/**
 * struct abi_world - a call, its argument, and what it is made on
 * @call: the call
 * @arg: its argument
 * @memory: written anonymous memory, ABI_PAGES pages
 * @buffer: as large, for what the call gives or takes
 * @none: a page that can't be accessed
 * @fd: mirror of device 0
 * @why: what the kernel lacks for the call
 */
struct abi_world {
	const struct abi_call *call;
	union abi_arg arg;
	char *memory;
	char *buffer;
	char *none;
	int fd;
	char why[80];
};

extern const struct abi_call abi_query;
extern const struct abi_call abi_range;
extern const struct abi_call abi_copy;
extern const struct abi_call abi_migrate;
extern const struct abi_call abi_exclusive;
extern const struct abi_call abi_stats;

/* abi_begin - set up a call that works; 0 or -errno */
int abi_begin(struct abi_world *world, const struct abi_call *call);

/* abi_end - take it down */
void abi_end(struct abi_world *world);

/* abi_need - HMM_SKIP with world->why if the call can't work here, or 0 */
int abi_need(struct abi_world *world);

/* abi_call - make it; its result */
int abi_call(struct abi_world *world);

/**
 * abi_bad_call - make a call that must fail, and see that it does nothing
 * @world: the call
 *
 * Return: its result; 1 if it succeeded or changed argument, buffer, memory
 * or the device page table.
 */
int abi_bad_call(struct abi_world *world);

/**
 * abi_call_orphan - make the call on a mirror whose opener is gone
 * @world: the call
 * @exec: the opener goes on with another program; else it exits
 *
 * Return: the call's result.
 */
int abi_call_orphan(struct abi_world *world, int exec);

static inline __u64 *abi_field(struct abi_world *world, size_t offset)
{
	return (__u64 *)(world->arg.bytes + offset);
}

static inline __u64 *abi_addr(struct abi_world *world)
{
	return abi_field(world, world->call->addr);
}

static inline __u64 *abi_length(struct abi_world *world)
{
	return abi_field(world, world->call->length);
}

static inline __u64 *abi_pointer(struct abi_world *world)
{
	return abi_field(world, world->call->pointer);
}

#endif /* ABI_CALLS_H */
