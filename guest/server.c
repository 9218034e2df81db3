// SPDX-License-Identifier: GPL-2.0
/*
 * The test server: "PROGRAM --serve" forks a process for each test that it is
 * asked for. Under emulation that takes a tenth of the time of exec(). Its
 * standard input is a socket, on which each message is text:
 *
 *	SECONDS TEST		a request, with the descriptor of the test's output
 *	STATUS LEFTOVERS	the answer: what waitpid() said of the test, and 1 if
 *				it left processes, else 0
 *
 * There is one server at a time. It can die at any moment: a test can kill its
 * parent.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"

static struct {
	pid_t pid;	/* 0 if there is none */
	int fd;
	char program[LINE_SIZE];
} server;

/* Returns 0, or -1 if the kernel has no such sockets. */
static int start(char *program, long seconds, int out)
{
	char serve[] = "--serve";
	char *argv[3] = { program, serve };
	int sockets[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -1;
	/* the first test also gets what the program says when it starts */
	server.pid = spawn(argv, sockets[1], out, seconds);
	close(sockets[1]);
	server.fd = sockets[0];
	snprintf(server.program, sizeof(server.program), "%s", program);
	return 0;
}

static int send_request(const char *test, long seconds, int out)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { 0 };
	char text[LINE_SIZE];
	struct iovec data = { .iov_base = text };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	data.iov_len = snprintf(text, sizeof(text), "%ld %s", seconds, test);
	if (data.iov_len >= sizeof(text))
		data.iov_len = sizeof(text) - 1;
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &out, sizeof(int));
	return sendmsg(server.fd, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/*
 * Has @test of @program run, with @out as its output, and starts the server if
 * need be. Returns 0, and server_answer() tells the rest; or -1 if there can be
 * no server.
 */
int server_request(char *program, const char *test, long seconds, int out)
{
	if (server.pid && strcmp(server.program, program))
		server_stop();
	if (server.pid) {
		if (!send_request(test, seconds, out))
			return 0;
		/* it died since the last test */
		server_stop();
	}
	if (start(program, seconds, out))
		return -1;
	/* if this fails the server is dead, and server_answer() says of what */
	send_request(test, seconds, out);
	return 0;
}

/*
 * Returns 1 if the test has ended, else 0. If the server died, its status is
 * taken for the test's.
 */
int server_answer(int *status, int *leftovers)
{
	char text[64];
	ssize_t n = recv(server.fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%d %d", status, leftovers) == 2)
		return 1;
	/* killing it again has no effect if it is dead */
	kill(server.pid, SIGKILL);
	waitpid(server.pid, status, 0);
	server_forget();
	*leftovers = 1;
	return 1;
}

/* What to poll for an answer. */
int server_fd(void)
{
	return server.fd;
}

/* Somebody else kills and reaps the server. */
void server_forget(void)
{
	if (!server.pid)
		return;
	server.pid = 0;
	close(server.fd);
}

void server_stop(void)
{
	if (!server.pid)
		return;
	kill(server.pid, SIGKILL);
	waitpid(server.pid, NULL, 0);
	server_forget();
}
