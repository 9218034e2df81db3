/* SPDX-License-Identifier: GPL-2.0 */
/* A CPU fault on a page of device-private memory. */
#ifndef HMMIRROR_MEMORY_FAULT_H
#define HMMIRROR_MEMORY_FAULT_H

#include <linux/mm.h>

vm_fault_t hmmirror_migrate_to_ram(struct vm_fault *vmf);

#endif /* HMMIRROR_MEMORY_FAULT_H */
