// SPDX-License-Identifier: GPL-2.0
/*
 * Migration on kernels that offer whatever they find, or one kind of pages by
 * rules of their own: what was not asked for is taken off the offer.
 */
#define COMPAT_MIGRATE_C
#include "compat.h"
#include "stack.h"

#ifndef HAVE_MIGRATE_VMA_FLAGS

typedef void (*step_fn)(struct compat_migrate_args *args, void *data);

struct steps {
	struct compat_migrate_args *args;
	step_fn fill;
	step_fn settle;
	void *data;
#ifndef HAVE_MIGRATE_VMA_SETUP
	struct compat_shared shared;
#endif
};

static bool wanted(const struct compat_migrate_args *args, struct page *page)
{
	/* a hole, which today's kernels offer whatever is wanted */
	if (!page)
		return true;
	if (is_device_private_page(page))
		return args->flags & MIGRATE_VMA_SELECT_DEVICE_PRIVATE &&
		       page_pgmap(page)->owner == args->pgmap_owner;
	return args->flags & MIGRATE_VMA_SELECT_SYSTEM &&
	       !compat_shared_refuses(page);
}

static void fill_wanted(struct steps *steps)
{
	struct compat_migrate_args *args = steps->args;
	unsigned long nr = (args->end - args->start) >> PAGE_SHIFT;
	unsigned long i;

	for (i = 0; i < nr; i++)
		if (!wanted(args, migrate_pfn_to_page(args->src[i])))
			args->src[i] &= ~MIGRATE_PFN_MIGRATE;
	steps->fill(args, steps->data);
}

#ifdef HAVE_MIGRATE_VMA_SETUP
static int run_steps(struct steps *steps)
{
	struct compat_migrate_args *args = steps->args;
	struct migrate_vma real = {
		.vma = args->vma,
		.dst = args->dst,
		.src = args->src,
		.start = args->start,
		.end = args->end,
	};
	int ret;

#ifdef HAVE_MIGRATE_VMA_SRC_OWNER
	if (args->flags & MIGRATE_VMA_SELECT_DEVICE_PRIVATE)
		real.src_owner = args->pgmap_owner;
#endif
	ret = migrate_vma_setup(&real);
	if (ret)
		return ret;
	fill_wanted(steps);
	migrate_vma_pages(&real);
	steps->settle(args, steps->data);
	migrate_vma_finalize(&real);
	return 0;
}
#else
static void alloc_and_copy(struct vm_area_struct *vma, const unsigned long *src,
			   unsigned long *dst, unsigned long start, unsigned long end,
			   void *private)
{
	struct steps *steps = private;

	compat_shared_show(&steps->shared, src);
	fill_wanted(steps);
	compat_shared_hide_references(&steps->shared, src, dst);
}

static void finalize_and_map(struct vm_area_struct *vma, const unsigned long *src,
			     const unsigned long *dst, unsigned long start, unsigned long end,
			     void *private)
{
	struct steps *steps = private;

	compat_shared_show_references();
	steps->settle(steps->args, steps->data);
	compat_shared_close(&steps->shared);
}

static const struct migrate_vma_ops steps_ops = {
	.alloc_and_copy = alloc_and_copy,
	.finalize_and_map = finalize_and_map,
};

static int run_steps(struct steps *steps)
{
	struct compat_migrate_args *args = steps->args;
	int ret;

	ret = compat_shared_hide(&steps->shared, args->vma, args->start, args->end);
	if (ret)
		return ret;
	compat_clear_stack();
	ret = migrate_vma(&steps_ops, args->vma, args->start, args->end, args->src, args->dst,
			  steps);
	compat_shared_end(&steps->shared, args->src);
	return ret;
}
#endif

int compat_migrate_vma(struct compat_migrate_args *args, step_fn fill, step_fn settle, void *data)
{
	struct steps steps = { .args = args, .fill = fill, .settle = settle, .data = data };

	return run_steps(&steps);
}

#endif /* HAVE_MIGRATE_VMA_FLAGS */
