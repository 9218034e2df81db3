// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

int probe(struct hmm_range *range, struct hmm_mirror *mirror);
int probe(struct hmm_range *range, struct hmm_mirror *mirror)
{
	return hmm_range_register(range, mirror);
}
