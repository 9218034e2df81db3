/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the driver share.
 *
 * Locks, outer to inner:
 *	mmap lock of the mirrored process > page lock > mirror->lock
 *	mmap lock > device->chunk_lock > device->free_lock
 * mirror->lock is taken by the invalidation callback, so nothing that holds it
 * may allocate with reclaim, fault, or wait for a page lock.
 */
#ifndef HMMIRROR_DRV_H
#define HMMIRROR_DRV_H

#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "uapi/hmmirror.h"

#define HMMIRROR_NR_DEVICES	4
#define HMMIRROR_NR_PRIVATE	2	/* the others are coherent */

/* Pages that one step of a long call handles: one PMD's worth. */
#define HMMIRROR_BATCH		PTRS_PER_PTE

struct hmmirror_device {
	struct miscdevice misc;
	unsigned int id;
	enum hmmirror_memory memory;

	struct mutex chunk_lock;	/* protects the next two */
	struct list_head chunks;
	unsigned int nr_releases;	/* that have taken chunks off the list */

	spinlock_t free_lock;		/* protects the rest of this block */
	struct page *free_pages;	/* linked by zone_device_data */
	struct page *free_blocks;	/* of HMMIRROR_BATCH pages each */
	u64 nr_pages;
	u64 nr_free;

	atomic64_t cpu_faults;
	atomic64_t cpu_faults_home;
	atomic64_t evicted;
};

struct hmmirror_counters {
	atomic64_t walks;
	atomic64_t retries;
	atomic64_t invalidations;
	atomic64_t invalidations_migrate;
	atomic64_t invalidations_unmap;
	atomic64_t invalidations_exclusive;
	atomic64_t to_device;
	atomic64_t to_system;
};

/* One open() of a device: the opener's address space as the device sees it. */
struct hmmirror {
	struct hmmirror_device *device;
	struct mm_struct *mm;		/* held by the notifier, not its users */
	struct mmu_interval_notifier notifier;
	struct mutex lock;		/* protects pt and what it points at */
	struct xarray pt;		/* see pt.c */
	struct hmmirror_counters count;
};

/*
 * An entry of the device page table: a HMMIRROR_PTE_* answer as userspace
 * gets it, and one bit of our own.
 */
#define HMMIRROR_PTE_HELD	BIT_ULL(15)	/* exclusive access */

static inline unsigned long hmmirror_pte_pfn(u64 pte)
{
	return pte >> HMMIRROR_PTE_PFN_SHIFT;
}

static inline unsigned int hmmirror_pte_order(u64 pte)
{
	return pte >> HMMIRROR_PTE_ORDER_SHIFT & HMMIRROR_PTE_ORDER_MASK;
}

/* pt.c: the device page table. All but init, reserve and destroy: under mirror->lock. */
void hmmirror_pt_init(struct hmmirror *mirror);
int hmmirror_pt_reserve(struct hmmirror *mirror, unsigned long start, unsigned long end);
void hmmirror_pt_store(struct hmmirror *mirror, unsigned long addr, const u64 *ptes,
		       unsigned long nr);
void hmmirror_pt_load(struct hmmirror *mirror, unsigned long addr, u64 *ptes, unsigned long nr);
u64 *hmmirror_pt_span(struct hmmirror *mirror, unsigned long addr, unsigned long end,
		      unsigned long *nr);
void hmmirror_pt_erase(struct hmmirror *mirror, unsigned long start, unsigned long end);
void hmmirror_pt_destroy(struct hmmirror *mirror);

/* mirror.c: a mirror's life, its address space, and its invalidation. */
struct hmmirror *hmmirror_create(struct hmmirror_device *device);
void hmmirror_destroy(struct hmmirror *mirror);
bool hmmirror_mm_get(struct hmmirror *mirror);
int hmmirror_check_span(struct hmmirror *mirror, u64 addr, u64 length, u64 align);
bool hmmirror_user_writable(u64 uptr, size_t size);

/**
 * struct hmmirror_watch - a part of the address space watched during a walk
 * @notifier: what hmm_range_fault() and mmu_interval_read_retry() look at
 * @mirror: whose address space
 * @taking: exclusive access of this mirror is made under it, no reason to retry
 */
struct hmmirror_watch {
	struct mmu_interval_notifier notifier;
	struct hmmirror *mirror;
	bool taking;
};

