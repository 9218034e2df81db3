// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault_unlocked_timeout() (7.3) on memory that is registered with userfaultfd,
 * in all modes and kinds of memory.
 *
 * Where hmm_range_fault() fails, this variant must wait for the monitor without the mmap
 * lock, report the right kind of fault to it, and then report the page that is mapped.
 */
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_test.h"

#define PAGES	4	/* pages of a walk */
#define WAIT_MS	15000

#define W	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)

FIXTURE(walk_unlocked_uffd)
{
	struct hmm_area area;
	struct hmmirror_range range;
	__u64 entries[PAGES];
	pthread_t thread;
	int running;
	int over;
	int result;
	int fd;
};

FIXTURE_VARIANT(walk_unlocked_uffd)
{
	const char *state;
	__u64 request;
	__u64 flags;	/* UFFD_PAGEFAULT_FLAG_* that the monitor must read */
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, missing)
{
	.state = "anon_uffd_missing",
	.request = HMMIRROR_REQ_ALL,
	.flags = UFFD_PAGEFAULT_FLAG_WRITE,
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, wp)
{
	.state = "anon_uffd_wp",
	.request = HMMIRROR_REQ_ALL,
	.flags = UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP,
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, shmem_missing)
{
	.state = "shmem_uffd_missing",
	.request = HMMIRROR_REQ_FAULT,
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, shmem_minor)
{
	.state = "shmem_uffd_minor",
	.request = HMMIRROR_REQ_FAULT,
	.flags = UFFD_PAGEFAULT_FLAG_MINOR,
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, thp_wp)
{
	.state = "thp_uffd_wp",
	.request = HMMIRROR_REQ_ALL,
	.flags = UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP,
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, hugetlb_missing)
{
	.state = "hugetlb_uffd_missing",
	.request = HMMIRROR_REQ_ALL,
	.flags = UFFD_PAGEFAULT_FLAG_WRITE,
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, hugetlb_minor)
{
	.state = "hugetlb_uffd_minor",
	.request = HMMIRROR_REQ_FAULT,
	.flags = UFFD_PAGEFAULT_FLAG_MINOR,
};

FIXTURE_VARIANT_ADD(walk_unlocked_uffd, hugetlb_wp)
{
	.state = "hugetlb_uffd_wp",
	.request = HMMIRROR_REQ_ALL,
	.flags = UFFD_PAGEFAULT_FLAG_WRITE | UFFD_PAGEFAULT_FLAG_WP,
};

FIXTURE_SETUP(walk_unlocked_uffd)
{
	ASSERT_EQ(0, hmm_area_begin(&self->area, hmm_pmd_size(), 0));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

/* hmm_area_end() closes the userfaultfd, which ends the wait of the thread. */
FIXTURE_TEARDOWN(walk_unlocked_uffd)
{
	hmm_area_end(&self->area);
	if (self->running)
		pthread_join(self->thread, NULL);
}

static void *walk(void *data)
{
	struct _test_data_walk_unlocked_uffd *self = data;

	self->result = hmm_ioctl_range(self->fd, &self->range);
	__atomic_store_n(&self->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

/* The userfaultfd of the state: the file that the area closes first. */
static int uffd_of(const struct hmm_area *area)
{
	return area->undo[area->undos - 1].number;
}

TEST_F(walk_unlocked_uffd, waits)
{
	size_t length = PAGES * hmm_page_size();
	struct hmm_area *area = &self->area;
	const struct hmm_state *state = hmm_state_find(variant->state);
	struct pollfd event = { .events = POLLIN };
	struct uffd_msg msg;
	char *at = area->addr + hmm_pmd_size() / 2;

	if (!REQUIRE(hmm_area_feature(area, HMMIRROR_FEAT_UNLOCKED), area->why))
		return;
	if (!REQUIRE(hmm_state_make(area, state, 0, area->length), area->why))
		return;
	self->range.flags = HMMIRROR_RANGE_UNLOCKED;
	self->range.addr = (uintptr_t)at;
	self->range.length = length;
	self->range.entries = (uintptr_t)self->entries;
	self->range.default_flags = variant->request;
	self->range.timeout_ms = 2 * WAIT_MS;
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, walk, self));
	self->running = 1;

	/* the monitor is asked for the first page, with the right kind of fault */
	event.fd = uffd_of(area);
	ASSERT_EQ(1, poll(&event, 1, WAIT_MS));
	ASSERT_EQ((ssize_t)sizeof(msg), read(event.fd, &msg, sizeof(msg)));
	ASSERT_EQ(UFFD_EVENT_PAGEFAULT, msg.event);
	ASSERT_EQ(variant->flags, msg.arg.pagefault.flags);
	ASSERT_EQ((uintptr_t)at & ~(hmm_smaps(at, "KernelPageSize") * 1024 - 1),
		  msg.arg.pagefault.address &
		  ~(hmm_smaps(at, "KernelPageSize") * 1024 - 1));
	ASSERT_EQ(0, __atomic_load_n(&self->over, __ATOMIC_SEQ_CST));

	/* the mmap lock is free: a mapping can be changed */
	ASSERT_EQ(0, hmm_area_map(area, area->guard, hmm_page_size(), PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1));
	ASSERT_EQ(0, __atomic_load_n(&self->over, __ATOMIC_SEQ_CST));

	/* closing the userfaultfd ends the wait */
	area->undos--;
	ASSERT_EQ(0, close(event.fd));
	pthread_join(self->thread, NULL);
	self->running = 0;
	ASSERT_EQ(0, self->result);
	ASSERT_EQ(0, self->range.error);
	ASSERT_ENTRIES(self->entries, PAGES, W);
}

#include "hmm_main.h"
