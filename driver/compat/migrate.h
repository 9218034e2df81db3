/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration of device memory. Since 5.9 the caller says which pages it wants;
 * since 5.4 it makes the steps itself, before they were one call with callbacks.
 */
#ifndef HMMIRROR_COMPAT_MIGRATE_H
#define HMMIRROR_COMPAT_MIGRATE_H

#include <linux/migrate.h>
#include <linux/mm.h>

#ifdef HAVE_MIGRATE_VMA_FLAGS
/**
 * compat_migrate_vma() - migrate a part of a VMA
 * @args: as for migrate_vma_setup()
 * @fill: allocates and copies, between setup and pages
 * @settle: looks at what became of it, between pages and finalize
 * @data: for the two
 *
 * Either callback may be skipped when there is nothing to migrate.
 *
 * Return: what migrate_vma_setup() says.
 */
static inline int compat_migrate_vma(struct migrate_vma *args,
				     void (*fill)(struct migrate_vma *args, void *data),
				     void (*settle)(struct migrate_vma *args, void *data),
				     void *data)
{
	int ret = migrate_vma_setup(args);

	if (ret)
		return ret;
	fill(args, data);
	migrate_vma_pages(args);
	settle(args, data);
	migrate_vma_finalize(args);
	return 0;
}
#else
struct compat_migrate_args {
	struct vm_area_struct *vma;
	unsigned long *dst;
	unsigned long *src;
	unsigned long start;
	unsigned long end;
	void *pgmap_owner;
	unsigned long flags;
};

int compat_migrate_vma(struct compat_migrate_args *args,
		       void (*fill)(struct compat_migrate_args *args, void *data),
		       void (*settle)(struct compat_migrate_args *args, void *data),
		       void *data);

#define MIGRATE_VMA_SELECT_SYSTEM		1
#define MIGRATE_VMA_SELECT_DEVICE_PRIVATE	2

/* from here on, the name means today's struct */
#ifndef COMPAT_MIGRATE_C
#define migrate_vma compat_migrate_args
#endif
#endif

/* Return: the pages that the kernel says it offers, 0 where it does not say. */
static inline unsigned long compat_migrate_cpages(const struct migrate_vma *args)
{
#ifdef HAVE_MIGRATE_VMA_FLAGS
	return args->cpages;
#else
	return 0;
#endif
}

/* Return: the entries that the kernel has written, 1 where it does not say. */
static inline unsigned long compat_migrate_npages(const struct migrate_vma *args)
{
#ifdef HAVE_MIGRATE_VMA_FLAGS
	return args->npages;
#else
	return 1;
#endif
}

/* As if the struct had been used before. */
static inline void compat_set_migrate_counts(struct migrate_vma *args, unsigned long count)
{
#ifdef HAVE_MIGRATE_VMA_FLAGS
	args->cpages = count;
	args->npages = count;
#endif
}

/* The page that the CPU touched has one reference more; the kernel must know. */
#ifdef HAVE_MIGRATE_VMA_FAULT_PAGE
static inline void compat_set_fault_page(struct migrate_vma *args, struct page *page)
{
	args->fault_page = page;
}
#else
#define compat_set_fault_page(_args, _page) do { (void)(_args); (void)(_page); } while (0)
#endif

/* Return: whether the kernel looks at the arguments, and at such a page. */
static inline bool compat_migrate_checks(const struct page *fault_page)
{
#if defined(HAVE_MIGRATE_VMA_FAULT_PAGE)
	return true;
#elif defined(HAVE_MIGRATE_VMA_FLAGS)
	return !fault_page;
#else
	return false;
#endif
}

#endif /* HMMIRROR_COMPAT_MIGRATE_H */
