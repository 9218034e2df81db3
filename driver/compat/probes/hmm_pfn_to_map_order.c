// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

unsigned int probe(unsigned long hmm_pfn);
unsigned int probe(unsigned long hmm_pfn)
{
	return hmm_pfn_to_map_order(hmm_pfn);
}
