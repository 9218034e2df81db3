// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

void *probe(struct hmm_range *range);
void *probe(struct hmm_range *range)
{
	return range->notifier;
}
