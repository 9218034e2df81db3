// SPDX-License-Identifier: GPL-2.0
/*
 * A PMD that changes between two reads of the walker.
 *
 * The walker reads a PMD several times without a lock. The reads are a few instructions
 * apart, too close for a second thread to change the entry between two of them on purpose.
 * So a kprobe at hmm_vma_walk_pmd() passes the walker a pointer to a copy of the entry, and
 * a hardware breakpoint on the copy calls the driver at each read. One of the reads
 * then finds the copy empty. The page table itself never changes.
 */
#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>
#include <linux/sched.h>

#include "compat/compat.h"
#include "hooks/caps.h"
#include "hooks/pmd_race.h"

/* Return: why this can't be done on this kernel, NULL if it can. */
const char *hmmirror_no_pmd_race(void)
{
	return hmmirror_no_kprobes() ?: hmmirror_no_breakpoints();
}

/* Runs in a debug exception, or what the CPU has for that: it must not take a lock. */
static void handle_read(struct perf_event *event, struct perf_sample_data *data,
			struct pt_regs *regs)
{
	struct hmmirror_pmd_race *race = event->overflow_handler_context;

	if (READ_ONCE(race->state) != HMMIRROR_PMD_RACE_COUNTING)
		return;
	if (!compat_finish_read(regs, pmd_val(race->copy),
				(unsigned long)race->origin - (unsigned long)&race->copy))
		return;
	race->reads++;
	WRITE_ONCE(race->copy, race->reads + 1 == race->nth ? __pmd(0) : race->entry);
}

/*
 * The walker may look at a copy of a huge page's PMD, or of one that points at a table. For
 * any other it takes the page table lock, which it finds by the address of the PMD. Before
 * pte_offset_map() could fail, it took any other entry for a table.
 */
static bool can_be_copied(pmd_t entry)
{
	if (pmd_none(entry) || !pmd_present(entry))
		return false;
	if (pmd_trans_huge(entry))
		return true;
	return compat_pte_map_can_fail() && !pmd_bad(entry);
}

/* hmm_vma_walk_pmd(pmdp, start, end, walk) is called. */
static int handle_call(struct kprobe *probe, struct pt_regs *regs)
{
	struct hmmirror_pmd_race *race = container_of(probe, struct hmmirror_pmd_race, probe);
	pmd_t entry;

	if (READ_ONCE(race->walker) != current || current->mm != race->mm ||
	    (*compat_argument(regs, 1) & PMD_MASK) != race->addr)
		return 0;
	entry = READ_ONCE(*(pmd_t *)*compat_argument(regs, 0));
	if (!can_be_copied(entry) ||
	    cmpxchg(&race->state, HMMIRROR_PMD_RACE_ARMED, HMMIRROR_PMD_RACE_BEGUN) !=
	    HMMIRROR_PMD_RACE_ARMED)
		return 0;

	race->entry = entry;
	race->origin = (pmd_t *)*compat_argument(regs, 0);
	WRITE_ONCE(race->copy, race->nth == 1 ? __pmd(0) : entry);
	race->reads = 0;
	*compat_argument(regs, 0) = (unsigned long)&race->copy;
	/* The write above has hit the breakpoint, too. Count from here on. */
	smp_store_release(&race->state, HMMIRROR_PMD_RACE_COUNTING);
	return 0;
}

/* The kprobe stays until the file is closed: unregistering costs more than its hits. */
static int register_probe(struct hmmirror_pmd_race *race)
{
	int ret;

	if (race->probe.pre_handler)
		return 0;
	race->probe.symbol_name = "hmm_vma_walk_pmd";
	race->probe.pre_handler = handle_call;
	ret = register_kprobe(&race->probe);
	if (ret)
		memset(&race->probe, 0, sizeof(race->probe));
	return ret;
}

/**
 * hmmirror_pmd_race_begin_walk() - this thread is about to call the walker
 * @race: that of the mirror
 * @start: first byte of the walk
 * @end: first byte behind
 *
 * The copy lives as long as the mirror, so only a walk of this mirror may get it. If several
 * walk the range at once, the first does. Pair with hmmirror_pmd_race_end_walk().
 */
