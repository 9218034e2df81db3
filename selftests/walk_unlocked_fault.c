// SPDX-License-Identifier: GPL-2.0
/*
 * hmm_range_fault_unlocked_timeout() (7.3) while a fault sleeps: a thread of the same
 * process serves missing pages by userfaultfd.
 *
 * The fault must drop the mmap lock, so that the thread can change mappings before it
 * provides the page. The walk then starts again: it must notice that a mapping is gone, and
 * use nothing that it read before. The timeout limits retries after invalidations, not the
 * fault; only a fatal signal may interrupt it.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hmm_test.h"

#define PAGES	8
#define LONG_MS	20000

#define W	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)

FIXTURE(walk_unlocked_fault)
{
	struct hmm_area area;
	struct hmmirror_range range;
	__u64 entries[PAGES];
	char *addr;
	char *data;
	size_t page;
	pthread_t server;
	void (*serve)(struct _test_data_walk_unlocked_fault *self, void *addr);
	int first;	/* first page that is missing; so are all behind it */
	int served;	/* faults that were served */
	int error;	/* error of the server thread */
	int setup_ret;
	int notify;	/* write end of a pipe */
	int uffd;
	int fd;
};

FIXTURE_SETUP(walk_unlocked_fault)
{
	self->page = hmm_page_size();
	self->data = hmm_map_anon(self->page, 0);
	ASSERT_NE(NULL, self->data);
	ASSERT_EQ(0, hmm_area_begin(&self->area, PAGES * self->page, 0));
	self->addr = self->area.addr;
	self->fd = hmm_area_device(&self->area, 0);
	ASSERT_LE(0, self->fd);
	self->setup_ret = hmm_area_feature(&self->area, HMMIRROR_FEAT_UNLOCKED);
	self->uffd = -1;
}

FIXTURE_TEARDOWN(walk_unlocked_fault)
{
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_area_end(&self->area);
	hmm_unmap(self->data, self->page);
}

