/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What distinguishes kernels, for those who expect different answers of them.
 * Told by the kernel's interface (the driver's query), or by asking the CPU what
 * the fault handler does; never by a version, and not by the walker under test.
 */
#ifndef EXPECT_KERNEL_H
#define EXPECT_KERNEL_H

enum expect_when {
	/*
	 * A read that brings in a swapped page maps it writable if no one else
	 * has it: do_swap_page() in mm/memory.c since 6.11. Before that, a write
	 * had to ask. Asked of the CPU: the first write after a read faults or not.
	 */
	WHEN_SWAP_IN_WRITABLE,
	/*
	 * A write to the huge zero page gives a huge page: do_huge_zero_wp_pmd()
	 * in mm/huge_memory.c since 6.13. Before, a small one and the rest zeroes.
	 * Asked of the CPU, and seen in smaps.
	 */
	WHEN_HUGE_ZERO_COPIED,
	/*
	 * A fault of what is private to another device is refused: mm/hmm.c until
	 * 5.18. 5.19 has it brought home, and so have later fixes of older
	 * kernels, which is why a kernel that lacks HMMIRROR_TRAIT_OTHER_FAULTED
	 * is asked once. One that has it may not refuse.
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
	 * A page that comes home from a device can be protected by userfaultfd, which
	 * nobody asked for, and the way there makes another page of one that is:
	 * migrate_vma_collect_pmd() and remove_migration_pte() in mm/migrate.c of 5.7,
	 * and of 5.8 until its fix. Asked of userfaultfd: it has something to say about
	 * a page that it protected in no way.
	 */
	WHEN_PROTECTION_MADE_UP,
	/*
	 * The rest is told by which walker it is (enum hmmirror_walker), and all of
	 * it is in its mm/hmm.c.
	 *
	 * The zero page is a special page, and those end a walk:
	 * HMMIRROR_TRAIT_ZERO_PAGE, 5.2 to 5.4.
	 */
	WHEN_ZERO_SPECIAL,
	/*
	 * An empty hugetlb entry is answered as valid, with the page frames from 0
	 * on: hmm_device_entry_from_pfn() of 5.2 to 5.7 says so of any pfn.
	 */
	WHEN_EMPTY_HUGETLB_VALID,
	/*
	 * Our driver gives the walker a mapping after the other, up to 5.4, as it
	 * takes no more or does not survive holes. Without read access one ends
	 * the walk with -EPERM, even if nothing is asked of it.
	 */
	WHEN_BY_MAPPING,
	/*
	 * What single pages ask is kept where the answers go, up to 5.6: a fault
	 * clears it, of all pages up to the end of what the walker looks at.
	 */
	WHEN_REQUESTS_LOST,
	/*
	 * After an error, our driver can't tell an answer of nothing from what was
	 * never answered, if nothing else came behind it: up to 5.7.
	 */
	WHEN_NOTHING_BLANKED,
	/*
	 * Each mapping is walked once more, up to the first fault or error, before
	 * it counts: 5.4. So the answers are taken for requests, and the first
	 * page whose own request can't be met is let off.
	 */
	WHEN_WALKED_TWICE,
	/*
	 * Where a page is under migration, a fault is answered with nothing, and
	 * not waited for: hmm_vma_handle_pte() of 5.2 to 5.4 looks at what is asked
	 * of such a page before it has found that out.
	 */
	WHEN_MIGRATION_IGNORED,
	/*
	 * The walker does not know whose a device page is, before 5.7. Our driver
	 * has others' pages brought home after the walk, one by one.
	 */
	WHEN_OTHER_LATER,
	/*
	 * VM_MIXEDMAP is refused with all that is in it, as VM_IO and VM_PFNMAP
	 * are: up to 5.7.
	 */
	WHEN_MIXED_REFUSED,
	/*
	 * Mappings of drivers, of hugetlbfs and of DAX end a walk with -EINVAL: 5.0.
	 * Those of drivers do it with -EFAULT in 5.2 and 5.4, even if nothing is asked
	 * of them.
	 */
	WHEN_MAPPING_INVALID,
	/*
	 * A fault of what is not in the page cache gives up the mmap lock while it is
	 * read (filemap_fault() of 5.2, not of 5.0), though our driver asks it not to,
	 * and all begins anew.
	 */
	WHEN_COLD_BEGINS_ANEW,
	/*
	 * An entry that the walker can't read, of failed memory say, ends the walk
	 * with -EFAULT, even if nothing is asked of it: up to 5.4.
	 */
	WHEN_BAD_PTE_ENDS,
	/*
	 * What ends a snapshot is not told: there is an error in that entry, and
	 * nothing was written to those behind it, to the end of the mapping. 5.0 and
	 * 5.2 drop what walk_page_range() returned.
	 */
	WHEN_SNAPSHOT_CUT,
	/*
	 * A PMD that is no PMD gives errors and no -EFAULT, also where a fault is
	 * asked for; one under migration is passed over, with what was in the
	 * entries before: up to 5.4.
	 */
	WHEN_BAD_PMD_PASSED,
	/*
	 * Requests of the range are kept where the answers go too, and where pages
	 * are decided for at once, the first that asks counts for all: 5.0.
	 */
	WHEN_FIRST_DECIDES,
	/*
	 * The walker does not look at VM_WRITE: 5.0 and 5.2. Our driver has a
	 * mapping without it walked up to the first page that is to be written.
	 */
	WHEN_WRITE_UNCHECKED,
	/*
	 * A fault may drop the mmap lock and wait for whoever handles userfaultfd,
	 * though our driver asks it not to: 5.0 and 5.2.
	 */
	WHEN_FAULTS_WAIT,
	/*
	 * An entry that NUMA balancing took the access from is answered as valid and
	 * read-only, by hmm_device_entry_from_pfn() again: small ones from 5.4 to
	 * 5.7, huge ones in 5.7.
	 */
	WHEN_HINT_VALID,
	WHEN_HUGE_HINT_VALID,
	/* Small ones are not looked at, and answered as if nothing was: 5.0, 5.2. */
	WHEN_HINT_UNSEEN,
	WHEN_NR
};

/*
 * expect_when - is it so on this kernel? 1 or 0; looked up once. Where it can't
 * be found out, that is told on stderr, and the answer is 0.
 */
int expect_when(enum expect_when when);

/*
 * expect_faults - page faults so far: of this process, if the walker's are
 * counted there; else of the whole machine, where others may have some at the
 * same time. An error is a kernel that does not count these either
 * (CONFIG_VM_EVENT_COUNTERS).
 */
long expect_faults(void);

#endif /* EXPECT_KERNEL_H */
