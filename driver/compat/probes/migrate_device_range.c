// SPDX-License-Identifier: GPL-2.0
#include <linux/migrate.h>

int probe(unsigned long *src, unsigned long *dst);
int probe(unsigned long *src, unsigned long *dst)
{
	migrate_device_pages(src, dst, 1);
	migrate_device_finalize(src, dst, 1);
	return migrate_device_range(src, 0, 1);
}
