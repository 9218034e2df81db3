// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

long probe(struct hmm_range *range);
long probe(struct hmm_range *range)
{
	return hmm_range_fault(range, HMM_FAULT_SNAPSHOT);
}
