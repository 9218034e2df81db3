// SPDX-License-Identifier: GPL-2.0
/* What the stress programs share: arguments, random numbers, verdicts. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "stress.h"

#define EMPTY_MS	5000

long stress_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int stress_over(const struct stress *stress)
{
	return stress_now() >= stress->end_ms;
}

void stress_begin(struct stress *stress, const char *name, int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: %s SEED SECONDS [EXTRA]...\n", argv[0]);
		exit(2);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	stress->name = name;
	stress->seed = strtoull(argv[1], NULL, 0);
	stress->end_ms = stress_now() + atol(argv[2]) * 1000;
	stress->extra = argv + 3;
	/* also wait for grandchildren */
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
}

/* splitmix64: any seed will do */
__u64 stress_random(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

unsigned int stress_below(__u64 *state, unsigned int limit)
{
	return stress_random(state) % limit;
}

void stress_ok(const struct stress *stress, const char *format, ...)
{
	va_list ap;

	printf("# %s: ", stress->name);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\nok 1 %s\n", stress->name);
	exit(0);
}

void stress_fail(const struct stress *stress, const char *format, ...)
{
	va_list ap;

	printf("# %s: ", stress->name);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\nnot ok 1 %s\n", stress->name);
	exit(1);
}

void stress_skip(const struct stress *stress, const char *format, ...)
{
	va_list ap;

	printf("ok 1 %s # SKIP ", stress->name);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	printf("\n");
	exit(4);
}

long stress_used(unsigned int device)
{
	struct hmmirror_stats stats;
	int fd = hmm_open(device), ret;

	if (fd < 0)
		return fd;
	ret = hmm_stats(fd, 0, &stats);
	close(fd);
	return ret ? ret : (long)(stats.device_pages - stats.device_pages_free);
}

void stress_empty(const struct stress *stress)
{
	long limit = stress_now() + EMPTY_MS, used;
	unsigned int i;

	if (getenv(STRESS_TOGETHER))
		return;
	for (i = 0; i < HMM_DEVICES; i++) {
		while ((used = stress_used(i)) > 0 && stress_now() < limit)
			usleep(1000);
		if (used && used != -ENOENT)
			stress_fail(stress, "device %u has %ld pages in use, and nobody has them",
				    i, used);
	}
}

unsigned int stress_reap(void)
{
	unsigned int count = 0;
	pid_t pid;

	do {
		pid = waitpid(-1, NULL, 0);
		count += pid > 0;
	} while (pid > 0 || errno == EINTR);
	return count;
}
