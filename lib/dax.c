// SPDX-License-Identifier: GPL-2.0
/* device-dax on an NVDIMM or what the kernel takes for one, with a given alignment. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hmm_system.h"

#define DAX_DEVICES	"/sys/bus/dax/devices"
#define ND_DEVICES	"/sys/bus/nd/devices"

/* Any will do, they live as long as the machine. */
#define UUID		"6f5a1c2e-3d41-4b52-8c63-00000000%04x"

static long attribute(const char *base, const char *name, const char *what)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s/%s", base, name, what);
	return hmm_read_number(path);
}

static int set(const char *name, const char *what, const char *value)
{
	char path[256];

	snprintf(path, sizeof(path), ND_DEVICES "/%s/%s", name, what);
	return hmm_write_text(path, value);
}

/* The alignment of a device, which before 5.10 only the NVDIMM's device above it shows. */
static long align_of(const char *name)
{
	long align = attribute(DAX_DEVICES, name, "align");

	return align < 0 ? attribute(DAX_DEVICES, name, "../align") : align;
}

/* Find the device that has an alignment already; its name below /dev. */
static int find(size_t align, char *name, size_t size)
{
	DIR *dir = opendir(DAX_DEVICES);
	struct dirent *entry;
	int ret = -ENOENT;

	if (!dir)
		return -ENOENT;
	while (ret && (entry = readdir(dir))) {
		if (align_of(entry->d_name) != (long)align)
			continue;
		snprintf(name, size, "%.32s", entry->d_name);
		ret = 0;
	}
	closedir(dir);
	return ret;
}

/* Make a device of the memory of one region, which must be unused. */
static int make(const char *region, size_t align)
{
	unsigned int number = 0;
	char path[256], seed[32], space[32], text[64];
	int ret;

	if (sscanf(region, "region%u", &number) != 1)
		return -ENOENT;
	snprintf(path, sizeof(path), ND_DEVICES "/%s/dax_seed", region);
	ret = hmm_read_text(path, seed, sizeof(seed));
	if (ret)
		return ret;
	snprintf(space, sizeof(space), "namespace%u.0", number);
	snprintf(text, sizeof(text), "%zu", align);
	ret = set(seed, "align", text);
	if (!ret)
		ret = set(seed, "mode", "ram");
	snprintf(text, sizeof(text), UUID, number);
	if (!ret)
		ret = set(seed, "uuid", text);
	if (!ret)
		ret = set(seed, "namespace", space);
	if (!ret)
		ret = hmm_write_text("/sys/bus/nd/drivers/dax_pmem/bind", seed);
	return ret;
}

/* Find the smallest region that has room for a page of this size behind its header. */
static int choose(size_t align, char *region, size_t size)
{
	DIR *dir = opendir(ND_DEVICES);
	struct dirent *entry;
	long best = 0, bytes;
	char space[300], holder[32];
	unsigned int number;

	if (!dir)
		return -ENODEV;
	while ((entry = readdir(dir))) {
		if (sscanf(entry->d_name, "region%u", &number) != 1)
			continue;
		bytes = attribute(ND_DEVICES, entry->d_name, "size");
		snprintf(space, sizeof(space),
			 ND_DEVICES "/namespace%u.0/holder", number);
		if (bytes < 2 * (long)align || (best && bytes >= best) ||
		    hmm_read_text(space, holder, sizeof(holder)) || holder[0])
			continue;
		best = bytes;
		snprintf(region, size, "%.32s", entry->d_name);
	}
	closedir(dir);
	return best ? 0 : -ENODEV;
}

int hmm_dax_open(size_t align)
{
	char name[40], region[40], path[64];
	int ret = find(align, name, sizeof(name)), fd;

	if (ret) {
		ret = choose(align, region, sizeof(region));
		if (!ret)
			ret = make(region, align);
		if (!ret)
			ret = find(align, name, sizeof(name));
		if (ret)
			return ret;
	}
	snprintf(path, sizeof(path), "/dev/%s", name);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}
