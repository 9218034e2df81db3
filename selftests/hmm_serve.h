/* SPDX-License-Identifier: GPL-2.0 */
/*
 * PROGRAM --serve: runs each test that it is asked for in a fork of its own,
 * which is ten times as fast as exec() under emulation. To be included by the
 * file that has main().
 *
 * Standard input is a socket, on which each message is text:
 *
 *	SECONDS TEST		a request, with the descriptor of the test's output
 *	STATUS LEFTOVERS	the answer: what waitpid() said of the test, and 1 if
 *				it left processes, else 0
 *
 * Whoever asks has the time limit, and kills the server when a test exceeds it
 * or leaves processes. Until the fork the server touches as little memory as
 * possible: the test gets a copy of all of it.
 */
#ifndef HMM_SERVE_H
#define HMM_SERVE_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define HMM_REQUEST_MAX		512

/* Returns the length of a request, with the descriptor in @out; 0 if there is none. */
static inline ssize_t hmm_receive(char *request, int *out)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec data = { .iov_base = request, .iov_len = HMM_REQUEST_MAX - 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *header;
	ssize_t length;

	do {
		length = recvmsg(0, &message, 0);
	} while (length < 0 && errno == EINTR);
	header = CMSG_FIRSTHDR(&message);
	if (length <= 0 || !header || header->cmsg_type != SCM_RIGHTS)
		return 0;
	memcpy(out, CMSG_DATA(header), sizeof(int));
	request[length] = '\0';
	return length;
}

/* Waits for the test, and tells of it. What lost its parent is a child of the server. */
static inline void hmm_answer(pid_t test)
{
	char answer[32];
	int status = 0;
	pid_t pid;

	do {
		pid = waitpid(-1, &status, 0);
	} while (pid != test && (pid > 0 || errno == EINTR));
	do {
		pid = waitpid(-1, NULL, WNOHANG);
	} while (pid > 0);
	snprintf(answer, sizeof(answer), "%d %d", status, !pid);
	send(0, answer, strlen(answer), MSG_NOSIGNAL);
}

/* Makes the child what a program is that was started for this test. */
static inline void hmm_become_test(const char *seconds, int out)
{
	setsid();
	dup2(out, 1);
	dup2(out, 2);
	close(out);
	/* the lowest that is free: standard input */
	close(0);
	if (open("/dev/null", O_RDONLY))
		_exit(127);
	setenv("HMM_TEST_SECONDS", seconds, 1);
}

/*
 * Returns in a child for each test, with the test's name; and NULL in the server,
 * at the end of the requests.
 */
static inline char *hmm_serve(void)
{
	static char request[HMM_REQUEST_MAX];
	char *name;
	pid_t pid;
	int out;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	while (hmm_receive(request, &out)) {
		name = strchr(request, ' ');
		if (!name)
			break;
		*name++ = '\0';
		pid = fork();
		if (!pid) {
			hmm_become_test(request, out);
			return name;
		}
		if (pid < 0)
			dprintf(out, "# no process for the test: %s\n", strerror(errno));
		close(out);
		if (pid < 0)
			break;
		hmm_answer(pid);
	}
	return NULL;
}

#endif /* HMM_SERVE_H */
