// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own test ABI (uapi/test_abi.h), on which the tree's hmm-tests run.
 */
#include <linux/fs.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "abi/test_abi.h"
#include "access/copy.h"
#include "access/exclusive.h"
#include "core/mirror.h"
#include "core/pt.h"
#include "core/span.h"
#include "core/walk.h"
#include "memory/devmem.h"
#include "memory/evict.h"
#include "memory/migrate.h"
#include "uapi/test_abi.h"

bool hmmirror_test_abi_5_10;

static int copy(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd,
		struct hmmirror_copy_args *args)
{
	int ret;

	args->addr = cmd->addr;
	args->end = cmd->addr + (cmd->npages << PAGE_SHIFT);
	args->uptr = cmd->ptr;
	ret = hmmirror_copy_range(mirror, args);
	cmd->cpages = (args->addr - cmd->addr) >> PAGE_SHIFT;
	cmd->faults = args->faults;
	return ret ?: args->error;
}

static int read_write(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd, bool write)
{
	struct hmmirror_copy_args args = { .write = write, .fault = true };

	return copy(mirror, cmd, &args);
}

static int read_unlocked(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd)
{
	struct hmmirror_copy_args args = { .fault = true, .unlocked = true };

	return compat_no_unlocked() ? -EOPNOTSUPP : copy(mirror, cmd, &args);
}

/*
 * Copies the pages to the caller, who checks the data. Fails with -ENOENT at the first page
 * that is not where it should be.
 */
static int read_back(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd, u64 only)
{
	struct hmmirror_copy_args args = { .only = only };

	return copy(mirror, cmd, &args);
}

static int migrate(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd, bool to_device)
{
	struct hmmirror_migrate_args args = {
		.hooks = &mirror->hooks,
		.addr = cmd->addr,
		.end = cmd->addr + (cmd->npages << PAGE_SHIFT),
		.to_device = to_device,
		.huge = !hmmirror_no_huge(mirror->device),
	};
	int ret;

	if (hmmirror_no_device_memory(mirror->device))
		return -EOPNOTSUPP;
	ret = hmmirror_migrate_range(mirror->device, mirror->mm, &args);
	hmmirror_count_migrated(mirror, to_device, args.migrated);
	cmd->cpages = args.migrated;
	/* this ABI has one error for every address that can't migrate */
	return ret == -EFAULT ? -EINVAL : ret;
}

static int migrate_to_device(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd)
{
	unsigned long mapped;
	int ret;

	ret = migrate(mirror, cmd, true);
	if (ret)
		return ret;
	ret = hmmirror_fault_range(mirror, cmd->addr, cmd->addr + (cmd->npages << PAGE_SHIFT), 0,
				   &mapped);
	if (ret)
		return ret;
	return read_back(mirror, cmd, HMMIRROR_PTE_PRIVATE | HMMIRROR_PTE_COHERENT);
}

static int make_exclusive(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd)
{
	u64 pages;
	int ret;

	if (!compat_has_exclusive())
		return -EOPNOTSUPP;
	ret = hmmirror_make_exclusive(mirror, cmd->addr,
				      cmd->addr + (cmd->npages << PAGE_SHIFT), &pages);
	if (ret)
		return ret;
	return read_back(mirror, cmd, HMMIRROR_PTE_EXCLUSIVE);
}

static int check_exclusive(struct hmmirror *mirror, const struct hmm_dmirror_cmd *cmd)
{
	unsigned long end = cmd->addr + (cmd->npages << PAGE_SHIFT);
	unsigned long addr, nr;
	bool exclusive = false;

	mutex_lock(&mirror->pt.lock);
	for (addr = cmd->addr; addr < end && !exclusive; addr += nr << PAGE_SHIFT) {
		const u64 *ptes = hmmirror_pt_span(&mirror->pt, addr, end, &nr);
		unsigned long i;

		for (i = 0; ptes && i < nr; i++)
			exclusive |= !!(ptes[i] & HMMIRROR_PTE_EXCLUSIVE);
	}
	mutex_unlock(&mirror->pt.lock);
	return exclusive ? -EPERM : 0;
}

static u8 snapshot_byte(u64 pte)
{
	unsigned int order = hmmirror_pte_order(pte);
	u8 prot;

	if (pte & HMMIRROR_PTE_ERROR)
		return HMM_DMIRROR_PROT_ERROR;
	if (!(pte & HMMIRROR_PTE_VALID))
		return HMM_DMIRROR_PROT_NONE;

	prot = pte & HMMIRROR_PTE_WRITE ? HMM_DMIRROR_PROT_WRITE : HMM_DMIRROR_PROT_READ;
	if (pte & HMMIRROR_PTE_PRIVATE)
		prot |= pte & HMMIRROR_PTE_OTHER ? HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE :
						   HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL;
	else if (pte & HMMIRROR_PTE_COHERENT)
		prot |= pte & HMMIRROR_PTE_OTHER ? HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE :
						   HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL;
	/* this ABI takes the huge zero page for an ordinary huge page */
	else if (pte & HMMIRROR_PTE_ZERO && !order)
		prot |= HMM_DMIRROR_PROT_ZERO;

	if (order + PAGE_SHIFT == PMD_SHIFT)
		prot |= HMM_DMIRROR_PROT_PMD;
	else if (order + PAGE_SHIFT == PUD_SHIFT)
		prot |= HMM_DMIRROR_PROT_PUD;
	return prot;
}

