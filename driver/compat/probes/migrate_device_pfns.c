// SPDX-License-Identifier: GPL-2.0
#include <linux/migrate.h>

int probe(unsigned long *src);
int probe(unsigned long *src)
{
	return migrate_device_pfns(src, 1);
}
