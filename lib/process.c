// SPDX-License-Identifier: GPL-2.0
/* Other processes and threads that a state or a test needs. */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hmm_process.h"
#include "hmm_system.h"
#include "internal.h"

#define PATIENCE_MS	2000

void hmm_die_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

pid_t hmm_fork_holder(void)
{
	pid_t parent = getpid();
	pid_t child = fork();

	if (child < 0)
		return -errno;
	if (child)
		return child;
	hmm_die_with_parent();
	while (getppid() == parent)
		pause();
	_exit(0);
}

void hmm_holder_end(pid_t child)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL);
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

int hmm_fork_swap(void)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		return -errno;
	if (!child) {
		hmm_die_with_parent();
		return 0;
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			_exit(1);
	if (WIFSIGNALED(status)) {
		signal(WTERMSIG(status), SIG_DFL);
		raise(WTERMSIG(status));
	}
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

pid_t hmm_fork_waiter(int *go)
{
	int ends[2];
	pid_t child;
	char byte;

	if (pipe(ends))
		return -errno;
	child = fork();
	if (!child) {
		close(ends[1]);
		if (read(ends[0], &byte, 1) == 1)
			return 0;
		_exit(255);
	}
	if (child < 0)
		child = -errno;
	close(ends[0]);
	*go = ends[1];
	return child;
}

int hmm_waiter_go(pid_t child, int go)
{
	/* a child that is gone shows in its result */
	sighandler_t before = signal(SIGPIPE, SIG_IGN);
	int ret = write(go, "", 1) == 1 ? 0 : -errno;
	int result;

	signal(SIGPIPE, before);
	close(go);
	result = hmm_child_result(child);
	return result ? result : ret;
}

int hmm_child_result(pid_t child)
{
	int status;

	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -ECHILD;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#define AGAIN	"HMM_EXEC_AGAIN"

/* Before main(), whose options are those of whoever links this. */
static void __attribute__((constructor)) end_again(void)
{
	if (getenv(AGAIN))
		_exit(0);
}

int hmm_exec_again(void)
{
	if (setenv(AGAIN, "", 1))
		return -errno;
	execl("/proc/self/exe", "again", NULL);
	return -errno;
}

int hmm_use_all_cpus(void)
{
	cpu_set_t cpus;

	memset(&cpus, 0xff, sizeof(cpus));
	return sched_setaffinity(0, sizeof(cpus), &cpus) ? -errno : 0;
}

int hmm_use_nth_cpu(int n)
{
	cpu_set_t all, one;
	int cpu, ret = hmm_use_all_cpus();

	if (ret)
		return ret;
	if (sched_getaffinity(0, sizeof(all), &all))
		return -errno;
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all) || n--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		return sched_setaffinity(0, sizeof(one), &one) ? -errno : 0;
	}
	return -ENODEV;
}

/* The state is in /proc/PID/stat, behind the name in parentheses. */
char hmm_thread_state(pid_t tid)
{
	char path[64], text[256], *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", tid);
	if (hmm_read_text(path, text, sizeof(text)))
		return 0;
	state = strrchr(text, ')');
	return state && state[1] ? state[2] : 0;
}

/*
 * Wait until @samples samples in a row, at intervals of 1 ms, show the state. A thread that has
 * ended will not get there.
 */
static int is_in_state(const pid_t *tid, char state, int samples)
{
	int i, seen = 0;
	pid_t thread;
	char now;

	for (i = 0; i < PATIENCE_MS && seen < samples; i++) {
		thread = __atomic_load_n(tid, __ATOMIC_SEQ_CST);
		if (thread) {
			now = hmm_thread_state(thread);
			if (!now || now == 'Z' || now == 'X')
				return 0;
			seen = now == state ? seen + 1 : 0;
		}
		usleep(1000);
	}
	return seen == samples;
}

int hmm_thread_waits(const pid_t *tid)
{
	return is_in_state(tid, 'S', 1);
}

int hmm_thread_blocks(const pid_t *tid)
{
	return is_in_state(tid, 'D', 3);
}

int hmm_send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(head), &fd, sizeof(int));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -errno;
}

int hmm_receive_fd(int socket, int flags)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(socket, &msg, flags) != 1 || !CMSG_FIRSTHDR(&msg))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}
