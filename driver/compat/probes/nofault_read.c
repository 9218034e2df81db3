// SPDX-License-Identifier: GPL-2.0
#include <linux/uaccess.h>

int probe(char *to, const char *from);
int probe(char *to, const char *from)
{
	return get_kernel_nofault(*to, from);
}
