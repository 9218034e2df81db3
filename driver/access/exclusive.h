/* SPDX-License-Identifier: GPL-2.0 */
/* Exclusive access of a device to pages. */
#ifndef HMMIRROR_ACCESS_EXCLUSIVE_H
#define HMMIRROR_ACCESS_EXCLUSIVE_H

#include <linux/types.h>

#include "uapi/hmmirror.h"

struct hmmirror;

int hmmirror_make_exclusive(struct hmmirror *mirror, unsigned long start, unsigned long end,
			    u64 *pages);
int hmmirror_end_exclusive(struct hmmirror *mirror, unsigned long start, unsigned long end,
			   u64 *pages);
int hmmirror_do_atomic(struct hmmirror *mirror, struct hmmirror_exclusive *cmd);

#endif /* HMMIRROR_ACCESS_EXCLUSIVE_H */
