// SPDX-License-Identifier: GPL-2.0
/*
 * write-request: hmm_range_fault() drops a request for write access at a page that is read-only
 * and on the caller's own device.
 *
 *	run_tests.sh -k 7.3 --exec docs/reports/write-request-of-own-device-page.c
 *
 * Exit status: 0 if the kernel is right, 1 if it is not, 4 if that can't be told here.
 */
#include <stdio.h>
#include <string.h>

#include "hmmirror_lib.h"

#define PAGES	4

enum { RIGHT = 0, WRONG = 1, CANNOT_TELL = 4 };

static int ended(const struct hmm_area *area, const char *what, int ret)
{
	printf("%s: %s\n", what, area->why[0] ? area->why : strerror(-ret));
	return ret == HMM_SKIP ? CANNOT_TELL : WRONG;
}

/* The pages are shared after a fork, so their entries are read-only until somebody writes. */
static int reproduce(struct hmm_area *area)
{
	__u64 entries[PAGES];
	char text[HMM_ENTRY_STR_MAX];
	int fd, ret, i;

	ret = hmm_state_make_named(area, "dev_private_cow", 0, area->length);
	if (ret)
		return ended(area, "making the state", ret);
	fd = hmm_area_device(area, HMM_DEV_PRIVATE);
	if (fd < 0)
		return ended(area, "opening the device", fd);

	ret = hmm_walk(fd, area->addr, area->length, HMMIRROR_REQ_ALL, entries);
	if (ret) {
		printf("hmm_range_fault(): %s\n", strerror(-ret));
		return RIGHT;
	}
	for (i = 0; i < PAGES; i++) {
		if (entries[i] & HMMIRROR_PTE_WRITE)
			continue;
		printf("write access was requested, and success reported; page %d: %s\n", i,
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
	printf("write-request: %s\n", ret == RIGHT ? "right" :
	       ret == WRONG ? "wrong" : "cannot tell");
	return ret;
}
