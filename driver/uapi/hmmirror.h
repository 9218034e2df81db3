/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * hmmirror's own ioctls: what the kernel's test ABI (test_abi.h) can't say.
 *
 * Each open() of /dev/hmm_dmirror0..3 is one mirror of the opener's address
 * space. The nodes are root's (0600).
 *
 * Rules that hold for every call:
 *  - A struct starts with its own size and grows at the end. A shorter struct
 *    than the driver's is taken as if the rest were zero; a longer one is
 *    taken if the rest is zero, else E2BIG, and so is one above the size of a
 *    page. Shorter than the first version: EINVAL. Not more bytes than @size are
 *    written back.
 *  - Unknown flags and reserved fields that are not zero: EINVAL.
 *  - @addr and @length are bytes of the mirrored address space. Where a call
 *    works on pages, both must be multiples of the page size. Zero length, a
 *    sum that overflows, or an end above the opener's address space: EINVAL.
 *    Longer than the module parameter max_range_mb: EFBIG.
 *  - A user pointer that can't be read or written: EFAULT.
 *  - What this kernel can't do: EOPNOTSUPP; HMMIRROR_QUERY tells why.
 *  - The opener's address space is gone: ESRCH, from calls that work on it.
 *  - A fatal signal while it waits: EINTR. No memory for the call: ENOMEM.
 *  - When the call itself fails, nothing was changed and nothing written back.
 *    What the kernel under test answered is not a failure of the call: it
 *    comes back in @error (0, or a negative errno) with the results so far.
 */
#ifndef HMMIRROR_UAPI_H
#define HMMIRROR_UAPI_H

#include <linux/const.h>
#include <linux/ioctl.h>
#include <linux/types.h>

#define HMMIRROR_ABI_VERSION	1
#define HMMIRROR_IOC_TYPE	0xDA

/*
 * The size is in the struct, so it is not encoded in the number.
 */
#define HMMIRROR_QUERY		_IO(HMMIRROR_IOC_TYPE, 0x00)
#define HMMIRROR_RANGE		_IO(HMMIRROR_IOC_TYPE, 0x01)
#define HMMIRROR_COPY		_IO(HMMIRROR_IOC_TYPE, 0x02)
#define HMMIRROR_MIGRATE	_IO(HMMIRROR_IOC_TYPE, 0x03)
#define HMMIRROR_EXCLUSIVE	_IO(HMMIRROR_IOC_TYPE, 0x04)
#define HMMIRROR_STATS		_IO(HMMIRROR_IOC_TYPE, 0x05)
#define HMMIRROR_HOLD		_IO(HMMIRROR_IOC_TYPE, 0x08)
#define HMMIRROR_PLANT		_IO(HMMIRROR_IOC_TYPE, 0x09)
#define HMMIRROR_INJECT		_IO(HMMIRROR_IOC_TYPE, 0x0a)
#define HMMIRROR_DMA		_IO(HMMIRROR_IOC_TYPE, 0x0b)
#define HMMIRROR_PMD_RACE	_IO(HMMIRROR_IOC_TYPE, 0x0c)

/* Bit numbers of hmmirror_query.features, and values for .ask. */
enum hmmirror_feature {
	/* walk page tables, fault pages in */
	HMMIRROR_FEAT_RANGE		= 0,
	/* per-page requests with a mask */
	HMMIRROR_FEAT_PAGE_REQUESTS	= 1,
	/* order of the mapping in each result */
	HMMIRROR_FEAT_ORDER		= 2,
	/* device-private memory, migration to and from it */
	HMMIRROR_FEAT_DEVICE_PRIVATE	= 3,
	/* this module has coherent devices */
	HMMIRROR_FEAT_DEVICE_COHERENT	= 4,
	/* exclusive access */
	HMMIRROR_FEAT_EXCLUSIVE		= 5,
	/* HMMIRROR_RANGE_UNLOCKED */
	HMMIRROR_FEAT_UNLOCKED		= 6,
	/* HMMIRROR_MIGRATE_HUGE */
	HMMIRROR_FEAT_DEVICE_THP	= 7,
	/* HMMIRROR_DMA */
	HMMIRROR_FEAT_DMA		= 8,
	/* HMMIRROR_DMA_IOMMU */
	HMMIRROR_FEAT_DMA_IOMMU		= 9,
	/* HMMIRROR_PMD_RACE */
	HMMIRROR_FEAT_PMD_RACE		= 10,
	HMMIRROR_FEAT_NR
};

enum hmmirror_memory {
	/* no CONFIG_DEVICE_PRIVATE: devices 0 and 1 mirror, they can't migrate.
	 * A coherent device without memory is not there at all.
	 */
	HMMIRROR_MEMORY_NONE		= 0,
	HMMIRROR_MEMORY_PRIVATE		= 1,
	HMMIRROR_MEMORY_COHERENT	= 2,
};

/*
 * Answers that differ between kernels though the calls look alike: bits of
 * hmmirror_query.traits. A bit is set if the interface of the kernel says so for
 * certain.
 */
