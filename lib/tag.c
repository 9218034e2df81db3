// SPDX-License-Identifier: GPL-2.0
/* Allocation tags of memory. */
#include <errno.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "cpu.h"
#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_tag.h"

#define GRANULE		16UL
#define BLOCK		4096UL

#define RW	(PROT_READ | PROT_WRITE)

#define ADDR_ENABLE	0x1		/* PR_TAGGED_ADDR_ENABLE */
#define CHECK_AT_ONCE	0x2		/* PR_MTE_TCF_SYNC */

#ifndef PR_SET_TAGGED_ADDR_CTRL
#define PR_SET_TAGGED_ADDR_CTRL	55
#endif

/* What has a tag of its own, bytes; set by hmm_tag_supported(). */
static size_t unit = GRANULE;

static char *with_tag(char *addr, unsigned long tag)
{
	return (char *)((uintptr_t)addr | tag << CPU_TAG_SHIFT);
}

/*
 * A CPU keeps a tag for each granule. QEMU 7.2 looks for it without the part of the address that is
 * below 4 KiB, and so each second granule of such a block has the same. Then tests give one tag to
 * all of a block.
 */
static int find_unit(struct hmm_area *area)
{
	size_t length = hmm_page_size() > BLOCK ? hmm_page_size() : 2 * BLOCK;
	char *addr = hmm_map_anon(length, 0);
	int ret = 0;

	if (!addr || mprotect(addr, length, RW | PROT_MTE)) {
		ret = hmm_fail(area, errno, "a mapping with tags");
	} else {
		cpu_set_tag(with_tag(addr, 1));
		cpu_set_tag(with_tag(addr + BLOCK, 2));
		if (cpu_get_tag(addr) != 1 || cpu_get_tag(addr + BLOCK) != 2)
			ret = hmm_skip(area, "this CPU mixes tags of different pages up");
		cpu_set_tag(with_tag(addr + 2 * GRANULE, 3));
		unit = cpu_get_tag(addr) == 1 ? GRANULE : BLOCK;
	}
	hmm_unmap(addr, length);
	return ret;
}

int hmm_tag_supported(struct hmm_area *area)
{
	if (!PROT_MTE)
		return hmm_skip(area, "the instruction set has no memory tags (PROT_MTE)");
	if (getauxval(AT_HWCAP2) & CPU_HAS_TAGS)
		return find_unit(area);
	return hmm_skip(area, "the CPU has no memory tags (MTE), or the kernel no support of them");
}

int hmm_tag_enable(struct hmm_area *area, char *addr, size_t length)
{
	if (mprotect(addr, length, RW | PROT_MTE))
		return hmm_fail(area, errno, "PROT_MTE");
	if (hmm_smaps_flag(addr, "mt") != 1)
		return hmm_fail(area, 0, "smaps does not say that the mapping has tags");
	return 0;
}

/* Never 0, which is the tag of fresh memory. All of a unit have the same. */
static unsigned int tag_of(const char *granule, unsigned int seed)
{
	uintptr_t number = (uintptr_t)granule / unit;

	return 1 + (number + number / 15 + number / 251 + seed) % 15;
}

char *hmm_tag_pointer(char *addr, unsigned int seed)
{
	uintptr_t granule = (uintptr_t)addr & ~(GRANULE - 1);

	return (char *)((uintptr_t)addr |
			(uintptr_t)tag_of((char *)granule, seed) << CPU_TAG_SHIFT);
}

/* What is behind the second granule of a unit has its tag, or that of the first. */
static size_t next_granule(size_t i)
{
	return i % unit ? i - GRANULE + unit : i + GRANULE;
}

void hmm_tag_fill(char *addr, size_t length, unsigned int seed)
{
	size_t i;

	for (i = 0; i < length; i = next_granule(i))
		cpu_set_tag(hmm_tag_pointer(addr + i, seed));
}

long hmm_tag_check(const char *addr, size_t length, unsigned int seed)
{
	size_t i;

	for (i = 0; i < length; i = next_granule(i))
		if (cpu_get_tag(addr + i) != tag_of(addr + i, seed))
			return i;
	return -1;
}

long hmm_tag_is_zero(const char *addr, size_t length)
{
	size_t i;

	for (i = 0; i < length; i = next_granule(i))
		if (cpu_get_tag(addr + i))
			return i;
	return -1;
}

int hmm_tag_check_accesses(void)
{
	return prctl(PR_SET_TAGGED_ADDR_CTRL, ADDR_ENABLE | CHECK_AT_ONCE, 0, 0, 0) ? -errno : 0;
}
