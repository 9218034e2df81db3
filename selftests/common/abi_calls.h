/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The calls of the driver's own ABI as data: good arguments, for a test to spoil one at a
 * time.
 */
#ifndef ABI_CALLS_H
#define ABI_CALLS_H

#include "hmmirror_lib.h"

#define ABI_PAGES	4

/* The argument of any call, its common start, and its bytes. */
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
 * @request: its ioctl number
 * @size: bytes of its argument
 * @first_size: of the argument's first version; 0 if it has not grown
 * @addr: offset of the address in it
 * @length: offset of the length; 0 if the call has no range
 * @pointer: offset of the pointer to the caller's buffer
 * @reserved: offset of a reserved field
 * @feature: what the kernel must have for the call to work
 */
struct abi_call {
	unsigned long request;
	size_t size;
	size_t first_size;
	size_t addr;
	size_t length;
	size_t pointer;
	size_t reserved;
	enum hmmirror_feature feature;
};

/**
 * struct abi_case - a call, its argument, and the memory that it is about
 * @call: the call
 * @arg: its argument
 * @memory: written anonymous memory, ABI_PAGES pages
 * @buffer: as large, where the call reads or writes data
 * @none: PROT_NONE memory
 * @fd: mirror of device 0
 * @why: what the kernel lacks, from abi_need()
 */
struct abi_case {
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
int abi_begin(struct abi_case *c, const struct abi_call *call);

/* abi_end - undo abi_begin() */
void abi_end(struct abi_case *c);

/* abi_need - can the call work here? 0, HMM_SKIP with c->why, or -errno */
int abi_need(struct abi_case *c);

/* abi_call - make the call; its result */
int abi_call(struct abi_case *c);

/**
 * abi_bad_call - make a call that must fail, and check that it changed nothing
 * @c: the call
 *
 * Return: its result; 1 if it succeeded or changed argument, buffer, memory
 * or the device page table.
 */
int abi_bad_call(struct abi_case *c);

/**
 * abi_call_orphan - make the call on a mirror whose opener's mm is gone
 * @c: the call
 * @exec: the opener runs another program; else it exits
 *
 * Return: the call's result.
 */
int abi_call_orphan(struct abi_case *c, int exec);

static inline __u64 *abi_field(struct abi_case *c, size_t offset)
{
	return (__u64 *)(c->arg.bytes + offset);
}

static inline __u64 *abi_addr(struct abi_case *c)
{
	return abi_field(c, c->call->addr);
}

static inline __u64 *abi_length(struct abi_case *c)
{
	return abi_field(c, c->call->length);
}

static inline __u64 *abi_pointer(struct abi_case *c)
{
	return abi_field(c, c->call->pointer);
}

#endif /* ABI_CALLS_H */
