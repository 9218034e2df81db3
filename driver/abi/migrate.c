// SPDX-License-Identifier: GPL-2.0
/*
 * HMMIRROR_MIGRATE: migration by address, by the numbers of the device's pages, and with the
 * mistakes that a driver can make.
 */
#include <linux/delay.h>
#include <linux/migrate.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "abi/calls.h"
#include "core/mirror.h"
#include "core/pt.h"
#include "core/span.h"
#include "core/walk.h"
#include "hooks/collect.h"
#include "hooks/fail.h"
#include "memory/chunk.h"
#include "memory/migrate.h"

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

/* Pages of a batch that are on the device. */
struct found_pages {
	u64 entries[HMMIRROR_MAX_BATCH];
	unsigned long pfns[HMMIRROR_MAX_BATCH];
	u16 indices[HMMIRROR_MAX_BATCH];	/* of them in the batch */
	u8 outcomes[HMMIRROR_MAX_BATCH];
	unsigned long nr;
};

static void find_pages(struct hmmirror_device *device, struct found_pages *found, unsigned long nr)
{
	const u64 ours = HMMIRROR_PTE_PRIVATE | HMMIRROR_PTE_COHERENT;
	unsigned long i;

	found->nr = 0;
	for (i = 0; i < nr; i++) {
		u64 entry = found->entries[i];

		if (!(entry & HMMIRROR_PTE_VALID) || !(entry & ours) ||
		    entry & HMMIRROR_PTE_OTHER ||
		    !hmmirror_devmem_has_pfn(device, hmmirror_pte_pfn(entry)))
			continue;
		found->indices[found->nr] = i;
		found->pfns[found->nr++] = hmmirror_pte_pfn(entry);
	}
}

static int migrate_found(struct hmmirror *mirror, struct hmmirror_migrate_args *args,
			 bool one_list, struct found_pages *found, unsigned long addr,
			 unsigned long end)
{
	struct hmmirror_walk_args walk = {
		.start = addr,
		.end = end,
		.entries = found->entries,
		.timeout_ms = 1000,
		.map = true,
	};
	unsigned long nr = (end - addr) >> PAGE_SHIFT;
	long ret = hmmirror_walk_range(mirror, &walk);
	unsigned long i;

	if (ret)
		return ret;
	/*
	 * Without this lock, the memory could go between the walk and the migration. A page may
	 * belong to another process by now, which is harmless.
	 */
	hmmirror_devmem_lock(mirror->device);
	find_pages(mirror->device, found, nr);
	if (found->nr)
		ret = hmmirror_migrate_pfns_to_ram(mirror->device, args->hooks, found->pfns,
						   found->nr, one_list, found->outcomes);
	hmmirror_devmem_unlock(mirror->device);
	if (ret < 0)
		return ret;
	args->migrated += ret;
	for (i = 0; args->outcomes && i < found->nr; i++)
		args->outcomes[((addr - args->addr) >> PAGE_SHIFT) + found->indices[i]] =
			found->outcomes[i];
	return 0;
}

static int migrate_by_pfn(struct hmmirror *mirror, struct hmmirror_migrate_args *args,
			  bool one_list)
{
	struct found_pages *found = kvmalloc(sizeof(*found), GFP_KERNEL);
	unsigned long addr, end;
	int ret = 0;

	if (!found)
		return -ENOMEM;
	for (addr = args->addr; addr < args->end && !ret; addr = end) {
		end = min(args->end, ALIGN(addr + 1, HMMIRROR_BATCH << PAGE_SHIFT));
		ret = migrate_found(mirror, args, one_list, found, addr, end);
	}
	kvfree(found);
	return ret;
}

static void do_nothing(struct migrate_vma *args, void *data)
{
}

/* Return: the kernel's answer. If it accepts the mistake, do_nothing() still moves no page. */
static int migrate_wrong(struct migrate_vma *args, struct vm_area_struct *vma,
			 enum hmmirror_mistake mistake, struct page *fault_page)
{
	int ret;

	if (!compat_migrate_checks(fault_page))
		return -EOPNOTSUPP;
	compat_set_fault_page(args, fault_page);
	args->vma = mistake == HMMIRROR_MISTAKE_NO_VMA ? NULL : vma;
	if (mistake == HMMIRROR_MISTAKE_BEFORE)
		args->start = vma->vm_start - PAGE_SIZE;
	if (mistake == HMMIRROR_MISTAKE_BEHIND)
		args->start = vma->vm_end;
	args->end = mistake == HMMIRROR_MISTAKE_EMPTY ? args->start : args->start + PAGE_SIZE;
	if (mistake == HMMIRROR_MISTAKE_PAST_END)
		args->end = vma->vm_end + PAGE_SIZE;
	if (mistake == HMMIRROR_MISTAKE_UNTIDY) {
		args->start += 1;
		args->end += 1;
		compat_set_migrate_counts(args, 1);
	}
	if (mistake == HMMIRROR_MISTAKE_NO_SOURCES)
		args->src = NULL;
	if (mistake == HMMIRROR_MISTAKE_NO_DESTS)
		args->dst = NULL;
	ret = compat_migrate_vma(args, do_nothing, do_nothing, NULL);
	if (!ret && (!PAGE_ALIGNED(args->start) || !PAGE_ALIGNED(args->end) ||
		     compat_migrate_npages(args) != 1))
		return -EIO;
	return ret;
}

/* Return: a page of the device or, for one of the mistakes, of the system. */
static struct page *alloc_fault_page(struct hmmirror_device *device, enum hmmirror_mistake mistake)
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

#define FREE_MS	10000

