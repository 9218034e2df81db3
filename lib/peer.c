// SPDX-License-Identifier: GPL-2.0
/* Memory of a PCI device that another one can reach by DMA. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hmm_area.h"
#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_peer.h"
#include "hmm_system.h"
#include "internal.h"

#define DEVICES	"/sys/bus/pci/devices/*"

/* The sysfs directory of the bridge that a PCI device is behind. */
static int bridge_of(const char *device, char bridge[PATH_MAX])
{
	char *slash;

	if (!realpath(device, bridge))
		return -errno;
	slash = strrchr(bridge, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return 0;
}

static int has_id(const char *device, const char *file, const char *id)
{
	char path[PATH_MAX], text[16];

	snprintf(path, sizeof(path), "%s/%s", device, file);
	return !hmm_read_text(path, text, sizeof(text)) && !strcmp(text, id);
}

/* The bridge of the device that does the DMA. */
static int client_bridge(char bridge[PATH_MAX])
{
	glob_t found;
	int ret = -ENODEV;
	size_t i;

	if (glob(DEVICES, 0, NULL, &found))
		return -ENODEV;
	for (i = 0; ret && i < found.gl_pathc; i++)
		if (has_id(found.gl_pathv[i], "vendor", "0x1234") &&
		    has_id(found.gl_pathv[i], "device", "0x11e8"))
			ret = bridge_of(found.gl_pathv[i], bridge);
	globfree(&found);
	return ret;
}

/* Find a device that provides memory; its sysfs path. */
static int find_provider(enum hmm_peer where, char device[PATH_MAX])
{
	char client[PATH_MAX], bridge[PATH_MAX];
	int near, ret = client_bridge(client);
	glob_t found;
	size_t i;

	if (ret)
		return ret;
	if (glob(DEVICES "/p2pmem/allocate", 0, NULL, &found))
		return -ENODEV;
	ret = -ENODEV;
	for (i = 0; ret && i < found.gl_pathc; i++) {
		snprintf(device, PATH_MAX, "%s", found.gl_pathv[i]);
		device[strlen(device) - strlen("/p2pmem/allocate")] = '\0';
		if (bridge_of(device, bridge))
			continue;
		near = !strcmp(bridge, client);
		/* devices on the root bus share no bridge */
		if (where == HMM_PEER_FAR ? !near : near && strchr(strstr(bridge, "/pci") + 1, '/'))
			ret = 0;
	}
	globfree(&found);
	return ret;
}

/* Is the address in one of the device's BARs? */
static int in_resources(const char *device, unsigned long long memory)
{
	unsigned long long start, end, flags;
	char path[PATH_MAX + 16];
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/resource", device);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (fscanf(file, "%llx %llx %llx", &start, &end, &flags) == 3)
		found |= start && memory >= start && memory <= end;
	fclose(file);
	return found;
}

static int prove(struct hmm_area *area, const char *device, char *addr, size_t length)
{
	size_t page = hmm_page_size(), at;
	__u64 map;

	for (at = 0; at < length; at += page) {
		if (hmm_pagemap_one(addr + at, &map))
			return hmm_fail(area, 0, "no pagemap");
		if (!(map & HMM_PM_PRESENT) ||
		    !in_resources(device, (map & HMM_PM_PFN_MASK) * page))
			return hmm_fail(area, 0, "page %zu is not the device's memory", at / page);
	}
	return 0;
}

int hmm_peer_map(struct hmm_area *area, enum hmm_peer where, char *addr, size_t length)
{
	char device[PATH_MAX], path[PATH_MAX + 16];
	int fd, ret = find_provider(where, device);

	if (ret)
		return hmm_skip(area,
				"no peer memory %s PCI device 1234:11e8 (-device nvme,cmb_size_mb=2)",
				where == HMM_PEER_NEAR ? "behind the bridge of" : "away from");
	snprintf(path, sizeof(path), "%s/p2pmem/allocate", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return hmm_fail(area, errno, "%s", path);
	ret = hmm_area_map(area, addr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	close(fd);
	return ret ? ret : prove(area, device, addr, length);
}

/*
 * AMD's since Zen are known; for others the kernel has a list with few of QEMU's host
 * bridges.
 */
int hmm_peer_forwarded(void)
{
	unsigned int family = 0, number;
	char line[256];
	int amd = 0;
	FILE *file = fopen("/proc/cpuinfo", "re");

	while (file && fgets(line, sizeof(line), file) && *line != '\n') {
		amd |= !strncmp(line, "vendor_id", 9) && strstr(line, "AuthenticAMD");
		if (sscanf(line, "cpu family : %u", &number) == 1)
			family = number;
	}
	if (file)
		fclose(file);
	return amd && family >= 0x17;
}
