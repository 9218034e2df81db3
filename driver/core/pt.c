// SPDX-License-Identifier: GPL-2.0
/*
 * The device page table: leaves of 512 entries in an xarray that is indexed by address.
 * Storing and erasing go leaf by leaf, so a page costs no more than a write of 8 bytes.
 *
 * A walk allocates its leaves before it starts (reserve), because nothing may be allocated
 * under the lock. An invalidation that covers a whole leaf frees it. If that was a
 * reserved leaf, the invalidation calls the notifier of the walk, too, so that the walk
 * starts again and reserves anew, or has stored its answers already.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "core/pt.h"

#define LEAF_SHIFT	(PAGE_SHIFT + 9)
#define LEAF_SIZE	BIT(LEAF_SHIFT)
#define LEAF_MASK	(~(LEAF_SIZE - 1))
#define LEAF_PAGES	(LEAF_SIZE >> PAGE_SHIFT)

struct leaf {
	u64 pte[LEAF_PAGES];
};

static unsigned long leaf_slot(unsigned long addr)
{
	return (addr & ~LEAF_MASK) >> PAGE_SHIFT;
}

void hmmirror_pt_init(struct hmmirror_pt *pt)
{
	mutex_init(&pt->lock);
	xa_init(&pt->leaves);
}

/**
 * hmmirror_pt_reserve() - allocate the leaves of a range
 * @pt: the table, not locked
 * @start: first byte
 * @end: first byte behind
 *
 * May sleep. The leaves stay until the next invalidation of that range.
 *
 * Return: 0 or -ENOMEM.
 */
int hmmirror_pt_reserve(struct hmmirror_pt *pt, unsigned long start, unsigned long end)
{
	unsigned long i;

	for (i = start >> LEAF_SHIFT; i <= (end - 1) >> LEAF_SHIFT; i++) {
		struct leaf *leaf;
		int ret;

		if (xa_load(&pt->leaves, i))
			continue;
		leaf = kzalloc(sizeof(*leaf), GFP_KERNEL_ACCOUNT);
		if (!leaf)
			return -ENOMEM;
		ret = xa_insert(&pt->leaves, i, leaf, GFP_KERNEL_ACCOUNT);
		/* -EBUSY: another walk has just inserted one */
		if (ret)
			kfree(leaf);
		if (ret == -ENOMEM)
			return ret;
	}
	return 0;
}

/**
 * hmmirror_pt_span() - find the entries of a range in the table itself
 * @pt: the table, locked
 * @addr: first byte
 * @end: first byte behind
 * @nr: (out) pages up to @end or to the end of the leaf, whichever is first
 *
 * Return: the entry of @addr, followed by those of the next pages; NULL if
 * there is no leaf.
 */
u64 *hmmirror_pt_span(struct hmmirror_pt *pt, unsigned long addr, unsigned long end,
		      unsigned long *nr)
{
	unsigned long slot = leaf_slot(addr);
	struct leaf *leaf;

	lockdep_assert_held(&pt->lock);

	*nr = min(LEAF_PAGES - slot, (PAGE_ALIGN(end) - (addr & PAGE_MASK)) >> PAGE_SHIFT);
	leaf = xa_load(&pt->leaves, addr >> LEAF_SHIFT);
	return leaf ? &leaf->pte[slot] : NULL;
}

/*
 * A reserved leaf is missing if an invalidation has called the mirror's notifier and not
 * yet that of the walk. Skip it: the second call will erase what the walk stores.
 */
void hmmirror_pt_store(struct hmmirror_pt *pt, unsigned long addr, const u64 *ptes,
		       unsigned long nr)
{
	unsigned long end = addr + (nr << PAGE_SHIFT);
	unsigned long n;

	for (; addr < end; addr += n << PAGE_SHIFT, ptes += n) {
		u64 *dst = hmmirror_pt_span(pt, addr, end, &n);

		if (dst)
			memcpy(dst, ptes, n * sizeof(*ptes));
	}
}

void hmmirror_pt_load(struct hmmirror_pt *pt, unsigned long addr, u64 *ptes, unsigned long nr)
{
	unsigned long end = addr + (nr << PAGE_SHIFT);
	unsigned long n;

	for (; addr < end; addr += n << PAGE_SHIFT, ptes += n) {
		const u64 *src = hmmirror_pt_span(pt, addr, end, &n);

		if (src)
			memcpy(ptes, src, n * sizeof(*ptes));
		else
			memset(ptes, 0, n * sizeof(*ptes));
	}
}

/**
 * hmmirror_pt_erase() - clear the entries of a range, and free leaves that it covers
 * @pt: the table, locked
 * @start: first byte
 * @end: first byte behind
 *
 * Visits the leaves that exist, not the range: an exit erases the whole address space.
 *
 * Return: whether there was a leaf.
 */
bool hmmirror_pt_erase(struct hmmirror_pt *pt, unsigned long start, unsigned long end)
{
	unsigned long last = (end - 1) >> LEAF_SHIFT;
	unsigned long i = start >> LEAF_SHIFT;
	struct leaf *leaf;
	bool found = false;

	lockdep_assert_held(&pt->lock);

	/* before 5.5, xa_find_after() goes one beyond the last if there is an entry */
	for (leaf = xa_find(&pt->leaves, &i, last, XA_PRESENT); leaf && i <= last;
	     leaf = xa_find_after(&pt->leaves, &i, last, XA_PRESENT)) {
		unsigned long leaf_start = i << LEAF_SHIFT;
		unsigned long from = max(start, leaf_start);
		unsigned long to = min(end - 1, leaf_start + LEAF_SIZE - 1);

		found = true;
		if (to - from == LEAF_SIZE - 1) {
			xa_erase(&pt->leaves, i);
			kfree(leaf);
			continue;
		}
		memset(&leaf->pte[leaf_slot(from)], 0,
		       ((to - from) / PAGE_SIZE + 1) * sizeof(leaf->pte[0]));
	}
	return found;
}

void hmmirror_pt_destroy(struct hmmirror_pt *pt)
{
	struct leaf *leaf;
	unsigned long i;

	xa_for_each(&pt->leaves, i, leaf)
		kfree(leaf);
	xa_destroy(&pt->leaves);
}