/* page faults that the walker takes are counted for the process */
#define HMMIRROR_TRAIT_FAULTS_COUNTED	_BITULL(0)
/* a fault request brings home what is private to another device */
#define HMMIRROR_TRAIT_OTHER_FAULTED	_BITULL(1)
/*
 * Exclusive access is given page by page: tail pages of a huge page too; what is
 * not anonymous is EOPNOTSUPP; and that a CPU took it back is an invalidation
 * like any.
 */
#define HMMIRROR_TRAIT_EXCLUSIVE_PAGE	_BITULL(2)

/* only holes in anonymous memory are offered for migration to a device */
#define HMMIRROR_TRAIT_HOLES_ANON	_BITULL(3)
/* the zero page is reported as any page is; else it ends a walk */
#define HMMIRROR_TRAIT_ZERO_PAGE	_BITULL(4)
/* an invalidation says whether it comes from munmap() or mremap() */
#define HMMIRROR_TRAIT_UNMAP_TOLD	_BITULL(5)
/* a huge PUD must have a mark of DAX memory, else the walker has it split */
#define HMMIRROR_TRAIT_PUD_MARKED	_BITULL(6)
/* the walker finds out that a page table has gone, and looks again */
#define HMMIRROR_TRAIT_TABLE_CHECKED	_BITULL(7)
/* without hugetlb, pud_huge() is false and the walker never gets over a huge PUD */
#define HMMIRROR_TRAIT_PUD_UNSEEN	_BITULL(8)
/* of the walker's two looks at the PMD of a huge page, the compiler has made one */
#define HMMIRROR_TRAIT_LOOKS_JOINED	_BITULL(9)
/*
 * a page of private memory that several processes share comes home for all of them;
 * else each gets a copy, and the device keeps the page for the others
 */
#define HMMIRROR_TRAIT_HOME_FOR_ALL	_BITULL(10)
/* the walker goes from one VMA to the next by itself */
#define HMMIRROR_TRAIT_WALKS_VMAS	_BITULL(11)
/* a fault of the walker keeps the mmap lock if the driver asks for that */
#define HMMIRROR_TRAIT_KEEPS_LOCK	_BITULL(12)

/* Which walker it is, by its interface: what it decides came with that. */
enum hmmirror_walker {
	/* hmm_vma_get_pfns(), hmm_vma_fault(): 5.0, 5.1 */
	HMMIRROR_WALKER_VMA		= 0,
	/*
	 * hmm_range_snapshot(), hmm_range_fault(): 5.2, 5.3; 5.3 brought
	 * HMMIRROR_TRAIT_KEEPS_LOCK
	 */
	HMMIRROR_WALKER_SNAPSHOT	= 1,
	/* hmm_range_fault() with flags: 5.4 to 5.6; 5.5 brought HMMIRROR_TRAIT_WALKS_VMAS */
	HMMIRROR_WALKER_FLAGS		= 2,
	/* without, and the caller has tables of flags and values: 5.7 */
	HMMIRROR_WALKER_TABLES		= 3,
	/* hmm_pfns: since 5.8 */
	HMMIRROR_WALKER_PFNS		= 4,
};

/**
 * struct hmmirror_query - what this device can do on this kernel
 * @size: sizeof(struct hmmirror_query)
 * @flags: must be 0
 * @ask: (in) feature whose absence @reason shall explain; EINVAL if unknown
 * @abi: (out) HMMIRROR_ABI_VERSION of the driver
 * @features: (out) bit mask, 1 << enum hmmirror_feature
 * @known: (out) the features that this driver knows of
 * @device: (out) 0 to 3, the N of /dev/hmm_dmirrorN
 * @memory: (out) enum hmmirror_memory
 * @max_range: (out) longest @length that a call takes, bytes
 * @traits: (out) HMMIRROR_TRAIT_*
 * @walker: (out) enum hmmirror_walker
 * @unused: (out) 0
 * @reason: (out) empty if the kernel has @ask, else why not; ends with NUL
 */
struct hmmirror_query {
	__u32 size;
	__u32 flags;
	__u32 ask;
	__u32 abi;
	__u64 features;
	__u64 known;
	__u32 device;
	__u32 memory;
	__u64 max_range;
	__u64 traits;
	__u32 walker;
	__u32 unused;
	char reason[80];
};

/* What is asked of a page: for default_flags, request_mask and each entry. */
#define HMMIRROR_REQ_FAULT	_BITULL(0)
#define HMMIRROR_REQ_WRITE	_BITULL(1)	/* only with REQ_FAULT */
#define HMMIRROR_REQ_ALL	(HMMIRROR_REQ_FAULT | HMMIRROR_REQ_WRITE)

/*
 * One page's answer, the same on every kernel:
 *
 *   63            24 23   16 15         0
 *   +---------------+-------+------------+
 *   | pfn           | order | flags      |
 *   +---------------+-------+------------+
 *
 * order: log2 of the pages that one CPU entry maps here; 0 where the kernel
 * does not tell (no HMMIRROR_FEAT_ORDER).
 * 0 as a whole: nothing there that the device could use now; a fault may help.
 */
