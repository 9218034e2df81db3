// SPDX-License-Identifier: GPL-2.0
/*
 * The other programs at the same time: processes that are killed, random calls, and data
 * that is compared while memory is short and CPUs and memory go offline. What each program
 * checks when it is alone is checked when all have ended.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

/* Of KSFT_SKIP. */
#define SKIPPED		4

static struct {
	const char *name;
	pid_t pid;
	FILE *output;
} programs[] = {
	{ .name = "kill" },
	{ .name = "fuzz" },
	{ .name = "pressure" },
};

static void start(const struct stress *stress, char *folder, __u64 seed, size_t i)
{
	char path[PATH_MAX], number[24], seconds[24];
	int fds[2];

	if (pipe(fds))
		stress_fail(stress, "pipe: %s", strerror(errno));
	fflush(stdout);
	programs[i].pid = fork();
	if (programs[i].pid < 0)
		stress_fail(stress, "fork: %s", strerror(errno));
	if (!programs[i].pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(fds[1], 1);
		close(fds[0]);
		close(fds[1]);
		snprintf(path, sizeof(path), "%s/%s", folder, programs[i].name);
		snprintf(number, sizeof(number), "%llu", seed);
		snprintf(seconds, sizeof(seconds), "%ld", (stress->end_ms - stress_now()) / 1000);
		execl(path, path, number, seconds, NULL);
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		_exit(127);
	}
	close(fds[1]);
	programs[i].output = fdopen(fds[0], "r");
	if (!programs[i].output)
		stress_fail(stress, "fdopen: %s", strerror(errno));
}

/* Print a program's output, up to its verdict: that is part of ours. */
static int ended_well(size_t i)
{
	char *line = NULL;
	size_t size = 0;
	int status = 0;

	while (getline(&line, &size, programs[i].output) > 0)
		if (line[0] == '#')
			printf("%s", line);
	free(line);
	fclose(programs[i].output);
	while (waitpid(programs[i].pid, &status, 0) < 0 && errno == EINTR)
		;
	if (WIFEXITED(status) && (!WEXITSTATUS(status) || WEXITSTATUS(status) == SKIPPED))
		return 1;
	printf("# %s: wait status 0x%x\n", programs[i].name, status);
	return 0;
}

int main(int argc, char **argv)
{
	struct stress stress;
	int well = 1;
	__u64 random;
	size_t i;

	stress_begin(&stress, "stress.soak", argc, argv);
	random = stress.seed;
	stress_empty(&stress);
	setenv(STRESS_TOGETHER, "1", 1);
	for (i = 0; i < ARRAY_SIZE(programs); i++)
		start(&stress, dirname(strdupa(argv[0])), stress_random(&random), i);
	/* in the end the devices must be unused again */
	unsetenv(STRESS_TOGETHER);
	/* a pipe has room for more than any of them prints */
	for (i = 0; i < ARRAY_SIZE(programs); i++)
		well &= ended_well(i);
	stress_reap();
	if (!well)
		stress_fail(&stress, "one of them failed");
	stress_empty(&stress);
	stress_ok(&stress, "all of them ended well, and the devices are empty");
}
