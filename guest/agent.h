/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the agent share. */
#ifndef AGENT_H
#define AGENT_H

#include <stddef.h>
#include <sys/types.h>

/* The longest line of a test's output; a longer one is cut into several. */
#define LINE_SIZE	4096

struct options {
	/* nothing else lives on this machine: kill every process after a test */
	int alone;
	/* start on one CPU, and look at the output of a test only now and then */
	int one_cpu;
};

extern struct options options;

/* agent.c */
long now_ms(void);
int starts_with(const char *line, const char *start);
void put(const char *buf, size_t len);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* process.c: starting processes, and leaving none behind */
pid_t spawn(char **argv, int in, int out, long seconds);
int kill_leftovers(void);
void describe_survivor(char *text, size_t size);

/* server.c: the program that forks a process for each of its tests */
int server_request(char *program, const char *test, long seconds, int out);
int server_answer(int *status, int *leftovers);
int server_fd(void);
void servers_forget(void);
void servers_stop(void);

/* log.c: the kernel's log, in which what was said under a test gets its name */
void log_open(void);
void log_begin(const char *test);
void log_end(void);

/* test.c */
int run_test(const char *name, long seconds, char **argv, int serve);

/* agent.c: where the debugger of --replay stops */
void test_failed(void);

/* machine.c: is the machine as it was before the test? */
void machine_remember(void);
void machine_before_test(void);
unsigned long machine_taint(void);
int machine_is_unchanged(char *reason, size_t size);

/* schedule.c: threads that preempt tasks at moments that the seed decides */
int schedule_begin(unsigned long seed);

/* tsc.c */
int print_tsc(void);

#endif /* AGENT_H */