#define HMMIRROR_PTE_VALID	_BITULL(0)
#define HMMIRROR_PTE_WRITE	_BITULL(1)
#define HMMIRROR_PTE_ERROR	_BITULL(2)	/* no access, and a fault won't help */
#define HMMIRROR_PTE_ZERO	_BITULL(3)	/* zero page or huge zero page */
#define HMMIRROR_PTE_PRIVATE	_BITULL(4)	/* device-private memory */
#define HMMIRROR_PTE_COHERENT	_BITULL(5)	/* device-coherent memory */
#define HMMIRROR_PTE_OTHER	_BITULL(6)	/* with one of the two: not this device's */
#define HMMIRROR_PTE_UNTOUCHED	_BITULL(7)	/* the walker left this entry as it was given */
#define HMMIRROR_PTE_ORDER_SHIFT 16
#define HMMIRROR_PTE_ORDER_MASK	0xffULL
#define HMMIRROR_PTE_PFN_SHIFT	24

/*
 * Write the result into the mirror's device page table, as a driver would. Where
 * the kernel gives a wrong pfn (a range that starts inside of a huge page of the
 * device's), it is put right; without this flag, it is told as it came.
 */
#define HMMIRROR_RANGE_MAP	_BITUL(0)
/* Let the kernel take and drop the mmap lock (HMMIRROR_FEAT_UNLOCKED). */
#define HMMIRROR_RANGE_UNLOCKED	_BITUL(1)
/* Report what is in the device page table now; no walk, no request allowed. */
#define HMMIRROR_RANGE_MIRROR	_BITUL(2)
/* with UNLOCKED: the kernel is given no limit, and tries for as long as it takes */
#define HMMIRROR_RANGE_NO_LIMIT	_BITUL(3)

/**
 * struct hmmirror_range - one hmm_range_fault() over a range
 * @size: sizeof(struct hmmirror_range)
 * @flags: HMMIRROR_RANGE_*
 * @addr: first byte, page aligned
 * @length: bytes, page multiple
 * @entries: (in) pointer to one __u64 a page; (in) the page's request, read
 *	only where @request_mask is not 0 (bits outside HMMIRROR_REQ_ALL:
 *	EINVAL); (out) its HMMIRROR_PTE_* answer, also when @error is set
 * @default_flags: HMMIRROR_REQ_* for every page; 0 is a snapshot
 * @request_mask: HMMIRROR_REQ_* bits of the single requests that count
 * @timeout_ms: how long to try again when invalidated, 1 to 60000; 0 is 1000, or
 *	20 for each MiB that a PMD maps if that is more. Must be 0 with
 *	HMMIRROR_RANGE_NO_LIMIT
 * @error: (out) the walker's answer: 0, -EFAULT, -EPERM, -ENOMEM, -EBUSY
 *	(invalidated again and again until the time was over), ...
 * @retries: (out) walks that had to start again
 * @reserved: must be 0
 *
 * Memory used: 8 bytes a page, or 16 with @request_mask, until it returns.
 */
struct hmmirror_range {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u64 length;
	__u64 entries;
	__u64 default_flags;
	__u64 request_mask;
	__u32 timeout_ms;
	__s32 error;
	__u32 retries;
	__u32 reserved;
};

/* From @buffer to the mirrored memory; without it, the other way. */
#define HMMIRROR_COPY_WRITE	_BITUL(0)
/* Only what the device page table has now; -ENOENT at the first gap. */
#define HMMIRROR_COPY_NOFAULT	_BITUL(1)

/**
 * struct hmmirror_copy - the device reads or writes memory through its mirror
 * @size: sizeof(struct hmmirror_copy)
 * @flags: HMMIRROR_COPY_*
 * @addr: first byte, of any alignment
 * @length: bytes, any number but 0
 * @buffer: caller's memory, @length bytes
 * @copied: (out) bytes done, from the start
 * @faults: (out) times that the device had to have a range faulted in
 * @error: (out) 0 if all was copied; why it stopped otherwise: the walker's
 *	error, -ENOENT with HMMIRROR_COPY_NOFAULT, or -EFAULT where the kernel
 *	can't get at the memory (memfd_secret)
 * @reserved: must be 0
 *
 * @buffer not accessible: EFAULT, nothing is said of how much was copied; the
 * device page table may have got entries by then.
 *
 * A write to a page of this device that is read-only brings the page home
 * first, as a CPU's write would: it is unshared, or @error is -EPERM.
 */
struct hmmirror_copy {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u64 length;
	__u64 buffer;
	__u64 copied;
	__u64 faults;
	__s32 error;
	__u32 reserved;
};

