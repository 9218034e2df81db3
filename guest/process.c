// SPDX-License-Identifier: GPL-2.0
/* Starts processes, and kills those that a test leaves behind. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

/* A process that is still there so long after SIGKILL hangs in the kernel. */
#define KILL_MS		2000

#define LIMIT_NAME	"HMM_TEST_SECONDS="

/*
 * The environment with the test's time limit, which replaces the shorter one of
 * the kselftest harness. The child of vfork() shares our memory, so it cannot
 * call setenv().
 */
static char **environment(long seconds)
{
	static char limit[sizeof(LIMIT_NAME) + 24], **env;
	int i, n;

	if (!env) {
		for (n = 0; environ[n]; n++)
			;
		env = calloc(n + 2, sizeof(*env));
		if (!env) {
			perror("calloc");
			exit(1);
		}
		env[0] = limit;
		for (i = 0, n = 1; environ[i]; i++)
			if (!starts_with(environ[i], LIMIT_NAME))
				env[n++] = environ[i];
	}
	snprintf(limit, sizeof(limit), LIMIT_NAME "%ld", seconds);
	return env;
}

/*
 * Starts a program in a session of its own. @in is its standard input, or -1 for
 * /dev/null; @out its standard output and error.
 */
pid_t spawn(char **argv, int in, int out, long seconds)
{
	char **env = environment(seconds);
	sigset_t none;
	int null;
	pid_t pid;

	/* vfork() takes half of the time of fork() under emulation */
	pid = vfork();
	if (pid < 0) {
		perror("vfork");
		exit(1);
	}
	if (pid)
		return pid;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	null = in < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	dup2(in < 0 ? null : in, 0);
	dup2(out, 1);
	dup2(out, 2);
	execve(argv[0], argv, env);
	dprintf(2, "%s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

/* Reads /proc/PID/stat: 0 if the process has gone. */
static int read_stat(const char *pid, char *name, char *state, int *parent)
{
	char path[300], buf[256], *end;
	ssize_t n = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		n = read(fd, buf, sizeof(buf) - 1);
		close(fd);
	}
	if (n <= 0)
		return 0;
	buf[n] = '\0';
	/* "1 (name) S 0 ...", where the name can have any character */
	end = strrchr(buf, ')');
	if (!end || sscanf(end, ") %c %d", state, parent) != 2)
		return 0;
	*end = '\0';
	snprintf(name, 32, "%s", strchr(buf, '(') + 1);
	return 1;
}

/*
 * Sends @sig to each of our children that is alive. What lost its parent has
 * become our child. Describes the last of them in @text.
 */
static void signal_children(int sig, char *text, size_t size)
{
	struct dirent *entry;
	char name[32], state;
	DIR *proc = opendir("/proc");
	int parent;

	while (proc && (entry = readdir(proc))) {
		if (*entry->d_name < '1' || *entry->d_name > '9' ||
		    !read_stat(entry->d_name, name, &state, &parent) ||
		    parent != getpid() || state == 'Z')
			continue;
		if (text)
			snprintf(text, size, "process %s (%s) in state %c", entry->d_name, name,
				 state);
		kill(atoi(entry->d_name), sig);
	}
	if (proc)
		closedir(proc);
}

/* Kills and reaps every process but our own. Returns 0, or -1 if one survives. */
int kill_leftovers(void)
{
	struct timespec moment = { .tv_nsec = 20 * 1000 * 1000 };
	long limit = now_ms() + KILL_MS;
	sigset_t chld;
	pid_t pid;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	for (;;) {
		if (options.alone)
			kill(-1, SIGKILL);
		else
			signal_children(SIGKILL, NULL, 0);
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return 0;
		if (now_ms() > limit)
			return -1;
		/* the children of those that died become ours only then */
		sigtimedwait(&chld, NULL, &moment);
	}
}

/* The process that made kill_leftovers() fail. */
void describe_survivor(char *text, size_t size)
{
	snprintf(text, size, "a process");
	signal_children(0, text, size);
}
