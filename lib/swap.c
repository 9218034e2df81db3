// SPDX-License-Identifier: GPL-2.0
/* Swap: the machine's own, or one in compressed memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_system.h"

#define ZRAM_BYTES	(64L << 20)
#define ZRAM_DEVICES	8

/* Offsets of fields in the header of a swap area, bytes. */
#define SWAP_VERSION	1024
#define SWAP_LAST_PAGE	1028
#define SWAP_MAGIC	"SWAPSPACE2"

static int have_swap(void)
{
	long total = hmm_meminfo("SwapTotal:");

	return total > 0 && hmm_meminfo("SwapFree:") > 0;
}

static int write_header(const char *device)
{
	size_t page = hmm_page_size();
	__u32 version = 1, last = ZRAM_BYTES / page - 1;
	char *header = hmm_map_anon(page, 0);
	int fd, ret = 0;

	if (!header)
		return -ENOMEM;
	memcpy(header + SWAP_VERSION, &version, sizeof(version));
	memcpy(header + SWAP_LAST_PAGE, &last, sizeof(last));
	memcpy(header + page - strlen(SWAP_MAGIC), SWAP_MAGIC,
	       strlen(SWAP_MAGIC));

	fd = open(device, O_WRONLY | O_CLOEXEC);
	if (fd < 0) {
		ret = -errno;
	} else {
		if (write(fd, header, page) != (ssize_t)page)
			ret = -EIO;
		if (fsync(fd) && !ret)
			ret = -errno;
		close(fd);
	}
	hmm_unmap(header, page);
	return ret;
}

static int zram_on(struct hmm_swap *swap, int number)
{
	char knob[48];
	int ret;

	snprintf(knob, sizeof(knob), "/sys/block/zram%d/disksize", number);
	if (hmm_read_number(knob))
		return -EBUSY;
	ret = hmm_write_number(knob, ZRAM_BYTES);
	if (ret)
		return ret;
	snprintf(swap->device, sizeof(swap->device), "/dev/zram%d", number);
	ret = write_header(swap->device);
	if (!ret && swapon(swap->device, 0))
		ret = -errno;
	if (ret)
		hmm_swap_off(swap);
	return ret;
}

int hmm_swap_on(struct hmm_swap *swap, char *why, size_t size)
{
	char path[32];
	int i, ret = 0;

	swap->device[0] = 0;
	if (have_swap())
		return 1;
	for (i = 0; i < ZRAM_DEVICES; i++) {
		snprintf(path, sizeof(path), "/sys/block/zram%d", i);
		if (access(path, F_OK))
			continue;
		ret = zram_on(swap, i);
		if (!ret)
			return 1;
		swap->device[0] = 0;
	}
	snprintf(why, size, ret && ret != -EBUSY ?
		 "no swap: zram is there, but %s" :
		 "no swap and no free zram device (CONFIG_SWAP, CONFIG_ZRAM)",
		 strerror(-ret));
	return 0;
}

int hmm_swap_off(const struct hmm_swap *swap)
{
	char knob[48];
	int ret = 0;

	if (!swap->device[0])
		return 0;
	if (swapoff(swap->device))
		ret = -errno;
	snprintf(knob, sizeof(knob), "/sys/block/%s/reset",
		 swap->device + strlen("/dev/"));
	if (ret && ret != -EINVAL)
		return ret;
	return hmm_write_text(knob, "1");
}

int hmm_swap_add(struct hmm_disk *disk, struct hmm_swap *swap)
{
	int ret;

	if (access("/proc/swaps", F_OK))
		return -ENODEV;
	ret = hmm_disk_open(disk, ZRAM_BYTES);
	if (ret)
		return ret;
	snprintf(swap->device, sizeof(swap->device), "/dev/zram%d", disk->number);
	ret = write_header(swap->device);
	if (!ret && swapon(swap->device, SWAP_FLAG_PREFER | SWAP_FLAG_PRIO_MASK))
		ret = -errno;
	if (ret)
		hmm_disk_close(disk);
	return ret;
}

long hmm_swap_used(const struct hmm_swap *swap)
{
	char line[256], device[64];
	FILE *swaps = fopen("/proc/swaps", "re");
	long size, used, found = -ENOENT;

	while (swaps && fgets(line, sizeof(line), swaps))
		if (sscanf(line, "%63s %*s %ld %ld", device, &size, &used) == 3 &&
		    !strcmp(device, swap->device))
			found = used * 1024;
	if (swaps)
		fclose(swaps);
	return found;
}

int hmm_swap_remove(const struct hmm_swap *swap)
{
	return swapoff(swap->device) ? -errno : 0;
}
