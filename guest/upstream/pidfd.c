// SPDX-License-Identifier: GPL-2.0
/*
 * pidfd_open() for kernels before 5.3: the harness of 7.x waits for a test by it.
 * Linked with -Wl,--wrap=syscall. The descriptor that poll() finds
 * at its end when the process has ended is that of a pipe.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pidfd.h"

struct waiter {
	pid_t pid;
	int fd;
};

static void *wait_and_close(void *arg)
{
	struct waiter *waiter = arg;
	siginfo_t info;

	while (waitid(P_PID, waiter->pid, &info, WEXITED | WNOWAIT) && errno == EINTR)
		;
	close(waiter->fd);
	free(waiter);
	return NULL;
}

static int fake_pidfd(pid_t pid)
{
	struct waiter *waiter = malloc(sizeof(*waiter));
	pthread_t thread;
	int fds[2];

	if (!waiter)
		return -1;
	if (pipe(fds)) {
		free(waiter);
		return -1;
	}
	waiter->pid = pid;
	waiter->fd = fds[1];
	if (pthread_create(&thread, NULL, wait_and_close, waiter)) {
		close(fds[0]);
		close(fds[1]);
		free(waiter);
		errno = EAGAIN;
		return -1;
	}
	pthread_detach(thread);
	return fds[0];
}

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	long ret = __real_syscall(number, a, b, c, d, e, f);

	if (number == SYS_pidfd_open && ret < 0)
		return fake_pidfd(a);
	return ret;
}