/* Change mappings, which needs the mmap lock for writing. */
static int change_mappings(size_t page)
{
	char *p = mmap(NULL, 2 * page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	return mprotect(p, page, PROT_NONE) || munmap(p, 2 * page) ? -errno : 0;
}

static void *server(void *arg)
{
	struct _test_data_walk_unlocked_fault *self = arg;
	void *addr;

	while (self->served < PAGES - self->first) {
		self->error = hmm_uffd_wait(self->uffd, LONG_MS, &addr);
		if (self->error)
			break;
		self->served++;
		self->serve(self, addr);
		if (self->error)
			break;
	}
	return NULL;
}

static void provide(struct _test_data_walk_unlocked_fault *self, void *addr)
{
	hmm_pattern_fill_as(self->data, addr, self->page, 1);
	self->error = hmm_uffd_give(self->uffd, addr, self->data);
}

/* Pages from @first on are missing, those before are written. Return: false if skipped. */
static int start(struct __test_metadata *_metadata, struct _test_data_walk_unlocked_fault *self,
		 int first, void (*serve)(struct _test_data_walk_unlocked_fault *self, void *addr))
{
	if (!REQUIRE(self->setup_ret, self->area.why))
		return 0;
	ASSERT_EQ(0, hmm_area_map_small(&self->area, self->addr, PAGES * self->page,
					PROT_READ | PROT_WRITE));
	hmm_pattern_fill(self->addr, first * self->page, 1);
	self->first = first;
	self->serve = serve;
	self->uffd = hmm_uffd_open(self->addr + first * self->page, (PAGES - first) * self->page);
	if (self->uffd == -EOPNOTSUPP)
		SKIP(return 0, "no userfaultfd (CONFIG_USERFAULTFD)");
	ASSERT_LE(0, self->uffd);
	if (serve)
		ASSERT_EQ(0, pthread_create(&self->server, NULL, server, self));
	self->range = (struct hmmirror_range){
		.flags = HMMIRROR_RANGE_UNLOCKED,
		.addr = (uintptr_t)self->addr,
		.length = PAGES * self->page,
		.entries = (uintptr_t)self->entries,
		.default_flags = HMMIRROR_REQ_FAULT,
	};
	return 1;
}

#define JOIN_SERVER()						\
	do {							\
		ASSERT_EQ(0, pthread_join(self->server, NULL));	\
		ASSERT_EQ(0, self->error);			\
	} while (0)

static void all_writable(struct __test_metadata *_metadata, const __u64 *entries)
{
	char text[HMM_ENTRY_STR_MAX];
	int i;

	for (i = 0; i < PAGES; i++) {
		ASSERT_EQ(W, hmm_entry_flags(entries[i]))
			TH_LOG("page %d: %s", i, hmm_entry_str(entries[i], text, sizeof(text)));
	}
}

static void provide_after_change(struct _test_data_walk_unlocked_fault *self, void *addr)
{
	self->error = change_mappings(self->page);
	if (!self->error)
		provide(self, addr);
}

/* The server takes the mmap lock for writing before it provides a page. */
TEST_F(walk_unlocked_fault, mmap_lock_dropped)
{
	if (!start(_metadata, self, 2, provide_after_change))
		return;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(0, self->range.error);
	JOIN_SERVER();
	ASSERT_EQ(PAGES - 2, self->served);
	all_writable(_metadata, self->entries);
	ASSERT_EQ(-1, hmm_pattern_check(self->addr, PAGES * self->page, 1));
}

/* Without a limit. Then a timeout is refused, and so is the flag for the other variant. */
TEST_F(walk_unlocked_fault, no_limit)
{
	if (!start(_metadata, self, 2, provide_after_change))
		return;
	self->range.flags = HMMIRROR_RANGE_NO_LIMIT;
	ASSERT_EQ(-EINVAL, hmm_ioctl_range(self->fd, &self->range));
	self->range.flags |= HMMIRROR_RANGE_UNLOCKED;
	self->range.timeout_ms = 1;
	ASSERT_EQ(-EINVAL, hmm_ioctl_range(self->fd, &self->range));
	self->range.timeout_ms = 0;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(0, self->range.error);
	JOIN_SERVER();
	ASSERT_EQ(PAGES - 2, self->served);
	all_writable(_metadata, self->entries);
}

/* The device page table has what is mapped in the end. */
TEST_F(walk_unlocked_fault, mapped)
{
	__u64 mirror[PAGES];

	if (!start(_metadata, self, 2, provide_after_change))
		return;
	self->range.flags |= HMMIRROR_RANGE_MAP;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(0, self->range.error);
	JOIN_SERVER();
	all_writable(_metadata, self->entries);
	ASSERT_EQ(0, hmm_mirror(self->fd, self->addr, PAGES * self->page, mirror));
	ASSERT_EQ(0, memcmp(mirror, self->entries, sizeof(mirror)));
}

/* hmm_range_fault() keeps the lock, and can't wait for the server. */
TEST_F(walk_unlocked_fault, locked_fails)
{
	if (!start(_metadata, self, 2, NULL))
		return;
	self->range.flags = 0;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(-EFAULT, self->range.error);
	ASSERT_EQ(W, hmm_entry_flags(self->entries[1]));
	ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, self->entries[2]);
}

/* A snapshot causes no fault and does not wait. */
TEST_F(walk_unlocked_fault, snapshot)
{
	if (!start(_metadata, self, 2, NULL))
		return;
	self->range.default_flags = 0;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(0, self->range.error);
	ASSERT_EQ(W, hmm_entry_flags(self->entries[1]));
	ASSERT_EQ(0, self->entries[2]);
}

static void unmap_all(struct _test_data_walk_unlocked_fault *self, void *addr)
{
	self->error = munmap(self->addr, PAGES * self->page) ? -errno : 0;
	if (!self->error)
		self->error = hmm_uffd_wake(self->uffd, addr);
	/* no more faults will come */
	self->served = PAGES;
}

/* The range is unmapped while the fault sleeps. */
TEST_F(walk_unlocked_fault, unmapped_meanwhile)
{
	if (!start(_metadata, self, 2, unmap_all))
		return;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(-EFAULT, self->range.error);
	JOIN_SERVER();
}

static void provide_late(struct _test_data_walk_unlocked_fault *self, void *addr)
{
	usleep(300 * 1000);
	provide(self, addr);
}

/* The timeout is for walks that are invalidated; a fault takes as long as it takes. */
TEST_F(walk_unlocked_fault, slow_fault)
{
	if (!start(_metadata, self, PAGES - 1, provide_late))
		return;
	self->range.timeout_ms = 20;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(0, self->range.error);
	JOIN_SERVER();
	all_writable(_metadata, self->entries);
}

