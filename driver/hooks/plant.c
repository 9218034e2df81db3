// SPDX-License-Identifier: GPL-2.0
/*
 * PMDs and PUDs that no system call makes, planted in a mapping of the test.
 *
 * The kernel must not act on such an entry. Code that is about to change or unmap these
 * pages calls the notifiers first, and so does the exit of the address space. The driver's
 * notifier takes the entry back then. Code that only reads the entry, such as a page fault,
 * finds one of these:
 *  - a bad PMD: it still points at its page table, with one bit that the CPU ignores. The
 *    table must be empty. Reclaim comes to a page by its rmap, without a notifier, and
 *    since 6.5 clears a bad PMD that it meets there;
 *  - a PMD that is not present: there is nothing to do, and there are no pages behind it;
 *  - a huge PUD: it is read-only, and not for user mode.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/workqueue.h>

#include <xen/xen.h>

#include "compat/compat.h"
#include "hooks/mapping.h"
#include "hooks/plant.h"

/*
 * A thread that waits for a migration entry can't be killed. Its process would then never
 * exit, and no notifier would take the entry back. So a work item takes it back after a time
 * limit, or as soon as the process is about to exit.
 */
#define LIMIT_MS	10000
#define POLL_MS		20

struct hmmirror_planting {
	struct mmu_interval_notifier notifier;
	struct delayed_work poll;
	unsigned long limit;		/* in jiffies */
	struct task_struct *owner;	/* leader of the process that planted it */
	struct mm_struct *mm;
	spinlock_t lock; /* protects planted; the page table lock nests inside */
	bool planted;
	pmd_t *pmdp;		/* this or the next */
	pud_t *pudp;
	unsigned long size;
	unsigned long before;	/* the entry that it replaced */
	unsigned long entry;
	struct page *page;	/* of a migration entry, locked; or NULL */
};

static spinlock_t *table_lock(const struct hmmirror_planting *planting)
{
	return planting->pudp ? pud_lockptr(planting->mm, planting->pudp) :
				pmd_lockptr(planting->mm, planting->pmdp);
}

static unsigned long get_entry(const struct hmmirror_planting *planting)
{
	return planting->pudp ? pud_val(*planting->pudp) : pmd_val(*planting->pmdp);
}

static void set_entry(const struct hmmirror_planting *planting, unsigned long value)
{
	if (planting->pudp)
		compat_set_pud(planting->pudp, __pud(value));
	else
		compat_set_pmd(planting->pmdp, __pmd(value));
}

/*
 * The entry is empty if the kernel has found a bad PMD and cleared it. The table that it
 * pointed at is still there, so put the old entry back all the same.
 * Return: whether it was planted until now.
 */
static bool take_back(struct hmmirror_planting *planting)
{
	spinlock_t *ptl;	/* of the page table */
	bool planted;

	spin_lock(&planting->lock);
	planted = planting->planted;
	if (planted) {
		ptl = table_lock(planting);
		spin_lock(ptl);
		if (!get_entry(planting) || get_entry(planting) == planting->entry)
			set_entry(planting, planting->before);
		else
			pr_warn("a planted entry was replaced, its table is lost\n");
		spin_unlock(ptl);
		planting->planted = false;
	}
	spin_unlock(&planting->lock);

	if (planted && planting->page)
		unlock_page(planting->page);
	return planted;
}

static void planting_poll(struct work_struct *work)
{
	struct hmmirror_planting *planting =
		container_of(to_delayed_work(work), struct hmmirror_planting, poll);

	if (time_after(jiffies, planting->limit) ||
	    READ_ONCE(planting->owner->signal->flags) & SIGNAL_GROUP_EXIT)
		take_back(planting);
	else if (READ_ONCE(planting->planted))
		schedule_delayed_work(&planting->poll, msecs_to_jiffies(POLL_MS));
}

static bool planting_invalidate(struct mmu_interval_notifier *notifier,
				const struct mmu_notifier_range *range, unsigned long seq)
{
	mmu_interval_set_seq(notifier, seq);
	take_back(container_of(notifier, struct hmmirror_planting, notifier));
	return true;
}

static const struct mmu_interval_notifier_ops planting_ops = {
	.invalidate = planting_invalidate,
};

