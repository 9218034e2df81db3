/* SPDX-License-Identifier: GPL-2.0 */
/* The device reads and writes memory through its page table. */
#ifndef HMMIRROR_ACCESS_COPY_H
#define HMMIRROR_ACCESS_COPY_H

#include <linux/types.h>

struct hmmirror;

/**
 * struct hmmirror_copy_args - a copy between mirrored memory and the caller's buffer
 * @addr: first byte of the mirrored memory; advances
 * @end: first byte behind
 * @uptr: the buffer; advances with @addr
 * @write: copy to the mirrored memory
 * @fault: fault pages in that the device page table lacks
 * @unlocked: the kernel takes the mmap lock for that
 * @only: if not 0, an entry must have one of these flags and not be another device's
 * @faults: (out) walks for faults
 * @error: (out) why it stopped before the end, or 0
 */
struct hmmirror_copy_args {
	unsigned long addr;
	unsigned long end;
	u64 uptr;
	bool write;
	bool fault;
	bool unlocked;
	u64 only;
	u64 faults;
	int error;
};

int hmmirror_copy_range(struct hmmirror *mirror, struct hmmirror_copy_args *args);
void *hmmirror_pte_data(u64 pte);
void hmmirror_set_pte_page_dirty(u64 pte);

#endif /* HMMIRROR_ACCESS_COPY_H */