static void zap_and_provide(struct _test_data_walk_unlocked_fault *self, void *addr)
{
	self->error = madvise(self->addr, self->page, MADV_DONTNEED) ? -errno : 0;
	if (!self->error)
		provide(self, addr);
}

/*
 * With requests by page, a walk that starts again inside the kernel takes its own answers
 * for requests (mm/hmm.c; docs/findings/walker.md). The first page, without a request, was
 * writable when the walk read it; it is zapped, and is then faulted in for writing.
 */
TEST_F(walk_unlocked_fault, answers_become_requests)
{
	if (!start(_metadata, self, PAGES - 1, zap_and_provide))
		return;
	self->range.default_flags = 0;
	self->range.request_mask = HMMIRROR_REQ_ALL;
	self->entries[PAGES - 1] = HMMIRROR_REQ_FAULT;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &self->range));
	ASSERT_EQ(0, self->range.error);
	JOIN_SERVER();
	all_writable(_metadata, self->entries);
	ASSERT_EQ(-1, hmm_all_bytes(self->addr, self->page, 0));
}

#define COW_LENGTH	(128UL << 20)

/*
 * Each copy on write invalidates the range, so that the walk starts again until its time is
 * up.
 */
TEST_F(walk_unlocked_fault, timeout)
{
	size_t pages = COW_LENGTH / self->page;
	char *memory = hmm_map_anon(COW_LENGTH, 0);
	__u64 *entries = hmm_map_anon(pages * sizeof(*entries), 0);
	struct hmmirror_range range = {
		.flags = HMMIRROR_RANGE_UNLOCKED,
		.addr = (uintptr_t)memory,
		.length = COW_LENGTH,
		.entries = (uintptr_t)entries,
		.default_flags = HMMIRROR_REQ_ALL,
		.timeout_ms = 1,
	};
	pid_t child;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_NE(NULL, memory);
	ASSERT_NE(NULL, entries);
	ASSERT_EQ(0, madvise(memory, COW_LENGTH, MADV_NOHUGEPAGE));
	hmm_touch_write(memory, COW_LENGTH);
	child = hmm_fork_holder();
	ASSERT_LT(0, child);
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
	ASSERT_EQ(-EBUSY, range.error);
	ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, entries[0]);
	ASSERT_EQ(HMMIRROR_PTE_UNTOUCHED, entries[pages - 1]);

	range.timeout_ms = LONG_MS;
	ASSERT_EQ(0, hmm_ioctl_range(self->fd, &range));
	ASSERT_EQ(0, range.error);
	ASSERT_EQ(W, hmm_entry_flags(entries[0]));
	ASSERT_EQ(W, hmm_entry_flags(entries[pages - 1]));
	hmm_holder_end(child);
	hmm_unmap(memory, COW_LENGTH);
	hmm_unmap(entries, pages * sizeof(*entries));
}

static void notify_only(struct _test_data_walk_unlocked_fault *self, void *addr)
{
	(void)addr;
	/* provide nothing: the fault waits for ever */
	self->error = write(self->notify, "", 1) == 1 ? 0 : -EIO;
	pause();
}

static void ignore(int signal)
{
	(void)signal;
}

/* A signal that is handled does not end the wait; a fatal one does. */
TEST_F(walk_unlocked_fault, signals)
{
	int notify[2], status;
	pid_t child;
	char byte;

	if (!REQUIRE(self->setup_ret, self->area.why))
		return;
	ASSERT_EQ(0, pipe(notify));
	child = fork();
	if (!child) {
		signal(SIGUSR1, ignore);
		self->notify = notify[1];
		self->area.device[0] = 0;
		self->fd = hmm_area_device(&self->area, 0);
		if (!start(_metadata, self, PAGES - 1, notify_only))
			_exit(1);
		hmm_ioctl_range(self->fd, &self->range);
		_exit(2);
	}
	ASSERT_LT(0, child);
	/* read() below must see the end of the child */
	close(notify[1]);
	ASSERT_EQ(1, read(notify[0], &byte, 1));
	ASSERT_EQ(0, kill(child, SIGUSR1));
	usleep(100 * 1000);
	ASSERT_EQ(0, waitpid(child, &status, WNOHANG));
	ASSERT_EQ(0, kill(child, SIGKILL));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_NE(0, WIFSIGNALED(status));
	ASSERT_EQ(SIGKILL, WTERMSIG(status));
}

#include "hmm_main.h"
