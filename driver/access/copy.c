// SPDX-License-Identifier: GPL-2.0
/*
 * The device reads and writes memory through its page table.
 *
 * The driver copies between a page and the caller's buffer with mirror->pt.lock held. So an
 * invalidation waits until the device has finished with the page, as it would for a transfer
 * in flight. Page faults on the buffer are disabled meanwhile: a fault can cause that same
 * invalidation, and would wait for itself. If the buffer is not present, the driver drops the
 * lock, faults the buffer in, and continues at the byte where the copy stopped.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/memremap.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "access/copy.h"
#include "core/mirror.h"
#include "core/pt.h"
#include "core/walk.h"
#include "memory/devmem.h"
#include "memory/migrate.h"

/* Bytes of the buffer that are faulted in at a time. */
#define BUFFER_STEP	(HMMIRROR_BATCH << PAGE_SHIFT)

/* How long to fault one page in again and again. */
#define STUCK_MS	1000

/* How long to retry a copy that fails though the buffer is present. */
#define UNREADABLE_MS	200

static struct page *data_page(u64 pte)
{
	struct page *page = pfn_to_page(hmmirror_pte_pfn(pte));

	return pte & HMMIRROR_PTE_PRIVATE ? hmmirror_devmem_data(page) : page;
}

/**
 * hmmirror_pte_data() - find the bytes of a page
 * @pte: a valid entry; the caller holds the lock of the mirror
 *
 * Return: the kernel's address of the first byte.
 */
void *hmmirror_pte_data(u64 pte)
{
	return page_address(data_page(pte));
}

static bool is_usable(const struct hmmirror_copy_args *args, u64 pte)
{
	if (!(pte & HMMIRROR_PTE_VALID))
		return false;
	if (args->write && !(pte & HMMIRROR_PTE_WRITE))
		return false;
	return !args->only || (pte & args->only && !(pte & HMMIRROR_PTE_OTHER));
}

/* The device writes: the CPU's entry of the page may still be clean. */
void hmmirror_set_pte_page_dirty(u64 pte)
{
	struct page *page = pfn_to_page(hmmirror_pte_pfn(pte));

	if (!(pte & (HMMIRROR_PTE_PRIVATE | HMMIRROR_PTE_COHERENT)) && !PageDirty(page))
		set_page_dirty(page);
}

/* Return: bytes that could not be copied. */
static unsigned long copy_piece(const struct hmmirror_copy_args *args, u64 pte, size_t len)
{
	void __user *buffer = u64_to_user_ptr(args->uptr);
	void *data = hmmirror_pte_data(pte) + offset_in_page(args->addr);

	/* secret memory: not every machine survives a copy from there with an error */
	if (!compat_kernel_readable(data))
		return len;
	if (!args->write)
		return __copy_to_user_inatomic(buffer, data, len);

	hmmirror_set_pte_page_dirty(pte);
	return __copy_from_user_inatomic(data, buffer, len);
}

/*
 * Copies pages that the device page table has, up to the end of a leaf.
 * Return: 0 if all were copied; -ENOENT if the table has no usable entry for args->addr;
 * -EFAULT if the buffer at args->uptr is not present.
 */
static int copy_span(struct hmmirror *mirror, struct hmmirror_copy_args *args)
{
	unsigned long nr, i;
	const u64 *ptes = hmmirror_pt_span(&mirror->pt, args->addr, args->end, &nr);
	int ret = 0;

	if (!ptes)
		return -ENOENT;

	pagefault_disable();
	for (i = 0; i < nr && !ret; i++) {
		size_t len = min(args->end - args->addr, PAGE_SIZE - offset_in_page(args->addr));
		size_t left;

		if (!is_usable(args, ptes[i])) {
			ret = -ENOENT;
			break;
		}
		left = copy_piece(args, ptes[i], len);
		if (left)
			ret = -EFAULT;
		args->addr += len - left;
		args->uptr += len - left;
	}
	pagefault_enable();
	return ret;
}

