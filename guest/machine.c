// SPDX-License-Identifier: GPL-2.0
/*
 * What a test that failed can leave behind and what would fail others: memory of
 * the devices or huge pages that are not freed, an open device, a setting that
 * nobody put back. The test's processes have ended, so all of it should have
 * gone with them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../driver/uapi/hmmirror.h"
#include "agent.h"

#define DEVICES		4
#define WATCHED_MAX	64
#define VOLATILE_MAX	8
#define TEXT_MAX	64
/* The last references can be dropped by the kernel's workers, after an RCU grace period. */
#define PATIENCE_MS	1000

/* Bits of /proc/sys/kernel/tainted after which the kernel is not reliable. */
#define TAINT_BAD_PAGE	(1UL << 5)
#define TAINT_DIE	(1UL << 7)

#define REFCOUNT	"/sys/module/hmmirror/refcnt"
#define HUGETLB		"/sys/kernel/mm/hugepages"
#define THP		"/sys/kernel/mm/transparent_hugepage"
#define KHUGEPAGED	THP "/khugepaged/"
#define KSM		"/sys/kernel/mm/ksm/"
#define PREFIX		"hugepages-"

/*
 * What tests set for the whole machine, and put back: if they were killed, they
 * did not. Others can change it, too, unless we are alone.
 */
static const char *const settings[] = {
	THP "/enabled",
	THP "/shmem_enabled",
	THP "/use_zero_page",
	KHUGEPAGED "max_ptes_none",
	KHUGEPAGED "pages_to_scan",
	KHUGEPAGED "scan_sleep_millisecs",
	KSM "run",
	KSM "sleep_millisecs",
	KSM "pages_to_scan",
	"/proc/sys/kernel/numa_balancing",
	"/proc/sys/kernel/core_pattern",
	"/proc/sys/kernel/sched_rt_runtime_us",
	"/sys/module/hmmirror/parameters/max_device_mb",
};

/* A file, or one line of it. */
static struct watched {
	char path[128];
	const char *line;	/* how it starts; NULL: the first one */
	char before[TEXT_MAX];
} watched[WATCHED_MAX];

/* Files whose text is read again before each test. */
static struct volatile_file {
	struct watched *watched;
	int fd;
} volatile_files[VOLATILE_MAX];

static int nr_watched, nr_volatile;
static int taint_fd = -1;
static unsigned long taint_before;
static unsigned long long pages_before;

static int read_text(const char *path, const char *line, char *text)
{
	FILE *file = fopen(path, "re");
	int found = 0;

	*text = '\0';
	while (file && !found && fgets(text, TEXT_MAX, file))
		found = !line || starts_with(text, line);
	if (file)
		fclose(file);
	text[strcspn(text, "\n")] = '\0';
	return found ? 0 : -1;
}

static struct watched *watch(const char *path, const char *line)
{
	struct watched *w = &watched[nr_watched];

	if (nr_watched == WATCHED_MAX || read_text(path, line, w->before))
		return NULL;
	snprintf(w->path, sizeof(w->path), "%s", path);
	w->line = line;
	nr_watched++;
	return w;
}

/*
 * A test that passes can use up a huge page for good: the kernel does not give a
 * poisoned one back. The next test did not do that.
 */
static void watch_volatile(const char *path)
{
	struct volatile_file *file = &volatile_files[nr_volatile];

	if (nr_volatile == VOLATILE_MAX)
		return;
	file->watched = watch(path, NULL);
	file->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (file->watched && file->fd >= 0)
		nr_volatile++;
}

void machine_before_test(void)
{
	struct volatile_file *file;
	ssize_t n;

	for (file = volatile_files; file < volatile_files + nr_volatile; file++) {
		n = pread(file->fd, file->watched->before, TEXT_MAX - 1, 0);
		file->watched->before[n > 0 ? n : 0] = '\0';
		file->watched->before[strcspn(file->watched->before, "\n")] = '\0';
	}
}

/* Watches a file of each size of huge pages. */
static void watch_sizes(const char *dir, const char *file, int is_volatile)
{
	struct dirent *entry;
	char path[sizeof(watched->path) + sizeof(entry->d_name)];
	DIR *sizes = opendir(dir);

	while (sizes && (entry = readdir(sizes))) {
		if (!starts_with(entry->d_name, PREFIX))
			continue;
		snprintf(path, sizeof(path), "%s/%s/%s", dir, entry->d_name, file);
		if (is_volatile)
			watch_volatile(path);
		else
			watch(path, NULL);
	}
	if (sizes)
		closedir(sizes);
}

/* Memory of the device that is not free; 0 without the device. */
static unsigned long long used_pages(int device)
{
	struct hmmirror_stats stats = { .size = sizeof(stats) };
	char path[32];
	int fd, ret;

	snprintf(path, sizeof(path), "/dev/hmm_dmirror%d", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ret = ioctl(fd, HMMIRROR_STATS, &stats);
	close(fd);
	return ret ? 0 : stats.device_pages - stats.device_pages_free;
}

static unsigned long long used_pages_of_all(void)
{
	unsigned long long pages = 0;
	int i;

	for (i = 0; i < DEVICES; i++)
		pages += used_pages(i);
	return pages;
}

unsigned long machine_taint(void)
{
	char text[TEXT_MAX];
	ssize_t n = pread(taint_fd, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return strtoul(text, NULL, 10);
}

void machine_remember(void)
{
	size_t i;

	taint_fd = open("/proc/sys/kernel/tainted", O_RDONLY | O_CLOEXEC);
	taint_before = machine_taint();
	watch(REFCOUNT, NULL);
	if (options.alone) {
		watch_sizes(HUGETLB, "free_hugepages", 1);
		watch_sizes(HUGETLB, "nr_hugepages", 1);
		watch_sizes(THP, "enabled", 0);
		watch_sizes(THP, "shmem_enabled", 0);
		for (i = 0; i < sizeof(settings) / sizeof(*settings); i++)
			watch(settings[i], NULL);
		/* memory that is offline, a swap area that was added */
		watch("/proc/meminfo", "MemTotal:");
		watch("/proc/meminfo", "SwapTotal:");
	}
	/* opening a device counts in REFCOUNT */
	pages_before = used_pages_of_all();
}

/* Compares once. */
static int is_unchanged(char *reason, size_t size)
{
	unsigned long taint = machine_taint() & ~taint_before;
	unsigned long long pages;
	char now[TEXT_MAX];
	int i;

	if (taint & (TAINT_DIE | TAINT_BAD_PAGE)) {
		snprintf(reason, size, "a kernel that had %s",
			 taint & TAINT_DIE ? "an oops" : "a bad page");
		return 0;
	}
	for (i = 0; i < nr_watched; i++) {
		if (read_text(watched[i].path, watched[i].line, now) ||
		    !strcmp(now, watched[i].before))
			continue;
		snprintf(reason, size, "%s at \"%s\", it was \"%s\"", watched[i].path, now,
			 watched[i].before);
		return 0;
	}
	pages = used_pages_of_all();
	if (pages > pages_before) {
		snprintf(reason, size, "%llu pages of device memory in use",
			 pages - pages_before);
		return 0;
	}
	return 1;
}

/* Returns 1 if the machine is as it was before the test, else 0 and why. */
int machine_is_unchanged(char *reason, size_t size)
{
	long limit = now_ms() + PATIENCE_MS;
	int ms = 10;

	while (!is_unchanged(reason, size)) {
		if (now_ms() > limit)
			return 0;
		usleep(ms * 1000);
		ms *= 2;
	}
	return 1;
}
