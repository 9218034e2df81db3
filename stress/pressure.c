// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that make all kinds of calls and compare their data all the time, while memory
 * is short and swapped out, CPUs and memory blocks go offline and online, and the kernel
 * compacts.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define PROCESSES	2
#define THREADS		3
/* Less than the processes use, so that they are swapped all the time. */
#define LIMIT		"20M"
#define GROUPS		"/tmp/stress-cgroup"
#define GROUP		GROUPS "/stress"
/* How long a process lives before another one replaces it. */
#define LIFE_MS		5000
/* Free memory to leave when all of it is allocated. */
#define SPARE		(256L << 20)
/* Memory blocks to try before giving up for this time. */
#define BLOCK_TRIES	8
#define OFFLINE_S	5

struct figures {
	unsigned long done;
	unsigned long lives;
};

static struct stress stress;
static struct figures *figures;
static unsigned long cpus, blocks, stays, hogs, compactions;
static unsigned int living;
static int limited;

/* A memory cgroup with a limit. Without one, the whole machine's memory is short. */
static void make_group(void)
{
	mkdir(GROUPS, 0700);
	if (mount("cgroup2", GROUPS, "cgroup2", 0, NULL))
		return;
	hmm_write_text(GROUPS "/cgroup.subtree_control", "+memory");
	mkdir(GROUP, 0700);
	limited = !hmm_write_text(GROUP "/memory.max", LIMIT);
}

static void end_group(void)
{
	rmdir(GROUP);
	umount(GROUPS);
	rmdir(GROUPS);
}

static void live(__u64 seed)
{
	struct work work = { .seed = seed, .threads = THREADS, .check = 1 };
	long end;
	int ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (limited)
		hmm_write_text(GROUP "/cgroup.procs", "0");
	ret = work_start(&work);
	end = stress_now() + LIFE_MS;
	while (!ret && stress_now() < end && !stress_over(&stress) && !work.wrong)
		usleep(10000);
	ret = ret ? ret : work_end(&work);
	__atomic_add_fetch(&figures->done, work.done, __ATOMIC_RELAXED);
	if (work.wrong)
		printf("# %s\n", work.wrong);
	_exit(ret ? 1 : 0);
}

static void start(__u64 *random)
{
	__u64 seed = stress_random(random);
	pid_t pid = fork();

	if (!pid)
		live(seed);
	if (pid < 0)
		stress_fail(&stress, "fork: %s", strerror(errno));
	figures->lives++;
	living++;
}

/* Processes that ended: by themselves, or by the OOM killer. */
static unsigned int look_after(__u64 *random)
{
	unsigned int killed = 0;
	int status;

	while (waitpid(-1, &status, WNOHANG) > 0) {
		living--;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			killed++;
		else if (WIFSIGNALED(status) || WEXITSTATUS(status) > 1)
			stress_fail(&stress, "a process ended by status 0x%x", status);
		else if (WEXITSTATUS(status))
			stress_fail(&stress, "contents were lost, or no memory to begin with");
		if (!stress_over(&stress))
			start(random);
	}
	return killed;
}

static void cpu_goes(__u64 *random)
{
	char path[64];
	unsigned int cpu;

	if (sysconf(_SC_NPROCESSORS_CONF) < 2)
		return;
	cpu = 1 + stress_below(random, sysconf(_SC_NPROCESSORS_CONF) - 1);
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
	if (hmm_write_text(path, "0"))
		return;
	cpus++;
	usleep(1000 * stress_below(random, 100));
	if (hmm_write_text(path, "1"))
		stress_fail(&stress, "CPU %u does not come back", cpu);
}

static void wake(int number)
{
	(void)number;
}

/*
 * The kernel tries for ever to offline a block, under a lock. A process may wait for that
 * lock and have the page that can't move, for exclusive access for example. A signal makes
 * the kernel give up.
 */
static int take_off(const char *path)
{
	struct sigaction action = { .sa_handler = wake };
	struct itimerval timer = { .it_value.tv_sec = OFFLINE_S };
	int ret;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	ret = hmm_write_text(path, "offline");
	timer.it_value.tv_sec = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
	return ret;
}

/* Offline any block whose pages can move. */
static void memory_goes(__u64 *random)
{
	char path[80], text[16];
	unsigned int i, nr = 4UL << 30 >> 27;

	for (i = 0; i < BLOCK_TRIES; i++) {
		snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%u/state",
			 stress_below(random, nr + 8));
		if (hmm_read_text(path, text, sizeof(text)) || strcmp(text, "online"))
			continue;
		if (take_off(path)) {
			stays++;
			continue;
		}
		blocks++;
		usleep(1000 * stress_below(random, 100));
		if (hmm_write_text(path, "online"))
			stress_fail(&stress, "%s: memory does not come back", path);
		return;
	}
}

/* Allocate all free memory. */
static void memory_short(__u64 *random)
{
	long size = hmm_meminfo("MemAvailable:") * 1024 - SPARE;
	pid_t pid;

	if (size <= 0)
		return;
	/* under emulation it takes a second to touch 1 GiB */
	if (stress_below(random, 4))
		size /= 4;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		hmm_write_text("/proc/self/oom_score_adj", "1000");
		mmap(NULL, size, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	hogs++;
}

static void compaction(__u64 *random)
{
	hmm_write_text("/proc/sys/vm/compact_memory", "1");
	if (!stress_below(random, 2))
		hmm_write_text("/proc/sys/vm/drop_caches", "3");
	compactions++;
}

int main(int argc, char **argv)
{
	static void (*const events[])(__u64 *random) = {
		cpu_goes, cpu_goes, memory_goes, memory_short, compaction,
	};
	unsigned int i, killed = 0;
	long swapped;
	__u64 random;

	stress_begin(&stress, "stress.pressure", argc, argv);
	/* children of a killed process are not counted */
	prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0);
	random = stress.seed;
	figures = mmap(NULL, sizeof(*figures), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (figures == MAP_FAILED)
		stress_fail(&stress, "mmap: %s", strerror(errno));
	stress_empty(&stress);
	swapped = hmm_vmstat("pswpout");
	make_group();
	for (i = 0; i < PROCESSES; i++)
		start(&random);

	while (!stress_over(&stress)) {
		usleep(1000 * (20 + stress_below(&random, 200)));
		events[stress_below(&random, ARRAY_SIZE(events))](&random);
		killed += look_after(&random);
	}
	while (living) {
		usleep(10000);
		killed += look_after(&random);
	}
	end_group();
	stress_empty(&stress);
	printf("# off and on: %lu times a CPU, %lu memory blocks, and %lu stayed\n", cpus, blocks,
	       stays);
	printf("# compacted %lu times\n", compactions);
	printf("# memory taken %lu times, %ld pages swapped out, %u processes killed for it\n",
	       hogs, hmm_vmstat("pswpout") - swapped, killed);
	stress_ok(&stress, "%lu operations by %lu processes, with contents compared",
		  figures->done, figures->lives);
}
