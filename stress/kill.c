// SPDX-License-Identifier: GPL-2.0
/*
 * Kill a process that makes all kinds of calls, at a random moment. Every page that it had
 * on a device must be freed. Some of its mirrors outlive it in another process, where they
 * must be of no use.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stress.h"

#define THREADS		3
/* Longest time until the kill. Half of the processes are killed while they begin. */
#define SHORT_US	40000
#define LONG_US		250000
/* One in so many sends a mirror to the parent. */
#define HEIRS		4
/* One in so many calls exec(), if it lives that long. */
#define OTHERS		4
#define GONE_MS		2000

static void victim(__u64 seed, int socket)
{
	struct work work = { .seed = seed, .threads = THREADS };

	if (socket >= 0)
		hmm_send_fd(socket, hmm_open(seed % 2));
	if (work_start(&work))
		_exit(1);
	if (!stress_below(&seed, OTHERS)) {
		usleep(stress_below(&seed, LONG_US));
		work_exec(&work, "infinity");
	}
	for (;;)
		pause();
}

static int is_another(pid_t pid)
{
	char path[32], name[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	return !hmm_read_text(path, name, sizeof(name)) && !strcmp(name, "sleep");
}

/* Every call on the mirror of a process that is gone must fail. */
static int is_orphan(int fd)
{
	long limit = stress_now() + GONE_MS;
	__u64 entry;
	int ret;

	do {
		ret = hmm_entry(fd, &entry, &entry);
	} while (ret != -ESRCH && stress_now() < limit);
	return ret == -ESRCH;
}

int main(int argc, char **argv)
{
	unsigned int kills = 0, orphans = 0, used = 0, others = 0, i;
	struct stress stress;
	int sockets[2], fd;
	__u64 random;
	pid_t pid;

	stress_begin(&stress, "stress.kill", argc, argv);
	random = stress.seed;
	stress_empty(&stress);

	while (!stress_over(&stress)) {
		__u64 seed = stress_random(&random);
		int heir = !stress_below(&random, HEIRS);

		if (heir && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
			stress_fail(&stress, "socketpair: %s", strerror(errno));
		pid = fork();
		if (!pid) {
			setpgid(0, 0);
			victim(seed, heir ? sockets[1] : -1);
		}
		if (pid < 0)
			stress_fail(&stress, "fork: %s", strerror(errno));
		setpgid(pid, pid);
		usleep(stress_below(&random, stress_below(&random, 2) ? SHORT_US : LONG_US));
		for (i = 0; i < HMM_DEVICES; i++) {
			if (stress_used(i) > 0) {
				used++;
				break;
			}
		}
		others += is_another(pid);
		if (kill(-pid, SIGKILL))
			stress_fail(&stress, "process %u ended by itself", kills);
		stress_reap();
		kills++;
		if (heir) {
			fd = hmm_receive_fd(sockets[0], MSG_DONTWAIT);
			close(sockets[0]);
			close(sockets[1]);
			if (fd >= 0 && !is_orphan(fd))
				stress_fail(&stress, "a mirror outlives its address space");
			orphans += fd >= 0;
			close(fd);
		}
		stress_empty(&stress);
	}
	if (!used)
		stress_fail(&stress, "%u kills, and no page on a device in any of them", kills);
	stress_ok(&stress, "%u kills, %u with device pages, %u after exec; %u mirrors inherited",
		  kills, used, others, orphans);
}
