// SPDX-License-Identifier: GPL-2.0
/* A disk in compressed memory (zram) for one test. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "hmm_system.h"

#define CONTROL	"/sys/class/zram-control/"

int hmm_disk_open(struct hmm_disk *disk, long length)
{
	char path[48];
	int ret;

	disk->fd = -1;
	/* reading the file makes one */
	disk->number = hmm_read_number(CONTROL "hot_add");
	if (disk->number < 0)
		return -ENODEV;
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", disk->number);
	ret = hmm_write_number(path, length);
	if (!ret) {
		snprintf(path, sizeof(path), "/dev/zram%d", disk->number);
		disk->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
		ret = disk->fd < 0 ? -errno : 0;
	}
	if (ret)
		hmm_disk_close(disk);
	return ret;
}

void hmm_disk_close(struct hmm_disk *disk)
{
	char path[48];

	if (disk->number < 0)
		return;
	if (disk->fd >= 0)
		close(disk->fd);
	snprintf(path, sizeof(path), "/sys/block/zram%d/reset", disk->number);
	hmm_write_text(path, "1");
	hmm_write_number(CONTROL "hot_remove", disk->number);
	disk->number = -1;
	disk->fd = -1;
}