/* Exactly one of the two. */
#define HMMIRROR_MIGRATE_TO_DEVICE	_BITUL(0)
#define HMMIRROR_MIGRATE_TO_SYSTEM	_BITUL(1)
/* Huge pages whole, if the kernel can (HMMIRROR_FEAT_DEVICE_THP). */
#define HMMIRROR_MIGRATE_HUGE		_BITUL(2)
/* With HUGE: small pages take the place of each, so that the kernel has to split it. */
#define HMMIRROR_MIGRATE_PIECES		_BITUL(3)
/* With TO_SYSTEM: what is not populated becomes zeroed memory of the system. */
#define HMMIRROR_MIGRATE_POPULATE	_BITUL(4)
/*
 * With TO_SYSTEM, and no other flag: the kernel is asked for the pages that the device
 * has in the range by their numbers, wherever they are mapped besides. A huge page is
 * moved if it is in the range as a whole, and there is one to take its place.
 */
#define HMMIRROR_MIGRATE_BY_PFN		_BITUL(5)
/* The same, but for stretches of pages that lie one behind the other. */
#define HMMIRROR_MIGRATE_BY_RANGE	_BITUL(6)
/* enum hmmirror_mistake << this */
#define HMMIRROR_MIGRATE_MISTAKE_SHIFT	16

/* What the driver does wrong when it asks the kernel for the range; nothing is moved. */
enum hmmirror_mistake {
	HMMIRROR_MISTAKE_NONE		= 0,
	HMMIRROR_MISTAKE_NO_VMA		= 1,
	HMMIRROR_MISTAKE_EMPTY		= 2,	/* it ends where it starts */
	HMMIRROR_MISTAKE_BEFORE		= 3,	/* it starts a page before the VMA */
	HMMIRROR_MISTAKE_BEHIND		= 4,	/* it starts where that ends */
	HMMIRROR_MISTAKE_PAST_END	= 5,	/* it ends a page behind that */
	HMMIRROR_MISTAKE_NO_SOURCES	= 6,	/* no array of them */
	HMMIRROR_MISTAKE_NO_DESTS	= 7,
	/* the page that a CPU touched is the system's (kernels that take one) */
	HMMIRROR_MISTAKE_FAULT_SYSTEM	= 8,
	/* it is the device's, and not locked (0 where the kernel does not mind) */
	HMMIRROR_MISTAKE_FAULT_UNLOCKED	= 9,
	/* no mistake, and the kernel is not asked: a page of the device's is taken,
	 * and given back unused once somebody else refers to it, as who takes the
	 * device's memory down does. -EAGAIN if nobody did within 10 s
	 */
	HMMIRROR_MISTAKE_GIVEN_BACK	= 10,
	/* it starts and ends within pages, and counts of another call are left over.
	 * The kernel puts that right: 0; -EIO if it has not
	 */
	HMMIRROR_MISTAKE_UNTIDY		= 11,
	HMMIRROR_MISTAKE_NR
};

/* What became of one page, in struct hmmirror_migrate.outcomes. */
enum hmmirror_outcome {
	/* the kernel did not offer it: absent, swapped, pinned, locked, there
	 * already, or of a kind that can't move
	 */
	HMMIRROR_OUT_NONE	= 0,
	/* moved with its data */
	HMMIRROR_OUT_MIGRATED	= 1,
	/* was unpopulated or the zero page; is a zeroed device page now */
	HMMIRROR_OUT_POPULATED	= 2,
	/* offered, but no memory was left at the destination */
	HMMIRROR_OUT_NOMEM	= 3,
	/* offered and copied, then the kernel kept the old one */
	HMMIRROR_OUT_REFUSED	= 4,
	/* offered, but the copy failed: HMMIRROR_INJECT, or memory that the kernel
	 * can't get at (memfd_secret)
	 */
	HMMIRROR_OUT_NOCOPY	= 5,
};

/* What the kernel offered for one page, in struct hmmirror_migrate.offers: bits. */
#define HMMIRROR_OFFER_PAGE	_BITUL(0)	/* there is one; not if it is a hole */
#define HMMIRROR_OFFER_MOVE	_BITUL(1)	/* it may move, or be populated */
#define HMMIRROR_OFFER_WRITE	_BITUL(2)	/* its entry can be written */
#define HMMIRROR_OFFER_HUGE	_BITUL(3)	/* the first page of a huge one, or huge hole */

/**
 * struct hmmirror_migrate - move pages to this device, or from it to the system
 * @size: sizeof(struct hmmirror_migrate)
 * @flags: HMMIRROR_MIGRATE_*
 * @addr: first byte, page aligned
 * @length: bytes, page multiple; may span VMAs
 * @outcomes: (out) pointer to one byte a page, enum hmmirror_outcome; or 0
 * @migrated: (out) pages that are MIGRATED or POPULATED
 * @error: (out) 0; -EFAULT where no VMA is or one that can't be read,
 *	-EINVAL where the kernel refuses the VMA (hugetlb, special, DAX) or a
 *	mistake, with the pages before it done and the rest left alone; -ENOMEM,
 *	nothing done; -EAGAIN of HMMIRROR_MISTAKE_GIVEN_BACK
 * @reserved: must be 0
 * @cpages: (out) the sum of migrate_vma.cpages of all calls of migrate_vma_setup() that
 *	this one made: what the kernel says it offered. 0 for a migration by number,
 *	and on kernels before 5.9
 * @offers: (out) pointer to one byte a page, HMMIRROR_OFFER_*, as the last call of
 *	migrate_vma_setup() has filled migrate_vma.src; or 0. All 0 for a migration by
 *	number
 */
