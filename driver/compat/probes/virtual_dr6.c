// SPDX-License-Identifier: GPL-2.0
#include <linux/sched.h>

unsigned long probe(struct thread_struct *thread);
unsigned long probe(struct thread_struct *thread)
{
	return thread->virtual_dr6;
}
