/* SPDX-License-Identifier: GPL-2.0 */
/* The hooks of a mirror: what open(), close() and the last reference do to them. */
#ifndef HMMIRROR_ABI_HOOKS_H
#define HMMIRROR_ABI_HOOKS_H

struct hmmirror_part;

extern const struct hmmirror_part hmmirror_hooks_part;

#endif /* HMMIRROR_ABI_HOOKS_H */
