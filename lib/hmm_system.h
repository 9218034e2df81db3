/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine: counters, knobs in /proc and /sys, swap, disks, control groups, hugetlb
 * pools, DAX.
 */
#ifndef HMM_SYSTEM_H
#define HMM_SYSTEM_H

#include <stddef.h>

/**
 * hmm_read_text - the start of a file as text
 * @path: the file
 * @text: gets it, ended with NUL, without the last newline
 * @size: bytes of @text
 *
 * Return: 0 or -errno.
 */
int hmm_read_text(const char *path, char *text, size_t size);

/**
 * hmm_write_text - write a short text to a file that exists
 * @path: the file, mostly a knob in /proc or /sys
 * @text: what to write
 *
 * Return: 0 or -errno.
 */
int hmm_write_text(const char *path, const char *text);

/* hmm_read_number - a number that stands alone in a file; or -errno */
long hmm_read_number(const char *path);

/* hmm_write_number - hmm_write_text() of a decimal number */
int hmm_write_number(const char *path, long number);

/**
 * hmm_table_number - a number from a file of "name value" lines
 * @path: e.g. /proc/meminfo
 * @name: first word of the line, with its colon where there is one
 *
 * Return: the value; -ENOENT if there is no such line; or -errno.
 */
long hmm_table_number(const char *path, const char *name);

/* hmm_meminfo - field of /proc/meminfo, e.g. "MemFree:", in KiB */
long hmm_meminfo(const char *field);

/* hmm_vmstat - counter of /proc/vmstat, e.g. "pgmigrate_success" */
long hmm_vmstat(const char *counter);

/**
 * hmm_isolated - anonymous pages that are isolated from the LRU lists
 * @most: wait for up to 10 s until there are no more than these, because reclaim and
 *	compaction isolate some for a moment; LONG_MAX: do not wait
 *
 * Return: the number, of the whole system.
 */
long hmm_isolated(long most);

/* hmm_status - number in /proc/self/status, e.g. "VmPTE:", in KiB */
long hmm_status(const char *field);

/* hmm_faults - page faults of this process so far, minor and major */
long hmm_faults(void);

/* A swap area that hmm_swap_on() may have made. */
struct hmm_swap {
	char device[24];	/* empty if swap was there already */
};

/**
 * hmm_swap_on - make sure that there is swap
 * @swap: for hmm_swap_off()
 * @why: gets what is missing if there can be none
 * @size: bytes of @why
 *
 * Uses the machine's swap; without any, makes an unused zram device one.
 *
 * Return: 1 if there is swap; 0 if there can be none; or -errno.
 */
int hmm_swap_on(struct hmm_swap *swap, char *why, size_t size);

/* hmm_swap_off - undo hmm_swap_on() */
int hmm_swap_off(const struct hmm_swap *swap);

/* A disk in compressed memory, made by hmm_disk_open(). */
struct hmm_disk {
	int number;	/* below 0: none */
	int fd;		/* for direct I/O */
};

/**
 * hmm_disk_open - make a disk in zram, open for direct I/O
 * @disk: gets it
 * @length: bytes
 *
 * Return: 0; -ENODEV if the kernel has no zram (CONFIG_ZRAM); or -errno.
 */
int hmm_disk_open(struct hmm_disk *disk, long length);

/* hmm_disk_close - undo hmm_disk_open(); safe to call twice */
void hmm_disk_close(struct hmm_disk *disk);

/**
 * hmm_swap_add - add a swap area of the highest priority
 * @disk: gets the disk that it is on
 * @swap: for hmm_swap_remove()
 *
 * Return: 0; -ENODEV if the kernel has no swap or no zram; or -errno.
 */
int hmm_swap_add(struct hmm_disk *disk, struct hmm_swap *swap);

/* hmm_swap_used - bytes of it in use, or in the slot cache of a CPU; or -errno */
long hmm_swap_used(const struct hmm_swap *swap);

/* hmm_swap_remove - swapoff(): brings all pages back; the disk remains */
int hmm_swap_remove(const struct hmm_swap *swap);

/* A control group with the memory controller. */
struct hmm_memcg {
	char root[40];	/* where the hierarchy is mounted; empty: nowhere */
	char path[72];
};

/**
 * hmm_memcg_begin - make a control group
 * @group: gets it
 *
 * Return: 0; -ENODEV if the kernel has no memory controller (CONFIG_MEMCG), or it
 * is in use in another hierarchy; or -errno.
 */
int hmm_memcg_begin(struct hmm_memcg *group);

/* hmm_memcg_end - remove it; -EBUSY if it has a process. Safe to call twice. */
int hmm_memcg_end(struct hmm_memcg *group);

/* hmm_memcg_join - move the calling process there; 0 or -errno */
int hmm_memcg_join(const struct hmm_memcg *group);

/* hmm_memcg_read - a number that stands alone in a file, e.g. "memory.current" */
long hmm_memcg_read(const struct hmm_memcg *group, const char *name);

/* hmm_memcg_stat - a number from a file of "name value" lines; or -errno */
long hmm_memcg_stat(const struct hmm_memcg *group, const char *file, const char *name);

/* hmm_memcg_write - set a limit, e.g. "memory.max"; 0 or -errno */
int hmm_memcg_write(const struct hmm_memcg *group, const char *name, long number);

/**
 * hmm_hugetlb_has - does the kernel have huge pages of a size?
 * @size: bytes, e.g. hmm_pmd_size()
 *
 * Return: 1 or 0.
 */
int hmm_hugetlb_has(size_t size);

/**
 * hmm_hugetlb_between - a huge page size of the kernel, of several entries of a page table
 * @above: what one of these entries maps, bytes
 * @below: what an entry of the next level maps, bytes
 *
 * Return: the largest size between them, bytes; 0 if there is none.
 */
size_t hmm_hugetlb_between(size_t above, size_t below);

/* hmm_hugetlb_default - the default huge page size in bytes, or -errno */
long hmm_hugetlb_default(void);

/* hmm_hugetlb_free - pages of a pool that are neither used nor reserved */
long hmm_hugetlb_free(size_t size);

/* hmm_hugetlb_pool - all pages of a pool, or -errno */
long hmm_hugetlb_pool(size_t size);

/**
 * hmm_hugetlb_set_pool - set the number of pages of a pool
 * @size: huge page size, bytes
 * @pages: how many there shall be
 *
 * Return: how many there are then, or -errno.
 */
long hmm_hugetlb_set_pool(size_t size, long pages);

/**
 * hmm_hugetlb_file - a file of huge pages without a name
 * @size: huge page size, bytes
 * @length: size of the file, bytes, multiple of @size
 *
 * From a mounted hugetlbfs of that page size; without one, from memfd_create().
 *
 * Return: file descriptor or -errno.
 */
int hmm_hugetlb_file(size_t size, size_t length);

/**
 * hmm_dax_open - open a device-dax of an NVDIMM
 * @align: what one entry of its mappings maps: the size of a page, a PMD or a PUD
 *
 * The first call makes a device of an unused NVDIMM; it stays. Mappings must be shared, and
 * start and end at multiples of @align.
 *
 * Return: file descriptor; -ENODEV if the machine has no unused NVDIMM that is
 * large enough; or -errno.
 */
int hmm_dax_open(size_t align);

#endif /* HMM_SYSTEM_H */
