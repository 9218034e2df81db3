/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What differs between kernels in the answers of hmm_range_fault(). Known from the kernel's
 * interface (the driver's query), or by asking the CPU what the fault handler does; never
 * from a version, and never from the walker under test.
 */
#ifndef EXPECT_KERNEL_H
#define EXPECT_KERNEL_H

enum expect_when {
	/*
	 * A read swaps a page in writable if nobody else has it: do_swap_page() in
	 * mm/memory.c since 6.11. Before, that took a write. Asked of the CPU: does the
	 * first write after a read fault, other than to set the dirty bit?
	 */
	WHEN_SWAP_IN_WRITABLE,
	/*
	 * A write to the huge zero page allocates a huge page: do_huge_zero_wp_pmd() in
	 * mm/huge_memory.c since 6.13. Before, it split the PMD and allocated a small page.
	 * Asked of the CPU, by smaps.
	 */
	WHEN_HUGE_ZERO_COPIED,
	/*
	 * A fault on a device-private page of another device is refused: mm/hmm.c up to
	 * 5.18. Since 5.19, and in later fixes of older kernels, it is migrated back. A
	 * kernel without HMMIRROR_TRAIT_OTHER_FAULTED is therefore asked once; one that has
	 * it may not refuse.
	 */
	WHEN_OTHER_REFUSED,
	/* hmmirror.h, HMMIRROR_TRAIT_FAULTS_COUNTED */
	WHEN_FAULTS_COUNTED,
	/* hmmirror.h, HMMIRROR_TRAIT_EXCLUSIVE_PAGE */
	WHEN_EXCLUSIVE_PAGE,
	/* hmmirror.h, HMMIRROR_TRAIT_HOLES_ANON */
	WHEN_HOLES_ANON,
	/* hmmirror.h, HMMIRROR_TRAIT_UNMAP_TOLD: not in 5.0 */
	WHEN_UNMAP_TOLD,
	/* hmmirror.h, HMMIRROR_FEAT_ORDER */
	WHEN_ORDER,
	/* hmmirror.h, HMMIRROR_TRAIT_PUD_MARKED */
	WHEN_PUD_MARKED,
	/* hmmirror.h, HMMIRROR_TRAIT_TABLE_CHECKED */
	WHEN_TABLE_CHECKED,
	/* hmmirror.h, HMMIRROR_TRAIT_PUD_UNSEEN */
	WHEN_PUD_UNSEEN,
	/* hmmirror.h, HMMIRROR_TRAIT_LOOKS_JOINED */
	WHEN_LOOKS_JOINED,
	/* hmmirror.h, HMMIRROR_TRAIT_HOME_FOR_ALL: not in 5.0 and 5.2 */
	WHEN_HOME_FOR_ALL,
	/*
	 * The walker goes from one VMA to the next by itself, as newer ones do, but it
	 * reports a hole and a mapping without read access as empty, ends at a mapping of
	 * a driver with -EFAULT even without a request, and leaves an error in the entry
	 * of the page that ends the walk: 5.5, 5.6. The driver takes that back, as today's
	 * walkers leave such an entry alone.
	 */
	WHEN_REFUSED_EMPTY,
	/*
	 * All others follow from which walker the kernel has (enum hmmirror_walker), and
	 * are in its mm/hmm.c.
	 *
	 * The zero page counts as a special page, which ends a walk:
	 * HMMIRROR_TRAIT_ZERO_PAGE, 5.2 to 5.4.
	 */
	WHEN_ZERO_SPECIAL,
	/*
	 * An empty hugetlb entry is reported as valid, with pfns from 0 on:
	 * hmm_device_entry_from_pfn() of 5.2 to 5.7 marks any pfn valid.
	 */
	WHEN_EMPTY_HUGETLB_VALID,
	/*
	 * The driver passes one mapping after the other to the walker, which takes no more
	 * or does not survive holes: without HMMIRROR_TRAIT_WALKS_VMAS, up to 5.4. A
	 * mapping without read access ends the walk with -EPERM, even without a request.
	 */
	WHEN_BY_MAPPING,
	/*
	 * Requests by page are in the array of answers, up to 5.6: a fault clears them, for
	 * all pages up to the end of what the walker handles at once.
	 */
	WHEN_REQUESTS_LOST,
	/*
	 * After an error the driver can't tell an answer of 0 from an entry that was never
	 * answered, if no other answer is behind it: up to 5.7.
	 */
	WHEN_NOTHING_BLANKED,
	/*
	 * Each mapping is walked once in advance, up to the first fault or error: 5.4. The
	 * second walk takes the answers for requests, and the first page whose own request
	 * failed has lost it.
	 */
	WHEN_WALKED_TWICE,
	/*
	 * A fault on a page under migration is answered with 0 and does not wait:
	 * hmm_vma_handle_pte() of 5.2 to 5.4 evaluates the request before it knows of the
	 * migration.
	 */
	WHEN_MIGRATION_IGNORED,
	/*
	 * The walker does not know which device a page belongs to, before 5.7. The driver
	 * migrates pages of others back after the walk, one by one.
	 */
	WHEN_OTHER_LATER,
	/* VM_MIXEDMAP is refused as a whole, as VM_IO and VM_PFNMAP are: up to 5.7. */
	WHEN_MIXED_REFUSED,
	/*
	 * Mappings of drivers, of hugetlbfs and of DAX end a walk with -EINVAL: 5.0. Those
	 * of drivers end it with -EFAULT in 5.2 and 5.4, even without a request.
	 */
	WHEN_MAPPING_INVALID,
	/*
	 * A fault on a page that is not in the page cache drops the mmap lock while it
	 * reads (filemap_fault() of 5.2, not of 5.0), though the driver does not allow
	 * that, and the walk starts again.
	 */
	WHEN_COLD_BEGINS_ANEW,
	/*
	 * A PTE that the walker can't read, such as a hwpoison entry, ends the walk with
	 * -EFAULT, even without a request: up to 5.4.
	 */
	WHEN_BAD_PTE_ENDS,
	/*
	 * The error that ends a snapshot is not returned: that entry has an error, and
	 * those behind it, up to the end of the mapping, are untouched. 5.0 and 5.2 ignore
	 * what walk_page_range() returned.
	 */
	WHEN_SNAPSHOT_CUT,
	/*
	 * A bad PMD gives error entries and no -EFAULT, even for a request; a migration
	 * entry in a PMD is skipped, and leaves the entries as they were: up to 5.4.
	 */
	WHEN_BAD_PMD_PASSED,
	/*
	 * The request for the range is in the array of answers too, and where pages are
	 * decided as a whole, the first that asks decides for all: 5.0.
	 */
	WHEN_FIRST_DECIDES,
	/*
	 * The walker does not check VM_WRITE: 5.0 and 5.2. The driver passes a mapping
	 * without it only up to the first page with a write request.
	 */
	WHEN_WRITE_UNCHECKED,
	/*
	 * A fault may drop the mmap lock and wait for userfaultfd, though the driver does
	 * not allow it: 5.0 and 5.2.
	 */
	WHEN_FAULTS_WAIT,
	/*
	 * A protnone entry of NUMA balancing is reported as valid and read-only, again by
	 * hmm_device_entry_from_pfn(): PTEs from 5.4 to 5.7, PMDs in 5.7.
	 */
	WHEN_HINT_VALID,
	WHEN_HUGE_HINT_VALID,
	/* A protnone PTE is treated as an ordinary one: 5.0, 5.2. */
	WHEN_HINT_UNSEEN,
	WHEN_NR
};

/*
 * expect_when - does it hold on this kernel? 1 or 0; found out once. If that fails, it says
 * so on stderr and gives 0.
 */
int expect_when(enum expect_when when);

/*
 * expect_faults - page faults so far: of this process, if the walker's faults are counted
 * there; else of the whole machine, where other tasks may add some. Below 0 if the kernel
 * does not count those either (CONFIG_VM_EVENT_COUNTERS).
 */
long expect_faults(void);

#endif /* EXPECT_KERNEL_H */
