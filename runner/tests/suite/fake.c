// SPDX-License-Identifier: GPL-2.0
/*
 * Tests that end in every way in which a test can end, for the tests of the
 * runner, which has to tell them apart. Speaks like a kselftest_harness program.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../selftests/hmm_serve.h"

/* Parameters of the stand-in driver: keep it in use; sleep in the kernel for so long. */
#define HELD		"/sys/module/hmmirror/parameters/held"
#define SLEEP_MS	"/sys/module/hmmirror/parameters/sleep_ms"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

static int pass(void)
{
	return 0;
}

static int fail(void)
{
	printf("# fake.c:1:Expected 1 (1) == 2 (2)\n");
	return 1;
}

static int splat(void)
{
	put("/dev/kmsg", "<4>WARNING: CPU: 0 PID: 1 at mm/fake.c:1 fake+0x1/0x2\n");
	put("/dev/kmsg", "<4>Call Trace:\n");
	return 0;
}

/* TAINT_USER, without a word in the log. */
static int taints(void)
{
	put("/proc/sys/kernel/tainted", "64");
	return 0;
}

/* A report of a kind that nobody has heard of. */
static int report(void)
{
	put("/dev/kmsg", "<4>------------[ cut here ]------------\n");
	put("/dev/kmsg", "<4>mirror cracked from side to side\n");
	put("/dev/kmsg", "<4>Call Trace:\n");
	put("/dev/kmsg", "<4> fake+0x1/0x2\n");
	return 0;
}

/* Says that it failed, and does not end so. */
static int lie(void)
{
	printf("not ok 1 fake.lies\n");
	exit(0);
}

/* Fails, and leaves the driver in use. */
static int leaves(void)
{
	put(HELD, "1");
	return fail();
}

/* SIGKILL does not end it. */
static int stuck(void)
{
	put(SLEEP_MS, "20000");
	return 0;
}

/* Passes on a machine on which no other test has left anything. */
static int clean(void)
{
	char held = '0';
	int fd = open(HELD, O_RDONLY);

	if (fd >= 0 && read(fd, &held, 1) != 1)
		perror(HELD);
	close(fd);
	return held == '0' ? 0 : fail();
}

static int lockdep(void)
{
	put("/dev/kmsg", "<4>WARNING: possible circular locking dependency detected\n");
	return 0;
}

static int crash(void)
{
	printf("# the last words\n");
	fflush(stdout);
	usleep(100000);
	put("/proc/sysrq-trigger", "c");
	return 0;
}

/* Nothing but interrupts runs after this: every CPU spins above all else. */
static int freeze(void)
{
	struct sched_param param = { .sched_priority = 99 };
	int cpu, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	put("/proc/sys/kernel/sched_rt_runtime_us", "-1");
	for (cpu = cpus - 1; cpu >= 0; cpu--) {
		if (cpu && fork())
			continue;
		if (!cpu)	/* the others first have to get to their CPUs */
			usleep(300000);
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		sched_setaffinity(0, sizeof(set), &set);
		sched_setscheduler(0, SCHED_FIFO, &param);
		for (;;)
			;
	}
	return 0;
}

static int hang(void)
{
	if (!fork())
		setpgid(0, 0);
	while (pause())
		;
	return 0;
}

static int flood(void)
{
	while (printf("# no end of it\n") > 0)
		;
	return 0;
}

static int die(void)
{
	abort();
}

static int silent(void)
{
	exit(0);
}

/* Kills what forked it; nothing if that is the agent, which would end the guest. */
static int kills_parent(void)
{
	char path[64], name[32];
	FILE *comm;

	snprintf(path, sizeof(path), "/proc/%d/comm", getppid());
	comm = fopen(path, "r");
	if (comm && fgets(name, sizeof(name), comm) && !strcmp(name, "fake\n"))
		kill(getppid(), SIGKILL);
	pause();
	return 0;
}

/* A process in a session of its own that ignores what it can, and passes. */
static int daemons(void)
{
	int i;

	for (i = 0; i < 3; i++) {
		if (fork())
			continue;
		setsid();
		signal(SIGHUP, SIG_IGN);
		signal(SIGTERM, SIG_IGN);
		if (fork())
			_exit(0);
		for (;;)
			pause();
	}
	return 0;
}

