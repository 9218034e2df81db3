/* SPDX-License-Identifier: GPL-2.0 */
/* The end of a device's memory. */
#ifndef HMMIRROR_MEMORY_EVICT_H
#define HMMIRROR_MEMORY_EVICT_H

#include "core/device.h"

int hmmirror_devmem_release(struct hmmirror_device *device);

#endif /* HMMIRROR_MEMORY_EVICT_H */
