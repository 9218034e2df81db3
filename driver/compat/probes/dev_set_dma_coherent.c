// SPDX-License-Identifier: GPL-2.0
#include <linux/device.h>

void probe(struct device *dev);
void probe(struct device *dev)
{
	dev_set_dma_coherent(dev);
}