struct hmmirror_migrate {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u64 length;
	__u64 outcomes;
	__u64 migrated;
	__s32 error;
	__u32 reserved;
	__u64 cpages;
	__u64 offers;
};

enum hmmirror_exclusive_op {
	/* take each page of the range */
	HMMIRROR_EXCL_MAKE	= 0,
	/* which pages does the device hold? */
	HMMIRROR_EXCL_TEST	= 1,
	/* give the range back to the CPU */
	HMMIRROR_EXCL_RELEASE	= 2,
	/* atomics on the 8 bytes at @addr, 8-byte aligned; @length must be 8.
	 * Take the page if the device does not hold it.
	 */
	HMMIRROR_EXCL_ADD	= 3,	/* += operand */
	HMMIRROR_EXCL_XCHG	= 4,	/* = operand */
	HMMIRROR_EXCL_CMPXCHG	= 5,	/* = operand, if it is compare */
};

/**
 * struct hmmirror_exclusive - exclusive access of the device to pages
 * @size: sizeof(struct hmmirror_exclusive)
 * @flags: must be 0
 * @op: enum hmmirror_exclusive_op
 * @error: (out) 0; the kernel's error; -EOPNOTSUPP at device-coherent memory
 *	without HMMIRROR_TRAIT_EXCLUSIVE_PAGE, as the kernel would lose count of its
 *	references; or -EBUSY where TAKE did not get all
 * @addr: first byte; page aligned but for atomics
 * @length: bytes; page multiple but for atomics
 * @held: (out) TAKE, TEST: pointer to one byte a page, 1 if held; or 0.
 *	Atomics: must be 0
 * @pages: (out) TAKE, TEST: pages held; RELEASE: pages given back
 * @operand: (in) atomics
 * @compare: (in) CMPXCHG
 * @value: (out) atomics: the value before
 */
struct hmmirror_exclusive {
	__u32 size;
	__u32 flags;
	__u32 op;
	__s32 error;
	__u64 addr;
	__u64 length;
	__u64 held;
	__u64 pages;
	__u64 operand;
	__u64 compare;
	__u64 value;
};

enum hmmirror_dma_op {
	/* make a map of the range; a mirror has one at a time, else EBUSY */
	HMMIRROR_DMA_ALLOC	= 0,
	/* walk a part of it, and map what is valid */
	HMMIRROR_DMA_MAP	= 1,
	/* unmap a part of it */
	HMMIRROR_DMA_UNMAP	= 2,
	/* unmap all, and take the map down */
	HMMIRROR_DMA_FREE	= 3,
};

/* How the kernel gives DMA addresses. */
enum hmmirror_dma_way {
	/* those of the memory */
	HMMIRROR_DMA_DIRECT	= 0,
	/* a stretch of I/O address space for the range, each page at its place */
	HMMIRROR_DMA_IOVA	= 1,
	/* any I/O address for each page */
	HMMIRROR_DMA_SINGLE	= 2,
};

/* ALLOC: for the device behind an IOMMU (HMMIRROR_FEAT_DMA_IOMMU). */
#define HMMIRROR_DMA_IOMMU		_BITUL(0)
/* ALLOC: as if DMA of the device had gone through a bounce buffer before */
#define HMMIRROR_DMA_BOUNCED		_BITUL(1)

#define HMMIRROR_DMA_PAGE_MAPPED	_BITULL(0)
/* with MAPPED: it was mapped before, and stayed so */
#define HMMIRROR_DMA_PAGE_KEPT		_BITULL(1)
/* with MAPPED: memory of another PCI device, which is reached through the host bridge */
#define HMMIRROR_DMA_PAGE_PEER		_BITULL(2)
/* with MAPPED: likewise, by its address on the bus that the two share; no IOMMU is asked */
#define HMMIRROR_DMA_PAGE_PEER_BUS	_BITULL(3)

/**
 * struct hmmirror_dma_page - what MAP says of a page
 * @entry: HMMIRROR_PTE_*, the walker's answer
 * @address: where a device finds it; 0 if not MAPPED
 * @memory: what that address leads to, as the IOMMU has it, or the same address
 *	without one or with PEER_BUS; 0 if not MAPPED
 * @flags: HMMIRROR_DMA_PAGE_*
 */
struct hmmirror_dma_page {
	__u64 entry;
	__u64 address;
	__u64 memory;
	__u64 flags;
};