/*
 * An eviction takes a reference to each page of the device, and then looks for others. The
 * page must be freed between the two, so wait for that reference.
 */
static int wait_for_eviction(struct page *page)
{
	unsigned long end = jiffies + msecs_to_jiffies(FREE_MS);

	while (page_count(page) == 1) {
		if (time_after(jiffies, end) || fatal_signal_pending(current))
			return -EAGAIN;
		usleep_range(100, 200);
	}
	return 0;
}

static int migrate_with_mistake(struct hmmirror *mirror, unsigned long addr,
				enum hmmirror_mistake mistake)
{
	/* one page, and room for a kernel that counts on from HMMIRROR_MISTAKE_UNTIDY */
	unsigned long src[2] = { 0 }, dst[2] = { 0 };
	struct migrate_vma args = {
		.start = addr,
		.src = src,
		.dst = dst,
		.pgmap_owner = src,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
	};
	struct vm_area_struct *vma;
	struct page *page = NULL;
	int ret = -EFAULT;

	if (mistake >= HMMIRROR_MISTAKE_FAULT_SYSTEM && mistake <= HMMIRROR_MISTAKE_GIVEN_BACK) {
		if (mirror->device->memory != HMMIRROR_MEMORY_PRIVATE)
			return -EOPNOTSUPP;
		if (mistake == HMMIRROR_MISTAKE_GIVEN_BACK && !compat_has_device_range())
			return -EOPNOTSUPP;
		page = alloc_fault_page(mirror->device, mistake);
		if (!page)
			return -ENOMEM;
	}
	if (mistake == HMMIRROR_MISTAKE_GIVEN_BACK) {
		ret = wait_for_eviction(page);
	} else if (mmap_read_lock_killable(mirror->mm)) {
		ret = -EINTR;
	} else {
		vma = vma_lookup(mirror->mm, addr);
		if (vma)
			ret = migrate_wrong(&args, vma, mistake, page);
		mmap_read_unlock(mirror->mm);
	}
	if (page)
		put_page(page);
	return ret;
}

static int run(struct hmmirror *mirror, struct hmmirror_migrate_args *args,
	       const struct hmmirror_migrate *cmd)
{
	struct hmmirror_hooks *hooks = &mirror->hooks;
	struct hmmirror_collect *collect;
	struct hmmirror_failing *failing;
	int ret;

	if (mistake_of(cmd))
		return migrate_with_mistake(mirror, args->addr, mistake_of(cmd));
	collect = hmmirror_collect_begin(&hooks->hold);
	failing = hmmirror_fail_begin(&hooks->injections, HMMIRROR_INJECT_TABLE,
				      HMMIRROR_INJECT_TABLE_GONE);
	if (cmd->flags & BY_NUMBER)
		ret = migrate_by_pfn(mirror, args, cmd->flags & HMMIRROR_MIGRATE_BY_PFN);
	else
		ret = hmmirror_migrate_range(mirror->device, mirror->mm, args);
	hmmirror_count_migrated(mirror, args->to_device, args->migrated);
	hmmirror_fail_end(failing);
	hmmirror_collect_end(collect);
	return ret;
}

/* @bytes: (out) a byte for each page, if the caller wants them at the address @user */
static int alloc_bytes(u64 user, unsigned long nr, u8 **bytes)
{
	if (!user)
		return 0;
	if (!hmmirror_is_user_writable(user, nr))
		return -EFAULT;
	*bytes = kvcalloc(nr, sizeof(u8), GFP_KERNEL_ACCOUNT);
	return *bytes ? 0 : -ENOMEM;
}

int hmmirror_ioctl_migrate(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_migrate *cmd = arg;
	unsigned long nr = cmd->length >> PAGE_SHIFT;
	struct hmmirror_migrate_args args = {
		.hooks = &mirror->hooks,
		.addr = cmd->addr,
		.end = cmd->addr + cmd->length,
		.to_device = cmd->flags & HMMIRROR_MIGRATE_TO_DEVICE,
		.huge = cmd->flags & HMMIRROR_MIGRATE_HUGE,
		.pieces = cmd->flags & HMMIRROR_MIGRATE_PIECES,
		.populate = cmd->flags & HMMIRROR_MIGRATE_POPULATE,
	};
	int ret;

	ret = check_flags(cmd);
	if (!ret)
		ret = hmmirror_check_span(mirror->mm, cmd->addr, cmd->length, PAGE_SIZE);
	if (ret)
		return ret;
	if (hmmirror_no_device_memory(mirror->device) ||
	    (args.huge && hmmirror_no_huge(mirror->device)))
		return -EOPNOTSUPP;
	ret = alloc_bytes(cmd->outcomes, nr, &args.outcomes);
	if (!ret)
		ret = alloc_bytes(cmd->offers, nr, &args.offers);
	if (ret)
		goto out;

	ret = -ESRCH;
	if (!mmget_not_zero(mirror->mm))
		goto out;
	cmd->error = run(mirror, &args, cmd);
	mmput(mirror->mm);
	cmd->migrated = args.migrated;
	cmd->cpages = args.cpages;

	ret = cmd->error == -EINTR || cmd->error == -EOPNOTSUPP ? cmd->error : 0;
	if (!ret && args.outcomes &&
	    copy_to_user(u64_to_user_ptr(cmd->outcomes), args.outcomes, nr))
		ret = -EFAULT;
	if (!ret && args.offers && copy_to_user(u64_to_user_ptr(cmd->offers), args.offers, nr))
		ret = -EFAULT;
out:
	kvfree(args.offers);
	kvfree(args.outcomes);
	return ret;
}