int hmmirror_watch_begin(struct hmmirror_watch *watch, struct hmmirror *mirror,
			 unsigned long start, unsigned long end);
void hmmirror_watch_end(struct hmmirror_watch *watch);

/**
 * struct hmmirror_walk - one question to the walker
 * @start: first byte, page aligned
 * @end: first byte behind, page aligned
 * @entries: room for one entry a page; HMMIRROR_PTE_* answers afterwards, also
 *	when the walk failed
 * @requests: HMMIRROR_REQ_* of each page, or NULL
 * @default_flags: HMMIRROR_REQ_* of every page
 * @request_mask: which bits of @requests count
 * @timeout_ms: for how long to try again
 * @map: write the answers into the device page table
 * @unlocked: the kernel takes the mmap lock, and may drop it to fault
 * @retries: (out) walks that were started again
 */
struct hmmirror_walk {
	unsigned long start;
	unsigned long end;
	u64 *entries;
	const u64 *requests;
	u64 default_flags;
	u64 request_mask;
	unsigned int timeout_ms;
	bool map;
	bool unlocked;
	unsigned int retries;
};

/* walk.c */
#define HMMIRROR_REQ_UNLOCKED	BIT_ULL(63)	/* of hmmirror_fault() only */
int hmmirror_walk(struct hmmirror *mirror, struct hmmirror_walk *walk);
int hmmirror_fault(struct hmmirror *mirror, unsigned long start, unsigned long end,
		   u64 request, unsigned long *mapped);

/* copy.c */
struct hmmirror_transfer {
	unsigned long addr;	/* mirrored memory, any alignment */
	unsigned long end;
	u64 uptr;		/* caller's buffer, moves on with addr */
	bool write;		/* to the mirrored memory */
	bool fault;		/* fault in what the device does not have */
	bool unlocked;		/* the walks are, see struct hmmirror_walk */
	u64 only;		/* if not 0: entries must have one of these flags,
				 * and be no other device's
				 */
	u64 faults;		/* (out) */
	int error;		/* (out) */
};

int hmmirror_transfer(struct hmmirror *mirror, struct hmmirror_transfer *t);
void *hmmirror_pte_data(u64 pte);
void hmmirror_pte_dirty(u64 pte);

/* devmem.c: the devices' own memory. */
void hmmirror_devmem_init(struct hmmirror_device *device);
struct page *hmmirror_devmem_alloc(struct hmmirror_device *device, struct page *data);
struct page *hmmirror_devmem_data(struct page *page);
struct hmmirror_device *hmmirror_devmem_device(struct page *page);
int hmmirror_devmem_release(struct hmmirror_device *device);

/* migrate.c */
struct hmmirror_move {
	unsigned long addr;
	unsigned long end;
	bool to_device;
	bool any_access;	/* VMAs without read access, too */
	u8 *outcomes;		/* one a page, or NULL */
	u64 migrated;		/* (out) */
};

int hmmirror_move(struct hmmirror *mirror, struct hmmirror_move *move);
void hmmirror_evict(struct hmmirror_device *device, unsigned long pfn, unsigned long nr);
vm_fault_t hmmirror_migrate_to_ram(struct vm_fault *vmf);

/* exclusive.c */
int hmmirror_take(struct hmmirror *mirror, unsigned long start, unsigned long end, u64 *taken);

/* fixture.c: mappings for tests by mmap() of the device. */
int hmmirror_fixture_mmap(struct file *file, struct vm_area_struct *vma);

/* The calls. Handlers get their struct, zero-extended to its newest size. */
int hmmirror_ioctl_query(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_range(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_copy(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_migrate(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_exclusive(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_stats(struct hmmirror *mirror, void *arg);
long hmmirror_test_abi(struct hmmirror *mirror, unsigned int cmd, void __user *arg);

/* module parameters, see main.c */
extern unsigned long hmmirror_spm_addr[HMMIRROR_NR_DEVICES - HMMIRROR_NR_PRIVATE];
extern unsigned int hmmirror_spm_size_mb;
extern unsigned int hmmirror_chunk_mb;
extern unsigned int hmmirror_max_range_mb;
extern bool hmmirror_test_abi_5_10;

#endif /* HMMIRROR_DRV_H */
