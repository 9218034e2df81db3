// SPDX-License-Identifier: GPL-2.0
/*
 * Schedules that a seed decides. In a guest whose clock is the number of its instructions,
 * the scheduler switches from one task to another only where the first one sleeps or a timer
 * fires. Threads of the highest priority wake up here at moments that the seed decides. They
 * preempt what runs then, and the scheduler may go on with another task. If the kernel is
 * preemptible (-c preempt), that can be nearly anywhere in the kernel, too.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/types.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"

#define CPUS_MAX	8
/*
 * A thread sleeps for 1 us to 512 us, and as often for 1 to 2 us as for 256 to 512 us: two
 * steps of a race can be a few hundred instructions apart, or whole system calls.
 */
#define DOUBLINGS	9
#define SHORTEST_NS	1000

static __u64 states[CPUS_MAX];

/* splitmix64 */
static __u64 next_random(__u64 *state)
{
	__u64 z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void *wake_at_random(void *data)
{
	struct timespec nap = { 0 };
	__u64 *state = data;
	long shortest;

	for (;;) {
		shortest = SHORTEST_NS << next_random(state) % DOUBLINGS;
		nap.tv_nsec = shortest + next_random(state) % shortest;
		nanosleep(&nap, NULL);
	}
	return NULL;
}

/* One thread for each CPU. Returns 0 or -1, with errno set. */
int schedule_begin(unsigned long seed)
{
	struct sched_param highest = { .sched_priority = sched_get_priority_max(SCHED_FIFO) };
	long cpu, cpus = sysconf(_SC_NPROCESSORS_ONLN);
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t set;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (cpu = 0, errno = 0; !errno && cpu < cpus && cpu < CPUS_MAX; cpu++) {
		states[cpu] = seed * CPUS_MAX + cpu;
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		pthread_attr_init(&attr);
		pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
		pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
		pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
		pthread_attr_setschedparam(&attr, &highest);
		errno = pthread_create(&thread, &attr, wake_at_random, &states[cpu]);
		pthread_attr_destroy(&attr);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return errno ? -1 : 0;
}
