/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctls of the kernel's own test driver (lib/test_hmm_uapi.h since 6.0),
 * so that the kernel's hmm-tests run against this module. The numbers and the
 * layout are theirs; the words are ours.
 *
 * @addr must be page aligned and @npages not 0, else EINVAL. On an error the
 * struct is not written back.
 */
#ifndef HMMIRROR_TEST_ABI_H
#define HMMIRROR_TEST_ABI_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct hmm_dmirror_cmd - argument of every call
 * @addr: (in) start in the mirrored address space, page aligned
 * @ptr: (in) caller's buffer: data (READ, WRITE, MIGRATE_TO_DEV, EXCLUSIVE) or
 *	one byte a page (SNAPSHOT)
 * @npages: (in) pages
 * @cpages: (out) pages done
 * @faults: (out) times that a range had to be faulted in
 */
struct hmm_dmirror_cmd {
	__u64 addr;
	__u64 ptr;
	__u64 npages;
	__u64 cpages;
	__u64 faults;
};

#define HMM_DMIRROR_READ		_IOWR('H', 0x00, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_WRITE		_IOWR('H', 0x01, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_MIGRATE_TO_DEV	_IOWR('H', 0x02, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_MIGRATE_TO_SYS	_IOWR('H', 0x03, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_SNAPSHOT		_IOWR('H', 0x04, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_EXCLUSIVE		_IOWR('H', 0x05, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_CHECK_EXCLUSIVE	_IOWR('H', 0x06, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_RELEASE		_IOWR('H', 0x07, struct hmm_dmirror_cmd)
/* came with huge pages on the device; @npages: HMM_DMIRROR_FLAG_* */
#define HMM_DMIRROR_FLAGS		_IOWR('H', 0x08, struct hmm_dmirror_cmd)
/* came with 7.3 */
#define HMM_DMIRROR_READ_UNLOCKED	_IOWR('H', 0x09, struct hmm_dmirror_cmd)

/* Numbers before 6.0 where they differ; the exclusive calls are there since 5.14. */
#define HMM_DMIRROR_5_10_SNAPSHOT	_IOWR('H', 0x03, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_5_10_EXCLUSIVE	_IOWR('H', 0x04, struct hmm_dmirror_cmd)
#define HMM_DMIRROR_5_10_CHECK_EXCLUSIVE _IOWR('H', 0x05, struct hmm_dmirror_cmd)

/* the next huge allocation fails */
#define HMM_DMIRROR_FLAG_FAIL_ALLOC	(1ULL << 0)

/* What SNAPSHOT says of a page: a kind, or'ed with access and size. */
enum {
	HMM_DMIRROR_PROT_NONE			= 0x00,
	HMM_DMIRROR_PROT_READ			= 0x01,
	HMM_DMIRROR_PROT_WRITE			= 0x02,
	HMM_DMIRROR_PROT_PMD			= 0x04,
	HMM_DMIRROR_PROT_PUD			= 0x08,
	HMM_DMIRROR_PROT_ZERO			= 0x10,
	HMM_DMIRROR_PROT_DEV_PRIVATE_LOCAL	= 0x20,
	HMM_DMIRROR_PROT_DEV_PRIVATE_REMOTE	= 0x30,
	HMM_DMIRROR_PROT_DEV_COHERENT_LOCAL	= 0x40,
	HMM_DMIRROR_PROT_DEV_COHERENT_REMOTE	= 0x50,
	HMM_DMIRROR_PROT_ERROR			= 0xff,
};

#endif /* HMMIRROR_TEST_ABI_H */
