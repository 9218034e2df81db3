/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The calls of the driver's own ABI (uapi/hmmirror.h). A handler gets its struct in kernel
 * memory, zero-extended to the newest size. If it returns 0, the struct is copied back.
 */
#ifndef HMMIRROR_ABI_CALLS_H
#define HMMIRROR_ABI_CALLS_H

struct hmmirror;

int hmmirror_ioctl_query(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_range(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_copy(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_migrate(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_exclusive(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_stats(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_dma(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_hold(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_plant(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_inject(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_pmd_race(struct hmmirror *mirror, void *arg);

#endif /* HMMIRROR_ABI_CALLS_H */
