// SPDX-License-Identifier: GPL-2.0
/* One test: its start, its output, its end, and what it left behind. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

/* A failed assertion in a helper can repeat without end in the kselftest harness. */
#define OUTPUT_MAX	(256 << 10)
/* Waking up for each line of output would take longer than most tests. */
#define LOOK_MS		50

struct test {
	const char *name;
	pid_t pid;		/* 0: the server has it */
	int fd;			/* its output; -1 after the end of it */
	long limit_ms;		/* 0: none */
	long deadline;
	size_t bytes;
	int lazy;		/* look at the output every LOOK_MS only */
	int ok, not_ok;		/* it said so */
	int status;		/* of waitpid() */
	int leftovers;		/* processes of it can be left */
	const char *cut_short;	/* why we end it, or NULL */
	char line[LINE_SIZE];
	size_t len;
};

/* A serial line takes 17 us a byte, so leave out what the harness always says. */
static int is_boilerplate(const char *line)
{
	return !strcmp(line, "1..1") || starts_with(line, "TAP version ") ||
	       starts_with(line, "# Starting ") ||
	       starts_with(line, "#            OK ") || starts_with(line, "# PASSED: ") ||
	       starts_with(line, "# Totals: ");
}

/* Is it the name of the test, without the number of the run? */
static int is_name(const struct test *t, const char *text)
{
	size_t len = strcspn(t->name, "@");

	return !strncmp(text, t->name, len) && !text[len];
}

static void end_line(struct test *t)
{
	static const char run[] = "#  RUN ";
	char buf[LINE_SIZE + 4], name[256];
	int n;

	t->line[t->len] = '\0';
	t->len = 0;
	if (t->limit_ms && is_boilerplate(t->line))
		return;
	if (starts_with(t->line, run) &&
	    sscanf(t->line + sizeof(run) - 1, "%255s", name) == 1) {
		if (is_name(t, name))
			return;
		/* a program with many tests: the limit is for each */
		t->lazy = 0;
		t->deadline = now_ms() + t->limit_ms;
		log_begin(name);
	}
	t->not_ok |= starts_with(t->line, "not ok");
	if (t->limit_ms && starts_with(t->line, "ok 1 ") && is_name(t, t->line + 5)) {
		t->ok = 1;
		return;
	}
	n = snprintf(buf, sizeof(buf), "| %s\n", t->line);
	put(buf, n);
}

static void add_output(struct test *t, const char *buf, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (buf[i] == '\n') {
			end_line(t);
			continue;
		}
		if (t->len == sizeof(t->line) - 1)
			end_line(t);
		if (buf[i] != '\r' && buf[i] != '\0')
			t->line[t->len++] = buf[i];
	}
	t->bytes += len;
}

static int is_over_output(const struct test *t)
{
	return t->limit_ms && t->bytes > OUTPUT_MAX;
}

/* Reads the output so far. */
static void read_output(struct test *t)
{
	char buf[LINE_SIZE];
	ssize_t n;

	if (t->fd < 0)
		return;
	while ((n = read(t->fd, buf, sizeof(buf))) > 0) {
		add_output(t, buf, n);
		if (is_over_output(t))
			return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(t->fd);
	t->fd = -1;
}

static void start(struct test *t, char **argv, int serve)
{
	long seconds = t->limit_ms / 1000;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC)) {
		perror("pipe");
		exit(1);
	}
	if (!serve)
		servers_stop();
	if (!serve || server_request(argv[0], argv[1], seconds, fds[1]))
		t->pid = spawn(argv, -1, fds[1], seconds);
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	t->fd = fds[0];
}

static int has_ended(struct test *t)
{
	pid_t pid;

	if (!t->pid)
		return server_answer(&t->status, &t->leftovers);
	if (waitpid(t->pid, &t->status, WNOHANG) != t->pid)
		return 0;
	/* what lost its parent has become our child */
	do {
		pid = waitpid(-1, NULL, WNOHANG);
	} while (pid > 0);
	t->leftovers = !pid;
	return 1;
}

/* Waits until the test ends, goes over its limits, or says something. */
static void wait_for(struct test *t)
{
	long left = t->limit_ms ? t->deadline - now_ms() : 60000;
	struct pollfd fds[2] = {
		{ .fd = t->lazy ? -1 : t->fd, .events = POLLIN },
		{ .fd = t->pid ? -1 : server_fd(), .events = POLLIN },
	};
	struct timespec ts;
	sigset_t none;

	if (left <= 0) {
		t->cut_short = "timeout";
		return;
	}
	if (is_over_output(t)) {
		t->cut_short = "output";
		return;
	}
	if (t->lazy && left > LOOK_MS)
		left = LOOK_MS;
	ts.tv_sec = left / 1000;
	ts.tv_nsec = left % 1000 * 1000000;
	sigemptyset(&none);
	ppoll(fds, 2, &ts, &none);
	read_output(t);
}

static int has_passed(const struct test *t)
{
	return !t->cut_short && WIFEXITED(t->status) && !t->not_ok &&
	       (WEXITSTATUS(t->status) == 0 || WEXITSTATUS(t->status) == 4);
}

/* Returns 0, or -1 if no other test can run here. */
int run_test(const char *name, long seconds, char **argv, int serve)
{
	struct test t = { .name = name, .limit_ms = seconds * 1000, .lazy = options.one_cpu };
	unsigned long taint = machine_taint(), new_taint;
	long begin = now_ms(), ms;
	char how[32], reason[256];
	int survivors = 0;

	machine_before_test();
	log_begin(name);
	say("begin\n");
	t.deadline = begin + t.limit_ms;
	start(&t, argv, serve);
	while (!t.cut_short && !has_ended(&t))
		wait_for(&t);
	if (!t.cut_short)
		read_output(&t);
	if (t.len)
		end_line(&t);
	if (t.fd >= 0)
		close(t.fd);
	ms = now_ms() - begin;

	if (t.cut_short || t.leftovers) {
		servers_forget();
		survivors = kill_leftovers();
	}
	if (t.cut_short)
		snprintf(how, sizeof(how), "%s", t.cut_short);
	else if (t.ok && !t.not_ok && WIFEXITED(t.status) && !WEXITSTATUS(t.status))
		snprintf(how, sizeof(how), "ok");
	else if (WIFSIGNALED(t.status))
		snprintf(how, sizeof(how), "signal %d", WTERMSIG(t.status));
	else
		snprintf(how, sizeof(how), "exit %d", WEXITSTATUS(t.status));
	new_taint = machine_taint();
	if (new_taint != taint)
		say("taint %lu\n", new_taint);
	if (!has_passed(&t) || new_taint != taint)
		test_failed();
	log_end();
	say("end %s %ld ms\n", how, ms);

	if (survivors) {
		describe_survivor(reason, sizeof(reason));
		say("left %s after SIGKILL\n", reason);
		return -1;
	}
	if (has_passed(&t) && new_taint == taint)
		return 0;
	if (machine_is_unchanged(reason, sizeof(reason)))
		return 0;
	say("left %s\n", reason);
	return -1;
}
