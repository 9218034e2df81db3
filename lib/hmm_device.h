/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device: /dev/hmm_dmirror0 to 3 and the ioctls of driver/uapi.
 *
 * Two layers. hmm_ioctl_*() takes the ABI's own struct, fills in .size if it
 * is 0, and returns what the ioctl itself returned; the kernel's answer is in
 * the struct's .error. The short forms below it take plain arguments and give
 * one result: the ioctl's error if there is one, else .error.
 */
#ifndef HMM_DEVICE_H
#define HMM_DEVICE_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

#include "hmmirror.h"
#include "test_abi.h"

/* Number of devices that the module makes. */
#define HMM_DEVICES	4

/* Devices 0 and 1 have device-private memory, 2 and 3 device-coherent. */
#define HMM_DEV_PRIVATE		0
#define HMM_DEV_PRIVATE_OTHER	1
#define HMM_DEV_COHERENT	2
#define HMM_DEV_COHERENT_OTHER	3

/* Room that hmm_entry_str() needs for the longest entry. */
#define HMM_ENTRY_STR_MAX	96

/**
 * hmm_open - open a mirror of the calling process
 * @device: 0 to 3, the N of /dev/hmm_dmirrorN
 *
 * Return: a file descriptor (close-on-exec), -ENOENT if the module is not
 * loaded or has no such device, or what open() says.
 */
int hmm_open(unsigned int device);

/**
 * hmm_ioctl - an ioctl that returns a negative errno
 * @fd: from hmm_open()
 * @request: ioctl number
 * @argument: its argument
 *
 * Return: what ioctl() gave, or -errno.
 */
int hmm_ioctl(int fd, unsigned long request, void *argument);

int hmm_ioctl_query(int fd, struct hmmirror_query *query);
int hmm_ioctl_range(int fd, struct hmmirror_range *range);
int hmm_ioctl_copy(int fd, struct hmmirror_copy *copy);
int hmm_ioctl_migrate(int fd, struct hmmirror_migrate *migrate);
int hmm_ioctl_exclusive(int fd, struct hmmirror_exclusive *exclusive);
int hmm_ioctl_stats(int fd, struct hmmirror_stats *stats);
int hmm_ioctl_dma(int fd, struct hmmirror_dma *dma);

/**
 * hmm_dma_call - map or unmap pages for DMA, or allocate or free the map
 * @fd: from hmm_open()
 * @dma: gets the call; the caller fills what is not an argument here
 * @op: what to do
 * @addr: first byte, page aligned; NULL with HMMIRROR_DMA_FREE
 * @length: bytes, page multiple; 0 with HMMIRROR_DMA_FREE
 *
 * Return: 0, the kernel's answer (@dma->error), or -errno of the call.
 */
int hmm_dma_call(int fd, struct hmmirror_dma *dma, enum hmmirror_dma_op op,
		 const void *addr, size_t length);

/**
 * hmm_feature - does this kernel have a feature?
 * @fd: from hmm_open()
 * @feature: enum hmmirror_feature
 * @why: gets the driver's reason if it is absent; may be NULL
 * @size: bytes of @why
 *
 * Return: 1 if it is there, 0 if not, or -errno.
 */
int hmm_feature(int fd, enum hmmirror_feature feature, char *why, size_t size);

/**
 * hmm_memory - kind of memory of a device
 * @fd: from hmm_open()
 *
 * Return: enum hmmirror_memory or -errno.
 */
int hmm_memory(int fd);

/**
 * hmm_walk - one hmm_range_fault() with the same request for every page
 * @fd: from hmm_open()
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @request: 0 for a snapshot, else HMMIRROR_REQ_*
 * @entries: gets one HMMIRROR_PTE_* answer a page, also on a walker's error
 *
 * An invalidated walk starts again for up to 10 s, as do those of hmm_walk_pages() and
 * hmm_map().
 *
 * Return: 0 or -errno; -EBUSY after that time.
 */
int hmm_walk(int fd, const void *addr, size_t length, __u64 request,
	     __u64 *entries);

/**
 * hmm_touch_walk - fault in what a walk runs of this program, before page faults are counted
 * @fd: from hmm_open()
 *
 * A child has nothing of the program's code mapped. The kernel maps what is around a page that it
 * touches, but for pages that another process is just about to map.
 */
void hmm_touch_walk(int fd);

/**
 * hmm_walk_pages - as hmm_walk(), with a request for each page
 * @fd: from hmm_open()
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @mask: HMMIRROR_REQ_* bits of the single requests that count
 * @entries: holds one request a page, gets one answer a page
 *
 * Return: 0 or -errno.
 */
int hmm_walk_pages(int fd, const void *addr, size_t length, __u64 mask,
		   __u64 *entries);

/**
 * hmm_map - fault a range and put it into the device page table
 * @fd: from hmm_open()
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @request: as in hmm_walk(); 0 maps what is there
 * @entries: gets the answers; may be NULL
 *
 * Return: 0 or -errno.
 */
int hmm_map(int fd, const void *addr, size_t length, __u64 request,
	    __u64 *entries);

/**
 * hmm_mirror - what the device page table holds, without a walk
 * @fd: from hmm_open()
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @entries: gets one entry a page, 0 where the device has none
 *
 * Return: 0 or -errno.
 */
int hmm_mirror(int fd, const void *addr, size_t length, __u64 *entries);

/**
 * hmm_entry - snapshot of the page that holds one address
 * @fd: from hmm_open()
 * @addr: any byte of the page
 * @entry: gets the answer
 *
 * Return: 0 or -errno.
 */
