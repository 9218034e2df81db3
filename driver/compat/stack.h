/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Before 5.3, migrate_vma() leaves one callback of the struct that it gives to
 * the page-table walk as it finds it on the stack, and calls what is there; so
 * do the walkers before 5.2. They find zeros when this is called right before.
 */
#ifndef HMMIRROR_COMPAT_STACK_H
#define HMMIRROR_COMPAT_STACK_H

#include <linux/compiler.h>
#include <linux/string.h>

static noinline __maybe_unused void compat_clear_stack(void)
{
	unsigned long room[96];

	memzero_explicit(room, sizeof(room));
}

#endif /* HMMIRROR_COMPAT_STACK_H */