/**
 * struct hmmirror_dma - pages of a walk mapped for DMA of a device
 * @size: sizeof(struct hmmirror_dma)
 * @flags: HMMIRROR_DMA_IOMMU, HMMIRROR_DMA_BOUNCED with ALLOC, else 0
 * @op: enum hmmirror_dma_op
 * @error: (out) ALLOC: the kernel's answer, there is no map unless 0. MAP: the
 *	walker's answer, or -EIO where a page could not be mapped; what is before
 *	it is done
 * @addr: first byte, page aligned; 0 with FREE
 * @length: bytes, page multiple; 0 with FREE
 * @results: (out) MAP: pointer to one struct hmmirror_dma_page a page; UNMAP: to
 *	one byte a page, 1 if it was mapped; ALLOC, FREE: not looked at
 * @request: MAP: HMMIRROR_REQ_* for every page; 0 maps what is there. Else must
 *	be 0
 * @pages: (out) MAP: pages that are mapped; UNMAP, FREE: pages that were
 * @mask_bits: ALLOC: address bits that the device can put out, 24 to 64; 0 is 64.
 *	Else must be 0
 * @way: (out) ALLOC: enum hmmirror_dma_way
 *
 * MAP and UNMAP outside of the range of ALLOC, or without a map, and FREE without
 * one: EINVAL. If the PCI device is removed, its maps are freed. ALLOC with a map, and
 * BOUNCED while another mirror has one of the device: EBUSY. An invalidation unmaps
 * the pages that it covers. Device memory is no target of DMA: with a request its pages
 * migrate to system memory, without one they are not valid.
 *
 * Memory used: 8 to 16 bytes a page from ALLOC to FREE; by MAP 40 bytes a page,
 * by UNMAP one, until it returns.
 */
struct hmmirror_dma {
	__u32 size;
	__u32 flags;
	__u32 op;
	__s32 error;
	__u64 addr;
	__u64 length;
	__u64 results;
	__u64 request;
	__u64 pages;
	__u32 mask_bits;
	__u32 way;
};

/* Start counting from 0 again after reading (this mirror's counters only). */
#define HMMIRROR_STATS_RESET	_BITUL(0)

/**
 * struct hmmirror_stats - counters
 * @size: sizeof(struct hmmirror_stats)
 * @flags: HMMIRROR_STATS_*
 *
 * Of this mirror since open() or the last reset:
 * @walks: calls of hmm_range_fault()
 * @retries: of these, answered by an invalidation
 * @invalidations: events that hit the mirror
 * @invalidations_migrate: of these, by a migration to or from a device
 * @invalidations_unmap: of these, by munmap or mremap
 * @invalidations_exclusive: of these, by exclusive access
 * @to_device: pages moved to the device (migrated or populated)
 * @to_system: pages moved back by HMMIRROR_MIGRATE
 *
 * Of the device, for all its mirrors, since the module was loaded:
 * @cpu_faults: CPU faults on device-private pages
 * @cpu_faults_home: of these, the page came home
 * @evicted: pages pushed out when the device's memory was taken down
 * @device_pages: pages of device memory there are
 * @device_pages_free: of these, free
 */
struct hmmirror_stats {
	__u32 size;
	__u32 flags;
	__u64 walks;
	__u64 retries;
	__u64 invalidations;
	__u64 invalidations_migrate;
	__u64 invalidations_unmap;
	__u64 invalidations_exclusive;
	__u64 to_device;
	__u64 to_system;
	__u64 cpu_faults;
	__u64 cpu_faults_home;
	__u64 evicted;
	__u64 device_pages;
	__u64 device_pages_free;
};

/* Exactly one of the three. */
#define HMMIRROR_HOLD_ARM	_BITUL(0)	/* stop the next one at @stage */
#define HMMIRROR_HOLD_WAIT	_BITUL(1)	/* until one is held */
#define HMMIRROR_HOLD_RELEASE	_BITUL(2)	/* let it go on, or disarm */

/* Where what this mirror does, or what happens to it, can be stopped. */
enum hmmirror_stage {
	/* HMMIRROR_MIGRATE, between the kernel's steps: the pages are locked,
	 * their entries are migration entries, the mmap lock is held for reading
	 */
	HMMIRROR_STAGE_SETUP	= 0,	/* nothing allocated or copied yet */
	HMMIRROR_STAGE_COPIED	= 1,	/* copied, the kernel has not looked yet */
	HMMIRROR_STAGE_MOVED	= 2,	/* the kernel has decided, entries not back */
	/* a walk, no lock held: before the walker is called, after the state to
	 * compare with was noted; and after it, before that is compared
	 */
	HMMIRROR_STAGE_WALK	= 3,
	HMMIRROR_STAGE_WALKED	= 4,
	/* mmap() of a fixture, with the mmap lock held for writing */
	HMMIRROR_STAGE_MMAP	= 5,
	/* HMMIRROR_MIGRATE, where the kernel has seen that the first PMD of the range
	 * that has something is not empty, and not yet what it is; the mmap lock is
	 * held for reading. EOPNOTSUPP if the kernel's function can't be probed
	 */
	HMMIRROR_STAGE_COLLECT	= 6,
	/* a CPU fault of the opener on a device-private page, before that is migrated. The
	 * mmap lock is held for reading, and the page is locked on kernels that do so (6.15)
	 */
	HMMIRROR_STAGE_FAULT	= 7,
	/* an invalidation that may sleep, of memory in which the device page table has had
	 * entries (by PMDs): they are gone, and the kernel waits for the driver, with the
	 * locks that are its own
	 */
	HMMIRROR_STAGE_INVALIDATE = 8,
	HMMIRROR_STAGE_NR
};

