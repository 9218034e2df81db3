// SPDX-License-Identifier: GPL-2.0
#include <linux/memremap.h>
#include <linux/mm.h>

void probe(struct dev_pagemap_ops *ops, struct vm_fault *vmf);
void probe(struct dev_pagemap_ops *ops, struct vm_fault *vmf)
{
	ops->migrate_to_ram(vmf);
}