/* Return: 0, or -EFAULT if the caller has no access to the buffer. */
static int fault_in_buffer(const struct hmmirror_copy_args *args)
{
	char __user *buffer = u64_to_user_ptr(args->uptr);
	size_t len = min_t(size_t, args->end - args->addr, BUFFER_STEP);
	size_t left;

	if (args->write)
		left = fault_in_readable(buffer, len);
	else
		left = fault_in_writeable(buffer, len);
	return left == len ? -EFAULT : 0;
}

/*
 * The walker gives pages of this device without a fault, even read-only ones for a write.
 * Migrate such a page to the system, as a write of the CPU would: the next fault can then
 * unshare it, or refuse.
 */
static void migrate_to_ram(struct hmmirror *mirror, unsigned long addr)
{
	struct hmmirror_migrate_args args = {
		.addr = addr & PAGE_MASK,
		.end = (addr & PAGE_MASK) + PAGE_SIZE,
		.hooks = &mirror->hooks,
	};

	hmmirror_migrate_range(mirror->device, mirror->mm, &args);
	hmmirror_count_migrated(mirror, false, args.migrated);
}

/**
 * hmmirror_copy_range() - copy between mirrored memory and the caller's buffer
 * @mirror: whose address space; the caller holds its mm
 * @args: what to copy
 *
 * Return: -EFAULT if the caller has no access to the buffer, -EINTR when killed; else 0, and
 * @args->error says why the copy stopped before the end: -ENOENT at a page that the device page
 * table lacks, without @args->fault; -EBUSY at a page that was invalidated again and again, or
 * never became usable; -EFAULT at memory that the kernel can't read (memfd_secret()); or the
 * walker's error.
 */
int hmmirror_copy_range(struct hmmirror *mirror, struct hmmirror_copy_args *args)
{
	u64 request = HMMIRROR_REQ_FAULT | (args->write ? HMMIRROR_REQ_WRITE : 0) |
		      (args->unlocked ? HMMIRROR_REQ_UNLOCKED : 0);
	unsigned long mapped = args->addr;
	unsigned long stuck = 0, deadline = 0;
	unsigned long unreadable = args->end, unreadable_end = 0;
	int ret;

	args->error = 0;
	if (!access_ok(u64_to_user_ptr(args->uptr), args->end - args->addr))
		return -EFAULT;

	while (args->addr < args->end) {
		if (mutex_lock_killable(&mirror->pt.lock))
			return -EINTR;
		ret = copy_span(mirror, args);
		mutex_unlock(&mirror->pt.lock);

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();

		if (!ret)
			continue;
		if (ret == -EFAULT && !fault_in_buffer(args)) {
			/* if the buffer is not at fault, the page is: secret memory */
			if (args->addr != unreadable) {
				unreadable = args->addr;
				unreadable_end = jiffies + msecs_to_jiffies(UNREADABLE_MS);
			} else if (time_after(jiffies, unreadable_end)) {
				args->error = -EFAULT;
				return 0;
			}
			continue;
		}
		if (ret != -ENOENT)
			return ret;
		if (!args->fault)
			args->error = -ENOENT;
		/* The last walk failed, and the pages that it mapped are copied now. */
		if (args->error && args->addr >= mapped)
			return 0;

		if (args->faults && args->addr == stuck) {
			/* the walk succeeded, and the entry is still not usable */
			args->error = -EBUSY;
			if (time_after(jiffies, deadline))
				return 0;
			if (args->write)
				migrate_to_ram(mirror, args->addr);
		} else {
			stuck = args->addr;
			deadline = jiffies + msecs_to_jiffies(STUCK_MS);
		}

		args->faults++;
		args->error = hmmirror_fault_range(mirror, args->addr & PAGE_MASK,
						   PAGE_ALIGN(args->end), request, &mapped);
		if (args->error == -EINTR)
			return -EINTR;
	}
	args->error = 0;
	return 0;
}
