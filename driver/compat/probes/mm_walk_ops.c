// SPDX-License-Identifier: GPL-2.0
#include <linux/pagewalk.h>

void probe(struct mm_walk_ops *ops);
void probe(struct mm_walk_ops *ops)
{
	ops->pmd_entry = NULL;
}