/* What has become of the hold that was armed last. */
enum hmmirror_held {
	HMMIRROR_HELD_NO	= 0,	/* none was armed, or it was disarmed */
	HMMIRROR_HELD_ARMED	= 1,	/* nothing came to @stage yet */
	HMMIRROR_HELD_NOW	= 2,
	HMMIRROR_HELD_RELEASED	= 3,	/* went on: RELEASE, or a close */
	HMMIRROR_HELD_LIMIT	= 4,	/* went on: the time was over */
	HMMIRROR_HELD_KILLED	= 5,	/* went on: its thread was killed */
};

/**
 * struct hmmirror_hold - stop something at one of the stages
 * @size: sizeof(struct hmmirror_hold)
 * @flags: HMMIRROR_HOLD_*
 * @stage: (in) ARM: enum hmmirror_stage; else must be 0
 * @limit_ms: (in) ARM: how long it is held at most; WAIT: how long to wait at
 *	most; 1 to 10000. RELEASE: must be 0
 * @held: (out) enum hmmirror_held; for RELEASE, as it was before
 * @reserved: must be 0
 *
 * A hold is used up by the first that comes to the stage. A CPU fault and an eviction
 * come to none of those of HMMIRROR_MIGRATE, but they invalidate. ARM while one is
 * armed or held: EBUSY. WAIT if none was armed, or it was disarmed: ENOENT; for one
 * that went on already it returns at once. WAIT does not fail when the time is over,
 * @held tells. A held thread goes on by itself after @limit_ms, when it is killed,
 * when the opener closes a descriptor of the file, and when a process that has
 * one ends.
 */
struct hmmirror_hold {
	__u32 size;
	__u32 flags;
	__u32 stage;
	__u32 limit_ms;
	__u32 held;
	__u32 reserved;
};

/* Exactly one of the two. */
#define HMMIRROR_PLANT_PUT	_BITUL(0)
#define HMMIRROR_PLANT_TAKE	_BITUL(1)	/* back: as it was before */

/* Entries that no system call makes. */
enum hmmirror_planted {
	/* a PMD that points at its page table, with one bit too many: bad to who
	 * looks, harmless to the CPU. There must be a page table, with nothing in it
	 * (as MADV_DONTNEED leaves it)
	 */
	HMMIRROR_PLANT_PMD_BAD		= 0,
	/* a PMD that is not present and of no kind that PMDs have. There must
	 * be no page table
	 */
	HMMIRROR_PLANT_PMD_UNKNOWN	= 1,
	/* a PMD under migration, of a page of the driver's that stays locked
	 * until it is taken back. There must be no page table
	 */
	HMMIRROR_PLANT_PMD_MIGRATION	= 2,
	/* a PUD of a huge page, read-only and not for user mode: page frame 0, without
	 * what marks DAX memory. There must be no table below
	 */
	HMMIRROR_PLANT_PUD_HUGE		= 3,
	/* the same, and not present, with that mark */
	HMMIRROR_PLANT_PUD_ABSENT	= 4,
	HMMIRROR_PLANT_NR
};

/**
 * struct hmmirror_plant - put an entry into the page table of the opener
 * @size: sizeof(struct hmmirror_plant)
 * @flags: HMMIRROR_PLANT_*
 * @addr: (in) PUT: multiple of what a PMD maps (2 MiB with pages of 4 KiB), or for
 *	a PUD what that maps; all of it must lie in one private anonymous mapping of
 *	the opener's. TAKE: must be 0
 * @kind: (in) PUT: enum hmmirror_planted; TAKE: must be 0
 * @reserved: must be 0
 *
 * One at a time for each open file. PUT: EBUSY if one is there; EINVAL for any
 * other mapping; ENXIO if there is a page table where none may be, if there is none,
 * or one with something in it, where there must be an empty one, or no PMD at all
 * because nothing in reach of its table was ever touched; ENOMEM; EOPNOTSUPP if the
 * kernel has no such entries, or is a PV guest of Xen. TAKE: ENOENT if there is none,
 * or not any more.
 *
 * It is taken back after 10 s, when the opener closes a descriptor of the file or
 * the file is closed for good, when the address space ends, and before the kernel
 * acts on any of its pages for munmap, fork, madvise and the like. What only looks
 * is not told of: nobody should touch these pages, and /proc/PID/pagemap, mincore()
 * or mprotect() remove a bad PMD with a message; TAKE puts the table back.
 */
struct hmmirror_plant {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u32 kind;
	__u32 reserved;
};

