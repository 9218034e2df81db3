/* SPDX-License-Identifier: GPL-2.0 */
/* The ranges that a call names: of the mirrored memory, and of the caller's. */
#ifndef HMMIRROR_CORE_SPAN_H
#define HMMIRROR_CORE_SPAN_H

#include <linux/mm_types.h>
#include <linux/types.h>

extern unsigned int hmmirror_max_range_mb;	/* module parameter, see main.c */

static inline u64 hmmirror_max_range(void)
{
	return (u64)hmmirror_max_range_mb << 20;
}

int hmmirror_check_span(const struct mm_struct *mm, u64 addr, u64 length, u64 align);
bool hmmirror_is_user_writable(u64 uptr, size_t size);

#endif /* HMMIRROR_CORE_SPAN_H */
