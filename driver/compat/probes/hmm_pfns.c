// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

unsigned long *probe(struct hmm_range *range);
unsigned long *probe(struct hmm_range *range)
{
	return range->hmm_pfns;
}
