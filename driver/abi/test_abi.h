/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's own test ABI. */
#ifndef HMMIRROR_ABI_TEST_ABI_H
#define HMMIRROR_ABI_TEST_ABI_H

#include <linux/compiler.h>
#include <linux/types.h>

struct hmmirror;

extern bool hmmirror_test_abi_5_10;	/* calls have the numbers that they had before 6.0 */

long hmmirror_test_abi(struct hmmirror *mirror, unsigned int nr, void __user *arg);

#endif /* HMMIRROR_ABI_TEST_ABI_H */
