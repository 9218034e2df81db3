// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

u64 probe(struct hmm_range *range);
u64 probe(struct hmm_range *range)
{
	return range->default_flags;
}
