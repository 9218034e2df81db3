// SPDX-License-Identifier: GPL-2.0
/* Marks around what is counted. */
#include "cpu.h"
#include "hmm_count.h"

__u64 hmm_count_begin(void)
{
	cpu_mark_begin();
	return cpu_now();
}

__u64 hmm_count_end(__u64 begun)
{
	__u64 count = cpu_now() - begun;

	cpu_mark_end();
	return count;
}