/* Pages of one walk: enough that the cost of starting it does not show. */
#define SNAPSHOT_STEP	16384UL

static int snapshot(struct hmmirror *mirror, struct hmm_dmirror_cmd *cmd)
{
	unsigned long end = cmd->addr + (cmd->npages << PAGE_SHIFT);
	struct hmmirror_walk_args args = {};
	unsigned long addr, nr, i;
	u64 uptr = cmd->ptr;
	u32 last_flags = 0;
	u8 *bytes, byte = 0;
	int ret = -ENOMEM;

	nr = min_t(unsigned long, cmd->npages, SNAPSHOT_STEP);
	args.entries = kvmalloc_array(nr, sizeof(u64), GFP_KERNEL);
	bytes = kvmalloc(nr, GFP_KERNEL);
	if (!args.entries || !bytes)
		goto out;

	for (addr = cmd->addr; addr < end; addr += nr << PAGE_SHIFT) {
		nr = min((end - addr) >> PAGE_SHIFT, SNAPSHOT_STEP);
		args.start = addr;
		args.end = addr + (nr << PAGE_SHIFT);
		ret = hmmirror_walk_range(mirror, &args);
		if (ret)
			break;

		for (i = 0; i < nr; i++) {
			u32 flags = args.entries[i] & ((1U << HMMIRROR_PTE_PFN_SHIFT) - 1);

			/* most pages have the flags of the one before */
			if (!i || flags != last_flags)
				byte = snapshot_byte(args.entries[i]);
			last_flags = flags;
			bytes[i] = byte;
		}
		ret = -EFAULT;
		if (copy_to_user(u64_to_user_ptr(uptr), bytes, nr))
			break;
		ret = 0;
		uptr += nr;
		cmd->cpages += nr;
		cond_resched();
	}
out:
	kvfree(bytes);
	kvfree(args.entries);
	return ret;
}

static int dispatch(struct hmmirror *mirror, unsigned int nr, struct hmm_dmirror_cmd *cmd)
{
	switch (nr) {
	case HMM_DMIRROR_READ:
		return read_write(mirror, cmd, false);
	case HMM_DMIRROR_WRITE:
		return read_write(mirror, cmd, true);
	case HMM_DMIRROR_MIGRATE_TO_DEV:
		return migrate_to_device(mirror, cmd);
	case HMM_DMIRROR_MIGRATE_TO_SYS:
		return migrate(mirror, cmd, false);
	case HMM_DMIRROR_SNAPSHOT:
		return snapshot(mirror, cmd);
	case HMM_DMIRROR_EXCLUSIVE:
		return make_exclusive(mirror, cmd);
	case HMM_DMIRROR_CHECK_EXCLUSIVE:
		return check_exclusive(mirror, cmd);
	case HMM_DMIRROR_RELEASE:
		return hmmirror_devmem_release(mirror->device);
	case HMM_DMIRROR_FLAGS:
		atomic_set(&mirror->device->fail_huge,
			   cmd->npages & HMM_DMIRROR_FLAG_FAIL_ALLOC ? 1 : 0);
		return 0;
	case HMM_DMIRROR_READ_UNLOCKED:
		return read_unlocked(mirror, cmd);
	default:
		return -EINVAL;
	}
}

/*
 * Until 6.0 there was one call to migrate, to the device. Each call after it had a number
 * that was lower by one.
 */
static unsigned int number_of_5_10(unsigned int nr)
{
	switch (nr) {
	case HMM_DMIRROR_5_10_SNAPSHOT:
		return HMM_DMIRROR_SNAPSHOT;
	case HMM_DMIRROR_5_10_EXCLUSIVE:
		return HMM_DMIRROR_EXCLUSIVE;
	case HMM_DMIRROR_5_10_CHECK_EXCLUSIVE:
		return HMM_DMIRROR_CHECK_EXCLUSIVE;
	case HMM_DMIRROR_READ:
	case HMM_DMIRROR_WRITE:
	case HMM_DMIRROR_MIGRATE_TO_DEV:
		return nr;
	default:
		return 0;
	}
}

/**
 * hmmirror_test_abi() - a call of the kernel's own test ABI
 * @mirror: the opened mirror
 * @nr: ioctl number
 * @arg: struct hmm_dmirror_cmd
 *
 * Return: 0 with @arg written back, or a negative errno.
 */
long hmmirror_test_abi(struct hmmirror *mirror, unsigned int nr, void __user *arg)
{
	struct hmm_dmirror_cmd cmd;
	int ret;

	if (hmmirror_test_abi_5_10)
		nr = number_of_5_10(nr);
	if (copy_from_user(&cmd, arg, sizeof(cmd)))
		return -EFAULT;
	if (cmd.npages > ULONG_MAX >> PAGE_SHIFT)
		return -EINVAL;
	ret = hmmirror_check_span(mirror->mm, cmd.addr, cmd.npages << PAGE_SHIFT, PAGE_SIZE);
	if (ret)
		return -EINVAL;

	cmd.cpages = 0;
	cmd.faults = 0;
	if (!mmget_not_zero(mirror->mm))
		return -EINVAL;
	ret = dispatch(mirror, nr, &cmd);
	mmput(mirror->mm);
	if (ret)
		return ret;
	return copy_to_user(arg, &cmd, sizeof(cmd)) ? -EFAULT : 0;
}
