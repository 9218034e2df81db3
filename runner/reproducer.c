// SPDX-License-Identifier: GPL-2.0
/*
 * @NAME@: say in a sentence what the kernel does wrong.
 *
 *	run_tests.sh --exec @NAME@.c			on the default kernel
 *	run_tests.sh -k ~/linux --exec @NAME@.c		on any other
 *	run_tests.sh -k all @NAME@.c			on all of them, as a test
 *	run_tests.sh --bisect v6.1 v6.2 --tree ~/linux @NAME@.c
 *
 * Exit status: 0 if the kernel is right, 1 if it is not, 4 if that can't be told
 * here. As a test it also fails if it crashes or hangs, or if the kernel reports a
 * bug (BUG, WARNING, KASAN) meanwhile.
 *
 * lib/ has what this is made of: hmm_device.h the device and its answers,
 * hmm_state.h page states and their makers, hmm_buffer.h memory and patterns,
 * hmm_pagemap.h what the kernel says of pages elsewhere. selftests/ has examples.
 */
#include <stdio.h>
#include <string.h>

#include "hmmirror_lib.h"

#define PAGES	16

enum { RIGHT = 0, WRONG = 1, CANNOT_TELL = 4 };

/* What a call of the library answered; area->why has the reason. */
static int ended(const struct hmm_area *area, const char *what, int ret)
{
	printf("%s: %s\n", what, area->why[0] ? area->why : strerror(-ret));
	return ret == HMM_SKIP ? CANNOT_TELL : WRONG;
}

static int reproduce(struct hmm_area *area)
{
	size_t length = area->length;
	__u64 entries[PAGES];
	char text[HMM_ENTRY_STR_MAX];
	int fd, ret, i;

	/*
	 * 1. Bring the memory into the state that the report is about. Made and
	 *    proved: what is not in it ends here. lib/state_*.c has the names.
	 */
	ret = hmm_state_put(area, "anon_readonly", 0, length);
	if (ret)
		return ended(area, "making the state", ret);

	/* 2. A device opens a mirror of this process. 0 and 1 have private memory. */
	fd = hmm_area_device(area, HMM_DEV_PRIVATE);
	if (fd < 0)
		return ended(area, "opening the device", fd);

	/*
	 * 3. Do what goes wrong. hmm_walk() is one hmm_range_fault(); 0 is a
	 *    snapshot, HMMIRROR_REQ_FAULT and HMMIRROR_REQ_ALL fault pages in.
	 *    There are also hmm_dev_read(), hmm_dev_write(), hmm_to_device(),
	 *    hmm_to_system(), hmm_excl_pages() and more.
	 */
	ret = hmm_walk(fd, area->addr, length, 0, entries);
	if (ret)
		return ended(area, "the walk", ret);

	/* 4. Compare with what should be there, and say so if it is not. */
	for (i = 0; i < PAGES; i++) {
		if (hmm_entry_flags(entries[i]) == HMMIRROR_PTE_VALID)
			continue;
		printf("page %d: %s\n", i,
		       hmm_entry_str(entries[i], text, sizeof(text)));
		return WRONG;
	}
	return RIGHT;
}

int main(void)
{
	struct hmm_area area = { 0 };
	int ret;

	ret = hmm_area_begin(&area, PAGES * hmm_page_size(), 0);
	if (ret)
		return ended(&area, "address space", ret);
	ret = reproduce(&area);
	hmm_area_end(&area);
	printf("@NAME@: %s\n", ret == RIGHT ? "right" :
	       ret == WRONG ? "wrong" : "cannot tell");
	return ret;
}
