/* SPDX-License-Identifier: GPL-2.0 */
/* Structs that grow: since 5.4. Memory that the kernel can't read itself: since 5.8. */
#ifndef HMMIRROR_COMPAT_UACCESS_H
#define HMMIRROR_COMPAT_UACCESS_H

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#ifndef HAVE_COPY_STRUCT_FROM_USER
static inline int copy_struct_from_user(void *dst, size_t ksize, const void __user *src,
					size_t usize)
{
	const char __user *tail = src;
	size_t size = min(ksize, usize);
	size_t i;
	char byte;

	for (i = size; i < usize; i++) {
		if (get_user(byte, tail + i))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	memset(dst, 0, ksize);
	return copy_from_user(dst, src, size) ? -EFAULT : 0;
}
#endif

/* Return: whether the kernel itself can read this byte; secret memory it can't. */
static inline bool compat_kernel_readable(const void *addr)
{
#ifdef HAVE_NOFAULT_READ
	char byte;

	return !get_kernel_nofault(byte, (const char *)addr);
#else
	/* before there was a way to ask, there was no memory that is kept from the kernel */
	return true;
#endif
}

#endif /* HMMIRROR_COMPAT_UACCESS_H */
