/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the driver share.
 *
 * Locks, outer to inner:
 *	mirror->dma_lock > mmap lock of the mirrored process > page lock > mirror->lock
 *	mirror->plant_lock > mmap lock > planting->lock > page table lock
 *	device->chunk_lock > memory hotplug > mmap lock > device->free_lock
 *	mirror->inject_lock is taken under any of them, and nothing under it
 * mirror->lock is taken by the invalidation callback, so nothing that holds it
 * may allocate with reclaim, fault, or wait for a page lock.
 */
#ifndef HMMIRROR_DRV_H
#define HMMIRROR_DRV_H

#include <linux/kprobes.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#include "uapi/hmmirror.h"

#define HMMIRROR_NR_DEVICES	4
#define HMMIRROR_NR_PRIVATE	2	/* the others are coherent */

/* Pages that one step of a long call handles: one PMD's worth, or one huge page. */
#define HMMIRROR_BATCH		PTRS_PER_PTE
#define HMMIRROR_HUGE_ORDER	(PMD_SHIFT - PAGE_SHIFT)

struct hmmirror_device {
	struct miscdevice misc;
	unsigned int id;
	enum hmmirror_memory memory;

	struct mutex chunk_lock;	/* protects the next two */
	struct list_head chunks;
	unsigned int nr_releases;	/* that have taken chunks off the list */

	spinlock_t free_lock;		/* protects the rest of this block */
	struct list_head whole_blocks;	/* all pages free */
	struct list_head broken_blocks;	/* some pages free */
	u64 nr_pages;
	u64 nr_free;
	u64 nr_ready;			/* of them, not in a chunk that is to go */

