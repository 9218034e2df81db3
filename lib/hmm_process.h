/* SPDX-License-Identifier: GPL-2.0 */
/* Other processes and threads that a state or a test needs. */
#ifndef HMM_PROCESS_H
#define HMM_PROCESS_H

#include <sys/types.h>

/**
 * hmm_fork_holder - fork a child that shares the memory and sleeps
 *
 * It ends with hmm_holder_end(), and by itself when the caller dies.
 *
 * Return: its process id, or -errno.
 */
pid_t hmm_fork_holder(void);

/*
 * hmm_die_with_parent - in a child: be killed when the thread that forked ends
 *
 * For a child that waits to be killed. If the test fails before, the child would keep its
 * output open, and run_kselftest.sh waits until all of that is closed.
 */
void hmm_die_with_parent(void);

/* hmm_holder_end - kill a child of hmm_fork_holder() and wait for it */
void hmm_holder_end(pid_t child);

/**
 * hmm_fork_swap - fork, and continue in the child
 *
 * The parent only waits, and ends as the child does: with its exit status or by its
 * signal. What follows thus runs on the child's side of copy-on-write, and whoever waits
 * for the parent gets the result.
 *
 * Return: 0 in the child, or -errno without a child.
 */
int hmm_fork_swap(void);

/**
 * hmm_fork_waiter - fork a child that waits for hmm_waiter_go()
 * @go: for hmm_waiter_go()
 *
 * If that is never called, the child exits with status 255 when the caller ends.
 *
 * Return: 0 in the child, after hmm_waiter_go(); its process id, or -errno.
 */
pid_t hmm_fork_waiter(int *go);

/* hmm_waiter_go - let the child continue, and wait for its end; as hmm_child_result() */
int hmm_waiter_go(pid_t child, int go);

/**
 * hmm_child_result - wait for a child that reports by its exit status
 * @child: its process id
 *
 * Return: its exit status, 0 to 255; minus the number of the signal that ended it; or
 * -ECHILD.
 */
int hmm_child_result(pid_t child);

/**
 * hmm_exec_again - execute the same program once more, which ends at once with status 0
 *
 * Return: -errno.
 */
int hmm_exec_again(void);

/* hmm_use_all_cpus - let the caller and its new threads run on any CPU; 0 or -errno */
int hmm_use_all_cpus(void);

/* A user without capabilities, who owns nothing: for seteuid(). */
#define HMM_NOBODY	65534

/**
 * hmm_use_nth_cpu - keep the calling thread on one CPU
 * @n: which of the online CPUs, from 0
 *
 * Return: 0; -ENODEV if there are not so many; or what sched_setaffinity() fails with.
 */
int hmm_use_nth_cpu(int n);

/* hmm_thread_state - the letter that /proc has for the state of a thread; 0 if there is none */
char hmm_thread_state(pid_t tid);

/**
 * hmm_thread_waits - wait until a thread, or a process, sleeps
 * @tid: the thread stores its number here; 0 until then
 *
 * Return: 1 if it is in interruptible sleep; 0 if it was not within 2 s, or has ended.
 */
int hmm_thread_waits(const pid_t *tid);

/* hmm_thread_blocks - the same for uninterruptible sleep */
int hmm_thread_blocks(const pid_t *tid);

/* hmm_send_fd - send a file descriptor over a UNIX socket; 0 or -errno */
int hmm_send_fd(int socket, int fd);

/**
 * hmm_receive_fd - receive what hmm_send_fd() sent
 * @socket: the other end
 * @flags: of recvmsg()
 *
 * Return: the file descriptor, or -1 if none was received.
 */
int hmm_receive_fd(int socket, int flags);

#endif /* HMM_PROCESS_H */
