// SPDX-License-Identifier: GPL-2.0
/*
 * Runs the tests of a plan one by one and tells the host about each.
 *
 * agent [-g] [-1] OUT PLAN: a line of PLAN is
 * "seconds<TAB>name<TAB>program[<TAB>arg]..."; 0 seconds is no limit, neither of
 * time nor of output. With -g nothing else lives in this guest, and whatever a
 * test leaves behind is killed. With -1 we and the tests start out on one CPU, and
 * what a program with one test says is looked at now and then: going back and forth
 * takes half of the time under emulation. To OUT go
 *
 *	begin NAME
 *	| a line of its output
 *	end exit N | signal N | timeout | output, then " MS ms"
 *
 * "agent -t", on the host, prints how many kHz the TSC has: an emulated one has as
 * many, and a guest that finds out by itself on a busy machine can be wrong by far.
 *
 * One process a test, so that a test that dies takes nothing with it. A program
 * that runs many tests itself ("#  RUN  name ...") has the limit for each.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

/* An assertion in a helper can repeat for ever in the kselftest harness. */
#define OUTPUT_MAX	(256 << 10)
#define ARGS_MAX	64
/* To wake up for each line of output would cost more than most tests. */
#define LOOK_MS		50
#define LINE_SIZE	4096

static int out_fd, kmsg_fd, alone, one_cpu;

struct test {
	const char *name;
	pid_t pid;
	long limit_ms;
	long deadline;
	size_t bytes;
	int lazy;	/* it is one test, whose lines need not be told of at once */
	char line[LINE_SIZE];
	size_t len;
};

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void put(int fd, const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		buf += n;
		len -= n;
	}
}

static void say(const char *format, ...)
{
	char buf[LINE_SIZE];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(buf, sizeof(buf), format, ap);
	va_end(ap);
	put(out_fd, buf, n < (int)sizeof(buf) ? n : (int)sizeof(buf) - 1);
}

/* On the console too, so that a splat can be told to belong to a test. */
static void mark(const char *name)
{
	char buf[512];
	int n = snprintf(buf, sizeof(buf), "<4>hmmirror-test: begin %s\n", name);

	if (n > 0 && n < (int)sizeof(buf) && write(kmsg_fd, buf, n) < 0)
		errno = 0;	/* no console: splats go by the time only */
}

static int starts(const char *line, const char *with)
{
	return !strncmp(line, with, strlen(with));
}

/* A serial line takes 17 us a byte, so what the harness says anyway is left out. */
static int boilerplate(const char *line)
{
	return !strcmp(line, "1..1") || starts(line, "TAP version ") ||
	       starts(line, "# Starting ") ||
	       starts(line, "#            OK ") || starts(line, "# PASSED: ") ||
	       starts(line, "# Totals: ");
}

static void end_line(struct test *t)
{
	static const char run[] = "#  RUN ";
	char buf[LINE_SIZE + 4], name[256];
	int n;

	t->line[t->len] = '\0';
	t->len = 0;
	if (t->limit_ms && boilerplate(t->line))
		return;
	if (starts(t->line, run) &&
	    sscanf(t->line + sizeof(run) - 1, "%255s", name) == 1) {
		if (!strcmp(name, t->name))
			return;
		t->lazy = 0;
		t->deadline = now_ms() + t->limit_ms;
		mark(name);
	}
	if (starts(t->line, "ok 1 ") && !strcmp(t->line + 5, t->name))
		t->line[4] = '\0';
	n = snprintf(buf, sizeof(buf), "| %s\n", t->line);
	put(out_fd, buf, n);
}

static void take(struct test *t, const char *buf, size_t len)
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

