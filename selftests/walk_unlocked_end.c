// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault_unlocked_timeout() (7.3) while its process, or the memory, ends.
 *
 * A walk that waits for the mmap lock must be killable. One that runs when the OOM reaper
 * has taken the memory (MMF_UNSTABLE) must fail instead of faulting zero pages in for data
 * that was lost.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hmm_test.h"

#define PAGES		4
#define LIMIT_MS	8000
#define PATIENCE	2000	/* ms */

#ifndef SYS_pidfd_open
#define SYS_pidfd_open		434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd		438
#endif
#ifndef SYS_process_mrelease
#define SYS_process_mrelease	448
#endif

FIXTURE(walk_unlocked_end)
{
	struct hmm_area area;
	__u64 entries[PAGES];
	size_t length;
	pid_t child;
	int fd;
	int go[2];
};

FIXTURE_SETUP(walk_unlocked_end)
{
	self->length = PAGES * hmm_page_size();
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, self->length));
	hmm_touch_write(self->area.addr, self->length);
	ASSERT_EQ(0, pipe(self->go));
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(walk_unlocked_end)
{
	if (self->child > 0)
		kill(self->child, SIGKILL);
	hmm_area_end(&self->area);
}

static void *map_fixture(void *fd)
{
	return mmap(NULL, hmm_page_size(), PROT_READ, MAP_SHARED, *(int *)fd,
		    HMMIRROR_FIXTURE_PAGES);
}

/* The walk waits for the mmap lock, which another thread holds for writing, and is killed. */
TEST_F(walk_unlocked_end, killed_at_lock)
{
	struct hmmirror_range range = {
		.flags = HMMIRROR_RANGE_UNLOCKED,
		.addr = (uintptr_t)self->area.addr,
		.length = self->length,
		.entries = (uintptr_t)self->entries,
		.default_flags = HMMIRROR_REQ_FAULT,
		.timeout_ms = 30000,
	};
	int holder, status;
	pthread_t mapper;
	void *fixture;
	char byte;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_UNLOCKED), self->area.why))
		return;
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child) {
		if (read(self->go[0], &byte, 1) == 1)
			hmm_ioctl_range(self->fd, &range);
		_exit(1);
	}
	/* closing the file in any process ends the hold: the child must not have it */
	holder = hmm_open(0);
	ASSERT_LE(0, holder);
	ASSERT_EQ(0, hmm_hold_arm(holder, HMMIRROR_STAGE_MMAP, LIMIT_MS));
	ASSERT_EQ(0, pthread_create(&mapper, NULL, map_fixture, &holder));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(holder, PATIENCE));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	ASSERT_EQ(1, hmm_thread_blocks(&self->child));
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	ASSERT_EQ(self->child, waitpid(self->child, &status, 0));
	self->child = 0;
	ASSERT_NE(0, WIFSIGNALED(status));
	/* the thread with the lock did not have to release it */
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(holder));
	ASSERT_EQ(0, pthread_join(mapper, &fixture));
	ASSERT_NE(MAP_FAILED, fixture);
	ASSERT_EQ(0, munmap(fixture, hmm_page_size()));
	close(holder);
}

/* In the child: open two mirrors of its memory, which the parent then takes over. */
static void be_mirrored(struct _test_data_walk_unlocked_end *self, int notify)
{
	int fds[2] = { hmm_open(0), hmm_open(0) };
	char byte;

	hmm_die_with_parent();
	hmm_touch_write(self->area.addr, self->length);
	if (write(notify, fds, sizeof(fds)) != sizeof(fds) || read(self->go[0], &byte, 1) != 1)
		_exit(1);
	hmm_touch_write(self->area.addr, 1);
	pause();
}

/*
 * process_mrelease() reaps the memory of a killed process before the process is gone, as
 * the OOM reaper does. A page under migration keeps the process from exiting.
 */
TEST_F(walk_unlocked_end, memory_reaped)
{
	size_t page = hmm_page_size();
	struct hmm_call holder = { .addr = self->area.addr, .length = page };
	struct hmm_call walk = {
		.addr = self->area.addr + page,
		.length = self->length - page,
		.entries = self->entries,
		.flags = HMMIRROR_RANGE_UNLOCKED,
		.request = HMMIRROR_REQ_FAULT,
	};
	int notify[2], fds[2], pidfd, ret, status;
	size_t i;

	if (!REQUIRE(hmm_area_feature(&self->area, HMMIRROR_FEAT_UNLOCKED), self->area.why))
		return;
	if (!REQUIRE(hmm_area_memory(&self->area, 0), self->area.why))
		return;
	ASSERT_EQ(0, pipe(notify));
	self->child = fork();
	ASSERT_LE(0, self->child);
	if (!self->child)
		be_mirrored(self, notify[1]);
	close(notify[1]);
	ASSERT_EQ((ssize_t)sizeof(fds), read(notify[0], fds, sizeof(fds)));
	pidfd = syscall(SYS_pidfd_open, self->child, 0);
	ASSERT_LE(0, pidfd);
	holder.fd = syscall(SYS_pidfd_getfd, pidfd, fds[0], 0);
	ASSERT_LE(0, holder.fd);
	walk.fd = syscall(SYS_pidfd_getfd, pidfd, fds[1], 0);
	ASSERT_LE(0, walk.fd);

	ASSERT_EQ(0, hmm_hold_migration(&holder, HMMIRROR_STAGE_SETUP, LIMIT_MS));
	ASSERT_EQ(1, write(self->go[1], "", 1));
	ASSERT_EQ(1, hmm_thread_blocks(&self->child));
	ASSERT_EQ(0, hmm_hold_arm(walk.fd, HMMIRROR_STAGE_WALK, LIMIT_MS));
	ASSERT_EQ(0, hmm_call_begin(&walk));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_wait(walk.fd, PATIENCE));
	ASSERT_EQ(0, kill(self->child, SIGKILL));
	for (i = 0; i < PATIENCE; i++) {
		ret = syscall(SYS_process_mrelease, pidfd, 0);
		if (!ret || errno != EAGAIN)
			break;
		usleep(1000);
	}
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, waitpid(self->child, &status, WNOHANG));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(walk.fd));
	ASSERT_EQ(-EFAULT, hmm_call_end(&walk));
	for (i = 0; i < PAGES - 1; i++)
		ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, self->entries[i]);

	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(holder.fd));
	hmm_call_end(&holder);
	ASSERT_EQ(self->child, waitpid(self->child, &status, 0));
	self->child = 0;
	ASSERT_NE(0, WIFSIGNALED(status));
	close(pidfd);
	close(walk.fd);
	close(holder.fd);
}

#include "hmm_main.h"
