/* SPDX-License-Identifier: GPL-2.0 */
/* Device memory that the CPU can reach: since 6.0. */
#ifndef HMMIRROR_COMPAT_COHERENT_H
#define HMMIRROR_COMPAT_COHERENT_H

#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>

#ifdef HAVE_DEVICE_COHERENT
#define COMPAT_HAS_COHERENT	1
#else
#define COMPAT_HAS_COHERENT	0

/*
 * There is no such device then, and these are for none. While 6.0 was made, the kernel had some
 * of them.
 */
#define MEMORY_DEVICE_COHERENT	((enum memory_type)0)
#define MIGRATE_VMA_SELECT_DEVICE_COHERENT 0

static inline bool compat_is_device_coherent_page(const struct page *page)
{
	return false;
}

#define is_device_coherent_page	compat_is_device_coherent_page
#endif

/* Return: why the kernel can't do it, NULL if it can. */
static inline const char *compat_no_coherent(void)
{
	if (!COMPAT_HAS_COHERENT)
		return "the kernel has no MEMORY_DEVICE_COHERENT";
	if (!IS_ENABLED(CONFIG_ZONE_DEVICE))
		return "the kernel was built without CONFIG_ZONE_DEVICE";
	return NULL;
}

#endif /* HMMIRROR_COMPAT_COHERENT_H */
