// SPDX-License-Identifier: GPL-2.0
/*
 * Runs tests for the host, one after another.
 *
 *	agent [-g] [-1] [-s SEED] LINE [FILE]
 *
 * LINE is a serial line, or "-" for standard input and output. Commands come in
 * on it, or from FILE, one a line, with tabs between the words:
 *
 *	run SECONDS NAME PROGRAM [ARG]...	start PROGRAM
 *	fork SECONDS NAME [PROGRAM]		the same as "run SECONDS NAME PROGRAM
 *						NAME", by a fork of a PROGRAM that
 *						is running already; without one the
 *						PROGRAM of the "fork" before it
 *	write FILE TEXT				write TEXT into FILE
 *	read FILE				answer with the first line of FILE
 *	quit					exit
 *
 * A NAME that ends with "@N" is the Nth run of a test; the program is given the
 * name without that.
 *
 * 0 seconds: neither the time nor the output is limited. The answers go out on
 * it:
 *
 *	ready N				a serial line loses what is sent earlier; N is
 *					/proc/sys/kernel/tainted
 *	begin			the next test; the host knows which
 *	| a line of output, but for "ok 1 NAME"
 *	taint N				the test changed /proc/sys/kernel/tainted
 *	end ok | exit N | signal N | timeout | output, then " MS ms"
 *				ok: it said "ok 1 NAME", and exited with 0
 *	left REASON			the test failed, and its traces can fail
 *					others: this machine runs no more tests
 *	lockdep off			lockdep reported something: likewise
 *	text LINE			the answer to "read"
 *	no FILE: REASON			"write" or "read" failed
 *
 * The host may send the command after a "begin": it stays in the buffer of the
 * line until the test has ended, and no time is lost. Under emulation a byte on
 * a serial line takes as long as a thousand instructions, so there are few.
 *
 * If the kernel logged something under a test, the agent writes "hmmirror-test:
 * under NAME" to the kernel log after it: what has come since the mark before
 * belongs to that test.
 *
 * Each test has a process of its own, so that a crash costs one verdict. With
 * -g the agent kills every other process after a test that leaves some behind.
 * With -1 the agent and the tests start on one CPU: under emulation a switch
 * between CPUs takes half of the time of a short test. With -s tasks take turns
 * where the seed says, see schedule.c.
 *
 * "agent -t" prints the frequency of the TSC in kHz, for the host: a guest that
 * measures it on a busy machine can be far off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define ARGS_MAX	64

struct options options;

static int line_fd = 1;

long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int starts_with(const char *line, const char *start)
{
	return !strncmp(line, start, strlen(start));
}

/* To the host. */
void put(const char *buf, size_t len)
{
	while (len) {
		ssize_t n = write(line_fd, buf, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		buf += n;
		len -= n;
	}
}

void say(const char *format, ...)
{
	char buf[LINE_SIZE];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(buf, sizeof(buf), format, ap);
	va_end(ap);
	put(buf, n < (int)sizeof(buf) ? n : (int)sizeof(buf) - 1);
}

/* lockdep turns itself off with its first report, until the next boot. */
static int lockdep_is_on(void)
{
	FILE *stats = fopen("/proc/lockdep_stats", "re");
	char line[256];
	int on = 0;

	if (!stats)
		return 0;
	while (fgets(line, sizeof(line), stats))
		if (strstr(line, "debug_locks:"))
			on = atoi(strchr(line, ':') + 1);
	fclose(stats);
	return on;
}

/* Returns a stream of commands. */
static FILE *open_line(const char *path)
{
	struct termios tio;

	if (!strcmp(path, "-"))
		return stdin;
	line_fd = open(path, O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (line_fd < 0)
		return NULL;
	if (!tcgetattr(line_fd, &tio)) {
		cfmakeraw(&tio);
		tio.c_cflag |= CLOCAL | CREAD;
		tcsetattr(line_fd, TCSANOW, &tio);
	}
	return fdopen(line_fd, "r");
}

static void stay_on_one_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
}

static void on_child(int sig)
{
	(void)sig;
}

/* SIGCHLD interrupts ppoll() and nothing else, so that none is missed. */
static void catch_children(void)
{
	struct sigaction sa = { .sa_handler = on_child };
	sigset_t chld;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
}

/*
 * Runs the test of a "fork", whose words are its name and its program, or only
 * its name. Returns what run_test() does.
 */
static int run_forked(const char *name, long seconds, char *program)
{
	static char last[LINE_SIZE];
	char test[LINE_SIZE], *argv[3] = { last, test };

	if (program)
		snprintf(last, sizeof(last), "%s", program);
	snprintf(test, sizeof(test), "%.*s", (int)strcspn(name, "@"), name);
	return run_test(name, seconds, argv, 1);
}

static int bad_command(void)
{
	fprintf(stderr, "agent: a command that it does not know\n");
	return 2;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		say("no %s: %s\n", path, strerror(errno));
	if (fd >= 0)
		close(fd);
}

static void read_file(const char *path)
{
	char text[LINE_SIZE - 8];	/* with "text " in front */
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n < 0) {
		say("no %s: %s\n", path, strerror(errno));
	} else {
		text[n] = '\0';
		text[strcspn(text, "\n")] = '\0';
		say("text %s\n", text);
	}
	if (fd >= 0)
		close(fd);
}

