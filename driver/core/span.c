// SPDX-License-Identifier: GPL-2.0
/*
 * Checks of the ranges that a call names, before it does anything.
 */
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "core/span.h"

unsigned int hmmirror_max_range_mb = 16 * 1024;

/**
 * hmmirror_check_span() - can a call take this range of the mirrored memory?
 * @mm: the mirrored address space
 * @addr: first byte
 * @length: bytes
 * @align: both must be a multiple of this power of two
 *
 * Return: 0, -EINVAL or -EFBIG as the ABI header says.
 */
int hmmirror_check_span(const struct mm_struct *mm, u64 addr, u64 length, u64 align)
{
	if (!length || !IS_ALIGNED(addr | length, align))
		return -EINVAL;
	if (addr + length < addr || addr + length > mm->task_size)
		return -EINVAL;
	return length > hmmirror_max_range() ? -EFBIG : 0;
}

/**
 * hmmirror_is_user_writable() - can the results of a call be written there?
 * @uptr: address in the caller's memory
 * @size: bytes, not 0
 *
 * Reads one byte of each page and writes it back, so that a bad pointer fails the call
 * before it changes anything. The page can still go before copy_to_user(), which says so.
 */
bool hmmirror_is_user_writable(u64 uptr, size_t size)
{
	u64 last = uptr + size - 1;
	u8 byte;

	for (;;) {
		u8 __user *p = u64_to_user_ptr(uptr);

		if (get_user(byte, p) || put_user(byte, p))
			return false;
		if (uptr == last)
			return true;
		uptr = min(last, (uptr & PAGE_MASK) + PAGE_SIZE);
	}
}
