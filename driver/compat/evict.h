/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device pages brought home without knowing who maps them: since 6.1. Before,
 * all address spaces are searched for them, see ../memory/evict.c.
 */
#ifndef HMMIRROR_COMPAT_EVICT_H
#define HMMIRROR_COMPAT_EVICT_H

#include <linux/errno.h>
#include <linux/migrate.h>
#include <linux/types.h>

#ifdef HAVE_MIGRATE_DEVICE_RANGE
#define compat_has_device_range()	true
#else
#define compat_has_device_range()	false

static inline int migrate_device_range(unsigned long *src, unsigned long start,
				       unsigned long nr)
{
	return -EOPNOTSUPP;
}

static inline void migrate_device_pages(unsigned long *src, unsigned long *dst,
					unsigned long nr)
{
}

static inline void migrate_device_finalize(unsigned long *src, unsigned long *dst,
					   unsigned long nr)
{
}
#endif

/* Pages in stretches that lie one behind the other. */
static inline int compat_migrate_device_ranges(unsigned long *pfns, unsigned long nr)
{
	unsigned long i, run, first;
	int ret = 0;

	for (i = 0; i < nr && !ret; i += run) {
		first = pfns[i];
		for (run = 1; i + run < nr && pfns[i + run] == first + run; run++)
			;
		ret = migrate_device_range(pfns + i, first, run);
	}
	return ret;
}

/* Pages anywhere, by one call since 6.15. */
static inline int compat_migrate_device_pfns(unsigned long *pfns, unsigned long nr)
{
#ifdef HAVE_MIGRATE_DEVICE_PFNS
	return migrate_device_pfns(pfns, nr);
#else
	return compat_migrate_device_ranges(pfns, nr);
#endif
}

#endif /* HMMIRROR_COMPAT_EVICT_H */
