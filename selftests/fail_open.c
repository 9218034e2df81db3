// SPDX-License-Identifier: GPL-2.0
/*
 * open() and mmap() of the driver while a memory allocation in it fails, one after the
 * other (fail-nth).
 *
 * The first open() of a process allocates more than later ones, for the mm's notifiers: a
 * child process does that, and its own fail-nth is set. As in fail_nth.c, each failure must
 * be reported or handled, and leave nothing behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fail_run.h"
#include "hmm_test.h"

#define ANSWER_MS	10000
/* The number of allocations varies, and one sweep can miss one. */
#define SWEEPS		4

FIXTURE(fail_open)
{
	struct fail_case c;
};

FIXTURE_SETUP(fail_open)
{
	fail_begin(&self->c);
}

FIXTURE_TEARDOWN(fail_open)
{
	fail_end(&self->c);
}

static int open_call(struct fail_case *c, const struct fail_call *call)
{
	c->spare = hmm_open(call->request);
	return c->spare < 0 ? c->spare : 0;
}

static void open_after(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	if (c->spare >= 0)
		close(c->spare);
}

static int mmap_call(struct fail_case *c, const struct fail_call *call)
{
	void *addr = mmap(c->addr + hmm_pmd_size() / 2, c->length,
			  PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, c->fd,
			  call->request);

	return addr == MAP_FAILED ? -errno : 0;
}

/* A child process that opens a device when the test asks. */
static struct {
	pid_t pid;
	int order;		/* write end of a pipe: a byte tells it to */
	int nth;		/* our fail-nth, while c->nth is the child's */
	int *answer;		/* in shared memory */
} opener;

#define NO_ANSWER	1
#define OPENED		2

static void open_when_told(int order, unsigned int device)
{
	char byte;
	int fd;

	if (read(order, &byte, 1) != 1)
		_exit(1);
	fd = hmm_open(device);
	__atomic_store_n(opener.answer, fd < 0 ? fd : OPENED, __ATOMIC_SEQ_CST);
	/* wait for the end of the pipe */
	_exit(read(order, &byte, 1) != 0);
}

/* Only the first mirror of an mm allocates for the notifiers: fork a new process. */
static int new_process(struct fail_case *c, const struct fail_call *call)
{
	char path[64];
	int ends[2];

	opener.nth = c->nth;
	if (!opener.answer) {
		opener.answer = mmap(NULL, c->page, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (opener.answer == MAP_FAILED)
			return -errno;
	}
	*opener.answer = NO_ANSWER;
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	opener.pid = fork();
	if (!opener.pid) {
		close(ends[1]);
		open_when_told(ends[0], call->request);
	}
	close(ends[0]);
	opener.order = ends[1];
	if (opener.pid < 0 || !hmm_thread_waits(&opener.pid))
		return -ECHILD;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/fail-nth", opener.pid, opener.pid);
	c->nth = open(path, O_RDWR | O_CLOEXEC);
	return c->nth < 0 ? -errno : 0;
}

static int first_open_call(struct fail_case *c, const struct fail_call *call)
{
	int ret, i;

	(void)c;
	(void)call;
	if (write(opener.order, "", 1) != 1)
		return -EPIPE;
	for (i = 0; i < ANSWER_MS; i++) {
		ret = __atomic_load_n(opener.answer, __ATOMIC_SEQ_CST);
		if (ret != NO_ANSWER)
			break;
		usleep(1000);
	}
	return ret == OPENED ? 0 : ret;
}

static void process_ends(struct fail_case *c, const struct fail_call *call)
{
	(void)call;
	close(c->nth);
	c->nth = opener.nth;
	close(opener.order);
	waitpid(opener.pid, NULL, 0);
}

TEST_F(fail_open, open)
{
	static const struct fail_call calls[] = {
		{ .name = "open 0", .call = open_call, .after = open_after, .request = 0 },
		{ .name = "open 1", .call = open_call, .after = open_after, .request = 1 },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_open, first_open)
{
	static const struct fail_call calls[] = {
		{ .name = "first open", .before = new_process, .call = first_open_call,
		  .after = process_ends },
	};
	int i;

	for (i = 0; i < SWEEPS; i++)
		if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls,
					ARRAY_SIZE(calls)), self->c.why))
			return;
	ASSERT_LT(0, self->c.injected);
}

TEST_F(fail_open, mmap)
{
	static const struct fail_call calls[] = {
		{ .name = "pages", .call = mmap_call, .request = HMMIRROR_FIXTURE_PAGES },
		{ .name = "special", .call = mmap_call, .request = HMMIRROR_FIXTURE_SPECIAL },
		{ .name = "pfnmap", .call = mmap_call, .request = HMMIRROR_FIXTURE_PFNMAP },
		{ .name = "io", .call = mmap_call, .request = HMMIRROR_FIXTURE_IO },
	};

	if (!REQUIRE(fail_sweep(&self->c, HMMIRROR_FEAT_RANGE, calls, ARRAY_SIZE(calls)),
		     self->c.why))
		return;
	ASSERT_LT(0, self->c.injected);
}

#include "hmm_main.h"