static int make_entry(struct hmmirror_planting *planting, u32 kind)
{
	swp_entry_t entry;

	switch (kind) {
	case HMMIRROR_PLANT_PMD_UNKNOWN:
		/* a swap entry of the last swap file, which is never there */
		planting->entry = pmd_val(__swp_entry_to_pmd(__swp_entry(MAX_SWAPFILES - 1, 1)));
		return 0;
	case HMMIRROR_PLANT_PMD_MIGRATION:
		/* as large as a user's huge page, so it comes from where those do */
		planting->page = alloc_pages(GFP_HIGHUSER_MOVABLE | __GFP_ZERO | __GFP_COMP |
					     __GFP_NOWARN, PMD_SHIFT - PAGE_SHIFT);
		if (!planting->page)
			return -ENOMEM;
		lock_page(planting->page);
		entry = __swp_entry(SWP_MIGRATION_READ, page_to_pfn(planting->page));
		planting->entry = pmd_val(__swp_entry_to_pmd(entry));
		return 0;
	case HMMIRROR_PLANT_PUD_HUGE:
		planting->entry = COMPAT_PUD_HUGE;
		return 0;
	case HMMIRROR_PLANT_PUD_ABSENT:
		planting->entry = COMPAT_PUD_ABSENT;
		return 0;
	default:
		return 0;
	}
}

/* Return: NULL if there is no PUD table at that address. */
static pud_t *find_pud(struct mm_struct *mm, unsigned long addr)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	p4d_t *p4d;

	if (pgd_none(*pgd))
		return NULL;
	p4d = p4d_offset(pgd, addr);
	if (p4d_none(*p4d))
		return NULL;
	return pud_offset(p4d, addr);
}

static pmd_t *find_pmd(struct mm_struct *mm, unsigned long addr)
{
	pud_t *pud = find_pud(mm, addr);

	if (!pud || pud_none(*pud) || pud_bad(*pud))
		return NULL;
	return pmd_offset(pud, addr);
}

/* Hold the lock of the PMD. The ABI forbids to touch the range, so the table stays empty. */
static bool is_empty_table(pmd_t *pmdp)
{
	pte_t *ptes;
	int i;

	if (pmd_none(*pmdp) || pmd_bad(*pmdp))
		return false;
	ptes = pte_offset_kernel(pmdp, 0);
	for (i = 0; i < PTRS_PER_PTE; i++)
		if (!pte_none(READ_ONCE(ptes[i])))
			return false;
	return true;
}

/* Hold the mmap lock for writing: no invalidation of the range can begin. */
static int write_entry(struct hmmirror_planting *planting, unsigned long addr, bool bad)
{
	struct mm_struct *mm = planting->mm;
	spinlock_t *ptl;	/* of the page table */
	int ret = 0;

	if (!hmmirror_is_plain_mapping(mm, addr, planting->size))
		return -EINVAL;
	if (planting->size == PUD_SIZE)
		planting->pudp = find_pud(mm, addr);
	else
		planting->pmdp = find_pmd(mm, addr);
	if (!planting->pudp && !planting->pmdp)
		return -ENXIO;

	spin_lock(&planting->lock);
	ptl = table_lock(planting);
	spin_lock(ptl);
	planting->before = get_entry(planting);
	if (bad)
		planting->entry = planting->before | COMPAT_PMD_BAD_BIT;

	if (bad ? !is_empty_table(planting->pmdp) : !!planting->before) {
		ret = -ENXIO;
	} else {
		set_entry(planting, planting->entry);
		planting->planted = true;
	}
	spin_unlock(ptl);
	spin_unlock(&planting->lock);
	return ret;
}

static void planting_free(struct hmmirror_planting *planting)
{
	if (planting->page)
		put_page(planting->page);
	put_task_struct(planting->owner);
	kfree(planting);
}

/*
 * Needs no reference to the address space: its exit calls the notifier before it frees page
 * tables, and that takes planting->lock.
 * Return: whether it was planted until now.
 */
static bool unplant(struct hmmirror_plant_point *point)
{
	struct hmmirror_planting *planting = point->planting;
	bool planted;

	if (!planting)
		return false;
	cancel_delayed_work_sync(&planting->poll);
	planted = take_back(planting);
	mmu_interval_notifier_remove(&planting->notifier);
	planting_free(planting);
	point->planting = NULL;
	return planted;
}

