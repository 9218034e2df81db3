// SPDX-License-Identifier: GPL-2.0
/*
 * The device reads and writes memory through its page table.
 *
 * A page is copied straight between where it lies and the caller's buffer, with
 * mirror->lock held: an invalidation waits until the device is done with the
 * page, as it would for a transfer in flight. Page faults on the buffer are off
 * meanwhile, since a fault may end in that same invalidation; when the buffer
 * is not there, the lock is dropped, the buffer faulted in, and the copy goes on
 * from the byte where it stopped.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/memremap.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

/* Bytes of the buffer that one fault-in makes ready. */
#define BUFFER_STEP	(HMMIRROR_BATCH << PAGE_SHIFT)

/* How long one page may be faulted in again and again. */
#define STUCK_MS	1000

/* How long a copy may fail though the buffer is there. */
#define JAMMED_MS	200

static struct page *data_page(u64 pte)
{
	struct page *page = pfn_to_page(hmmirror_pte_pfn(pte));

	return pte & HMMIRROR_PTE_PRIVATE ? hmmirror_devmem_data(page) : page;
}

/**
 * hmmirror_pte_data() - where the bytes of a page are
 * @pte: a valid entry, of a mirror whose lock is held
 *
 * Return: the kernel's address of the first byte.
 */
void *hmmirror_pte_data(u64 pte)
{
	return page_address(data_page(pte));
}

static bool usable(const struct hmmirror_transfer *t, u64 pte)
{
	if (!(pte & HMMIRROR_PTE_VALID))
		return false;
	if (t->write && !(pte & HMMIRROR_PTE_WRITE))
		return false;
	return !t->only || (pte & t->only && !(pte & HMMIRROR_PTE_OTHER));
}

/* The CPU's entry can be clean when the device is the first to write. */
void hmmirror_pte_dirty(u64 pte)
{
	struct page *page = pfn_to_page(hmmirror_pte_pfn(pte));

	if (!(pte & (HMMIRROR_PTE_PRIVATE | HMMIRROR_PTE_COHERENT)) && !PageDirty(page))
		set_page_dirty(page);
}

/* Return: bytes that could not be copied. */
static unsigned long copy_piece(const struct hmmirror_transfer *t, u64 pte, size_t len)
{
	void __user *buffer = u64_to_user_ptr(t->uptr);
	void *data = hmmirror_pte_data(pte) + offset_in_page(t->addr);

	if (!t->write)
		return __copy_to_user_inatomic(buffer, data, len);

	hmmirror_pte_dirty(pte);
	return __copy_from_user_inatomic(data, buffer, len);
}

/*
 * Copy what the device page table has, up to the end of a leaf.
 * Return: 0 all of that done; -ENOENT the device lacks the page at t->addr;
 * -EFAULT the buffer at t->uptr is not there now.
 */
static int copy_span(struct hmmirror *mirror, struct hmmirror_transfer *t)
{
	unsigned long nr, i;
	const u64 *ptes = hmmirror_pt_span(mirror, t->addr, t->end, &nr);
	int ret = 0;

	if (!ptes)
		return -ENOENT;

	pagefault_disable();
	for (i = 0; i < nr && !ret; i++) {
		size_t len = min(t->end - t->addr, PAGE_SIZE - offset_in_page(t->addr));
		size_t left;

		if (!usable(t, ptes[i])) {
			ret = -ENOENT;
			break;
		}
		left = copy_piece(t, ptes[i], len);
		if (left)
			ret = -EFAULT;
		t->addr += len - left;
		t->uptr += len - left;
	}
	pagefault_enable();
	return ret;
}

/* Return: 0, or -EFAULT when the buffer really can't be had. */
static int ready_buffer(const struct hmmirror_transfer *t)
{
	char __user *buffer = u64_to_user_ptr(t->uptr);
	size_t len = min_t(size_t, t->end - t->addr, BUFFER_STEP);
	size_t left;

	if (t->write)
		left = fault_in_readable(buffer, len);
	else
		left = fault_in_writeable(buffer, len);
	return left == len ? -EFAULT : 0;
}

