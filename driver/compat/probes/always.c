// SPDX-License-Identifier: GPL-2.0
#include <linux/mm.h>
#include <linux/hmm.h>
#include <linux/module.h>

MODULE_LICENSE("GPL");
