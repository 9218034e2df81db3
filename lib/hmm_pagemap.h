/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel reports about pages elsewhere than through the driver: pagemap,
 * kpageflags, kpagecount, mincore, smaps. The proofs of states use it, and tests compare
 * the walker's answers with it.
 */
#ifndef HMM_PAGEMAP_H
#define HMM_PAGEMAP_H

#include <linux/kernel-page-flags.h>
#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

/* Bits of one entry of /proc/self/pagemap. */
#define HMM_PM_PFN_MASK		(0x0080000000000000ULL - 1)
#define HMM_PM_SOFT_DIRTY	0x0080000000000000ULL
#define HMM_PM_EXCLUSIVE	0x0100000000000000ULL	/* mapped by this process only */
#define HMM_PM_UFFD_WP		0x0200000000000000ULL
#define HMM_PM_FILE		0x2000000000000000ULL	/* of a file or shared anon */
#define HMM_PM_SWAP		0x4000000000000000ULL
#define HMM_PM_PRESENT		0x8000000000000000ULL

/* hmm_kpf - a KPF_* number of linux/kernel-page-flags.h as a bit */
#define hmm_kpf(number)		(1ULL << (number))

/**
 * hmm_pagemap - entries of /proc/self/pagemap
 * @addr: first byte, page aligned
 * @pages: number of pages
 * @entries: gets one HMM_PM_* value a page
 *
 * The PFN is in the low bits only if HMM_PM_PRESENT is set, and is 0 without
 * CAP_SYS_ADMIN. Causes no fault in the range.
 *
 * Return: 0; -ENOENT if the kernel has no pagemap (CONFIG_PROC_PAGE_MONITOR);
 * or -errno.
 */
int hmm_pagemap(const void *addr, size_t pages, __u64 *entries);

/* hmm_pagemap_one - hmm_pagemap() of the page that holds @addr */
int hmm_pagemap_one(const void *addr, __u64 *entry);

/* Categories of PAGEMAP_SCAN, which the headers of a distribution may not have. */
#define HMM_SCAN_WRITTEN	0x02	/* not write-protected by userfaultfd */
#define HMM_SCAN_FILE		0x04
#define HMM_SCAN_PRESENT	0x08
#define HMM_SCAN_SWAPPED	0x10	/* an entry that is not present */
#define HMM_SCAN_PFNZERO	0x20
#define HMM_SCAN_HUGE		0x40

/* HMM_SCAN_PROTECT: write-protect the pages that are reported (PM_SCAN_WP_MATCHING) */
#define HMM_SCAN_PROTECT	0x1

/* A stretch of pages of the same categories: struct page_region of newer headers. */
struct hmm_region {
	__u64 start;
	__u64 end;
	__u64 categories;
};

/**
 * hmm_pagemap_scan - ask for the categories of pages (PAGEMAP_SCAN)
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @flags: 0 or HMM_SCAN_PROTECT
 * @only: categories that a page must all have to be reported; 0 reports all pages
 * @regions: gets the stretches
 * @max: how many fit
 *
 * Return: how many there are; -ENOTTY if the kernel has no PAGEMAP_SCAN; or -errno.
 */
int hmm_pagemap_scan(const void *addr, size_t length, __u64 flags, __u64 only,
		     struct hmm_region *regions, size_t max);

/**
 * hmm_page_flags - /proc/kpageflags of page frames
 * @pfn: first page frame number
 * @pages: number of page frames
 * @flags: gets hmm_kpf(KPF_*) bits of each
 *
 * Return: 0; -ENOENT if the kernel has no kpageflags; or -errno.
 */
int hmm_page_flags(__u64 pfn, size_t pages, __u64 *flags);

/**
 * hmm_ksm_flag - does KPF_KSM mean that a page is merged?
 *
 * Some kernels set it for every anonymous page. Found out once, with a page that can't be
 * merged.
 *
 * Return: 1 if so, 0 if the flag means nothing, or -errno.
 */
int hmm_ksm_flag(void);

/**
 * hmm_page_count - /proc/kpagecount: how often page frames are mapped
 * @pfn: first page frame number
 * @pages: number of page frames
 * @counts: gets the number of mappings of each
 *
 * Return: 0; -ENOENT if the kernel has no kpagecount; or -errno.
 */
int hmm_page_count(__u64 pfn, size_t pages, __u64 *counts);

/**
 * hmm_flags_at - page flags of the page present at an address
 * @addr: any byte of the page
 * @flags: gets hmm_kpf(KPF_*) bits
 *
 * Return: 0; -ENXIO if no page is present there; or as hmm_page_flags().
 */
int hmm_flags_at(const void *addr, __u64 *flags);

/**
 * hmm_smaps - a field of /proc/self/smaps
 * @addr: an address in the mapping
 * @field: its name, e.g. "AnonHugePages"
 *
 * Return: the value as it is printed there (KiB); -ENXIO if nothing is mapped
 * at @addr; -ENOENT if there is no such field.
 */
long hmm_smaps(const void *addr, const char *field);

/**
 * hmm_smaps_flag - has a mapping a flag in the VmFlags line?
 * @addr: an address in the mapping
 * @flag: two letters, e.g. "lo"
 *
 * Return: 1 or 0; -ENXIO if nothing is mapped at @addr.
 */
int hmm_smaps_flag(const void *addr, const char *flag);

/**
 * hmm_in_core - is the page of an address in the page cache or mapped?
 * @addr: any byte of the page
 *
 * Return: 1 or 0 as mincore() says, -ENOMEM if nothing is mapped there.
 */
int hmm_in_core(const void *addr);

#endif /* HMM_PAGEMAP_H */
