// SPDX-License-Identifier: GPL-2.0
/*
 * A module that only takes the driver's name and parameters: the tests of the
 * runner are not to fail for what the driver does.
 */
#include <linux/module.h>

static unsigned long spm_addr_dev0;
module_param(spm_addr_dev0, ulong, 0444);
static unsigned long spm_addr_dev1;
module_param(spm_addr_dev1, ulong, 0444);
static unsigned int spm_size_mb;
module_param(spm_size_mb, uint, 0444);

MODULE_DESCRIPTION("Stand-in for hmmirror");
MODULE_LICENSE("GPL");
