/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the library needs of the CPU that no header and no system call has: instructions. An
 * architecture that is not named here has none of them.
 */
#ifndef CPU_H
#define CPU_H

#include <linux/types.h>
#include <stdint.h>
#include <sys/mman.h>
#include <time.h>

#ifdef __x86_64__
/*
 * NOPs with a displacement that no compiler emits, 0x686d6d is "hmm". bench/plugin.c looks for
 * them.
 */
static inline void cpu_mark_begin(void)
{
	asm volatile("nopl 0x686d6d01(%%rax)" : : : "memory");
}

static inline void cpu_mark_end(void)
{
	asm volatile("nopl 0x686d6d02(%%rax)" : : : "memory");
}

/* Return: ticks of the time stamp counter; elsewhere nanoseconds. */
static inline __u64 cpu_now(void)
{
	return __builtin_ia32_rdtsc();
}
#else
static inline void cpu_mark_begin(void)
{
}

static inline void cpu_mark_end(void)
{
}

static inline __u64 cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}
#endif

#define CPU_TAG_SHIFT	56

#ifdef __aarch64__
/* Older headers do not have them. */
#ifndef PROT_MTE
#define PROT_MTE	0x20
#endif
#ifndef PROT_BTI
#define PROT_BTI	0x10
#endif

#define CPU_HAS_TAGS	0x40000		/* in AT_HWCAP2: HWCAP2_MTE */

/* A compiler for older CPUs has these instructions, too. */
#define CPU_WITH_TAGS	__attribute__((target("arch=armv8.5-a+memtag")))

/* The tag of the pointer becomes that of the granule. */
CPU_WITH_TAGS static inline void cpu_set_tag(char *pointer)
{
	asm volatile("stg %0, [%0]" : : "r" (pointer) : "memory");
}

CPU_WITH_TAGS static inline unsigned int cpu_get_tag(const char *granule)
{
	const char *tagged = granule;

	asm volatile("ldg %0, [%1]" : "+r" (tagged) : "r" (granule) : "memory");
	return (uintptr_t)tagged >> CPU_TAG_SHIFT & 15;
}
#else
#define PROT_MTE	0
#define PROT_BTI	0
#define CPU_HAS_TAGS	0

static inline void cpu_set_tag(char *pointer)
{
	(void)pointer;
}

static inline unsigned int cpu_get_tag(const char *granule)
{
	(void)granule;
	return 0;
}
#endif

#endif /* CPU_H */
