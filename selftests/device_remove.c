// SPDX-License-Identifier: GPL-2.0
/*
 * Memory hot-remove, soft-offline and memory failure while a device has pages, or has
 * exclusive access to them.
 *
 * A device-private page no longer needs the system page that it came from: that one must
 * not keep a memory block online. An exclusive page is still the system page, and must be
 * migrated, which ends the device's access. Kernels up to 6.14 fail here: their reverse
 * mapping has no such pages (docs/findings/exclusive.md).
 */
#include <fcntl.h>
#include <linux/mempolicy.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "device_case.h"

#define MEMORY		"/sys/devices/system/memory/"
#define UNPOISON	"/sys/kernel/debug/hwpoison/unpoison-pfn"
#define TRIES		8	/* blocks to try: one may have pages that can't move */
#define PATIENCE_MS	1500	/* the kernel tries for ever to offline a block that can't go */

FIXTURE(device_remove)
{
	struct device_case c;
	char state[80];		/* state file of the memory block; empty: none */
	unsigned long first;	/* first pfn of the block */
	unsigned long pages;
	unsigned long nodes;	/* node mask of the block */
	__u64 pfns[DEVICE_PAGES];
};

FIXTURE_VARIANT(device_remove)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_remove, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_remove, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_remove)
{
	device_begin(_metadata, &self->c, variant->state, DEVICE_AT_TABLE_START);
}

FIXTURE_TEARDOWN(device_remove)
{
	device_end(_metadata, &self->c);
	if (!self->state[0])
		return;
	/* the block is free by now: make it an ordinary one again */
	hmm_write_text(self->state, "offline");
	EXPECT_EQ(0, hmm_write_text(self->state, "online"));
}

/* Record the pfns, before anything is done to the pages. */
static void record_pfns(struct __test_metadata *_metadata, struct _test_data_device_remove *self)
{
	struct device_case *c = &self->c;
	size_t i;

	ASSERT_EQ(0, hmm_pagemap(c->addr, c->pages, self->pfns));
	for (i = 0; i < c->pages; i++) {
		ASSERT_NE(0, self->pfns[i] & HMM_PM_PRESENT);
		self->pfns[i] &= HMM_PM_PFN_MASK;
		ASSERT_NE(0, self->pfns[i]);
	}
}

/* How many of the first @pages pages have the same pfn as before? */
static size_t count_same_pfns(struct __test_metadata *_metadata,
			      struct _test_data_device_remove *self, size_t pages)
{
	size_t i, same = 0;
	__u64 entry;

	for (i = 0; i < pages; i++) {
		ASSERT_EQ(0, hmm_pagemap_one(self->c.addr + i * self->c.page, &entry));
		ASSERT_NE(0, entry & HMM_PM_PRESENT);
		same += (entry & HMM_PM_PFN_MASK) == self->pfns[i];
	}
	return same;
}

/* Soft-offline a page. Exclusive access is a mapping, which the migration of the page ends. */
TEST_F(device_remove, soft_offline_page)
{
	struct device_case *c = &self->c;
	char text[32];
	int ret;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!c->exclusive)
		SKIP(return, "a device-private page has no system page behind it");
	if (access(MEMORY "soft_offline_page", W_OK))
		SKIP(return, "no soft_offline_page (CONFIG_MEMORY_FAILURE)");
	ASSERT_EQ(0, hmm_area_map_small(&c->area, c->addr, c->length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(c->addr, c->length, 1);
	record_pfns(_metadata, self);
	device_migrate(_metadata, c);
	snprintf(text, sizeof(text), "0x%llx", self->pfns[0] * c->page);
	ret = hmm_write_text(MEMORY "soft_offline_page", text);
	ASSERT_EQ(0, ret) TH_LOG("soft_offline_page: %d", ret);
	CHECK_DATA(1);
	ASSERT_EQ(0, count_same_pfns(_metadata, self, 1));
	ASSERT_EQ(c->pages - 1, count_same_pfns(_metadata, self, c->pages));
	snprintf(text, sizeof(text), "%llu", self->pfns[0]);
	hmm_write_text(UNPOISON, text);
}

/* Can a CPU read there? Asked of the kernel, so that the test survives. */
static int readable(char *addr)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { addr, 1 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1;
}

/*
 * A page of memory has failed while the device has exclusive access to it. Its mapping
 * becomes a hwpoison entry: neither the device nor a CPU may use the page any more.
 */
TEST_F(device_remove, hard_offline_page)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, before;
	struct device_case *c = &self->c;
	__u64 held = 0;
	char text[32];

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!c->exclusive)
		SKIP(return, "a device-private page has no system page behind it");
	if (access(MEMORY "hard_offline_page", W_OK))
		SKIP(return, "no hard_offline_page (CONFIG_MEMORY_FAILURE)");
	ASSERT_EQ(0, hmm_area_map_small(&c->area, c->addr, c->length, PROT_READ | PROT_WRITE));
	hmm_pattern_fill(c->addr, c->length, 1);
	record_pfns(_metadata, self);
	device_migrate(_metadata, c);
	ASSERT_EQ(0, sigaction(SIGBUS, &ignore, &before));
	snprintf(text, sizeof(text), "0x%llx", self->pfns[0] * c->page);
	ASSERT_EQ(0, hmm_write_text(MEMORY "hard_offline_page", text));
	ASSERT_EQ(0, hmm_excl_pages(c->fd, HMMIRROR_EXCL_TEST, c->addr, c->page, NULL, &held));
	ASSERT_EQ(0, held);
	ASSERT_EQ(0, readable(c->addr));
	ASSERT_EQ(-1, hmm_pattern_check(c->addr + c->page, c->length - c->page, 1));
	ASSERT_EQ(0, madvise(c->addr, c->page, MADV_DONTNEED));
	ASSERT_EQ(0, sigaction(SIGBUS, &before, NULL));
	snprintf(text, sizeof(text), "%llu", self->pfns[0]);
	hmm_write_text(UNPOISON, text);
}

