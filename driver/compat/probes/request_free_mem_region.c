// SPDX-License-Identifier: GPL-2.0
#include <linux/ioport.h>
#include <linux/mm.h>

/* Every kernel declares it, and has it only with device-private memory. */
#ifndef CONFIG_DEVICE_PRIVATE
#error "no device-private memory"
#endif

struct resource *probe(void);
struct resource *probe(void)
{
	return request_free_mem_region(&iomem_resource, 4096, "");
}