static int stops(void)
{
	raise(SIGSTOP);
	return 0;
}

static int closes(void)
{
	int fd;

	for (fd = 0; fd < 1024; fd++)
		close(fd);
	return 0;
}

/* What a test finds when it starts. */
static int tells(void)
{
	char file[64] = "";
	int fd;

	if (readlink("/proc/self/fd/0", file, sizeof(file) - 1) < 0)
		perror("stdin");
	fd = dup(0);
	printf("# parent %d\n", getppid());
	printf("# %s seconds\n", getenv("HMM_TEST_SECONDS"));
	printf("# stdin %s, next descriptor %d\n", file, fd);
	printf("# session %s\n", getsid(0) == getpid() ? "of its own" : "of others");
	return 0;
}

static int skip(void)
{
	return 4;
}

static int cmdline_has(const char *word)
{
	char buf[4096];
	int fd = open("/proc/cmdline", O_RDONLY);
	ssize_t n = read(fd, buf, sizeof(buf) - 1);

	close(fd);
	buf[n > 0 ? n : 0] = '\0';
	return !!strstr(buf, word);
}

/* Every third time in a guest. */
static int flaky(void)
{
	char name[] = "/tmp/third.0";
	int i, fd;

	for (i = 0; i < 3; i++, name[sizeof(name) - 2]++) {
		fd = open(name, O_CREAT | O_EXCL, 0600);
		if (fd < 0)
			continue;
		close(fd);
		return i == 2 ? fail() : 0;
	}
	return 0;
}

/* For a test that fails only after this one, in the same guest. */
static int marks(void)
{
	close(open("/tmp/marked", O_CREAT, 0600));
	return 0;
}

static int fails_after_marks(void)
{
	return access("/tmp/marked", F_OK) ? 0 : fail();
}

static int fails_in_some(void)
{
	if (cmdline_has("fake=splat"))
		return splat();
	if (cmdline_has("fake=crash"))
		return crash();
	if (cmdline_has("fake=flaky"))
		return flaky();
	return cmdline_has("fake=fail") ? fail() : 0;
}

static int skips_in_some(void)
{
	return cmdline_has("fake=skip") ? 4 : 0;
}

static const struct {
	const char *name;
	int (*run)(void);
} tests[] = {
	{ "fake.pass", pass },
	{ "fake.fail", fail },
	{ "fake.skip", skip },
	{ "fake.splat", splat },
	{ "fake.lockdep", lockdep },
	{ "fake.crash", crash },
	{ "fake.freeze", freeze },
	{ "fake.hang", hang },
	{ "fake.flood", flood },
	{ "fake.die", die },
	{ "fake.silent", silent },
	{ "fake.lies", lie },
	{ "fake.taints", taints },
	{ "fake.report", report },
	{ "agent.kills_parent", kills_parent },
	{ "agent.daemons", daemons },
	{ "agent.stops", stops },
	{ "agent.closes", closes },
	{ "agent.stuck", stuck },
	{ "agent.tells", tells },
	{ "again.marks", marks },
	{ "again.fails", fails_after_marks },
	{ "cell.fails", fails_in_some },
	{ "cell.skips", skips_in_some },
	{ "fake.leaves", leaves },
	{ "last.pass", pass },
	{ "last.clean", clean },
};

int main(int argc, char **argv)
{
	char *name = argc > 1 ? argv[1] : NULL;
	unsigned int i;
	int ret;

	if (name && !strcmp(name, "--serve")) {
		name = hmm_serve();
		if (!name)
			return 0;
	}
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		if (!name || !strcmp(name, "--list")) {
			printf("%s\n", tests[i].name);
			continue;
		}
		if (strcmp(name, tests[i].name))
			continue;
		printf("TAP version 13\n1..1\n#  RUN           %s ...\n", tests[i].name);
		fflush(stdout);
		ret = tests[i].run();
		if (ret == 4)
			printf("ok 1 # SKIP no such thing here\n");
		else
			printf("%s 1 %s\n", ret ? "not ok" : "ok", tests[i].name);
		return ret == 4 ? 0 : ret;
	}
	return 0;
}
