/* SPDX-License-Identifier: GPL-2.0 */
/* userfaultfd: faults that wait for a monitor, which provides a page or lifts a protection. */
#ifndef HMM_UFFD_H
#define HMM_UFFD_H

#include <linux/types.h>
#include <stddef.h>
#include <stdint.h>

/**
 * hmm_uffd_open - register anonymous memory for missing faults
 * @addr: first byte, page aligned; anonymous memory
 * @length: bytes, page multiple
 *
 * Return: the userfaultfd, or -errno; -EOPNOTSUPP if the
 * kernel has no userfaultfd.
 */
int hmm_uffd_open(void *addr, size_t length);

/**
 * hmm_uffd_register - register a range for faults of any kind
 * @addr: first byte, multiple of the mapping's page size
 * @length: bytes, likewise
 * @mode: UFFDIO_REGISTER_MODE_*
 * @features: UFFD_FEATURE_* that must be there, or 0
 *
 * Return: as hmm_uffd_open(); also -EOPNOTSUPP if the kernel lacks a feature, or
 * the mode for this mapping.
 */
int hmm_uffd_register(void *addr, size_t length, __u64 mode, __u64 features);

/* Features and a call that the headers of a distribution may not have yet. */
#define HMM_UFFD_FEATURE_WP_ASYNC	0x8000
#define HMM_UFFD_FEATURE_MOVE		0x10000

/* hmm_uffd_protect - write-protect the pages of a range */
int hmm_uffd_protect(int fd, void *addr, size_t length);

/* hmm_uffd_unprotect - end that, and wake who waits for it */
int hmm_uffd_unprotect(int fd, void *addr, size_t length);

/**
 * hmm_uffd_move - move pages to a range that is registered (UFFDIO_MOVE)
 * @fd: from hmm_uffd_register() with HMM_UFFD_FEATURE_MOVE
 * @to: first byte; registered, and nothing is there
 * @from: first byte of the pages
 * @length: bytes, page multiple
 * @moved: gets the bytes that were moved
 *
 * Return: 0 if all were; -errno of the page that was not, @moved then has what is before it.
 */
int hmm_uffd_move(int fd, void *to, void *from, size_t length, size_t *moved);

/**
 * hmm_uffd_wait - wait for a fault
 * @fd: from hmm_uffd_open()
 * @timeout_ms: how long
 * @addr: gets the page that is missing
 *
 * Return: 0, -ETIMEDOUT or -errno.
 */
int hmm_uffd_wait(int fd, int timeout_ms, void **addr);

/* hmm_uffd_give - provide a page with a copy of @data, and end the wait */
int hmm_uffd_give(int fd, void *addr, const void *data);

/* hmm_uffd_wake - end the wait without a page: the fault is retried */
int hmm_uffd_wake(int fd, void *addr);

#endif /* HMM_UFFD_H */