/* Return: why this kernel has no such entries, NULL if it has. */
const char *hmmirror_no_planted(u32 kind)
{
	switch (kind) {
	case HMMIRROR_PLANT_PMD_UNKNOWN:
		return NULL;
	case HMMIRROR_PLANT_PMD_MIGRATION:
		return thp_migration_supported() ? NULL : "the kernel migrates no huge pages";
	case HMMIRROR_PLANT_PUD_HUGE:
		return compat_no_huge_pud();
	case HMMIRROR_PLANT_PUD_ABSENT:
		return compat_no_absent_pud();
	default:
		return compat_no_bad_pmd();
	}
}

unsigned long hmmirror_planted_size(u32 kind)
{
	return kind == HMMIRROR_PLANT_PUD_HUGE || kind == HMMIRROR_PLANT_PUD_ABSENT ?
	       PUD_SIZE : PMD_SIZE;
}

/* Hold point->lock. */
static int plant(struct hmmirror_plant_point *point, struct mm_struct *mm, unsigned long addr,
		 u32 kind)
{
	struct hmmirror_planting *planting = point->planting;
	int ret;

	if (planting && READ_ONCE(planting->planted))
		return -EBUSY;
	/* free one that an invalidation has taken back */
	unplant(point);

	planting = kzalloc(sizeof(*planting), GFP_KERNEL);
	if (!planting)
		return -ENOMEM;
	planting->mm = mm;
	planting->owner = current->group_leader;
	get_task_struct(planting->owner);
	planting->size = hmmirror_planted_size(kind);
	planting->limit = jiffies + msecs_to_jiffies(LIMIT_MS);
	spin_lock_init(&planting->lock);
	INIT_DELAYED_WORK(&planting->poll, planting_poll);

	ret = make_entry(planting, kind);
	if (ret)
		goto err_free;
	ret = mmu_interval_notifier_insert(&planting->notifier, mm, addr,
					   planting->size, &planting_ops);
	if (ret)
		goto err_unlock;

	/* Wait for invalidations in flight: the core defers our notifier until they end. */
	mmu_interval_read_begin(&planting->notifier);
	ret = -EINTR;
	if (!mmap_write_lock_killable(mm)) {
		ret = write_entry(planting, addr, kind == HMMIRROR_PLANT_PMD_BAD);
		mmap_write_unlock(mm);
	}
	if (ret)
		goto err_remove;
	point->planting = planting;
	schedule_delayed_work(&planting->poll, msecs_to_jiffies(POLL_MS));
	return 0;

err_remove:
	mmu_interval_notifier_remove(&planting->notifier);
err_unlock:
	if (planting->page)
		unlock_page(planting->page);
err_free:
	planting_free(planting);
	return ret;
}

/* Return: why no entry can be planted, NULL if it can. */
const char *hmmirror_no_plant(void)
{
	/* Xen checks every entry of a PV guest's page tables, and stops a guest with these. */
	return xen_pv_domain() ? "the kernel is a PV guest of Xen" : NULL;
}

void hmmirror_plant_init(struct hmmirror_plant_point *point)
{
	mutex_init(&point->lock);
}

/**
 * hmmirror_plant_entry() - put an entry into a page table
 * @point: of the mirror
 * @mm: the mirrored address space, held by the caller
 * @addr: first byte; aligned to, and followed by, hmmirror_planted_size() bytes
 * @kind: enum hmmirror_planted
 *
 * Return: 0, or an error as the ABI header says.
 */
int hmmirror_plant_entry(struct hmmirror_plant_point *point, struct mm_struct *mm,
			 unsigned long addr, u32 kind)
{
	int ret;

	if (mutex_lock_killable(&point->lock))
		return -EINTR;
	ret = plant(point, mm, addr, kind);
	mutex_unlock(&point->lock);
	return ret;
}

/* Return: 0; -ENOENT if none was there any more; -EINTR. */
int hmmirror_unplant_entry(struct hmmirror_plant_point *point)
{
	bool planted;

	if (mutex_lock_killable(&point->lock))
		return -EINTR;
	planted = unplant(point);
	mutex_unlock(&point->lock);
	return planted ? 0 : -ENOENT;
}

/* A thread of the process may wait for the entry: take it back, also when being killed. */
void hmmirror_plant_flush(struct hmmirror_plant_point *point)
{
	mutex_lock(&point->lock);
	unplant(point);
	mutex_unlock(&point->lock);
}

void hmmirror_plant_destroy(struct hmmirror_plant_point *point)
{
	unplant(point);
}
