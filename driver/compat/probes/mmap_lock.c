// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>

int probe(struct mm_struct *mm);
int probe(struct mm_struct *mm)
{
	return mmap_read_lock_killable(mm);
}
