// SPDX-License-Identifier: GPL-2.0
/*
 * Pages registered with userfaultfd: missing, in the page cache only (minor), or
 * write-protected.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_uffd.h"
#include "state_tables.h"

#define RW	(PROT_READ | PROT_WRITE)

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM	0x1000
#endif

enum uffd_kind {
	ANON_MISSING,
	ANON_WP,
	ANON_WP_ZERO,
	ANON_WP_SWAPPED,
	SHMEM_MISSING,
	SHMEM_MINOR,
	SHMEM_WP,
	THP_WP,
	HUGETLB_MISSING,
	HUGETLB_MINOR,
	HUGETLB_WP,
};

/* How each is registered. */
static const struct {
	__u64 mode;
	__u64 features;
	const char *flag;	/* in smaps */
} kinds[] = {
	[ANON_MISSING] = { UFFDIO_REGISTER_MODE_MISSING, 0, "um" },
	[ANON_WP] = { UFFDIO_REGISTER_MODE_WP,
		      UFFD_FEATURE_PAGEFAULT_FLAG_WP, "uw" },
	[ANON_WP_ZERO] = { UFFDIO_REGISTER_MODE_WP,
			   UFFD_FEATURE_PAGEFAULT_FLAG_WP, "uw" },
	[ANON_WP_SWAPPED] = { UFFDIO_REGISTER_MODE_WP,
			      UFFD_FEATURE_PAGEFAULT_FLAG_WP, "uw" },
	[SHMEM_MISSING] = { UFFDIO_REGISTER_MODE_MISSING,
			    UFFD_FEATURE_MISSING_SHMEM, "um" },
	[SHMEM_MINOR] = { UFFDIO_REGISTER_MODE_MINOR,
			  UFFD_FEATURE_MINOR_SHMEM, "ui" },
	[SHMEM_WP] = { UFFDIO_REGISTER_MODE_WP,
		       UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "uw" },
	[THP_WP] = { UFFDIO_REGISTER_MODE_WP,
		     UFFD_FEATURE_PAGEFAULT_FLAG_WP, "uw" },
	[HUGETLB_MISSING] = { UFFDIO_REGISTER_MODE_MISSING,
			      UFFD_FEATURE_MISSING_HUGETLBFS, "um" },
	[HUGETLB_MINOR] = { UFFDIO_REGISTER_MODE_MINOR,
			    UFFD_FEATURE_MINOR_HUGETLBFS, "ui" },
	[HUGETLB_WP] = { UFFDIO_REGISTER_MODE_WP,
			 UFFD_FEATURE_WP_HUGETLBFS_SHMEM, "uw" },
};

/* Does pagemap show the protection? It has since 5.14, with this feature of userfaultfd. */
static int pagemap_has_uffd_wp(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return 0;
	if (ioctl(fd, UFFDIO_API, &api))
		api.features = 0;
	close(fd);
	return !!(api.features & UFFD_FEATURE_MINOR_SHMEM);
}

static int prove_protected(struct hmm_area *area, const char *addr, size_t length,
			   __u64 where)
{
	struct hmm_proof proof = { .set = where };

	if (pagemap_has_uffd_wp())
		proof.set |= HMM_PM_UFFD_WP;
	return hmm_prove_pages(area, addr, length, &proof);
}

static int prove_swapped(struct hmm_area *area, const char *addr, size_t length)
{
	return prove_protected(area, addr, length, HMM_PM_SWAP);
}

static int make_uffd(struct hmm_area *area, const struct hmm_state *state,
		     char *addr, size_t length)
{
	__u64 mode = kinds[state->variant].mode;
	int fd, ret;

	/* the page stays in the file */
	if (state->variant == HUGETLB_MINOR &&
	    madvise(addr, length, MADV_DONTNEED))
		return hmm_skip(area, "hugetlb pages can't be unmapped by madvise()");

	fd = hmm_uffd_register(addr, length, mode,
			       kinds[state->variant].features);
	if (fd == -EOPNOTSUPP)
		return hmm_skip(area, "no userfaultfd, or not in mode %#llx here",
				mode);
	if (fd < 0)
		return hmm_fail(area, fd, "userfaultfd");
	if (mode == UFFDIO_REGISTER_MODE_WP) {
		ret = hmm_uffd_protect(fd, addr, length);
		if (ret) {
			close(fd);
			return hmm_fail(area, ret, "UFFDIO_WRITEPROTECT");
		}
	}
	/* closing it ends the registration */
	ret = hmm_area_close_later(area, fd);
	if (ret)
		return hmm_fail(area, ret, "undo list");
	return state->variant == ANON_WP_SWAPPED ?
	       hmm_area_pageout(area, addr, length, prove_swapped) : 0;
}

