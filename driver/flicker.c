// SPDX-License-Identifier: GPL-2.0
/*
 * An entry that changes while the walker looks at it.
 *
 * The walker reads a PMD several times without a lock, a few instructions apart,
 * which no second thread hits on purpose. Here it gets a copy of the entry to
 * look at instead of the entry itself, and a hardware breakpoint on the copy
 * tells of each look right after it. One look in the row finds nothing there.
 * The page table is never changed.
 */
#include <linux/hw_breakpoint.h>
#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/perf_event.h>
#include <linux/sched/mm.h>

#include "compat/compat.h"
#include "hmmirror_drv.h"

#define MAX_NTH		16

/* Return: why there is no such thing on this kernel, NULL if there is. */
const char *hmmirror_no_flicker(void)
{
	if (!IS_ENABLED(CONFIG_KPROBES) || !IS_ENABLED(CONFIG_KALLSYMS))
		return "the kernel was built without CONFIG_KPROBES or CONFIG_KALLSYMS";
	if (!IS_ENABLED(CONFIG_HAVE_HW_BREAKPOINT))
		return "the kernel was built without hardware breakpoints (CONFIG_PERF_EVENTS)";
	if (!IS_ENABLED(CONFIG_X86_64))
		return "arguments of a function are changed on x86-64 only";
	return compat_no_breakpoint_in_kprobe();
}

/* In a debug exception, or whatever the CPU has for this: no locks. */
static void looked(struct perf_event *event, struct perf_sample_data *data, struct pt_regs *regs)
{
	struct hmmirror_flicker_point *flicker = event->overflow_handler_context;

	if (READ_ONCE(flicker->state) != HMMIRROR_FLICKER_SEEN)
		return;
	flicker->looks++;
	WRITE_ONCE(flicker->copy, flicker->looks + 1 == flicker->nth ?
		   __pmd(0) : flicker->entry);
}

/*
 * To look at something else than a PMD in its page table is safe as long as it is a
 * huge page or a table: for others the walker takes the lock of the table.
 * Before pte_offset_map() could fail, it took any entry for a table.
 */
static bool may_flicker(pmd_t entry)
{
	if (pmd_none(entry) || !pmd_present(entry))
		return false;
	if (pmd_trans_huge(entry))
		return true;
	return compat_pte_map_can_fail() && !pmd_bad(entry);
}

/* hmm_vma_walk_pmd(pmdp, start, end, walk) begins */
static int walker_comes(struct kprobe *probe, struct pt_regs *regs)
{
	struct hmmirror_flicker_point *flicker =
		container_of(probe, struct hmmirror_flicker_point, probe);
	pmd_t entry;

	if (READ_ONCE(flicker->walker) != current || current->mm != flicker->mm ||
	    (regs->si & PMD_MASK) != flicker->addr)
		return 0;
	entry = READ_ONCE(*(pmd_t *)regs->di);
	if (!may_flicker(entry) ||
	    cmpxchg(&flicker->state, HMMIRROR_FLICKER_ARMED, HMMIRROR_FLICKER_BEGUN) !=
	    HMMIRROR_FLICKER_ARMED)
		return 0;

	flicker->entry = entry;
	WRITE_ONCE(flicker->copy, flicker->nth == 1 ? __pmd(0) : entry);
	flicker->looks = 0;
	regs->di = (unsigned long)&flicker->copy;
	/* the breakpoint has told of our own write by now */
	smp_store_release(&flicker->state, HMMIRROR_FLICKER_SEEN);
	return 0;
}

/* To take a probe away costs much more than what it sees, so it stays. */
static int probe(struct hmmirror_flicker_point *flicker)
{
	int ret;

	if (flicker->probe.pre_handler)
		return 0;
	flicker->probe.symbol_name = "hmm_vma_walk_pmd";
	flicker->probe.pre_handler = walker_comes;
	ret = register_kprobe(&flicker->probe);
	if (ret)
		memset(&flicker->probe, 0, sizeof(flicker->probe));
	return ret;
}

/*
 * The copy is there as long as the mirror, so nobody else than a walker of this mirror
 * may get it, and one at a time.
 */
void hmmirror_flicker_walk(struct hmmirror *mirror, unsigned long start, unsigned long end)
{
	struct hmmirror_flicker_point *flicker = &mirror->flicker;

	atomic_inc(&flicker->walkers);
	if (READ_ONCE(flicker->state) == HMMIRROR_FLICKER_ARMED &&
	    start < flicker->addr + PMD_SIZE && end > flicker->addr)
		cmpxchg(&flicker->walker, NULL, current);
}

