/* SPDX-License-Identifier: GPL-2.0 */
/* Migration of device memory. */
#ifndef HMMIRROR_COMPAT_MIGRATE_H
#define HMMIRROR_COMPAT_MIGRATE_H

#include <linux/migrate.h>
#include <linux/mm.h>

/* The page that the CPU touched has one reference more; the kernel must know. */
static inline void compat_set_fault_page(struct migrate_vma *args, struct vm_fault *vmf)
{
#ifdef HAVE_MIGRATE_VMA_FAULT_PAGE
	args->fault_page = vmf->page;
#endif
}

#endif /* HMMIRROR_COMPAT_MIGRATE_H */
