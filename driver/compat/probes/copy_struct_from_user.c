// SPDX-License-Identifier: GPL-2.0
#include <linux/uaccess.h>

int probe(void *dst, const void __user *src);
int probe(void *dst, const void __user *src)
{
	return copy_struct_from_user(dst, 1, src, 1);
}
