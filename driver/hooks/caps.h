/* SPDX-License-Identifier: GPL-2.0 */
/* What the hooks need of the kernel: kprobes that change registers, hardware breakpoints. */
#ifndef HMMIRROR_HOOKS_CAPS_H
#define HMMIRROR_HOOKS_CAPS_H

#include <linux/kprobes.h>

const char *hmmirror_no_kprobes(void);
const char *hmmirror_no_breakpoints(void);
int hmmirror_register_redirect(struct kprobe *probe);
const char *hmmirror_no_redirect(const char *symbol);

#endif /* HMMIRROR_HOOKS_CAPS_H */