/*
 * Not where it is called, so that it is not inlined. No other program has code at its address (see
 * runner/programs.py): a debugger that had to look whether a stop is meant would take time from
 * the guest, and a run that is to repeat would go on in another way.
 */
void test_failed(void)
{
	asm volatile("" ::: "memory");
}

/* Returns the exit status. */
static int serve_host(FILE *commands)
{
	char *line = NULL, *args[ARGS_MAX + 1], *verb, *seconds, *name, *p;
	int lockdep_was_on = lockdep_is_on(), forks, n, lost;
	size_t size = 0;
	ssize_t len;

	while ((len = getline(&line, &size, commands)) > 0) {
		if (line[len - 1] == '\n')
			line[len - 1] = '\0';
		p = line;
		verb = strsep(&p, " ");
		if (!strcmp(verb, "quit"))
			break;
		if (!strcmp(verb, "write") || !strcmp(verb, "read")) {
			name = strsep(&p, "\t");
			if (!name || !p != !strcmp(verb, "read"))
				return bad_command();
			if (p)
				write_file(name, p);
			else
				read_file(name);
			continue;
		}
		seconds = strsep(&p, "\t");
		name = strsep(&p, "\t");
		for (n = 0; p && n < ARGS_MAX; n++)
			args[n] = strsep(&p, "\t");
		args[n] = NULL;
		forks = !strcmp(verb, "fork");
		if (!name || p || (forks ? n > 1 : !n || strcmp(verb, "run")))
			return bad_command();
		if (forks)
			lost = run_forked(name, atol(seconds), args[0]);
		else
			lost = run_test(name, atol(seconds), args, 0);
		if (lost) {
			/* whoever runs the guest ends it; a host has nothing to wait for */
			while (line_fd != 1)
				pause();
			break;
		}
		/* the host gives the other tests to a guest that has lockdep */
		if (lockdep_was_on && !lockdep_is_on()) {
			say("lockdep off\n");
			break;
		}
	}
	servers_stop();
	return 0;
}

int main(int argc, char **argv)
{
	const char *seed = NULL;
	FILE *commands;
	int option;

	while ((option = getopt(argc, argv, "g1s:t")) != -1) {
		if (option == 't')
			return print_tsc();
		if (option == 's')
			seed = optarg;
		options.alone |= option == 'g';
		options.one_cpu |= option == '1';
	}
	if (argc - optind < 1 || argc - optind > 2) {
		fprintf(stderr, "usage: agent [-g] [-1] [-s SEED] LINE [FILE] | -t\n");
		return 2;
	}
	commands = open_line(argv[optind]);
	if (commands && argc - optind == 2)
		commands = fopen(argv[++optind], "re");
	if (!commands) {
		perror(argv[optind]);
		return 2;
	}
	log_open();
	if (options.one_cpu)
		stay_on_one_cpu();
	catch_children();
	if (seed && schedule_begin(strtoul(seed, NULL, 0))) {
		perror("threads for a schedule");
		return 2;
	}
	machine_remember();
	say("ready %lu\n", machine_taint());
	return serve_host(commands);
}
