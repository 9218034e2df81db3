// SPDX-License-Identifier: GPL-2.0
/* Mirrors of an area, and what their devices support. */
#include <errno.h>

#include "hmm_area.h"

int hmm_area_device(struct hmm_area *area, unsigned int device)
{
	int fd;

	if (device >= HMM_DEVICES)
		return -EINVAL;
	if (area->device[device] > 0)
		return area->device[device];
	fd = hmm_open(device);
	if (fd >= 0)
		area->device[device] = fd;
	return fd;
}

int hmm_area_feature(struct hmm_area *area, enum hmmirror_feature feature)
{
	int fd = hmm_area_device(area, 0), ret;
	char why[100];

	if (fd < 0)
		return hmm_fail(area, fd, "/dev/hmm_dmirror0");
	ret = hmm_feature(fd, feature, why, sizeof(why));
	if (ret < 0)
		return hmm_fail(area, ret, "HMMIRROR_QUERY");
	return ret ? 0 : hmm_skip(area, "%s", why);
}

/* Skip with the driver's reason for a device without memory, asked of device 0. */
static int skip_memory(struct hmm_area *area, unsigned int number)
{
	int fd = hmm_area_device(area, 0);
	char why[100] = "";

	if (fd < 0)
		return hmm_fail(area, fd, "/dev/hmm_dmirror0");
	hmm_feature(fd, number < HMM_DEV_COHERENT ?
		    HMMIRROR_FEAT_DEVICE_PRIVATE :
		    HMMIRROR_FEAT_DEVICE_COHERENT, why, sizeof(why));
	return hmm_skip(area, "device %u has no memory: %s", number,
			why[0] ? why : "it was given none");
}

int hmm_area_memory(struct hmm_area *area, unsigned int device)
{
	int fd = hmm_area_device(area, device);

	if (fd == -ENOENT && device >= HMM_DEV_COHERENT)
		return skip_memory(area, device);
	if (fd < 0)
		return hmm_fail(area, fd, "/dev/hmm_dmirror%u", device);
	if (hmm_memory(fd) == HMMIRROR_MEMORY_NONE)
		return skip_memory(area, device);
	return 0;
}

int hmm_area_use_memory(struct hmm_area *area, unsigned int device, int *fd,
			struct hmmirror_stats *before)
{
	struct hmmirror_stats now;
	int ret = hmm_area_memory(area, device), mirror;

	if (ret)
		return ret;
	mirror = hmm_area_device(area, device);
	ret = hmm_stats(mirror, 0, &now);
	if (ret)
		return hmm_fail(area, ret, "HMMIRROR_STATS");
	*fd = mirror;
	*before = now;
	return 0;
}

int hmm_area_huge_memory(struct hmm_area *area, unsigned int device)
{
	int ret = hmm_area_memory(area, device), fd;
	char why[100];

	if (ret)
		return ret;
	fd = hmm_area_device(area, device);
	ret = hmm_feature(fd, HMMIRROR_FEAT_DEVICE_THP, why, sizeof(why));
	if (ret < 0)
		return hmm_fail(area, ret, "query");
	return ret ? 0 : hmm_skip(area, "no huge pages on device %u: %s",
				  device, why);
}
