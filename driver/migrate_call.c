// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_MIGRATE: by address, by the numbers of the device's pages, and with the
 * mistakes that a driver can make.
 */
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

#define DIRECTIONS	(HMMIRROR_MIGRATE_TO_DEVICE | HMMIRROR_MIGRATE_TO_SYSTEM)
#define MISTAKES	(0xffU << HMMIRROR_MIGRATE_MISTAKE_SHIFT)
#define BY_NUMBER	(HMMIRROR_MIGRATE_BY_PFN | HMMIRROR_MIGRATE_BY_RANGE)
#define ALL_FLAGS	(DIRECTIONS | HMMIRROR_MIGRATE_HUGE | HMMIRROR_MIGRATE_PIECES | \
			 HMMIRROR_MIGRATE_POPULATE | BY_NUMBER | MISTAKES)

static enum hmmirror_mistake mistake_of(const struct hmmirror_migrate *cmd)
{
	return (cmd->flags & MISTAKES) >> HMMIRROR_MIGRATE_MISTAKE_SHIFT;
}

static int check_flags(const struct hmmirror_migrate *cmd)
{
	u32 others = cmd->flags & ~(DIRECTIONS | MISTAKES);

	if (cmd->flags & ~ALL_FLAGS || cmd->reserved || hweight32(cmd->flags & DIRECTIONS) != 1)
		return -EINVAL;
	if (mistake_of(cmd) >= HMMIRROR_MISTAKE_NR || (mistake_of(cmd) && others))
		return -EINVAL;
	if (others & HMMIRROR_MIGRATE_PIECES && !(others & HMMIRROR_MIGRATE_HUGE))
		return -EINVAL;
	if (others & (HMMIRROR_MIGRATE_POPULATE | BY_NUMBER) &&
	    cmd->flags & HMMIRROR_MIGRATE_TO_DEVICE)
		return -EINVAL;
	if (others & BY_NUMBER && others & (others - 1))
		return -EINVAL;
	if (others & BY_NUMBER && !compat_has_device_range())
		return -EOPNOTSUPP;
	return 0;
}

/* Pages of a batch that are the device's: their numbers, and which they are. */
struct found {
	u64 entries[HMMIRROR_BATCH];
	unsigned long pfns[HMMIRROR_BATCH];
	u16 places[HMMIRROR_BATCH];
	u8 outcomes[HMMIRROR_BATCH];
	unsigned long nr;
};

static void find_pages(struct hmmirror_device *device, struct found *found, unsigned long nr)
{
	const u64 ours = HMMIRROR_PTE_PRIVATE | HMMIRROR_PTE_COHERENT;
	unsigned long i;

	found->nr = 0;
	for (i = 0; i < nr; i++) {
		u64 entry = found->entries[i];

		if (!(entry & HMMIRROR_PTE_VALID) || !(entry & ours) ||
		    entry & HMMIRROR_PTE_OTHER ||
		    !hmmirror_devmem_has(device, hmmirror_pte_pfn(entry)))
			continue;
		found->places[found->nr] = i;
		found->pfns[found->nr++] = hmmirror_pte_pfn(entry);
	}
}

static int move_found(struct hmmirror *mirror, struct hmmirror_move *move,
		      struct found *found, unsigned long addr, unsigned long end)
{
	struct hmmirror_walk walk = {
		.start = addr,
		.end = end,
		.entries = found->entries,
		.timeout_ms = 1000,
		.map = true,
	};
	unsigned long nr = (end - addr) >> PAGE_SHIFT;
	long ret = hmmirror_walk(mirror, &walk);
	unsigned long i;

	if (ret)
		return ret;
	/* they may be others' by now, but they are pages, and the device's */
	hmmirror_devmem_stay(mirror->device);
	find_pages(mirror->device, found, nr);
	if (found->nr)
		ret = hmmirror_bring_home(mirror, mirror->device, found->pfns, found->nr,
					  move->listed, found->outcomes);
	hmmirror_devmem_go(mirror->device);
	if (ret < 0)
		return ret;
	move->migrated += ret;
	atomic64_add(ret, &mirror->count.to_system);
	for (i = 0; move->outcomes && i < found->nr; i++)
		move->outcomes[((addr - move->addr) >> PAGE_SHIFT) + found->places[i]] =
			found->outcomes[i];
	return 0;
}

static int move_by_pfn(struct hmmirror *mirror, struct hmmirror_move *move)
{
	struct found *found = kvmalloc(sizeof(*found), GFP_KERNEL);
	unsigned long addr, end;
	int ret = 0;

	if (!found)
		return -ENOMEM;
	for (addr = move->addr; addr < move->end && !ret; addr = end) {
		end = min(move->end, ALIGN(addr + 1, HMMIRROR_BATCH << PAGE_SHIFT));
		ret = move_found(mirror, move, found, addr, end);
	}
	kvfree(found);
	return ret;
}

static void nothing(struct migrate_vma *args, void *data)
{
}

/* Return: what the kernel says. Should it not mind, nothing is moved all the same. */
static int migrate_wrong(struct migrate_vma *args, struct vm_area_struct *vma,
			 enum hmmirror_mistake mistake, struct page *fault_page)
{
	if (!compat_migrate_checks(args, fault_page))
		return -EOPNOTSUPP;
	args->vma = mistake == HMMIRROR_MISTAKE_NO_VMA ? NULL : vma;
	if (mistake == HMMIRROR_MISTAKE_BEFORE)
		args->start = vma->vm_start - PAGE_SIZE;
	if (mistake == HMMIRROR_MISTAKE_BEHIND)
		args->start = vma->vm_end;
	args->end = mistake == HMMIRROR_MISTAKE_EMPTY ? args->start : args->start + PAGE_SIZE;
	if (mistake == HMMIRROR_MISTAKE_PAST_END)
		args->end = vma->vm_end + PAGE_SIZE;
	if (mistake == HMMIRROR_MISTAKE_NO_SOURCES)
		args->src = NULL;
	if (mistake == HMMIRROR_MISTAKE_NO_DESTS)
		args->dst = NULL;
	return compat_migrate_vma(args, nothing, nothing, NULL);
}

