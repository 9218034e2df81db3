// SPDX-License-Identifier: GPL-2.0
/*
 * Load and unload the module: without users, which must work; under load, which must be
 * refused; and with pages on the devices, which must migrate back with their data. First,
 * load it while one memory allocation after the other fails.
 *
 *	load SEED SECONDS MODULE PARAMETERS
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define NAME		"hmmirror"
#define PAGES		256
/* What is just being closed by another CPU can be in the way for a moment. */
#define IDLE_MS		2000
/* Loading allocates less often than this. */
#define FAIL_LIMIT	20000

static const char *const knobs[][2] = {
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/failslab/verbose", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
};

static struct stress stress;
static int module_fd;
static int all_failed;		/* none was left in the time there was */

static int load(void)
{
	return syscall(SYS_finit_module, module_fd, stress.extra[1], 0) ? -errno : 0;
}

static int unload(void)
{
	return syscall(SYS_delete_module, NAME, O_NONBLOCK) ? -errno : 0;
}

/* Without users it must unload. */
static void unload_idle(void)
{
	long limit = stress_now() + IDLE_MS;
	int ret;

	while ((ret = unload()) == -EAGAIN && stress_now() < limit)
		usleep(1000);
	if (ret)
		stress_fail(&stress, "nobody uses it, and it does not go: %s", strerror(-ret));
}

static void load_again(void)
{
	int ret = load();

	if (ret)
		stress_fail(&stress, "it does not load: %s", strerror(-ret));
}

/* Fork a child and wait until it is ready. */
static pid_t start(void (*child)(int ready, __u64 seed), __u64 seed)
{
	int ends[2];
	pid_t pid;
	char byte;

	if (pipe(ends))
		stress_fail(&stress, "pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		close(ends[0]);
		setpgid(0, 0);
		child(ends[1], seed);
		_exit(0);
	}
	setpgid(pid, pid);
	close(ends[1]);
	if (pid < 0 || read(ends[0], &byte, 1) != 1)
		stress_fail(&stress, "a child did not get ready");
	close(ends[0]);
	return pid;
}

static void busy(int ready, __u64 seed)
{
	struct work work = { .seed = seed, .threads = 2, .quiet = 1 };

	if (work_start(&work) || write(ready, "", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

/* Keep pages on each device, with no file open, until told to end. */
static void settled(int ready, __u64 seed)
{
	size_t length = PAGES * hmm_page_size();
	char *addr[HMM_DEVICES];
	unsigned int i;
	sigset_t usr1;
	int fd, sig;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	for (i = 0; i < HMM_DEVICES; i++) {
		addr[i] = hmm_map_anon(length, 0);
		hmm_pattern_fill(addr[i], length, seed + i);
		fd = hmm_open(i);
		if (fd < 0)
			continue;
		hmm_to_device(fd, addr[i], length, NULL, NULL);
		close(fd);
	}
	if (write(ready, "", 1) != 1)
		_exit(1);
	sigwait(&usr1, &sig);
	for (i = 0; i < HMM_DEVICES; i++)
		if (hmm_pattern_check(addr[i], length, seed + i) >= 0)
			_exit(2);
}

static void round_busy(__u64 seed)
{
	pid_t pid = start(busy, seed);
	int ret = unload();

	if (ret != -EAGAIN)
		stress_fail(&stress, "under load: %s instead of %s", strerror(-ret),
			    strerror(EAGAIN));
	kill(-pid, SIGKILL);
	stress_reap();
	unload_idle();
	load_again();
}

/* Return: number of pages that were on devices. */
static long round_settled(__u64 seed)
{
	pid_t pid = start(settled, seed);
	long used, total = 0;
	unsigned int i;

	for (i = 0; i < HMM_DEVICES; i++) {
		used = stress_used(i);
		total += used > 0 ? used : 0;
	}
	unload_idle();
	kill(pid, SIGUSR1);
	i = hmm_child_result(pid);
	if (i)
		stress_fail(&stress, "pages came home with other contents (%d)", (int)i);
	load_again();
	return total;
}

static int set_nth(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fd, text, len, 0) == len ? 0 : -1;
}

/* Return: failures; -1 if the kernel can't. */
static int load_failing(void)
{
	unsigned int nth;
	long half = (stress_now() + stress.end_ms) / 2;
	int fd, hit = 1, count = 0, ret;
	char left[16];
	size_t i;

	fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fd < 0)
		return -1;
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		if (hmm_write_text(knobs[i][0], knobs[i][1]))
			return -1;
	unload_idle();
	for (nth = 1; hit && nth < FAIL_LIMIT && stress_now() < half; nth++) {
		set_nth(fd, nth);
		ret = load();
		memset(left, 0, sizeof(left));
		hit = pread(fd, left, sizeof(left) - 1, 0) > 0 && !strcmp(left, "0\n");
		set_nth(fd, 0);
		count += hit;
		if (!ret)
			unload_idle();
		else if (!hit || (ret != -ENOMEM && ret != -EAGAIN && ret != -EINTR))
			stress_fail(&stress, "loading it, allocation %u failing: %s", nth,
				    strerror(-ret));
	}
	close(fd);
	all_failed = !hit;
	load_again();
	return count;
}

int main(int argc, char **argv)
{
	unsigned int rounds = 0, refused = 0, full = 0;
	int failures;
	__u64 random;
	long pages = 0;

	stress_begin(&stress, "stress.load", argc, argv);
	if (argc < 5)
		stress_skip(&stress, "it is for a guest, where the module is in a file");
	random = stress.seed;
	module_fd = open(stress.extra[0], O_RDONLY | O_CLOEXEC);
	if (module_fd < 0)
		stress_fail(&stress, "%s: %s", stress.extra[0], strerror(errno));

	failures = load_failing();
	do {
		__u64 seed = stress_random(&random);

		rounds++;
		if (rounds % 2) {
			round_busy(seed);
			refused++;
		} else if (rounds % 8 == 0) {
			pages += round_settled(seed);
			full++;
		} else {
			unload_idle();
			load_again();
		}
	} while (!stress_over(&stress));
	stress_empty(&stress);
	if (failures < 0)
		printf("# the kernel was built without fault injection: no allocation failed\n");
	else
		printf("# loaded with each of %s%d allocations failing\n",
		       all_failed ? "its " : "the first ", failures);
	printf("# %u times refused under load; %u times with pages on devices, %ld of them\n",
	       refused, full, pages);
	stress_ok(&stress, "%u times unloaded and loaded", rounds);
}