void hmmirror_flicker_walked(struct hmmirror *mirror)
{
	struct hmmirror_flicker_point *flicker = &mirror->flicker;

	if (READ_ONCE(flicker->walker) == current)
		WRITE_ONCE(flicker->walker, NULL);
	atomic_dec(&flicker->walkers);
}

/* Under flicker->lock. */
static int arm(struct hmmirror *mirror, const struct hmmirror_flicker *cmd)
{
	struct hmmirror_flicker_point *flicker = &mirror->flicker;
	struct perf_event_attr attr;
	int ret;

	flicker->mm = mirror->mm;
	flicker->addr = cmd->addr;
	flicker->nth = cmd->nth;
	flicker->looks = 0;

	hw_breakpoint_init(&attr);
	attr.bp_addr = (unsigned long)&flicker->copy;
	attr.bp_len = HW_BREAKPOINT_LEN_8;
	attr.bp_type = HW_BREAKPOINT_RW;
	flicker->breakpoints = register_wide_hw_breakpoint(&attr, looked, flicker);
	if (IS_ERR((void __force *)flicker->breakpoints)) {
		ret = PTR_ERR((void __force *)flicker->breakpoints);
		/* other debuggers have them all */
		return ret == -ENOSPC ? -EBUSY : ret;
	}

	WRITE_ONCE(flicker->state, HMMIRROR_FLICKER_ARMED);
	ret = probe(flicker);
	if (ret) {
		WRITE_ONCE(flicker->state, HMMIRROR_FLICKER_NO);
		unregister_wide_hw_breakpoint(flicker->breakpoints);
		return ret == -ENOMEM ? ret : -EOPNOTSUPP;
	}
	return 0;
}

/* Under flicker->lock and with no walk under way, or by who has the last reference. */
static void end(struct hmmirror_flicker_point *flicker)
{
	if (READ_ONCE(flicker->state) == HMMIRROR_FLICKER_NO)
		return;
	unregister_wide_hw_breakpoint(flicker->breakpoints);
	WRITE_ONCE(flicker->state, HMMIRROR_FLICKER_NO);
}

void hmmirror_flicker_init(struct hmmirror *mirror)
{
	mutex_init(&mirror->flicker.lock);
}

void hmmirror_flicker_end(struct hmmirror *mirror)
{
	end(&mirror->flicker);
	if (mirror->flicker.probe.pre_handler)
		unregister_kprobe(&mirror->flicker.probe);
}

static int flicker_check(struct hmmirror *mirror, const struct hmmirror_flicker *cmd)
{
	if (cmd->reserved || hweight32(cmd->flags) != 1 ||
	    cmd->flags & ~(HMMIRROR_FLICKER_ARM | HMMIRROR_FLICKER_END))
		return -EINVAL;
	if (cmd->flags & HMMIRROR_FLICKER_END)
		return cmd->addr || cmd->nth ? -EINVAL : 0;
	if (!cmd->nth || cmd->nth > MAX_NTH)
		return -EINVAL;
	return hmmirror_check_span(mirror, cmd->addr, PMD_SIZE, PMD_SIZE);
}

static int check_mapping(struct hmmirror *mirror, unsigned long addr)
{
	int ret = -EINTR;

	if (!hmmirror_mm_get(mirror))
		return -ESRCH;
	if (!mmap_read_lock_killable(mirror->mm)) {
		ret = hmmirror_plain_mapping(mirror->mm, addr, PMD_SIZE) ? 0 : -EINVAL;
		mmap_read_unlock(mirror->mm);
	}
	mmput(mirror->mm);
	return ret;
}

int hmmirror_ioctl_flicker(struct hmmirror *mirror, void *arg)
{
	struct hmmirror_flicker_point *flicker = &mirror->flicker;
	struct hmmirror_flicker *cmd = arg;
	int ret = flicker_check(mirror, cmd);

	if (!ret && hmmirror_no_flicker())
		ret = -EOPNOTSUPP;
	if (!ret && cmd->flags & HMMIRROR_FLICKER_ARM)
		ret = check_mapping(mirror, cmd->addr);
	if (ret)
		return ret;

	if (mutex_lock_killable(&flicker->lock))
		return -EINTR;
	if (atomic_read(&flicker->walkers)) {
		ret = -EBUSY;
	} else if (cmd->flags & HMMIRROR_FLICKER_END) {
		if (flicker->state == HMMIRROR_FLICKER_NO)
			ret = -ENOENT;
		end(flicker);
		cmd->looks = flicker->looks;
	} else {
		ret = flicker->state == HMMIRROR_FLICKER_NO ? arm(mirror, cmd) : -EBUSY;
	}
	mutex_unlock(&flicker->lock);
	return ret;
}
