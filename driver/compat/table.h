/* SPDX-License-Identifier: GPL-2.0 */
/* Entries of the CPU's page tables. */
#ifndef HMMIRROR_COMPAT_TABLE_H
#define HMMIRROR_COMPAT_TABLE_H

#include <linux/mm.h>

/* Since 6.5 it looks whether there is a table. */
static inline bool compat_pte_map_can_fail(void)
{
#ifdef HAVE_PTE_OFFSET_MAP_FAILS
	return true;
#else
	return false;
#endif
}

/* The function that a walk of page tables calls for each PMD. Since 5.4, it is in a table. */
#ifdef HAVE_MM_WALK_OPS
#include <linux/pagewalk.h>

#define compat_pmd_entry(_walk)	((_walk)->ops->pmd_entry)
#else
#define compat_pmd_entry(_walk)	((_walk)->pmd_entry)
#endif

/*
 * A mark on entries of DAX memory, without which the walker takes no huge PUD; not
 * any more in 6.17.
 */
#ifndef HAVE_PUD_DEVMAP
#define _PAGE_DEVMAP	0UL
#endif

#ifndef HAVE_MAX_PTRS_PER_PTE
#define MAX_PTRS_PER_PTE	PTRS_PER_PTE
#endif

/* arm64 has it only with huge pages. */
#ifndef HAVE_SWP_ENTRY_TO_PMD
#define __swp_entry_to_pmd(_swp)	__pmd((_swp).val)
#endif

#ifdef CONFIG_X86_64
/* A software bit, which means nothing in a PMD that points at a table. */
#define COMPAT_PMD_BAD_BIT	_PAGE_SPECIAL

/* Accessed is set, so that a read fault has nothing to change. */
#define COMPAT_PUD_BITS		(_PAGE_PSE | _PAGE_ACCESSED | _PAGE_NX)
#define COMPAT_PUD_HUGE		(COMPAT_PUD_BITS | _PAGE_PRESENT)
#define COMPAT_PUD_ABSENT	(COMPAT_PUD_BITS | _PAGE_DEVMAP)

static inline void compat_set_pmd(pmd_t *pmdp, pmd_t entry)
{
	set_pmd(pmdp, entry);
}

static inline void compat_set_pud(pud_t *pudp, pud_t entry)
{
	set_pud(pudp, entry);
}

static inline const char *compat_no_bad_pmd(void)
{
	return NULL;
}
#elif defined(CONFIG_PPC_BOOK3S_64)
#define COMPAT_PMD_BAD_BIT	0UL
#define COMPAT_PUD_BITS		(_PAGE_PTE | _PAGE_ACCESSED | _PAGE_READ | _PAGE_PRIVILEGED)
/* with the other MMU, which looks entries up in a hash table, there are none */
#define COMPAT_PUD_HUGE		(radix_enabled() ? COMPAT_PUD_BITS | _PAGE_PRESENT : 0UL)
#define COMPAT_PUD_ABSENT	(COMPAT_PUD_BITS | _PAGE_DEVMAP)

/* The kernel has no function for it, and a CPU that still finds no entry takes another fault. */
static inline void compat_set_pmd(pmd_t *pmdp, pmd_t entry)
{
	WRITE_ONCE(*pmdp, entry);
}

static inline void compat_set_pud(pud_t *pudp, pud_t entry)
{
	WRITE_ONCE(*pudp, entry);
}

/* Return: why no PMD that points at a table can be bad, NULL if one can. */
static inline const char *compat_no_bad_pmd(void)
{
	return "a PMD of a table has no bit that the CPU is known to ignore";
}
#else
#define COMPAT_PMD_BAD_BIT	0UL
#define COMPAT_PUD_HUGE		0UL
#define COMPAT_PUD_ABSENT	0UL

/*
 * For an entry of the topmost table the kernel's own calls functions that modules do not have. With
 * two levels of tables (arm64, 64 KiB and 42 bits) that is a PMD, and there are no huge pages.
 */
static inline void compat_set_pmd(pmd_t *pmdp, pmd_t entry)
{
#ifndef __PAGETABLE_PMD_FOLDED
	set_pmd(pmdp, entry);
#endif
}

/* Never called without huge PUDs; see above. */
static inline void compat_set_pud(pud_t *pudp, pud_t entry)
{
}

/*
 * Return: why no PMD that points at a table can be bad, NULL if one can. On arm64 a PMD is
 * bad that is not marked as one of a table, and a huge page's is that, too.
 */
static inline const char *compat_no_bad_pmd(void)
{
	return "a PMD that is present is one of a table or of a huge page on this machine";
}
#endif

/* Return: why there are no huge PUDs, NULL if there are. */
static inline const char *compat_no_huge_pud(void)
{
#if !defined(HAVE_HMM_PFNS)
	/* it came with 5.8, as hmm_pfns did; before, the fault takes it for a table */
	return "the kernel does not split a huge PUD of anonymous memory (before 5.8)";
#elif defined(CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD)
	if (!COMPAT_PUD_HUGE)
		return "the driver does not know a huge PUD of this machine";
	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) ? NULL :
	       "the kernel was built without CONFIG_TRANSPARENT_HUGEPAGE";
#else
	return "no huge PUDs (CONFIG_HAVE_ARCH_TRANSPARENT_HUGEPAGE_PUD)";
#endif
}

/* Return: why there are none that are not present, NULL if there are. */
static inline const char *compat_no_absent_pud(void)
{
#ifndef HAVE_PUD_DEVMAP
	if (IS_ENABLED(CONFIG_PPC_BOOK3S_64))
		return "a PUD that is not present is none of a huge page on this machine";
#endif
	return compat_no_huge_pud();
}

#endif /* HMMIRROR_COMPAT_TABLE_H */
