// SPDX-License-Identifier: GPL-2.0
/*
 * Entries that no system call makes, put into a PMD or PUD of a test's own mapping.
 *
 * The kernel must not act on such an entry. Whoever is about to change or take
 * down these pages tells the notifiers first, the end of the address space as
 * well, and our notifier takes the entry back then. What only looks (a page
 * fault) finds
 *  - a bad PMD: a page table as good as ever, with a bit that the CPU ignores.
 *    Nothing is in it, as reclaim would come to its pages by their rmap, look whether
 *    they were used, and clear the PMD as a bad one (since 6.5);
 *  - a PMD that is not present: nothing to do, and no pages behind it;
 *  - a huge PUD: one that can be read, but not in user mode.
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

#include <asm/cpufeature.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/*
 * Who waits for a migration can't be killed, so that its process would not end
 * and nobody would take the entry back. So there is a limit, and the entry goes
 * earlier if its process is to end.
 */
#define LIMIT_MS	10000
#define LOOK_MS		20

/* A bit of a PMD that is for software, and means nothing in a pointer to a table. */
#define BAD_BIT		_PAGE_SPECIAL

/* Accessed already, so that a page fault for reading finds nothing to change. */
#define PUD_BITS	(_PAGE_PSE | _PAGE_ACCESSED | _PAGE_NX)

struct hmmirror_planting {
	struct mmu_interval_notifier notifier;
	struct delayed_work look;
	unsigned long limit;		/* in jiffies */
	struct task_struct *owner;	/* who planted it */
	struct mm_struct *mm;
	spinlock_t lock; /* protects planted; outside of the table's lock */
	bool planted;
	pmd_t *pmdp;		/* one of the two */
	pud_t *pudp;
	unsigned long size;
	unsigned long before;	/* entries, as values */
	unsigned long entry;
	struct page *page;	/* under migration, locked; or NULL */
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
		set_pud(planting->pudp, __pud(value));
	else
		set_pmd(planting->pmdp, __pmd(value));
}

/*
 * A bad PMD that somebody found is cleared by then; the table that it pointed at
 * is still there. Return: whether it was planted until now.
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

static void planting_look(struct work_struct *work)
{
	struct hmmirror_planting *planting =
		container_of(to_delayed_work(work), struct hmmirror_planting, look);

	if (time_after(jiffies, planting->limit) ||
	    READ_ONCE(planting->owner->signal->flags) & SIGNAL_GROUP_EXIT)
		take_back(planting);
	else if (READ_ONCE(planting->planted))
		schedule_delayed_work(&planting->look, msecs_to_jiffies(LOOK_MS));
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
		/* a place in the last of the swap files */
		planting->entry = pmd_val(__swp_entry_to_pmd(__swp_entry(MAX_SWAPFILES - 1, 1)));
		return 0;
	case HMMIRROR_PLANT_PMD_MIGRATION:
		if (!thp_migration_supported())
			return -EOPNOTSUPP;
		planting->page = alloc_pages(GFP_KERNEL | __GFP_ZERO | __GFP_COMP | __GFP_NOWARN,
					     PMD_SHIFT - PAGE_SHIFT);
		if (!planting->page)
			return -ENOMEM;
		lock_page(planting->page);
		entry = __swp_entry(SWP_MIGRATION_READ, page_to_pfn(planting->page));
		planting->entry = pmd_val(__swp_entry_to_pmd(entry));
		return 0;
	case HMMIRROR_PLANT_PUD_HUGE:
		planting->entry = PUD_BITS | _PAGE_PRESENT;
		return compat_no_huge_pud() ? -EOPNOTSUPP : 0;
	case HMMIRROR_PLANT_PUD_ABSENT:
		planting->entry = PUD_BITS | _PAGE_DEVMAP;
		return compat_no_huge_pud() ? -EOPNOTSUPP : 0;
	default:
		return 0;
	}
}

/* Return: the PUD of an address, NULL if there is no table for it. */
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

/**
 * hmmirror_plain_mapping() - is a range in one private anonymous mapping?
 * @mm: its mmap lock is held
 * @addr: first byte
 * @size: bytes
 */
bool hmmirror_plain_mapping(struct mm_struct *mm, unsigned long addr, unsigned long size)
{
	struct vm_area_struct *vma = vma_lookup(mm, addr);

	return vma && vma->vm_end - addr >= size && !vma->vm_ops && !vma->vm_file &&
	       !(vma->vm_flags & (VM_SHARED | VM_HUGETLB | VM_SPECIAL));
}

/* locked: the PMD; nobody may touch the range, so that nothing comes into it */
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

