// SPDX-License-Identifier: GPL-2.0
/* Marks around what is counted. */
#include <time.h>

#include "hmm_count.h"

#ifdef __x86_64__
/*
 * NOPs with a displacement that no compiler emits, 0x686d6d is "hmm". bench/plugin.c looks for
 * them.
 */
static void mark_begin(void)
{
	asm volatile("nopl 0x686d6d01(%%rax)" : : : "memory");
}

static void mark_end(void)
{
	asm volatile("nopl 0x686d6d02(%%rax)" : : : "memory");
}

static __u64 now(void)
{
	return __builtin_ia32_rdtsc();
}
#else
static void mark_begin(void)
{
}

static void mark_end(void)
{
}

static __u64 now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}
#endif

__u64 hmm_count_begin(void)
{
	mark_begin();
	return now();
}

__u64 hmm_count_end(__u64 begun)
{
	__u64 count = now() - begun;

	mark_end();
	return count;
}