void hmmirror_pmd_race_begin_walk(struct hmmirror_pmd_race *race, unsigned long start,
				  unsigned long end)
{
	down_read(&race->walks);
	if (READ_ONCE(race->state) == HMMIRROR_PMD_RACE_ARMED &&
	    start < race->addr + PMD_SIZE && end > race->addr)
		cmpxchg(&race->walker, NULL, current);
}

void hmmirror_pmd_race_end_walk(struct hmmirror_pmd_race *race)
{
	if (READ_ONCE(race->walker) == current)
		WRITE_ONCE(race->walker, NULL);
	up_read(&race->walks);
}

/* Hold walks for writing. */
static int arm(struct hmmirror_pmd_race *race, struct mm_struct *mm, unsigned long addr,
	       unsigned int nth)
{
	struct perf_event_attr attr;
	int ret;

	race->mm = mm;
	race->addr = addr;
	race->nth = nth;
	race->reads = 0;

	hw_breakpoint_init(&attr);
	attr.bp_addr = (unsigned long)&race->copy;
	attr.bp_len = HW_BREAKPOINT_LEN_8;
	attr.bp_type = HW_BREAKPOINT_RW;
	race->breakpoints = register_wide_hw_breakpoint(&attr, handle_read, race);
	if (IS_ERR((void __force *)race->breakpoints)) {
		ret = PTR_ERR((void __force *)race->breakpoints);
		/* debuggers use all breakpoints of a CPU */
		return ret == -ENOSPC ? -EBUSY : ret;
	}

	ret = register_probe(race);
	if (ret) {
		unregister_wide_hw_breakpoint(race->breakpoints);
		return ret == -ENOMEM ? ret : -EOPNOTSUPP;
	}
	WRITE_ONCE(race->state, HMMIRROR_PMD_RACE_ARMED);
	return 0;
}

/* Hold walks for writing, or have the last reference to the mirror. */
static void disarm(struct hmmirror_pmd_race *race)
{
	if (race->state == HMMIRROR_PMD_RACE_OFF)
		return;
	unregister_wide_hw_breakpoint(race->breakpoints);
	WRITE_ONCE(race->state, HMMIRROR_PMD_RACE_OFF);
}

/**
 * hmmirror_pmd_race_arm() - let the walker find a PMD empty at one of its reads
 * @race: that of the mirror
 * @mm: the mirrored address space
 * @addr: first byte of the PMD
 * @nth: the read, counted from 1
 *
 * Return: 0; -EBUSY if one is armed, a walk of the mirror is under way, or no breakpoint is
 * free; -EOPNOTSUPP if the walker's function can't be probed; -ENOMEM, -EINTR.
 */
int hmmirror_pmd_race_arm(struct hmmirror_pmd_race *race, struct mm_struct *mm,
			  unsigned long addr, unsigned int nth)
{
	int ret = -EBUSY;

	if (mutex_lock_killable(&race->lock))
		return -EINTR;
	if (down_write_trylock(&race->walks)) {
		if (race->state == HMMIRROR_PMD_RACE_OFF)
			ret = arm(race, mm, addr, nth);
		up_write(&race->walks);
	}
	mutex_unlock(&race->lock);
	return ret;
}

/**
 * hmmirror_pmd_race_end() - disarm, and tell how often the walker read the PMD
 * @race: that of the mirror
 * @reads: (out) reads of the walker that had the copy; 0 if none had
 *
 * Return: 0; -ENOENT if none was armed, -EBUSY if a walk of the mirror is under way, -EINTR.
 */
int hmmirror_pmd_race_end(struct hmmirror_pmd_race *race, unsigned int *reads)
{
	int ret = -EBUSY;

	if (mutex_lock_killable(&race->lock))
		return -EINTR;
	if (down_write_trylock(&race->walks)) {
		ret = race->state == HMMIRROR_PMD_RACE_OFF ? -ENOENT : 0;
		disarm(race);
		*reads = race->reads;
		up_write(&race->walks);
	}
	mutex_unlock(&race->lock);
	return ret;
}

void hmmirror_pmd_race_init(struct hmmirror_pmd_race *race)
{
	mutex_init(&race->lock);
	init_rwsem(&race->walks);
}

/* The last reference to the mirror is gone: no walk is under way. */
void hmmirror_pmd_race_destroy(struct hmmirror_pmd_race *race)
{
	disarm(race);
	if (race->probe.pre_handler)
		unregister_kprobe(&race->probe);
}
