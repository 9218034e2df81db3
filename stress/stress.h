/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that run for a time, at random, and end with a verdict. Each is called
 * with a seed and a number of seconds; the same seed gives the same choices, though
 * not the same timing.
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
 * @end_ms: when it is to end, by stress_now()
 * @extra: arguments behind these
 */
struct stress {
	const char *name;
	__u64 seed;
	long end_ms;
	char **extra;
};

/* stress_begin - reads the arguments: SEED SECONDS [EXTRA]... */
void stress_begin(struct stress *stress, const char *name, int argc, char **argv);

/* stress_now - a clock in ms */
long stress_now(void);

/* stress_over - is the time over? */
int stress_over(const struct stress *stress);

/* stress_random - the next number of a row */
__u64 stress_random(__u64 *state);

/* stress_below - one that is less than @limit */
unsigned int stress_below(__u64 *state, unsigned int limit);

/* stress_ok - the verdict, with figures as by printf(); does not return */
void stress_ok(const struct stress *stress, const char *format, ...)
	STRESS_ATTRIBUTE((format(printf, 2, 3), noreturn));

/* stress_fail - the other verdict, with the reason */
void stress_fail(const struct stress *stress, const char *format, ...)
	STRESS_ATTRIBUTE((format(printf, 2, 3), noreturn));

/* stress_skip - it can't be run here */
void stress_skip(const struct stress *stress, const char *format, ...)
	STRESS_ATTRIBUTE((format(printf, 2, 3), noreturn));

/* stress_used - pages of a device in use; -ENOENT if there is no such device */
long stress_used(unsigned int device);

/*
 * Events and stages below these put no probe into functions of the kernel that others
 * run at the same time: emulated CPUs hang there at times, see docs/reliability.md.
 */
#define STRESS_EVENTS	HMMIRROR_INJECT_DMA_ALLOC
#define STRESS_STAGES	HMMIRROR_STAGE_COLLECT

/* In the environment: others are at work on the devices, too. */
#define STRESS_TOGETHER	"STRESS_TOGETHER"

/* stress_empty - fails unless all devices get empty within some seconds, if we are alone */
void stress_empty(const struct stress *stress);

/* stress_reap - waits for all children, and theirs; returns how many there were */
unsigned int stress_reap(void);

#define WORK_THREADS_MAX	8

/**
 * struct work - threads of a process that do everything at once
 * @seed: for their choices
 * @threads: how many
 * @check: contents are compared all the time
 * @quiet: nothing that takes down the memory of a device
 * @stop: set to end them
 * @done: operations so far
 * @wrong: memory that had not what it should have, or NULL
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
	struct work_thread *thread[WORK_THREADS_MAX];
};

/* work_start - 0 or -errno; the threads run until work_end(), or for ever */
int work_start(struct work *work);

/* work_end - stop them and wait; 0, or -EIO if contents were wrong */
int work_end(struct work *work);

/*
 * work_exec - this process becomes another program, which has the mirrors of the memory
 * that is gone with that for so many seconds; its other threads end wherever they are
 */
void work_exec(struct work *work, const char *seconds) STRESS_ATTRIBUTE((noreturn));

#endif /* STRESS_H */
