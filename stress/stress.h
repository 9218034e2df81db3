/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the stress programs share. Each runs for a time, makes random choices, and ends with
 * a verdict. It is called with a seed and a number of seconds: the same seed gives the same
 * choices, though not the same timing.
 */
#ifndef STRESS_H
#define STRESS_H

#include "hmmirror_lib.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define STRESS_ATTRIBUTE(_what)	__attribute__(_what)

/**
 * struct stress - what a program was called with
 * @name: of the program
 * @seed: for all that is random
 * @end_ms: when it has to end, by stress_now()
 * @extra: further arguments
 */
struct stress {
	const char *name;
	__u64 seed;
	long end_ms;
	char **extra;
};

/* stress_begin - parse the arguments: SEED SECONDS [EXTRA]... */
void stress_begin(struct stress *stress, const char *name, int argc, char **argv);

/* stress_now - monotonic clock, ms */
long stress_now(void);

/* stress_over - is the time over? */
int stress_over(const struct stress *stress);

/* stress_random - the next random number */
__u64 stress_random(__u64 *state);

/* stress_below - a random number below @limit */
unsigned int stress_below(__u64 *state, unsigned int limit);

/* stress_ok - end with success, and figures as by printf(); does not return */
void stress_ok(const struct stress *stress, const char *format, ...)
	STRESS_ATTRIBUTE((format(printf, 2, 3), noreturn));

/* stress_fail - end with a failure, and its reason */
void stress_fail(const struct stress *stress, const char *format, ...)
	STRESS_ATTRIBUTE((format(printf, 2, 3), noreturn));

/* stress_skip - end because it can't run here */
void stress_skip(const struct stress *stress, const char *format, ...)
	STRESS_ATTRIBUTE((format(printf, 2, 3), noreturn));

/* stress_used - pages of a device in use; -ENOENT if there is no such device */
long stress_used(unsigned int device);

/*
 * Injections and stages below these use no probe in a function of the kernel that other
 * CPUs run at the same time: emulated CPUs hang there at times, see docs/records/reliability.md.
 */
#define STRESS_EVENTS	HMMIRROR_INJECT_DMA_ALLOC
#define STRESS_STAGES	HMMIRROR_STAGE_COLLECT

/* Environment variable: other programs use the devices, too. */
#define STRESS_TOGETHER	"STRESS_TOGETHER"

/* stress_empty - if alone, fail unless all device pages are free within some seconds */
void stress_empty(const struct stress *stress);

/* stress_reap - wait for all children and grandchildren; how many there were */
unsigned int stress_reap(void);

#define WORK_THREADS_MAX	8

/**
 * struct work - threads of a process that make random calls at the same time
 * @seed: for their choices
 * @threads: number of threads
 * @check: compare the data all the time
 * @quiet: never release the memory of a device
 * @stop: set to end the threads
 * @done: operations so far
 * @wrong: memory with wrong data, or NULL
 */
struct work {
	__u64 seed;
	unsigned int threads;
	int check;
	int quiet;
	int stop;
	unsigned long done;
	const char *wrong;
	/* the rest is work.c's */
	int fd[HMM_DEVICES];
	char *shared;
	size_t page;
	size_t own_size;	/* of each thread's own memory */
	struct work_thread *thread[WORK_THREADS_MAX];
};

/* work_start - 0 or -errno; the threads run until work_end(), or for ever */
int work_start(struct work *work);

/* work_end - stop them and wait; 0, or -EIO if contents were wrong */
int work_end(struct work *work);

/*
 * work_exec - exec() another program, which keeps the mirrors of the old mm open for so
 * many seconds; the other threads end wherever they are
 */
void work_exec(struct work *work, const char *seconds) STRESS_ATTRIBUTE((noreturn));

#endif /* STRESS_H */