static int prove_uffd(struct hmm_area *area, const struct hmm_state *state,
		      char *addr, size_t length)
{
	static const struct hmm_proof absent = {
		.clear = HMM_PM_PRESENT | HMM_PM_SWAP,
	};
	int ret = hmm_prove_mapping(area, addr, length, state->prot);

	if (ret)
		return ret;
	if (hmm_smaps_flag(addr, kinds[state->variant].flag) != 1)
		return hmm_fail(area, 0, "no %s among VmFlags",
				kinds[state->variant].flag);
	if (state->variant == ANON_WP_SWAPPED)
		return prove_swapped(area, addr, length);
	if (kinds[state->variant].mode == UFFDIO_REGISTER_MODE_WP)
		return prove_protected(area, addr, length, HMM_PM_PRESENT);
	return hmm_prove_pages(area, addr, length, &absent);
}

#define UFFD_STATE(_name, _unit, _kind, _from, _what)			\
	{								\
		.name = (_name),					\
		.what = (_what),					\
		.unit = (_unit),					\
		.prot = RW,						\
		.variant = (_kind),					\
		.from = (_from),					\
		.make = make_uffd,					\
		.prove = prove_uffd,					\
	}

const struct hmm_state hmm_states_uffd[] = {
	UFFD_STATE("anon_uffd_missing", HMM_UNIT_PAGE, ANON_MISSING, "anon_none",
		   "never touched, userfaultfd is to provide it"),
	UFFD_STATE("anon_uffd_wp", HMM_UNIT_PAGE, ANON_WP, "anon_writable",
		   "written, write-protected by userfaultfd"),
	UFFD_STATE("anon_uffd_wp_zero", HMM_UNIT_PAGE, ANON_WP_ZERO, "anon_zero",
		   "the zero page, write-protected by userfaultfd"),
	UFFD_STATE("anon_uffd_wp_swapped", HMM_UNIT_PAGE, ANON_WP_SWAPPED, "anon_writable",
		   "written, write-protected by userfaultfd, swapped out"),
	UFFD_STATE("shmem_uffd_missing", HMM_UNIT_PAGE, SHMEM_MISSING, "shmem_shared_none",
		   "shared memfd, never touched, userfaultfd is to provide it"),
	UFFD_STATE("shmem_uffd_minor", HMM_UNIT_PAGE, SHMEM_MINOR, "shmem_shared_cached",
		   "shared memfd, has content, userfaultfd is to map it"),
	UFFD_STATE("shmem_uffd_wp", HMM_UNIT_PAGE, SHMEM_WP, "shmem_shared_written",
		   "shared memfd, written, write-protected by userfaultfd"),
	UFFD_STATE("thp_uffd_wp", HMM_UNIT_PMD, THP_WP, "thp_writable",
		   "anonymous huge page, write-protected by userfaultfd"),
	UFFD_STATE("hugetlb_uffd_missing", HMM_UNIT_PMD, HUGETLB_MISSING, "hugetlb_none",
		   "hugetlb page, never touched, userfaultfd is to provide it"),
	UFFD_STATE("hugetlb_uffd_minor", HMM_UNIT_PMD, HUGETLB_MINOR, "hugetlb_shared",
		   "hugetlb page of a shared file, userfaultfd is to map it"),
	UFFD_STATE("hugetlb_uffd_wp", HMM_UNIT_PMD, HUGETLB_WP, "hugetlb_writable",
		   "hugetlb page, written, write-protected by userfaultfd"),
	{ 0 }
};
