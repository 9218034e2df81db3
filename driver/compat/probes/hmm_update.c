// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>

unsigned long probe(struct hmm_update *update);
unsigned long probe(struct hmm_update *update)
{
	return update->start;
}
