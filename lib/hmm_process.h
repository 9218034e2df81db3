/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Other processes that a state or a test needs.
 */
#ifndef HMM_PROCESS_H
#define HMM_PROCESS_H

#include <sys/types.h>

/**
 * hmm_fork_holder - a child that keeps its copy of the memory, and sleeps
 *
 * It ends with hmm_holder_end(), and by itself when the caller dies.
 *
 * Return: its process id, or -errno.
 */
pid_t hmm_fork_holder(void);

/* hmm_holder_end - kill a child of hmm_fork_holder() and wait for it */
void hmm_holder_end(pid_t child);

/**
 * hmm_fork_swap - fork, and go on as the child
 *
 * The parent keeps its copy of the memory, does nothing but wait, and ends as
 * the child ends: with its exit status or by its signal. So what follows runs
 * on the child's side of copy-on-write, and whoever waits for the parent
 * learns the result.
 *
 * Return: 0 in the child, or -errno without a child.
 */
int hmm_fork_swap(void);

/**
 * hmm_fork_waiter - a child that waits until it is told to go on
 * @go: gets what hmm_waiter_go() takes
 *
 * Without being told, it ends when the caller does, with exit status 255.
 *
 * Return: 0 in the child, once it was told; its process id, or -errno.
 */
pid_t hmm_fork_waiter(int *go);

/* hmm_waiter_go - tell it, and wait for its end; as hmm_child_result() */
int hmm_waiter_go(pid_t child, int go);

/**
 * hmm_child_result - wait for a child that reports by its exit status
 * @child: its process id
 *
 * Return: exit status 0 to 255, or -signal number that ended it (which is
 * what a crash looks like), or -ECHILD.
 */
int hmm_child_result(pid_t child);

/* hmm_use_all_cpus - let the caller, and threads that it makes, run on any CPU; 0 or -errno */
int hmm_use_all_cpus(void);

/**
 * hmm_thread_waits - wait until a thread, or a process, sleeps
 * @tid: gets its number from the thread itself, 0 until then
 *
 * Return: 1 if it sleeps, in a way that a signal ends; 0 if it did not within 2 s.
 */
int hmm_thread_waits(const pid_t *tid);

/* hmm_thread_blocks - the same of a sleep that no signal ends */
int hmm_thread_blocks(const pid_t *tid);

/* hmm_send_fd - hand a file to another process over a UNIX socket; 0 or -errno */
int hmm_send_fd(int socket, int fd);

/**
 * hmm_receive_fd - take what hmm_send_fd() sent
 * @socket: the other end
 * @flags: of recvmsg()
 *
 * Return: the file, or -1 if nothing came with what was sent, if anything was.
 */
int hmm_receive_fd(int socket, int flags);

#endif /* HMM_PROCESS_H */
