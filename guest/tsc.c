// SPDX-License-Identifier: GPL-2.0
/* The frequency of the TSC of this machine, which an emulated one has, too. */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

/* the instruction that reads it */
#if __has_builtin(__builtin_ia32_rdtsc)
struct instant {
	unsigned long long tsc;
	long long ns;
};

/* Reads both clocks several times and returns the pair that was read fastest. */
static struct instant read_clocks(void)
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

int print_tsc(void)
{
	struct instant from = read_clocks(), to;

	usleep(30000);
	to = read_clocks();
	printf("%llu\n", (to.tsc - from.tsc) * 1000000 / (to.ns - from.ns));
	return 0;
}
#else
int print_tsc(void)
{
	return 1;
}
#endif
