/* SPDX-License-Identifier: GPL-2.0 */
/* Device memory that is added when it is needed, and removed when it is empty. */
#ifndef HMMIRROR_MEMORY_CHUNK_H
#define HMMIRROR_MEMORY_CHUNK_H

#include "memory/devmem.h"

/* A chunk is whole huge pages: 2 MiB on x86-64, 512 MiB on arm64 with pages of 64K. */
#define HMMIRROR_HUGE_MB	((unsigned int)(PMD_SIZE >> 20))

/* module parameters, see main.c */
extern unsigned long hmmirror_spm_addr[HMMIRROR_NR_DEVICES - HMMIRROR_NR_PRIVATE];
extern unsigned int hmmirror_spm_size_mb;
extern unsigned int hmmirror_chunk_mb;
extern unsigned int hmmirror_max_device_mb;

int hmmirror_devmem_grow(struct hmmirror_device *device, unsigned long nr, bool huge);
void hmmirror_devmem_lock(struct hmmirror_device *device);
void hmmirror_devmem_unlock(struct hmmirror_device *device);
bool hmmirror_devmem_has_pfn(struct hmmirror_device *device, unsigned long pfn);
void hmmirror_chunks_close(struct hmmirror_device *device, struct list_head *chunks);
void hmmirror_chunks_return(struct hmmirror_device *device, struct list_head *chunks);
bool hmmirror_chunk_is_empty(struct hmmirror_chunk *chunk);
void hmmirror_chunk_remove(struct hmmirror_chunk *chunk);

#endif /* HMMIRROR_MEMORY_CHUNK_H */