/* mmap lock held for writing: no notifier is on its way */
static int put_entry(struct hmmirror_planting *planting, unsigned long addr, bool bad)
{
	struct mm_struct *mm = planting->mm;
	spinlock_t *ptl;	/* of the page table */
	int ret = 0;

	if (!hmmirror_plain_mapping(mm, addr, planting->size))
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
		planting->entry = planting->before | BAD_BIT;

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
 * No reference to the address space is needed: its end would have called the
 * notifier before the tables go, and waits for its lock.
 */
static bool uproot(struct hmmirror *mirror)
{
	struct hmmirror_planting *planting = mirror->planting;
	bool planted;

	if (!planting)
		return false;
	cancel_delayed_work_sync(&planting->look);
	planted = take_back(planting);
	mmu_interval_notifier_remove(&planting->notifier);
	planting_free(planting);
	mirror->planting = NULL;
	return planted;
}

static unsigned long planted_size(u32 kind)
{
	return kind == HMMIRROR_PLANT_PUD_HUGE || kind == HMMIRROR_PLANT_PUD_ABSENT ?
	       PUD_SIZE : PMD_SIZE;
}

static int plant(struct hmmirror *mirror, unsigned long addr, u32 kind)
{
	struct hmmirror_planting *planting = mirror->planting;
	int ret;

	if (planting && READ_ONCE(planting->planted))
		return -EBUSY;
	/* what is left of one that an invalidation took back */
	uproot(mirror);

	planting = kzalloc(sizeof(*planting), GFP_KERNEL);
	if (!planting)
		return -ENOMEM;
	planting->mm = mirror->mm;
	planting->owner = current->group_leader;
	get_task_struct(planting->owner);
	planting->size = planted_size(kind);
	planting->limit = jiffies + msecs_to_jiffies(LIMIT_MS);
	spin_lock_init(&planting->lock);
	INIT_DELAYED_WORK(&planting->look, planting_look);

	ret = make_entry(planting, kind);
	if (ret)
		goto err_free;
	ret = mmu_interval_notifier_insert(&planting->notifier, mirror->mm, addr,
					   planting->size, &planting_ops);
	if (ret)
		goto err_unlock;

	/* who invalidates meanwhile does not know of ours until all have ended */
	mmu_interval_read_begin(&planting->notifier);
	ret = -EINTR;
	if (!mmap_write_lock_killable(mirror->mm)) {
		ret = put_entry(planting, addr, kind == HMMIRROR_PLANT_PMD_BAD);
		mmap_write_unlock(mirror->mm);
	}
	if (ret)
		goto err_remove;
	mirror->planting = planting;
	schedule_delayed_work(&planting->look, msecs_to_jiffies(LOOK_MS));
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

/* The opener closes the file: a call that waits for the entry has it open still. */
void hmmirror_plant_close(struct hmmirror *mirror)
{
	if (current->mm != mirror->mm)
		return;
	mutex_lock(&mirror->plant_lock);
	uproot(mirror);
	mutex_unlock(&mirror->plant_lock);
}

void hmmirror_plant_end(struct hmmirror *mirror)
{
	uproot(mirror);
}

static int plant_check(struct hmmirror *mirror, const struct hmmirror_plant *cmd)
{
	if (cmd->reserved || hweight32(cmd->flags) != 1 ||
	    cmd->flags & ~(HMMIRROR_PLANT_PUT | HMMIRROR_PLANT_TAKE))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_PLANT_TAKE)
		return cmd->addr || cmd->kind ? -EINVAL : 0;
	if (cmd->kind >= HMMIRROR_PLANT_NR)
		return -EINVAL;
	return hmmirror_check_span(mirror, cmd->addr, planted_size(cmd->kind),
				   planted_size(cmd->kind));
}

int hmmirror_ioctl_plant(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_plant *cmd = arg;
	int ret = plant_check(mirror, cmd);

	if (ret)
		return ret;
	/* Xen checks each entry of a PV guest's tables, and stops a guest that writes these. */
	if (boot_cpu_has(X86_FEATURE_XENPV))
		return -EOPNOTSUPP;
	if (!hmmirror_mm_get(mirror))
		return -ESRCH;
	if (mutex_lock_killable(&mirror->plant_lock)) {
		ret = -EINTR;
		goto out;
	}
	if (cmd->flags & HMMIRROR_PLANT_TAKE)
		ret = uproot(mirror) ? 0 : -ENOENT;
	else
		ret = plant(mirror, cmd->addr, cmd->kind);
	mutex_unlock(&mirror->plant_lock);
out:
	mmput(mirror->mm);
	return ret;
}
