/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's hooks, which bring about what a process alone can't: a migration or a walk
 * that is held at a step, a page table entry that no system call makes, a PMD that changes
 * while the walker reads it, and failures.
 */
#ifndef HMM_HOOKS_H
#define HMM_HOOKS_H

#include "hmm_device.h"

int hmm_ioctl_hold(int fd, struct hmmirror_hold *hold);
int hmm_ioctl_plant(int fd, struct hmmirror_plant *plant);
int hmm_ioctl_inject(int fd, struct hmmirror_inject *inject);
int hmm_ioctl_pmd_race(int fd, struct hmmirror_pmd_race_args *race);

/**
 * hmm_hold_arm - hold the next migration or walk of a mirror at a step
 * @fd: from hmm_open()
 * @stage: the step
 * @limit_ms: how long at most, 1 to 10000
 *
 * Return: 0 or -errno.
 */
int hmm_hold_arm(int fd, enum hmmirror_stage stage, unsigned int limit_ms);

/**
 * hmm_hold_wait - wait until something is held
 * @fd: from hmm_open()
 * @limit_ms: how long at most, 1 to 10000
 *
 * Return: enum hmmirror_held, or -errno.
 */
int hmm_hold_wait(int fd, unsigned int limit_ms);

/* hmm_hold_release - let it continue; enum hmmirror_held as it was, or -errno */
int hmm_hold_release(int fd);

/**
 * hmm_plant - put an entry into the page table of the mirror's mm
 * @fd: from hmm_open()
 * @addr: multiple of hmm_pmd_size()
 * @kind: which; a bad PMD needs the empty page table that hmm_touch_table() makes
 *
 * Return: 0 or -errno.
 */
int hmm_plant(int fd, const void *addr, enum hmmirror_planted kind);

/* hmm_plant_take - take it out again; -ENOENT if it is already gone */
int hmm_plant_take(int fd);

/**
 * hmm_pmd_race_arm - let a PMD be empty at one of the walker's reads
 * @fd: from hmm_open()
 * @addr: multiple of hmm_pmd_size(), in private anonymous memory
 * @nth: which of the reads of the next walk finds it empty; 1 is the first
 *
 * Return: 0 or -errno.
 */
int hmm_pmd_race_arm(int fd, const void *addr, unsigned int nth);

/* hmm_pmd_race_end - end that; how often the walker read the PMD, or -errno */
int hmm_pmd_race_end(int fd);

/**
 * hmm_inject - make something fail, or happen, in calls of a mirror
 * @fd: from hmm_open()
 * @event: what
 * @nth: first occurrence that is affected; 1 is the next one
 * @times: how many in a row; 0 with @nth 0 ends it
 *
 * Return: how often the previous injection was hit, or -errno.
 */
int hmm_inject(int fd, enum hmmirror_event event, unsigned int nth,
	       unsigned int times);

#endif /* HMM_HOOKS_H */
