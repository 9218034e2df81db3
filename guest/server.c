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
 * Each program has a server of its own, which stays: in shuffled order every test
 * is one of another program. A server can die at any moment: a test can kill its
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

/* More programs than the suite has. If there are even more, all servers start anew. */
#define SERVERS_MAX	128

struct server {
	pid_t pid;	/* 0 if there is none */
	int fd;
	char program[256];
};

static struct server servers[SERVERS_MAX];
/* of the current test */
static struct server *current = servers;

static void forget(struct server *server)
{
	if (!server->pid)
		return;
	server->pid = 0;
	close(server->fd);
}

static void stop(struct server *server)
{
	if (!server->pid)
		return;
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	forget(server);
}

/* The server of @program, or a place for it. */
static struct server *find(const char *program)
{
	int i;

	for (i = 0; i < SERVERS_MAX; i++)
		if (servers[i].pid && !strcmp(servers[i].program, program))
			return &servers[i];
	for (i = 0; i < SERVERS_MAX; i++)
		if (!servers[i].pid)
			return &servers[i];
	servers_stop();
	return servers;
}

/* Returns 0, or -1 if the kernel has no such sockets. */
static int start(char *program, long seconds, int out)
{
	char serve[] = "--serve";
	char *argv[3] = { program, serve };
	int sockets[2];

	if (strlen(program) >= sizeof(current->program) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets))
		return -1;
	/* the first test also gets what the program says when it starts */
	current->pid = spawn(argv, sockets[1], out, seconds);
	close(sockets[1]);
	current->fd = sockets[0];
	strcpy(current->program, program);
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
	return sendmsg(current->fd, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

/*
 * Has @test of @program run, with @out as its output, and starts the server if
 * need be. Returns 0, and server_answer() tells the rest; or -1 if there can be
 * no server.
 */
int server_request(char *program, const char *test, long seconds, int out)
{
	current = find(program);
	if (current->pid) {
		if (!send_request(test, seconds, out))
			return 0;
		/* it died since the last test */
		stop(current);
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
	ssize_t n = recv(current->fd, text, sizeof(text) - 1, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	text[n > 0 ? n : 0] = '\0';
	if (sscanf(text, "%d %d", status, leftovers) == 2)
		return 1;
	/* killing it again has no effect if it is dead */
	kill(current->pid, SIGKILL);
	waitpid(current->pid, status, 0);
	forget(current);
	*leftovers = 1;
	return 1;
}

/* What to poll for an answer. */
int server_fd(void)
{
	return current->fd;
}

/* Somebody else kills and reaps the servers. */
void servers_forget(void)
{
	int i;

	for (i = 0; i < SERVERS_MAX; i++)
		forget(&servers[i]);
}

void servers_stop(void)
{
	int i;

	for (i = 0; i < SERVERS_MAX; i++)
		stop(&servers[i]);
}
