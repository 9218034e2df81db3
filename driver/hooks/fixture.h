/* SPDX-License-Identifier: GPL-2.0 */
/* Mappings that no other driver makes, by mmap() of a device. */
#ifndef HMMIRROR_HOOKS_FIXTURE_H
#define HMMIRROR_HOOKS_FIXTURE_H

#include <linux/mm_types.h>

#include "hooks/hold.h"

int hmmirror_fixture_init(void);
void hmmirror_fixture_exit(void);
int hmmirror_fixture_mmap(struct vm_area_struct *vma, struct hmmirror_hold_point *hold,
			  u64 max_length);

#endif /* HMMIRROR_HOOKS_FIXTURE_H */