int hmm_entry(int fd, const void *addr, __u64 *entry);

/**
 * hmm_dev_read - the device reads memory through its mirror
 * @fd: from hmm_open()
 * @addr: first byte, any alignment
 * @buffer: gets the bytes
 * @length: bytes
 *
 * Return: 0 if all was copied, else -errno.
 */
int hmm_dev_read(int fd, const void *addr, void *buffer, size_t length);

/**
 * hmm_dev_write - the device writes memory through its mirror
 * @fd: from hmm_open()
 * @addr: first byte, any alignment
 * @buffer: the bytes
 * @length: bytes
 *
 * Return: 0 if all was copied, else -errno.
 */
int hmm_dev_write(int fd, void *addr, const void *buffer, size_t length);

/**
 * hmm_to_device - migrate pages to the device
 * @fd: from hmm_open()
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @outcomes: gets one enum hmmirror_outcome a page; may be NULL
 * @migrated: gets the pages that moved; may be NULL
 *
 * Return: 0 or -errno; how many pages moved is no part of it.
 */
int hmm_to_device(int fd, const void *addr, size_t length, __u8 *outcomes,
		  __u64 *migrated);

/* hmm_to_system - as hmm_to_device(), back to system memory */
int hmm_to_system(int fd, const void *addr, size_t length, __u8 *outcomes,
		  __u64 *migrated);

/* hmm_move - as these two, with @flags: HMMIRROR_MIGRATE_* */
int hmm_move(int fd, unsigned int flags, const void *addr, size_t length,
	     __u8 *outcomes, __u64 *migrated);

/**
 * hmm_excl_pages - get, test or end the device's exclusive access to pages
 * @fd: from hmm_open()
 * @op: HMMIRROR_EXCL_MAKE, _TEST or _RELEASE
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @held: gets 1 for each exclusive page, 0 for others; may be NULL
 * @pages: gets the number of pages; may be NULL
 *
 * Return: 0 or -errno.
 */
int hmm_excl_pages(int fd, enum hmmirror_exclusive_op op, const void *addr,
		   size_t length, __u8 *held, __u64 *pages);

/**
 * hmm_excl_atomic - one atomic operation of the device on 8 bytes
 * @fd: from hmm_open()
 * @op: HMMIRROR_EXCL_ADD, _XCHG or _CMPXCHG
 * @addr: 8-byte aligned
 * @operand: operand of @op
 * @compare: for _CMPXCHG
 * @before: gets the value before; may be NULL
 *
 * Return: 0 or -errno.
 */
int hmm_excl_atomic(int fd, enum hmmirror_exclusive_op op, void *addr,
		    __u64 operand, __u64 compare, __u64 *before);

/**
 * hmm_stats - the counters of a mirror and its device
 * @fd: from hmm_open()
 * @flags: 0 or HMMIRROR_STATS_RESET
 * @stats: gets them
 *
 * Return: 0 or -errno.
 */
int hmm_stats(int fd, unsigned int flags, struct hmmirror_stats *stats);

/* hmm_stats_used - pages of the device's memory that were in use */
static inline long hmm_stats_used(const struct hmmirror_stats *stats)
{
	return stats->device_pages - stats->device_pages_free;
}

/**
 * hmm_used_since - how many more pages of the device's memory are in use than before
 * @fd: from hmm_open()
 * @before: from hmm_stats() of a mirror of the same device
 *
 * Return: the difference, below 0 for fewer; LONG_MIN on an error.
 */
long hmm_used_since(int fd, const struct hmmirror_stats *before);

/**
 * hmm_test_abi - one call of the kernel's own test ABI
 * @fd: from hmm_open()
 * @request: HMM_DMIRROR_*
 * @addr: first byte, page aligned
 * @pages: number of pages
 * @buffer: the caller's data, or NULL
 * @cmd: gets the struct as the driver left it; may be NULL
 *
 * Return: 0 or -errno.
 */
int hmm_test_abi(int fd, unsigned long request, const void *addr,
		 size_t pages, void *buffer, struct hmm_dmirror_cmd *cmd);

/* hmm_entry_pfn - page frame number in an entry */
static inline __u64 hmm_entry_pfn(__u64 entry)
{
	return entry >> HMMIRROR_PTE_PFN_SHIFT;
}

/* hmm_entry_order - log2 of the pages of the mapping that an entry is from */
static inline unsigned int hmm_entry_order(__u64 entry)
{
	return (entry >> HMMIRROR_PTE_ORDER_SHIFT) & HMMIRROR_PTE_ORDER_MASK;
}

/* hmm_entry_flags - HMMIRROR_PTE_* of an entry, without order and pfn */
static inline __u64 hmm_entry_flags(__u64 entry)
{
	return entry & ((1ULL << HMMIRROR_PTE_ORDER_SHIFT) - 1);
}

/**
 * hmm_entry_str - an entry in words
 * @entry: HMMIRROR_PTE_* answer
 * @text: gets e.g. "valid write order 9 pfn 0x1f200"
 * @size: bytes of @text; HMM_ENTRY_STR_MAX is enough
 *
 * Return: @text.
 */
const char *hmm_entry_str(__u64 entry, char *text, size_t size);

/* hmm_outcome_str - an enum hmmirror_outcome in a word, "?" if unknown */
const char *hmm_outcome_str(unsigned int outcome);

#endif /* HMM_DEVICE_H */