static int node_of(int block)
{
	char path[80];
	int node;

	for (node = 7; node; node--) {
		snprintf(path, sizeof(path), MEMORY "memory%d/node%d", block, node);
		if (!access(path, F_OK))
			break;
	}
	return node;
}

/*
 * Find a block that can be offlined, and online it for movable pages only. Return: for
 * REQUIRE()
 */
static int find_block(struct _test_data_device_remove *self)
{
	char text[32];
	unsigned long size;
	int i, tries = 0;

	if (hmm_read_text(MEMORY "block_size_bytes", text, sizeof(text)))
		return hmm_skip(&self->c.area, "no blocks of memory (CONFIG_MEMORY_HOTPLUG)");
	size = strtoul(text, NULL, 16);
	for (i = 255; i >= 0 && tries < TRIES; i--) {
		snprintf(self->state, sizeof(self->state), MEMORY "memory%d/state", i);
		if (hmm_read_text(self->state, text, sizeof(text)) || strcmp(text, "online"))
			continue;
		tries++;
		if (hmm_write_text(self->state, "offline"))
			continue;
		if (!hmm_write_text(self->state, "online_movable")) {
			self->pages = size / hmm_page_size();
			self->first = i * self->pages;
			self->nodes = 1UL << node_of(i);
			return 0;
		}
		hmm_write_text(self->state, "online");
		break;
	}
	self->state[0] = 0;
	return hmm_skip(&self->c.area, "no block of memory can be taken offline");
}

/* Fork the child that will offline the block now: a later fork would end exclusive access. */
static pid_t prepare_offline(const char *state, int *go)
{
	pid_t child = hmm_fork_waiter(go);

	if (!child)
		_exit(!!hmm_write_text(state, "offline"));
	return child;
}

/* Return: 1 if the block is offline; 0 if it can't go. */
static int wait_for_offline(struct __test_metadata *_metadata, pid_t child, int go)
{
	struct timespec now, start;
	int status = 0;
	long ms = 0;
	pid_t ended;

	ASSERT_EQ(1, write(go, "", 1));
	close(go);
	clock_gettime(CLOCK_MONOTONIC, &start);
	while (!(ended = waitpid(child, &status, WNOHANG)) && ms < PATIENCE_MS) {
		usleep(1000);
		clock_gettime(CLOCK_MONOTONIC, &now);
		ms = (now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000;
	}
	if (!ended) {
		kill(child, SIGKILL);
		ASSERT_EQ(child, waitpid(child, &status, 0));
	}
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

/* Offline the block that the pages are in, or were in before they went to the device. */
TEST_F(device_remove, offline_memory_block)
{
	struct device_case *c = &self->c;
	__u64 held = 0;
	pid_t child;
	size_t i;
	int go;

	if (!REQUIRE(c->setup_ret, c->area.why))
		return;
	if (!REQUIRE(find_block(self), c->area.why))
		return;
	ASSERT_EQ(0, hmm_area_map_small(&c->area, c->addr, c->length, PROT_READ | PROT_WRITE));
	/* ZONE_MOVABLE is used first on the block's node */
	syscall(SYS_mbind, c->addr, c->length, MPOL_BIND, &self->nodes, 8 * sizeof(self->nodes),
		0);
	child = prepare_offline(self->state, &go);
	ASSERT_LT(0, child);
	hmm_pattern_fill(c->addr, c->length, 2);
	record_pfns(_metadata, self);
	for (i = 0; i < c->pages; i++)
		if (self->pfns[i] - self->first >= self->pages)
			SKIP(return, "page %zu is at %llx, not in %s of %lx", i,
			     self->pfns[i], self->state, self->first);
	device_migrate(_metadata, c);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	if (c->exclusive) {
		ASSERT_EQ(0, hmm_excl_pages(c->fd, HMMIRROR_EXCL_TEST, c->addr, c->length, NULL,
					    &held));
		ASSERT_EQ(c->pages, held);
	}
	ASSERT_EQ(1, wait_for_offline(_metadata, child, go));
	CHECK_DATA(2);
	ASSERT_EQ(0, device_used(_metadata, c));
	ASSERT_EQ(0, count_same_pfns(_metadata, self, c->pages));
	hmm_pattern_fill(c->addr, c->length, 3);
	CHECK_DATA(3);
}

#include "hmm_main.h"