/* Reads what there is. Returns 0 at the end of the output. */
static int drain(struct test *t, int fd)
{
	char buf[LINE_SIZE];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		take(t, buf, n);
		if (t->limit_ms && t->bytes > OUTPUT_MAX)
			return 1;
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

/*
 * The harness puts each test into a process group of its own, so the group of
 * the program is not enough. What lost its parent has become our child.
 */
static void kill_children(void)
{
	char path[64], buf[LINE_SIZE], *p, *end;
	ssize_t n;
	long pid;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	for (p = buf; (pid = strtol(p, &end, 10)) > 0; p = end)
		kill(pid, SIGKILL);
}

static void kill_all(pid_t pid)
{
	if (alone)
		kill(-1, SIGKILL);
	else
		kill(-pid, SIGKILL);
	kill(pid, SIGKILL);
}

/* Waits for all of them, the children of the killed too. */
static void reap_all(void)
{
	pid_t pid;

	do {
		if (!alone)
			kill_children();
		pid = waitpid(-1, NULL, alone ? WNOHANG : 0);
	} while (pid > 0 || (pid < 0 && errno == EINTR));
}

static void start(struct test *t, char **argv, int *fd)
{
	int p[2], null;
	char seconds[24];
	sigset_t none;

	if (pipe2(p, O_CLOEXEC)) {
		perror("pipe");
		exit(1);
	}
	/* half of the time of fork(), and all that the child does is to become another program */
	t->pid = vfork();
	if (t->pid < 0) {
		perror("vfork");
		exit(1);
	}
	if (!t->pid) {
		setsid();
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		null = open("/dev/null", O_RDONLY);
		if (null >= 0)
			dup2(null, 0);
		dup2(p[1], 1);
		dup2(p[1], 2);
		/* the harness has a limit of its own, half a minute, which is too short here */
		snprintf(seconds, sizeof(seconds), "%ld", t->limit_ms / 1000);
		setenv("HMM_TEST_SECONDS", seconds, 1);
		execv(argv[0], argv);
		dprintf(2, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(p[1]);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	*fd = p[0];
}

static void run(const char *name, long seconds, char **argv)
{
	struct test t = { .name = name, .limit_ms = seconds * 1000, .lazy = one_cpu };
	const char *over = NULL;
	long begin = now_ms(), left;
	struct timespec ts;
	struct pollfd pfd;
	sigset_t none;
	int status = 0, fd, open = 1;
	char how[32];
	pid_t pid;

	say("begin %s\n", name);
	mark(name);
	t.deadline = begin + t.limit_ms;
	start(&t, argv, &fd);
	sigemptyset(&none);
	for (;;) {
		pid = waitpid(t.pid, &status, WNOHANG);
		if (pid == t.pid)
			break;
		left = t.limit_ms ? t.deadline - now_ms() : 60000;
		if (left <= 0)
			over = "timeout";
		if (t.limit_ms && t.bytes > OUTPUT_MAX)
			over = "output";
		if (over) {
			kill_all(t.pid);
			waitpid(t.pid, &status, 0);
			break;
		}
		if (t.lazy && left > LOOK_MS)
			left = LOOK_MS;
		pfd.fd = open && !t.lazy ? fd : -1;
		pfd.events = POLLIN;
		ts.tv_sec = left / 1000;
		ts.tv_nsec = left % 1000 * 1000000;
		/* SIGCHLD is let in only here, so that none is missed */
		ppoll(&pfd, 1, &ts, &none);
		if (open)
			open = drain(&t, fd);
	}
	if (over)
		snprintf(how, sizeof(how), "%s", over);
	else if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d", WTERMSIG(status));
	else
		snprintf(how, sizeof(how), "exit %d", WEXITSTATUS(status));
	if (!over)
		drain(&t, fd);
	if (t.len)
		end_line(&t);
	close(fd);
	left = now_ms() - begin;
	if (alone)
		kill(-1, SIGKILL);
	reap_all();
	say("end %s %ld ms\n", how, left);
}

#ifdef __x86_64__
struct instant {
	unsigned long long tsc;
	long long ns;
};

/* The closest of some looks at both clocks. */
static struct instant look(void)
{
	unsigned long long before, after, best = -1ULL;
	struct instant now = { 0 };
	struct timespec ts;
	int i;

	for (i = 0; i < 100; i++) {
		before = __builtin_ia32_rdtsc();
		clock_gettime(CLOCK_MONOTONIC_RAW, &ts);
		after = __builtin_ia32_rdtsc();
		if (after - before < best) {
			best = after - before;
			now.tsc = before + best / 2;
			now.ns = ts.tv_sec * 1000000000LL + ts.tv_nsec;
		}
	}
	return now;
}

static int print_tsc(void)
{
	struct instant from = look(), to;

	usleep(30000);
	to = look();
	printf("%llu\n", (to.tsc - from.tsc) * 1000000 / (to.ns - from.ns));
	return 0;
}
#else
static int print_tsc(void)
{
	return 1;
}
#endif

/* With its first report lockdep turns itself off, until the next boot. */
static int lockdep_is_off(void)
{
	FILE *stats = fopen("/proc/lockdep_stats", "re");
	char line[256];
	int on = 1;

	if (!stats)
		return 0;
	while (fgets(line, sizeof(line), stats))
		if (strstr(line, "debug_locks:"))
			on = atoi(strchr(line, ':') + 1);
	fclose(stats);
	return !on;
}

static void on_child(int sig)
{
	(void)sig;
}

int main(int argc, char **argv)
{
	char *line = NULL, *args[ARGS_MAX + 1], *name, *p;
	struct sigaction sa = { .sa_handler = on_child };
	struct termios tio;
	cpu_set_t cpus;
	sigset_t chld;
	size_t size = 0;
	ssize_t len;
	long seconds;
	FILE *plan;
	int n, was_off;

	while ((n = getopt(argc, argv, "g1t")) != -1) {
		if (n == 't')
			return print_tsc();
		alone |= n == 'g';
		one_cpu |= n == '1';
	}
	if (argc - optind != 2) {
		fprintf(stderr, "usage: agent [-g] [-1] OUT PLAN | -t\n");
		return 2;
	}
	argv += optind - 1;
	out_fd = open(argv[1], O_WRONLY | O_CLOEXEC | O_NOCTTY);
	plan = fopen(argv[2], "re");
	if (out_fd < 0 || !plan) {
		perror(out_fd < 0 ? argv[1] : argv[2]);
		return 2;
	}
	kmsg_fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	if (!tcgetattr(out_fd, &tio)) {
		cfmakeraw(&tio);
		tcsetattr(out_fd, TCSANOW, &tio);
	}
	if (one_cpu) {
		CPU_ZERO(&cpus);
		CPU_SET(0, &cpus);
		sched_setaffinity(0, sizeof(cpus), &cpus);
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	was_off = lockdep_is_off();
	while ((len = getline(&line, &size, plan)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		p = line;
		seconds = atol(strsep(&p, "\t"));
		name = strsep(&p, "\t");
		for (n = 0; p && n < ARGS_MAX; n++)
			args[n] = strsep(&p, "\t");
		args[n] = NULL;
		if (n)
			run(name, seconds, args);
		/* the rest is for a guest that has it */
		if (!was_off && lockdep_is_off()) {
			say("lockdep off\n");
			break;
		}
	}
	return 0;
}
