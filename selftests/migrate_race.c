// SPDX-License-Identifier: GPL-2.0
/*
 * Migrations whose memory is taken away meanwhile: a huge PMD that is zapped between two
 * reads of it, a THP that is locked, an mm that the OOM reaper takes.
 *
 * migrate_vma_collect_pmd() must read the PMD again under its lock, and nothing may be
 * inserted into an mm that is being reaped (MMF_UNSTABLE).
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "small_pages.h"

#define HUGE		((long)(hmm_pmd_size() / hmm_page_size())) /* pages of a huge page */
#define LIMIT_MS	8000

FIXTURE(migrate_race)
{
	struct hmm_area area;
	struct hmmirror_stats before;
	struct hmm_call call;
	__u8 *outcomes;		/* of HUGE pages */
	char *addr;
	size_t length;
	int setup_ret;
	int fd;
};

FIXTURE_VARIANT(migrate_race)
{
	unsigned int flags;
};

FIXTURE_VARIANT_ADD(migrate_race, small)
{
	.flags = HMMIRROR_MIGRATE_TO_DEVICE,
};

FIXTURE_VARIANT_ADD(migrate_race, huge)
{
	.flags = HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_HUGE,
};

FIXTURE_SETUP(migrate_race)
{
	self->length = hmm_pmd_size();
	self->outcomes = hmm_map_anon(HUGE, 0);
	ASSERT_NE(NULL, self->outcomes);
	ASSERT_EQ(0, hmm_area_begin(&self->area, self->length, 0));
	self->addr = self->area.addr;
	if (variant->flags & HMMIRROR_MIGRATE_HUGE)
		self->setup_ret = hmm_area_huge_memory(&self->area, HMM_DEV_PRIVATE);
	else
		self->setup_ret = hmm_area_memory(&self->area, HMM_DEV_PRIVATE);
	if (self->setup_ret)
		return;
	self->fd = hmm_area_device(&self->area, HMM_DEV_PRIVATE);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, hmm_stats(self->fd, 0, &self->before));
	self->call.fd = self->fd;
	self->call.addr = self->addr;
	self->call.length = self->length;
	self->call.flags = variant->flags;
	self->call.outcomes = self->outcomes;
}

FIXTURE_TEARDOWN(migrate_race)
{
	hmm_hold_release(self->fd);
	hmm_call_end(&self->call);
	hmm_area_end(&self->area);
	hmm_unmap(self->outcomes, HUGE);
}

static void check_all_outcomes(struct __test_metadata *_metadata,
			       struct _test_data_migrate_race *self, size_t pages, __u8 want)
{
	ASSERT_EQ(-1, hmm_all_bytes(self->outcomes, pages, want))
		TH_LOG("the first page: %s, want %s", hmm_outcome_str(self->outcomes[0]),
		       hmm_outcome_str(want));
}

/* The PMD is huge when it is read first, and empty when it is read under the lock. */
TEST_F(migrate_race, dontneed)
{
	int ret;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "thp_writable", 0, self->length),
		     self->area.why))
		return;
	ret = hmm_hold_migration(&self->call, HMMIRROR_STAGE_COLLECT, LIMIT_MS);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the kernel's functions can't be stopped");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, madvise(self->addr, self->length, MADV_DONTNEED));
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->fd));
	ASSERT_EQ(0, hmm_call_end(&self->call));
	check_all_outcomes(_metadata, self, HUGE, HMMIRROR_OUT_POPULATED);
	ASSERT_EQ(HUGE, USED());
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->length, 0));
}

/*
 * A locked THP stays, and migrates once it is unlocked. Kernels without huge device pages
 * leak a reference here, so that it never does (docs/findings/migration.md).
 */
TEST_F(migrate_race, locked)
{
	int ret;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (!REQUIRE(hmm_state_make_named(&self->area, "thp_writable", 0, self->length),
		     self->area.why))
		return;
	ret = hmm_inject(self->fd, HMMIRROR_INJECT_LOCKED, 1, 1);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "pages can't be locked");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, hmm_move(self->fd, variant->flags, self->addr, self->length,
			      self->outcomes, NULL));
	ASSERT_EQ(1, hmm_inject(self->fd, HMMIRROR_INJECT_LOCKED, 0, 0));
	check_all_outcomes(_metadata, self, HUGE, HMMIRROR_OUT_NONE);
	ASSERT_EQ(0, USED());
	ASSERT_EQ(0, hmm_move(self->fd, variant->flags, self->addr, self->length,
			      self->outcomes, NULL));
	if (hmm_feature(self->fd, HMMIRROR_FEAT_DEVICE_THP, NULL, 0) == 1 ||
	    self->outcomes[0] != HMMIRROR_OUT_NONE)
		check_all_outcomes(_metadata, self, HUGE, HMMIRROR_OUT_MIGRATED);
	else
		check_all_outcomes(_metadata, self, HUGE, HMMIRROR_OUT_NONE);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, self->length, 0));
}

/* In the process that will be reaped: hand a mirror to the parent. */
static void be_reaped(struct _test_data_migrate_race *self, int socket)
{
	int fd = hmm_open(HMM_DEV_PRIVATE);

	(void)self;
	hmm_die_with_parent();
	if (fd < 0 || hmm_send_fd(socket, fd))
		_exit(1);
	for (;;)
		pause();
}

/*
 * The mm of a killed process is reaped while a migration on its behalf is about to populate
 * it: the kernel must insert nothing any more.
 */
TEST_F(migrate_race, oom_reaped)
{
	int ends[2], status, pidfd, ret;
	pid_t child;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	if (syscall(SYS_process_mrelease, -1, 0) && errno != EBADF)
		SKIP(return, "the kernel has no process_mrelease()");
	if (!REQUIRE(hmm_state_make_named(&self->area, "thp_none", 0, self->length),
		     self->area.why))
		return;
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
	child = fork();
	if (!child)
		be_reaped(self, ends[1]);
	ASSERT_LT(0, child);
	self->call.fd = hmm_receive_fd(ends[0], 0);
	ASSERT_LE(0, self->call.fd);
	pidfd = syscall(SYS_pidfd_open, child, 0);
	ASSERT_LE(0, pidfd);
	/* it stops in exit, before it gives up its mm */
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, child, 0, PTRACE_O_TRACEEXIT));
	ASSERT_EQ(0, hmm_hold_migration(&self->call, HMMIRROR_STAGE_COPIED, LIMIT_MS));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, __WALL));
	ASSERT_EQ(SIGTRAP | PTRACE_EVENT_EXIT << 8, status >> 8);
	ret = syscall(SYS_process_mrelease, pidfd, 0) ? errno : 0;
	ASSERT_EQ(HMMIRROR_HELD_NOW, hmm_hold_release(self->call.fd));
	ASSERT_EQ(0, hmm_call_end(&self->call));
	check_all_outcomes(_metadata, self, 1, HMMIRROR_OUT_REFUSED);
	/* a second try needs the page table lock that the first one took */
	ASSERT_EQ(0, hmm_move(self->call.fd, variant->flags, self->addr, self->length,
			      self->outcomes, NULL));
	ASSERT_EQ(0, ptrace(PTRACE_CONT, child, 0, 0));
	ASSERT_EQ(-SIGKILL, hmm_child_result(child));
	close(self->call.fd);
	close(pidfd);
	close(ends[0]);
	close(ends[1]);
	ASSERT_EQ(0, USED());
	ASSERT_EQ(0, ret);
	check_all_outcomes(_metadata, self, 1, HMMIRROR_OUT_REFUSED);
	ASSERT_EQ(HUGE, self->length / hmm_page_size());
}

#include "hmm_main.h"
