// SPDX-License-Identifier: GPL-2.0
/* Proofs of how a range is mapped. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "hmm_buffer.h"
#include "hmm_pagemap.h"
#include "hmm_prove.h"
#include "hmm_system.h"

/* Pages to check at a time. */
#define BATCH	512

static int prove_frame(struct hmm_area *area, size_t page, __u64 flags,
		       __u64 count, const struct hmm_proof *proof)
{
	/* Ignore KPF_KSM where it means nothing. */
	__u64 says = hmm_ksm_flag() == 1 ? ~0ULL : ~hmm_kpf(KPF_KSM);
	__u64 set = proof->kpf_set & says, clear = proof->kpf_clear & says;

	if ((flags & set) != set || flags & clear)
		return hmm_fail(area, 0,
				"page %zu: page flags %#llx, want %#llx and not %#llx",
				page, flags, set, clear);
	if (count < proof->mapped)
		return hmm_fail(area, 0,
				"page %zu: mapped %llu times, want %llu or more",
				page, count, proof->mapped);
	return 0;
}

/* Read the flags of consecutive pfns, such as those of a huge page, at once. */
static int prove_frames(struct hmm_area *area, size_t first, size_t pages,
			const __u64 *entry, const struct hmm_proof *proof)
{
	__u64 flags[BATCH] = { 0 }, count[BATCH] = { 0 };
	size_t i, n;
	int ret = 0;

	if (!proof->kpf_set && !proof->kpf_clear && !proof->mapped)
		return 0;
	for (i = 0; !ret && i < pages; i += n) {
		__u64 pfn = entry[i] & HMM_PM_PFN_MASK;
		size_t k;

		for (n = 1; i + n < pages; n++)
			if ((entry[i + n] & HMM_PM_PFN_MASK) != pfn + n)
				break;
		if (proof->kpf_set || proof->kpf_clear) {
			ret = hmm_page_flags(pfn, n, flags);
			if (ret)
				return hmm_fail(area, ret, "/proc/kpageflags");
		}
		if (proof->mapped) {
			ret = hmm_page_count(pfn, n, count);
			if (ret)
				return hmm_fail(area, ret, "/proc/kpagecount");
		}
		for (k = 0; !ret && k < n; k++)
			ret = prove_frame(area, first + i + k, flags[k],
					  count[k], proof);
	}
	return ret;
}

int hmm_prove_pages(struct hmm_area *area, const char *addr, size_t length,
		    const struct hmm_proof *proof)
{
	size_t page = hmm_page_size(), first, i, n;
	__u64 entry[BATCH];
	int ret;

	for (first = 0; first < length / page; first += n) {
		n = length / page - first;
		if (n > BATCH)
			n = BATCH;
		ret = hmm_pagemap(addr + first * page, n, entry);
		if (ret)
			return hmm_fail(area, ret, "/proc/self/pagemap");
		for (i = 0; i < n; i++)
			if ((entry[i] & proof->set) != proof->set ||
			    entry[i] & proof->clear)
				return hmm_fail(area, 0,
						"page %zu: pagemap %#llx, want %#llx and not %#llx",
						first + i, entry[i],
						proof->set, proof->clear);
		ret = prove_frames(area, first, n, entry, proof);
		if (ret)
			return ret;
	}
	return 0;
}

/* Page faults of this thread: another one that has just begun faults in its stack. */
static long thread_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? -errno : usage.ru_minflt + usage.ru_majflt;
}

/*
 * Does the CPU set the dirty bit of a clean page by itself? If not, the first write to a page
 * faults even where the page table allows it. Shared memory is writable, and clean, once it was
 * read.
 */
static int cpu_sets_dirty(void)
{
	static int sets = -1;
	size_t size = hmm_page_size();
	long before;
	char *page;

	if (sets >= 0)
		return sets;
	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 1;
	hmm_touch_read(page, size);
	before = thread_faults();
	hmm_touch_write(page, size);
	sets = thread_faults() == before;
	munmap(page, size);
	return sets;
}

/* pfns of pages, added up so that no order of them gives the same */
static int sum_of_pfns(const char *addr, size_t length, __u64 *sum)
{
	size_t page = hmm_page_size(), i, k, n;
	__u64 entry[BATCH];
	int ret;

	*sum = 0;
	for (i = 0; i < length; i += n * page) {
		n = (length - i + page - 1) / page;
		if (n > BATCH)
			n = BATCH;
		ret = hmm_pagemap(addr + i, n, entry);
		if (ret)
			return ret;
		for (k = 0; k < n; k++)
			*sum = *sum * 31 + (entry[k] & HMM_PM_PFN_MASK);
	}
	return 0;
}

int hmm_prove_writable(struct hmm_area *area, char *addr, size_t length)
{
	__u64 pfns = 0, pfns_after = 0;
	long before, after, reused = -1;

	/* Call both once before, so that their code is mapped when it counts. */
	hmm_touch_write(addr, 0);
	thread_faults();
	if (!cpu_sets_dirty()) {
		reused = hmm_vmstat("pgreuse");
		if (sum_of_pfns(addr, length, &pfns))
			return hmm_fail(area, 0, "/proc/self/pagemap");
	}

	before = thread_faults();
	hmm_touch_write(addr, length);
	after = thread_faults();
	if (after == before)
		return 0;
	/*
	 * A fault that only sets the dirty bit leaves the page, and does not make it writable,
	 * which the kernel would count. Other tasks may add a few to that.
	 */
	if (!cpu_sets_dirty() && reused >= 0 &&
	    2 * (hmm_vmstat("pgreuse") - reused) <= after - before - 1 &&
	    !sum_of_pfns(addr, length, &pfns_after) && pfns == pfns_after)
		return 0;
	return hmm_fail(area, 0, "%ld faults when written, want none", after - before);
}

static int mapping_prot(const char *perms)
{
	return (perms[0] == 'r' ? PROT_READ : 0) |
	       (perms[1] == 'w' ? PROT_WRITE : 0) |
	       (perms[2] == 'x' ? PROT_EXEC : 0);
}

int hmm_prove_mapping(struct hmm_area *area, const char *addr, size_t length,
		      int prot)
{
	unsigned long start, end, at = (uintptr_t)addr, till = at + length;
	unsigned long covered = at;
	char line[256], perms[5];
	int ret = 0;
	FILE *f;

	f = fopen("/proc/self/maps", "re");
	if (!f)
		return hmm_fail(area, errno, "/proc/self/maps");
	while (!ret && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx %4s", &start, &end, perms) != 3 ||
		    end <= at || start >= till)
			continue;
		if (prot < 0)
			ret = hmm_fail(area, 0, "mapped: %.40s", line);
		else if (mapping_prot(perms) != prot)
			ret = hmm_fail(area, 0, "mapped %s, want %d", perms,
				       prot);
		if (start <= covered)
			covered = end;
	}
	fclose(f);
	if (!ret && prot >= 0 && covered < till)
		ret = hmm_fail(area, 0, "a hole in the mapping at %#lx",
			       covered);
	return ret;
}
