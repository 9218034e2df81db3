/* SPDX-License-Identifier: GPL-2.0 */
/* A PMD that changes between two reads of the walker. */
#ifndef HMMIRROR_HOOKS_PMD_RACE_H
#define HMMIRROR_HOOKS_PMD_RACE_H

#include <linux/kprobes.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>

struct perf_event;

enum hmmirror_pmd_race_state {
	HMMIRROR_PMD_RACE_OFF,
	HMMIRROR_PMD_RACE_ARMED,
	HMMIRROR_PMD_RACE_BEGUN,	/* the walker came, and is about to get the copy */
	HMMIRROR_PMD_RACE_COUNTING,	/* it has the copy, and its reads are counted */
};

struct hmmirror_pmd_race {
	struct mutex lock;		/* serializes arming and ending */
	/*
	 * A walk holds it for reading, outside of the mmap lock. Whoever changes the state
	 * without being such a walk holds it for writing: no walker can then get the copy.
	 */
	struct rw_semaphore walks;
	enum hmmirror_pmd_race_state state;	/* walks change it by cmpxchg() */
	struct task_struct *walker;	/* the one walk that may get the copy */
	struct mm_struct *mm;
	unsigned long addr;
	unsigned int nth;
	unsigned int reads;
	pmd_t copy;			/* the breakpoints watch it */
	pmd_t entry;			/* what the page table has */
	pmd_t *origin;			/* where it has it */
	struct kprobe probe;
	struct perf_event * __percpu *breakpoints;
};

const char *hmmirror_no_pmd_race(void);
void hmmirror_pmd_race_init(struct hmmirror_pmd_race *race);
void hmmirror_pmd_race_destroy(struct hmmirror_pmd_race *race);
int hmmirror_pmd_race_arm(struct hmmirror_pmd_race *race, struct mm_struct *mm,
			  unsigned long addr, unsigned int nth);
int hmmirror_pmd_race_end(struct hmmirror_pmd_race *race, unsigned int *reads);
void hmmirror_pmd_race_begin_walk(struct hmmirror_pmd_race *race, unsigned long start,
				  unsigned long end);
void hmmirror_pmd_race_end_walk(struct hmmirror_pmd_race *race);

#endif /* HMMIRROR_HOOKS_PMD_RACE_H */
