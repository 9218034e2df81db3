/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device pages brought home without knowing who maps them: since 6.1. Before,
 * all address spaces are searched for them, see ../evict.c.
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

#endif /* HMMIRROR_COMPAT_EVICT_H */
