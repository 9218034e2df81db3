// SPDX-License-Identifier: GPL-2.0
#include <linux/types.h>
#include <linux/range.h>

u64 probe(struct range *range);
u64 probe(struct range *range)
{
	return range_len(range);
}