	atomic_t fail_huge;		/* that many huge allocations shall fail */
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

/* hold.c: where a migration or a walk is to stop, or does. */
struct hmmirror_hold_point {
	wait_queue_head_t wait;
	spinlock_t lock;		/* of who arms */
	enum hmmirror_held held;	/* changed by cmpxchg() */
	enum hmmirror_stage stage;	/* from here on: of the hold that is armed */
	unsigned int limit_ms;
};

/* inject.c: changed by cmpxchg(), as probes that come like an NMI count, too */
struct hmmirror_injection {
	atomic64_t left;		/* to be let through first << 32 | to be hit */
	unsigned int asked;		/* for so many hits, under inject_lock */
};

struct hmmirror_planting;

/* flicker.c */
enum hmmirror_flickers {
	HMMIRROR_FLICKER_NO,
	HMMIRROR_FLICKER_ARMED,
	HMMIRROR_FLICKER_BEGUN,		/* the walker came, and gets the copy */
	HMMIRROR_FLICKER_SEEN,		/* its looks are counted */
};

struct hmmirror_flicker_point {
	struct mutex lock;		/* outside of mmap lock; protects who arms and ends */
	enum hmmirror_flickers state;	/* changed by cmpxchg() while probed */
	atomic_t walkers;		/* of the mirror */
	struct task_struct *walker;	/* one of them, who may get the copy */
	struct mm_struct *mm;
	unsigned long addr;
	unsigned int nth;
	unsigned int looks;
	pmd_t copy;			/* watched by the breakpoints */
	pmd_t entry;			/* what is there */
	struct kprobe probe;
	struct perf_event * __percpu *breakpoints;
};

/* One open() of a device: the opener's address space as the device sees it. */
struct hmmirror {
	struct hmmirror_device *device;
	struct mm_struct *mm;		/* held by the notifier, not its users */
	struct mmu_interval_notifier notifier;
	struct mutex lock;		/* protects pt and what it points at */
	struct xarray pt;		/* see pt.c */
	struct hmmirror_dma_map *dma;	/* written under both, freed under dma_lock */
	struct mutex dma_lock;		/* held for a call, outside of mmap lock */
	struct hmmirror_counters count;
	struct hmmirror_hold_point hold;
	spinlock_t inject_lock;		/* of who asks for injections */
	struct hmmirror_injection injections[HMMIRROR_INJECT_NR];
	struct mutex plant_lock;	/* protects the next */
	struct hmmirror_planting *planting;
	struct hmmirror_flicker_point flicker;
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
 * @system_only: pages of this device are like another's
 * @prepare: may add flags to what the entries hold before the walk, or NULL
 * @accept: gets the first @nr entries as the walker answered them, under
 *	mirror->lock, or NULL
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
	bool no_limit;		/* with unlocked: the kernel's own tries have none */
	bool system_only;
	void (*prepare)(struct hmmirror_walk *walk);
	void (*accept)(struct hmmirror_walk *walk, unsigned long nr);
	unsigned int retries;
};

/* walk.c */
#define HMMIRROR_REQ_UNLOCKED	BIT_ULL(63)	/* of hmmirror_fault() only */
bool hmmirror_request_ok(u64 request);
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
int hmmirror_devmem_grow(struct hmmirror_device *device, unsigned long nr, bool huge);
struct page *hmmirror_devmem_alloc(struct hmmirror_device *device, struct page *data,
				   unsigned int order);
struct page *hmmirror_devmem_alloc_huge(struct hmmirror_device *device);
struct page *hmmirror_devmem_data(struct page *page);
struct hmmirror_device *hmmirror_devmem_device(struct page *page);
void hmmirror_devmem_stay(struct hmmirror_device *device);
bool hmmirror_devmem_has(struct hmmirror_device *device, unsigned long pfn);
void hmmirror_devmem_go(struct hmmirror_device *device);
int hmmirror_devmem_release(struct hmmirror_device *device);

/* Shall this huge allocation fail? Each call is one. */
static inline bool hmmirror_fail_huge(struct hmmirror_device *device)
{
	return atomic_dec_if_positive(&device->fail_huge) >= 0;
}

/* migrate.c */
struct hmmirror_move {
	unsigned long addr;
	unsigned long end;
	bool to_device;
	bool huge;		/* huge pages whole, if the kernel can */
	bool pieces;		/* small pages to take their place */
	bool populate;		/* to the system: holes, too */
	bool listed;		/* by number: one list, not stretches */
	bool any_access;	/* VMAs without read access, too */
	u8 *outcomes;		/* one a page, or NULL */
	u64 migrated;		/* (out) */
};

int hmmirror_move(struct hmmirror *mirror, struct hmmirror_move *move);
long hmmirror_bring_home(struct hmmirror *mirror, struct hmmirror_device *device,
			 const unsigned long *pfns, unsigned long nr, bool listed, u8 *outcomes);
unsigned long hmmirror_evict_range(struct hmmirror_device *device, unsigned long pfn,
				   unsigned long nr, bool *no_huge);
/* cpu_fault.c */
vm_fault_t hmmirror_migrate_to_ram(struct vm_fault *vmf);
/* evict.c: pages home without knowing who maps them. */
void hmmirror_evict(struct hmmirror_device *device, unsigned long pfn, unsigned long nr);

/* query.c */
const char *hmmirror_no_huge(struct hmmirror_device *device);

/* exclusive.c */
int hmmirror_take(struct hmmirror *mirror, unsigned long start, unsigned long end, u64 *taken);

/* dma.c */
const char *hmmirror_no_iommu(void);
void hmmirror_dma_invalidate(struct hmmirror *mirror, unsigned long start, unsigned long end);
u64 hmmirror_dma_free(struct hmmirror *mirror);
int hmmirror_dma_init(void);
void hmmirror_dma_exit(void);

/* fixture.c: mappings for tests by mmap() of the device. */
int hmmirror_fixture_init(void);
void hmmirror_fixture_exit(void);
int hmmirror_fixture_mmap(struct file *file, struct vm_area_struct *vma);

/* hold.c */
void hmmirror_hold_init(struct hmmirror *mirror);
void hmmirror_hold_here(struct hmmirror *mirror, enum hmmirror_stage stage);
void hmmirror_hold_close(struct hmmirror *mirror);

/* inject.c */
bool hmmirror_injected(struct hmmirror *mirror, enum hmmirror_event event);
bool hmmirror_inject_asked(struct hmmirror *mirror, enum hmmirror_event event);
void hmmirror_inject_invalidation(struct hmmirror *mirror, unsigned long addr);

/* fail.c */
struct hmmirror_failing;
struct hmmirror_failing *hmmirror_fail_begin(struct hmmirror *mirror, enum hmmirror_event first,
					     enum hmmirror_event last);
void hmmirror_fail_end(struct hmmirror_failing *all);
const char *hmmirror_no_failing(enum hmmirror_event event);
const char *hmmirror_no_probe(const char *symbol);

/* busy.c */
struct hmmirror_busy;
struct hmmirror_busy *hmmirror_busy_begin(struct hmmirror *mirror, unsigned long start,
					  unsigned long end);
void hmmirror_busy_end(struct hmmirror_busy *busy);

/* collect.c */
struct hmmirror_collect;
struct hmmirror_collect *hmmirror_collect_begin(struct hmmirror *mirror);
void hmmirror_collect_end(struct hmmirror_collect *collect);
const char *hmmirror_no_collect(void);

/* plant.c */
void hmmirror_plant_close(struct hmmirror *mirror);
void hmmirror_plant_end(struct hmmirror *mirror);
bool hmmirror_plain_mapping(struct mm_struct *mm, unsigned long addr, unsigned long size);

/* flicker.c */
const char *hmmirror_no_flicker(void);
void hmmirror_flicker_init(struct hmmirror *mirror);
void hmmirror_flicker_end(struct hmmirror *mirror);
void hmmirror_flicker_walk(struct hmmirror *mirror, unsigned long start, unsigned long end);
void hmmirror_flicker_walked(struct hmmirror *mirror);

/* The calls. Handlers get their struct, zero-extended to its newest size. */
int hmmirror_ioctl_query(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_range(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_copy(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_migrate(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_exclusive(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_stats(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_hold(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_plant(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_inject(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_dma(struct hmmirror *mirror, void *arg);
int hmmirror_ioctl_flicker(struct hmmirror *mirror, void *arg);
long hmmirror_test_abi(struct hmmirror *mirror, unsigned int cmd, void __user *arg);

/* module parameters, see main.c */
extern unsigned long hmmirror_spm_addr[HMMIRROR_NR_DEVICES - HMMIRROR_NR_PRIVATE];
extern unsigned int hmmirror_spm_size_mb;
extern unsigned int hmmirror_chunk_mb;
extern unsigned int hmmirror_max_device_mb;
extern unsigned int hmmirror_max_range_mb;
extern bool hmmirror_test_abi_5_10;

#endif /* HMMIRROR_DRV_H */
