// SPDX-License-Identifier: GPL-2.0
/* Knobs and counters of the machine. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hmm_system.h"

int hmm_read_text(const char *path, char *text, size_t size)
{
	int fd, ret = 0;
	ssize_t n;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		ret = -errno;
	close(fd);
	if (ret)
		return ret;
	if (n && text[n - 1] == '\n')
		n--;
	text[n] = 0;
	return 0;
}

int hmm_write_text(const char *path, const char *text)
{
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

long hmm_read_number(const char *path)
{
	char text[64], *end;
	long value;
	int ret = hmm_read_text(path, text, sizeof(text));

	if (ret)
		return ret;
	value = strtol(text, &end, 10);
	return end == text ? -EINVAL : value;
}

int hmm_write_number(const char *path, long number)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", number);
	return hmm_write_text(path, text);
}

long hmm_table_number(const char *path, const char *name)
{
	size_t length = strlen(name);
	long value = -ENOENT;
	char line[256];
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, length) ||
		    !strchr(" \t", line[length]))
			continue;
		value = strtol(line + length, NULL, 10);
		break;
	}
	fclose(f);
	return value;
}

long hmm_meminfo(const char *field)
{
	return hmm_table_number("/proc/meminfo", field);
}

long hmm_vmstat(const char *counter)
{
	return hmm_table_number("/proc/vmstat", counter);
}

long hmm_isolated(long most)
{
	long isolated;
	int i;

	for (i = 0; i < 1000; i++) {
		/* fold the per-CPU counters in first */
		hmm_write_text("/proc/sys/vm/stat_refresh", "1");
		isolated = hmm_vmstat("nr_isolated_anon");
		if (isolated <= most)
			break;
		usleep(10000);
	}
	return isolated;
}

long hmm_status(const char *field)
{
	return hmm_table_number("/proc/self/status", field);
}

long hmm_faults(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage))
		return -errno;
	return usage.ru_minflt + usage.ru_majflt;
}