enum hmmirror_event {
	/* getting a page to migrate to: HMMIRROR_OUT_NOMEM */
	HMMIRROR_INJECT_ALLOC		= 0,
	/* copying a page that migrates: HMMIRROR_OUT_NOCOPY */
	HMMIRROR_INJECT_COPY		= 1,
	/* not a failure: the kernel invalidates the range just before the walker
	 * is called. Its start must be in a mapping that can migrate (anonymous,
	 * not hugetlb), else nothing happens
	 */
	HMMIRROR_INJECT_INVALIDATE	= 2,
	/* in HMMIRROR_DMA: an allocation of the kernel's for a map, or ours for a
	 * call; linking pages to I/O addresses, or telling the IOMMU of it; mapping a
	 * page by itself. EOPNOTSUPP without HMMIRROR_FEAT_DMA, and if the kernel has
	 * none of the functions, or lets nobody probe them
	 */
	HMMIRROR_INJECT_DMA_ALLOC	= 3,
	HMMIRROR_INJECT_DMA_LINK	= 4,
	HMMIRROR_INJECT_DMA_SYNC	= 5,
	HMMIRROR_INJECT_DMA_MAP		= 6,
	/* in HMMIRROR_MIGRATE: an allocation of the kernel's for a page table or an
	 * anon_vma, where a page is to be populated: HMMIRROR_OUT_REFUSED. EOPNOTSUPP
	 * if the kernel lets nobody probe these functions
	 */
	HMMIRROR_INJECT_TABLE		= 7,
	/* in HMMIRROR_MIGRATE, EOPNOTSUPP as before: charging a page that is to be
	 * populated; splitting a huge page; removing the mappings of a page that is
	 * mapped elsewhere, too; and a page table that has gone when it is locked
	 */
	HMMIRROR_INJECT_CHARGE		= 8,
	HMMIRROR_INJECT_SPLIT		= 9,
	HMMIRROR_INJECT_MAPPED		= 10,
	HMMIRROR_INJECT_TABLE_GONE	= 11,
	/* not failures, in HMMIRROR_MIGRATE by the opener: a page of the range that is
	 * present is locked by somebody else; is on its way from the LRU; has its place
	 * in the swap still, and is being written there
	 */
	HMMIRROR_INJECT_LOCKED		= 12,
	HMMIRROR_INJECT_ISOLATED	= 13,
	HMMIRROR_INJECT_WRITEBACK	= 14,
	HMMIRROR_INJECT_NR
};

/**
 * struct hmmirror_inject - let something fail or happen in this mirror's calls
 * @size: sizeof(struct hmmirror_inject)
 * @flags: must be 0
 * @event: (in) enum hmmirror_event
 * @nth: (in) the first one that is hit, counted from now; 1 is the next
 * @times: (in) how many in a row are hit; 0 ends what was asked for before,
 *	and @nth must be 0 then
 * @hits: (out) how often this event was hit since it was last asked for
 *
 * Each event has a count of its own. A CPU fault and an eviction are never hit, nor
 * a huge page that moves whole by ALLOC and COPY.
 */
struct hmmirror_inject {
	__u32 size;
	__u32 flags;
	__u32 event;
	__u32 nth;
	__u32 times;
	__u32 hits;
};

/* Exactly one of the two. */
#define HMMIRROR_PMD_RACE_ARM	_BITUL(0)
#define HMMIRROR_PMD_RACE_END	_BITUL(1)

/**
 * struct hmmirror_pmd_race_args - let a PMD change while the walker looks at it
 * @size: sizeof(struct hmmirror_pmd_race_args)
 * @flags: HMMIRROR_PMD_RACE_*
 * @addr: (in) ARM: multiple of what a PMD maps; all of it must lie in one private
 *	anonymous mapping of the opener's. END: must be 0
 * @nth: (in) ARM: which of the walker's looks at the PMD finds nothing there, 1 to
 *	16; the others find what is there. END: must be 0
 * @looks: (out) END: how often the walker looked; 0 if it did not come
 * @reserved: must be 0
 *
 * It is for the next time that the walker comes to this PMD in a call of the
 * opener's, and finds a huge page, or, with HMMIRROR_TRAIT_TABLE_CHECKED, a page
 * table there. The PMD itself does not change, nor does anybody else see it do so.
 *
 * One for each open file, until END: EBUSY if there is one, if a walk of this
 * mirror is under way, or if others use all hardware breakpoints. ARM: EINVAL for
 * any other mapping; EOPNOTSUPP without HMMIRROR_FEAT_PMD_RACE, and if the walker's
 * function can't be probed. END: ENOENT if there is none. It ends with the file, too.
 */
struct hmmirror_pmd_race_args {
	__u32 size;
	__u32 flags;
	__u64 addr;
	__u32 nth;
	__u32 looks;
	__u64 reserved;
};

/*
 * Mappings by mmap() of a device, with one of these as the offset. All pages are
 * there at once. PFNMAP with MAP_PRIVATE, or any other offset: EINVAL. Longer than
 * the module parameter max_range_mb: EFBIG.
 */
#define HMMIRROR_FIXTURE_PAGES		0		/* VM_MIXEDMAP, pages of their own */
#define HMMIRROR_FIXTURE_SPECIAL	0x40000000	/* VM_MIXEDMAP, special entries */
#define HMMIRROR_FIXTURE_PFNMAP		0x80000000	/* VM_PFNMAP */
#define HMMIRROR_FIXTURE_IO		0xc0000000	/* VM_IO, pages of their own */

#endif /* HMMIRROR_UAPI_H */