/*
 * The walker hands out this device's own pages without a fault, also read-only
 * ones when write is asked for. As a CPU's write would, bring such a page home,
 * so that the next fault can unshare it or refuse.
 */
static void bring_home(struct hmmirror *mirror, unsigned long addr)
{
	struct hmmirror_move move = {
		.addr = addr & PAGE_MASK,
		.end = (addr & PAGE_MASK) + PAGE_SIZE,
	};

	hmmirror_move(mirror, &move);
}

/**
 * hmmirror_transfer() - copy between the mirrored memory and the caller's buffer
 * @mirror: whose address space; its mm must be held
 * @t: what to copy; addr and uptr move on as it goes
 *
 * Return: 0, and t->error says whether and why it stopped before the end:
 * -ENOENT (nothing mapped, faults not wanted), -EBUSY (taken away again and
 * again, or never given as asked), -EFAULT (secret, the kernel can't get at it) or
 * the walker's error; -EFAULT when the buffer can't be accessed, -EINTR when killed.
 */
int hmmirror_transfer(struct hmmirror *mirror, struct hmmirror_transfer *t)
{
	u64 request = HMMIRROR_REQ_FAULT | (t->write ? HMMIRROR_REQ_WRITE : 0) |
		      (t->unlocked ? HMMIRROR_REQ_UNLOCKED : 0);
	unsigned long mapped = t->addr;
	unsigned long stuck = 0, deadline = 0;
	unsigned long jammed = t->end, jam_end = 0;
	int ret;

	t->error = 0;
	if (!access_ok(u64_to_user_ptr(t->uptr), t->end - t->addr))
		return -EFAULT;

	while (t->addr < t->end) {
		if (mutex_lock_killable(&mirror->lock))
			return -EINTR;
		ret = copy_span(mirror, t);
		mutex_unlock(&mirror->lock);

		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();

		if (!ret)
			continue;
		if (ret == -EFAULT && !ready_buffer(t)) {
			/* not for the buffer: the kernel can't get at secret memory */
			if (t->addr != jammed) {
				jammed = t->addr;
				jam_end = jiffies + msecs_to_jiffies(JAMMED_MS);
			} else if (time_after(jiffies, jam_end)) {
				t->error = -EFAULT;
				return 0;
			}
			continue;
		}
		if (ret != -ENOENT)
			return ret;
		if (!t->fault)
			t->error = -ENOENT;
		/* after a walk that failed, what it did map has been copied now */
		if (t->error && t->addr >= mapped)
			return 0;

		if (t->faults && t->addr == stuck) {
			/* asked for, given, and still not to be used */
			t->error = -EBUSY;
			if (time_after(jiffies, deadline))
				return 0;
			if (t->write)
				bring_home(mirror, t->addr);
		} else {
			stuck = t->addr;
			deadline = jiffies + msecs_to_jiffies(STUCK_MS);
		}

		t->faults++;
		t->error = hmmirror_fault(mirror, t->addr & PAGE_MASK, PAGE_ALIGN(t->end),
					  request, &mapped);
		if (t->error == -EINTR)
			return -EINTR;
	}
	t->error = 0;
	return 0;
}

int hmmirror_ioctl_copy(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_copy *cmd = arg;
	struct hmmirror_transfer t = {
		.addr = cmd->addr,
		.end = cmd->addr + cmd->length,
		.uptr = cmd->buffer,
		.write = cmd->flags & HMMIRROR_COPY_WRITE,
		.fault = !(cmd->flags & HMMIRROR_COPY_NOFAULT),
	};
	int ret;

	if (cmd->flags & ~(HMMIRROR_COPY_WRITE | HMMIRROR_COPY_NOFAULT) || cmd->reserved)
		return -EINVAL;
	ret = hmmirror_check_span(mirror, cmd->addr, cmd->length, 1);
	if (ret)
		return ret;

	if (!hmmirror_mm_get(mirror))
		return -ESRCH;
	ret = hmmirror_transfer(mirror, &t);
	mmput(mirror->mm);
	if (ret)
		return ret;

	cmd->copied = t.addr - cmd->addr;
	cmd->faults = t.faults;
	cmd->error = t.error;
	return 0;
}
