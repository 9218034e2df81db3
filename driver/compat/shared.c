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
 * at a time.
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

static DEFINE_MUTEX(shared_lock);	/* protects all of this */

static struct shared {
	struct page *page;
	unsigned long index;	/* in the range */
	int references;		/* hidden ones */
} shared[PTRS_PER_PTE];

static unsigned long nr_shared;
static bool mappings_hidden;

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

/**
 * compat_shared_hide() - hide mappings by others before migrate_vma()
 * @vma: the VMA that it is called for, its mmap lock held
 * @start: first byte; with @end within one page table
 * @end: first byte behind
 *
 * Pair with compat_shared_end().
 */
void compat_shared_hide(struct vm_area_struct *vma, unsigned long start, unsigned long end)
{
	pmd_t *pmd = find_pmd(vma->vm_mm, start);
	unsigned long addr;
	spinlock_t *lock;	/* of the page table */
	pte_t *pte;

	mutex_lock(&shared_lock);
	nr_shared = 0;
	mappings_hidden = true;
	if (!pmd)
		return;
	pte = pte_offset_map_lock(vma->vm_mm, pmd, start, &lock);
	for (addr = start; addr < end; addr += PAGE_SIZE, pte++) {
		struct page *page = shared_page(*pte);

		if (!page)
			continue;
		atomic_sub(HIDDEN_MAPPINGS, &page->_mapcount);
		shared[nr_shared].page = page;
		shared[nr_shared].index = (addr - start) >> PAGE_SHIFT;
		shared[nr_shared].references = 0;
		nr_shared++;
	}
	pte_unmap_unlock(pte - 1, lock);
}

/* When no more is unmapped. */
void compat_shared_show(const unsigned long *src)
{
	unsigned long i;

	if (!mappings_hidden)
		return;
	mappings_hidden = false;
	for (i = 0; i < nr_shared; i++) {
		struct page *page = shared[i].page;

		atomic_add(HIDDEN_MAPPINGS, &page->_mapcount);
		/* it was taken for the last mapping, and counted off */
		if (migrate_pfn_to_page(src[shared[i].index]) == page && page_mapped(page))
			mod_node_page_state(page_pgdat(page), NR_ANON_MAPPED, 1);
	}
}

/* What is migrated may have the reference of its free state, and the migration's. */
void compat_shared_hide_references(const unsigned long *src, const unsigned long *dst)
{
	unsigned long i;

	for (i = 0; i < nr_shared; i++) {
		struct page *page = shared[i].page;
		unsigned long index = shared[i].index;
		int references = page_count(page) - 2;

		if (!(src[index] & MIGRATE_PFN_MIGRATE) || !dst[index] || references <= 0)
			continue;
		WRITE_ONCE(shared[i].references, references);
		/* before anybody else can drop what seems to be the last one */
		smp_mb();
		page_ref_sub(page, references);
	}
}

void compat_shared_show_references(void)
{
	unsigned long i;

	for (i = 0; i < nr_shared; i++) {
		page_ref_add(shared[i].page, shared[i].references);
		WRITE_ONCE(shared[i].references, 0);
	}
}

void compat_shared_end(const unsigned long *src)
{
	compat_shared_show(src);
	nr_shared = 0;
	mutex_unlock(&shared_lock);
}

/* Is @page only free because references to it are hidden? */
bool compat_shared_keep(const struct page *page)
{
	unsigned long i;

	for (i = 0; i < READ_ONCE(nr_shared); i++)
		if (shared[i].page == page && READ_ONCE(shared[i].references))
			return true;
	return false;
}

#endif /* HAVE_MIGRATE_VMA_SETUP */
