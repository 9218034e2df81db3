/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mappings, files to map, and patterns in memory.
 */
#ifndef HMM_BUFFER_H
#define HMM_BUFFER_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

/* hmm_page_size - the system's base page size, bytes */
size_t hmm_page_size(void);

/* hmm_address_space - where the addresses end that mmap() gives by itself, a power of two */
size_t hmm_address_space(void);

/* hmm_pmd_size - what one PMD entry maps, bytes: with pages of 4K 2 MiB */
size_t hmm_pmd_size(void);

/* hmm_pud_size - what one PUD entry maps, bytes: 1 GiB with pages of 4K */
size_t hmm_pud_size(void);

/* hmm_pmd_order - order of the pages that one PMD entry maps: 9 with pages of 4K, 13 with 64K */
unsigned int hmm_pmd_order(void);

/* hmm_pud_order - order of the pages that one PUD entry maps: 18 with pages of 4K */
unsigned int hmm_pud_order(void);

/**
 * hmm_map_anon - private anonymous memory, readable and writable
 * @length: bytes, page multiple
 * @align: alignment of the address, a power of 2; 0 for a page
 *
 * Nothing is populated.
 *
 * Return: the address, or NULL with errno set.
 */
void *hmm_map_anon(size_t length, size_t align);

/**
 * hmm_map_none - reserve address space (PROT_NONE)
 * @length: bytes, page multiple
 * @align: alignment of the address, a power of 2; 0 for a page
 *
 * Costs no memory. Map over it with MAP_FIXED.
 *
 * Return: the address, or NULL with errno set.
 */
void *hmm_map_none(size_t length, size_t align);

/* hmm_unmap - munmap(), and nothing for NULL */
void hmm_unmap(void *addr, size_t length);

/* hmm_touch_read - read one byte of every page of a range */
void hmm_touch_read(const void *addr, size_t length);

/* hmm_touch_write - write every page of a range, without changing a byte */
void hmm_touch_write(void *addr, size_t length);

/**
 * hmm_touch_table - allocate the page table of an address, without a page
 * @addr: in private anonymous memory without huge pages; its page is zapped
 *
 * Return: 0 or -errno.
 */
int hmm_touch_table(void *addr);

/**
 * hmm_file_memfd - a file of shmem pages without a name
 * @length: size in bytes
 * @flags: of memfd_create(), e.g. MFD_HUGETLB
 *
 * Return: file descriptor or -errno.
 */
int hmm_file_memfd(size_t length, unsigned int flags);

/**
 * hmm_file_fs - a file in a file system mounted for it alone
 * @type: "ramfs", "tmpfs", "hugetlbfs", ...
 * @options: mount options; may be NULL
 * @length: size in bytes
 *
 * The file system is unmounted lazily: it ends with the last reference to the file. Needs
 * root.
 *
 * Return: file descriptor or -errno; -ENODEV if the kernel has no such type.
 */
int hmm_file_fs(const char *type, const char *options, size_t length);

/**
 * hmm_pattern - the 8 bytes that a pattern has at an address
 * @addr: multiple of 8
 * @seed: distinguishes patterns at the same address
 *
 * Never 0, and with one seed never the same at two addresses.
 */
__u64 hmm_pattern(const void *addr, __u64 seed);

/**
 * hmm_pattern_fill - fill memory with 8-byte words that depend on their address
 * @addr: first byte, multiple of 8
 * @length: bytes, multiple of 8
 * @seed: distinguishes patterns at the same address
 *
 * Whole pages of more than 4 KiB get them at their start and end only, and only these are checked,
 * by the functions below, too: a page of 64 KiB takes an emulated CPU long. A part of a page gets
 * them everywhere.
 */
void hmm_pattern_fill(void *addr, size_t length, __u64 seed);

/**
 * hmm_pattern_fill_as - write the pattern of one address to another
 * @data: where to write it
 * @as: the address whose pattern it is, multiple of 8
 * @length: bytes, multiple of 8
 * @seed: distinguishes patterns at the same address
 */
void hmm_pattern_fill_as(void *data, const void *as, size_t length,
			 __u64 seed);

/**
 * hmm_pattern_check - is the pattern still there?
 * @addr: first byte, multiple of 8
 * @length: bytes, multiple of 8
 * @seed: as it was filled
 *
 * Return: -1 if all is right, else the offset of the first wrong 8 bytes.
 */
long hmm_pattern_check(const void *addr, size_t length, __u64 seed);

/**
 * hmm_pattern_check_as - is a copy of a pattern right?
 * @data: the copy
 * @as: the address that it was copied from, multiple of 8
 * @length: bytes, multiple of 8
 * @seed: as it was filled
 *
 * Return: -1 if all is right, else the offset of the first wrong 8 bytes.
 */
long hmm_pattern_check_as(const void *data, const void *as, size_t length,
			  __u64 seed);

/**
 * hmm_all_bytes - does memory hold one byte only?
 * @addr: first byte
 * @length: bytes
 * @byte: the value
 *
 * Return: -1 if so, else the offset of the first other byte.
 */
long hmm_all_bytes(const void *addr, size_t length, unsigned char byte);

#endif /* HMM_BUFFER_H */