/* A page that is the device's or, for the one mistake, the system's. */
static struct page *page_for(struct hmmirror_device *device, enum hmmirror_mistake mistake)
{
	struct page *data, *page;

	data = alloc_page(GFP_KERNEL);
	if (!data || mistake == HMMIRROR_MISTAKE_FAULT_SYSTEM)
		return data;
	page = hmmirror_devmem_grow(device, 1, false) ? NULL :
	       hmmirror_devmem_alloc(device, data, 0);
	if (page)
		folio_unlock(page_folio(page));
	else
		__free_page(data);
	return page;
}

#define GIVE_BACK_MS	500

/*
 * Who brings the device's pages home holds them for a moment before looking who else
 * does. The page has to go within that moment, so this does not sleep.
 */
static int give_back(struct page *page)
{
	unsigned long end = jiffies + msecs_to_jiffies(GIVE_BACK_MS);

	while (page_count(page) == 1) {
		if (time_after(jiffies, end) || fatal_signal_pending(current))
			return -EAGAIN;
		cond_resched();
		cpu_relax();
	}
	return 0;
}

static int move_wrong(struct hmmirror *mirror, const struct hmmirror_move *move,
		      enum hmmirror_mistake mistake)
{
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.start = move->addr,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = &src,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	struct vm_area_struct *vma;
	struct page *page = NULL;
	int ret = -EFAULT;

	if (mistake >= HMMIRROR_MISTAKE_FAULT_SYSTEM) {
		if (mirror->device->memory != HMMIRROR_MEMORY_PRIVATE)
			return -EOPNOTSUPP;
		if (mistake == HMMIRROR_MISTAKE_GIVEN_BACK && !compat_has_device_range())
			return -EOPNOTSUPP;
		page = page_for(mirror->device, mistake);
		if (!page)
			return -ENOMEM;
	}
	if (mistake == HMMIRROR_MISTAKE_GIVEN_BACK) {
		ret = give_back(page);
	} else if (mmap_read_lock_killable(mirror->mm)) {
		ret = -EINTR;
	} else {
		vma = vma_lookup(mirror->mm, move->addr);
		if (vma)
			ret = migrate_wrong(&args, vma, mistake, page);
		mmap_read_unlock(mirror->mm);
	}
	if (page)
		put_page(page);
	return ret;
}

static int run(struct hmmirror *mirror, struct hmmirror_move *move,
	       const struct hmmirror_migrate *cmd)
{
	struct hmmirror_collect *collect;
	struct hmmirror_failing *failing;
	int ret;

	if (mistake_of(cmd))
		return move_wrong(mirror, move, mistake_of(cmd));
	collect = hmmirror_collect_begin(mirror);
	failing = hmmirror_fail_begin(mirror, HMMIRROR_INJECT_TABLE, HMMIRROR_INJECT_TABLE_GONE);
	if (cmd->flags & BY_NUMBER)
		ret = move_by_pfn(mirror, move);
	else
		ret = hmmirror_move(mirror, move);
	hmmirror_fail_end(failing);
	hmmirror_collect_end(collect);
	return ret;
}

int hmmirror_ioctl_migrate(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_migrate *cmd = arg;
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	struct hmmirror_move move = {
		.addr = cmd->addr,
		.end = cmd->addr + cmd->length,
		.to_device = cmd->flags & HMMIRROR_MIGRATE_TO_DEVICE,
		.huge = cmd->flags & HMMIRROR_MIGRATE_HUGE,
		.pieces = cmd->flags & HMMIRROR_MIGRATE_PIECES,
		.listed = cmd->flags & HMMIRROR_MIGRATE_BY_PFN,
		.populate = cmd->flags & HMMIRROR_MIGRATE_POPULATE,
	};
	int ret;

	ret = check_flags(cmd) ?: hmmirror_check_span(mirror, cmd->addr, cmd->length, PAGE_SIZE);
	if (ret)
		return ret;
	if (mirror->device->memory == HMMIRROR_MEMORY_NONE ||
	    (move.huge && hmmirror_no_huge(mirror->device)))
		return -EOPNOTSUPP;
	if (cmd->outcomes) {
		if (!hmmirror_user_writable(cmd->outcomes, nr))
			return -EFAULT;
		move.outcomes = kvcalloc(nr, sizeof(u8), GFP_KERNEL_ACCOUNT);
		if (!move.outcomes)
			return -ENOMEM;
	}

	ret = -ESRCH;
	if (!hmmirror_mm_get(mirror))
		goto out;
	cmd->error = run(mirror, &move, cmd);
	mmput(mirror->mm);
	cmd->migrated = move.migrated;

	ret = cmd->error == -EINTR || cmd->error == -EOPNOTSUPP ? cmd->error : 0;
	if (!ret && move.outcomes &&
	    copy_to_user(u64_to_user_ptr(cmd->outcomes), move.outcomes, nr))
		ret = -EFAULT;
out:
	kvfree(move.outcomes);
	return ret;
}
