// SPDX-License-Identifier: GPL-2.0
/*
 * After a fork, several processes map a device-private page. When migrate_vma()
 * has replaced the entry of the VMA that it was called for, it lets the rmap
 * walk replace the others, which before 5.3 reads the page's number out of an
 * entry that is not present, and lowers the map count of whatever struct page
 * that gives, or of none.
 *
 * So migrate_vma() must not see the other mappings: their part of the map count
 * is hidden until it has made up its mind, and their references while it
 * compares the count of those. Of the page, a copy goes to this VMA, and the
 * others keep the page, as if this process had written to it. Both counts stay
 * right when others map or unmap it meanwhile. One page is hidden by one caller
 * at a time, and nobody gets a device page while another looks for those to hide.
 * While pages are allocated and copied, others may have their turn.
 */
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/page_ref.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/vmstat.h>

#include "compat.h"

#ifndef HAVE_MIGRATE_VMA_SETUP

/* more than can map a page, and as much room below */
#define HIDDEN_MAPPINGS	0x20000000

static DEFINE_MUTEX(shared_lock);

struct compat_shared_page {
	struct page *page;
	unsigned long index;	/* in the range */
};

/* Under shared_lock; who frees a page looks without. */
static struct {
	struct page *page;
	int references;		/* hidden ones */
} hidden[MAX_PTRS_PER_PTE];

static unsigned long nr_hidden;

static pmd_t *find_pmd(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;
	pud_t *pud;
	pmd_t *pmd;

	if (pgd_none(*pgd) || pgd_bad(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d) || p4d_bad(*p4d))
		return NULL;
	pud = pud_offset(p4d, addr);
	if (pud_none(*pud) || pud_bad(*pud))
		return NULL;
	pmd = pmd_offset(pud, addr);
	return pmd_present(*pmd) && !pmd_trans_huge(*pmd) && !pmd_bad(*pmd) ? pmd : NULL;
}

static struct page *shared_page(pte_t pte)
{
	struct page *page;
	swp_entry_t entry;

	if (pte_none(pte) || pte_present(pte))
		return NULL;
	entry = pte_to_swp_entry(pte);
	if (!is_device_private_entry(entry))
		return NULL;
	page = device_private_entry_to_page(entry);
	return page_mapcount(page) > 1 ? page : NULL;
}

/* Up to @max pages that others map too are hidden. Return: how many there are. */
static unsigned long hide_mappings(struct compat_shared *shared, struct vm_area_struct *vma,
				   unsigned long start, unsigned long end, unsigned long max)
{
	pmd_t *pmd = find_pmd(vma->vm_mm, start);
	unsigned long addr, nr = 0;
	spinlock_t *lock;	/* of the page table */
	pte_t *pte;

	if (!pmd)
		return 0;
	pte = pte_offset_map_lock(vma->vm_mm, pmd, start, &lock);
	for (addr = start; addr < end; addr += PAGE_SIZE, pte++) {
		struct page *page = shared_page(*pte);

		if (!page)
			continue;
		if (nr++ >= max)
			continue;
		atomic_sub(HIDDEN_MAPPINGS, &page->_mapcount);
		shared->pages[shared->nr].page = page;
		shared->pages[shared->nr].index = (addr - start) >> PAGE_SHIFT;
		shared->nr++;
	}
	pte_unmap_unlock(pte - 1, lock);
	return nr;
}

/**
 * compat_shared_hide() - hide mappings by others before migrate_vma()
 * @shared: what is hidden
 * @vma: the VMA that it is called for, its mmap lock held
 * @start: first byte; with @end within one page table
 * @end: first byte behind
 *
 * Pair with compat_shared_end().
 *
 * Return: 0 or -ENOMEM.
 */
int compat_shared_hide(struct compat_shared *shared, struct vm_area_struct *vma,
		       unsigned long start, unsigned long end)
{
	unsigned long nr;

	memset(shared, 0, sizeof(*shared));
	mutex_lock(&shared_lock);
	nr = hide_mappings(shared, vma, start, end, 0);
	if (nr) {
		shared->pages = kvmalloc_array(nr, sizeof(*shared->pages), GFP_KERNEL);
		if (!shared->pages) {
			mutex_unlock(&shared_lock);
			return -ENOMEM;
		}
		/* there can't be more now: who could add one needs a lock that we have */
		hide_mappings(shared, vma, start, end, nr);
	}
	shared->locked = true;
	return 0;
}

/* When no more is unmapped: others may go on. */
void compat_shared_show(struct compat_shared *shared, const unsigned long *src)
{
	unsigned long i;

	for (i = 0; i < shared->nr; i++) {
		struct page *page = shared->pages[i].page;

		atomic_add(HIDDEN_MAPPINGS, &page->_mapcount);
		/* it was taken for the last mapping, and counted off */
		if (migrate_pfn_to_page(src[shared->pages[i].index]) == page &&
		    page_mapped(page))
			mod_node_page_state(page_pgdat(page), NR_ANON_MAPPED, 1);
	}
	shared->locked = false;
	mutex_unlock(&shared_lock);
}

/* What is migrated may have the reference of its free state, and the migration's. */
void compat_shared_hide_references(const struct compat_shared *shared, const unsigned long *src,
				   const unsigned long *dst)
{
	unsigned long i;

	mutex_lock(&shared_lock);
	for (i = 0; i < shared->nr; i++) {
		struct page *page = shared->pages[i].page;
		unsigned long index = shared->pages[i].index;
		int references = page_count(page) - 2;

		if (!(src[index] & MIGRATE_PFN_MIGRATE) || !dst[index] || references <= 0)
			continue;
		hidden[nr_hidden].page = page;
		WRITE_ONCE(hidden[nr_hidden].references, references);
		WRITE_ONCE(nr_hidden, nr_hidden + 1);
		/* before anybody else can drop what seems to be the last one */
		smp_mb();
		page_ref_sub(page, references);
	}
}

void compat_shared_show_references(void)
{
	unsigned long i;

	for (i = 0; i < nr_hidden; i++) {
		page_ref_add(hidden[i].page, hidden[i].references);
		WRITE_ONCE(hidden[i].references, 0);
	}
	WRITE_ONCE(nr_hidden, 0);
	mutex_unlock(&shared_lock);
}

/* The entries are next: while another looks for device pages, none may come. */
void compat_shared_close(struct compat_shared *shared)
{
	mutex_lock(&shared_lock);
	shared->locked = true;
	shared->nr = 0;
}

/* Nothing may have been migrated at all. */
void compat_shared_end(struct compat_shared *shared, const unsigned long *src)
{
	if (shared->locked)
		compat_shared_show(shared, src);
	kvfree(shared->pages);
}

/* Is @page only free because references to it are hidden? */
bool compat_shared_keep(const struct page *page)
{
	unsigned long i;

	for (i = 0; i < READ_ONCE(nr_hidden); i++)
		if (hidden[i].page == page && READ_ONCE(hidden[i].references))
			return true;
	return false;
}

#endif /* HAVE_MIGRATE_VMA_SETUP */
