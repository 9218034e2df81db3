// SPDX-License-Identifier: GPL-2.0
/*
 * What /proc/PID/pagemap, PAGEMAP_SCAN, smaps and kpageflags tell of pages that a device
 * has.
 *
 * They read entries that are not present, and whose number is that of a page of the device
 * or of system memory. Looking must neither bring a page back nor end exclusive access.
 */
#include <linux/userfaultfd.h>
#include <unistd.h>

#include "device_case.h"

#define SWAP_TYPE_BITS	5	/* of a frame number of pagemap that stands for a swap entry */
#define REGIONS		16

FIXTURE(device_pagemap)
{
	struct device_case c;
	struct hmm_region regions[REGIONS];
	__u64 *entries;
	__u64 *answers;
	int uffd;
};

FIXTURE_VARIANT(device_pagemap)
{
	const char *state;
};

FIXTURE_VARIANT_ADD(device_pagemap, private)
{
	.state = "dev_private",
};

FIXTURE_VARIANT_ADD(device_pagemap, readonly)
{
	.state = "dev_private_readonly",
};

FIXTURE_VARIANT_ADD(device_pagemap, huge)
{
	.state = "dev_huge",
};

FIXTURE_VARIANT_ADD(device_pagemap, huge_readonly)
{
	.state = "dev_huge_readonly",
};

FIXTURE_VARIANT_ADD(device_pagemap, coherent)
{
	.state = "dev_coherent",
};

FIXTURE_VARIANT_ADD(device_pagemap, exclusive)
{
	.state = "dev_exclusive",
};

FIXTURE_SETUP(device_pagemap)
{
	struct device_case *c = &self->c;

	self->uffd = -1;
	device_begin(_metadata, c, variant->state, DEVICE_ACROSS_TABLES);
	self->entries = hmm_map_anon(c->pages * sizeof(__u64), 0);
	self->answers = hmm_map_anon(c->pages * sizeof(__u64), 0);
	ASSERT_NE(NULL, self->entries);
	ASSERT_NE(NULL, self->answers);
}

FIXTURE_TEARDOWN(device_pagemap)
{
	if (self->uffd >= 0)
		close(self->uffd);
	hmm_unmap(self->entries, self->c.pages * sizeof(__u64));
	hmm_unmap(self->answers, self->c.pages * sizeof(__u64));
	device_end(_metadata, &self->c);
}

/* Looking has changed nothing. */
static void check_unchanged(struct __test_metadata *_metadata, struct device_case *c)
{
	device_prove(_metadata, c, 0, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
}

/* An entry that is not present has the number of its page, which the walker reports too. */
TEST_F(device_pagemap, pagemap)
{
	struct device_case *c = &self->c;
	__u64 kind = HMM_PM_SWAP | HMM_PM_PRESENT | HMM_PM_FILE, want, pfn;
	size_t i;
	int ret;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(0, hmm_pagemap(c->addr, c->pages, self->entries));
	check_unchanged(_metadata, c);
	want = c->coherent ? HMM_PM_PRESENT : HMM_PM_SWAP;
	ret = c->exclusive ? hmm_mirror(c->fd, c->addr, c->length, self->answers) :
			     hmm_walk(c->fd, c->addr, c->length, 0, self->answers);
	ASSERT_EQ(0, ret);
	for (i = 0; i < c->pages; i++) {
		ASSERT_EQ(want, self->entries[i] & kind)
			TH_LOG("page %zu: pagemap says %llx", i,
			       (unsigned long long)self->entries[i]);
		pfn = self->entries[i] & HMM_PM_PFN_MASK;
		if (!c->coherent)
			pfn >>= SWAP_TYPE_BITS;
		ASSERT_EQ(hmm_entry_pfn(self->answers[i]), pfn)
			TH_LOG("page %zu: pagemap says %llx", i,
			       (unsigned long long)self->entries[i]);
	}
	check_unchanged(_metadata, c);
}

/* smaps counts the pages as resident and anonymous, and none as swapped out. */
TEST_F(device_pagemap, smaps)
{
	struct device_case *c = &self->c;
	long all = c->length / 1024;

	if (!MAKE_CASE())
		return;
	ASSERT_EQ(all, hmm_smaps(c->addr, "Rss"));
	ASSERT_EQ(all, hmm_smaps(c->addr, "Anonymous"));
	ASSERT_EQ(0, hmm_smaps(c->addr, "Swap"));
	ASSERT_EQ(c->huge ? all : 0, hmm_smaps(c->addr, "AnonHugePages"));
	check_unchanged(_metadata, c);
}

/*
 * Asks for the categories of all pages, which must be the same for all. Return: for
 * REQUIRE()
 */
static int scan(struct __test_metadata *_metadata, struct _test_data_device_pagemap *self,
		__u64 flags, __u64 only, __u64 *categories)
{
	struct device_case *c = &self->c;
	__u64 at = (uintptr_t)c->addr;
	int i, n;

	n = hmm_pagemap_scan(c->addr, c->length, flags, only, self->regions, REGIONS);
	if (n == -ENOTTY)
		return hmm_skip(&c->area, "no PAGEMAP_SCAN");
	if (n < 0)
		return hmm_fail(&c->area, n, "PAGEMAP_SCAN");
	*categories = n ? self->regions[0].categories : 0;
	for (i = 0; i < n; i++) {
		ASSERT_EQ(at, self->regions[i].start);
		ASSERT_EQ(*categories, self->regions[i].categories);
		at = self->regions[i].end;
	}
	ASSERT_EQ(n ? (uintptr_t)c->addr + c->length : at, at);
	return 0;
}

TEST_F(device_pagemap, scan)
{
	struct device_case *c = &self->c;
	__u64 want, categories, kinds = HMM_SCAN_PRESENT | HMM_SCAN_SWAPPED | HMM_SCAN_PFNZERO |
					HMM_SCAN_FILE | HMM_SCAN_HUGE;

	if (!MAKE_CASE())
		return;
	if (!REQUIRE(scan(_metadata, self, 0, 0, &categories), c->area.why))
		return;
	want = c->coherent ? HMM_SCAN_PRESENT : HMM_SCAN_SWAPPED;
	if (c->huge)
		want |= HMM_SCAN_HUGE;
	ASSERT_EQ(want, categories & kinds)
		TH_LOG("PAGEMAP_SCAN says %llx", (unsigned long long)categories);
	check_unchanged(_metadata, c);
}

/*
 * PAGEMAP_SCAN reports the pages that were written since it protected them last. A page that
 * is on the device then must be protected there, and what a CPU writes later be seen.
 */
TEST_F(device_pagemap, scan_written)
{
	struct device_case *c = &self->c;
	__u64 categories;

	if (!MAKE_CASE())
		return;
	if (!(c->state->prot & PROT_WRITE))
		SKIP(return, "nothing can be written");
	self->uffd = hmm_uffd_register(c->addr, c->length, UFFDIO_REGISTER_MODE_WP,
				       HMM_UFFD_FEATURE_WP_ASYNC);
	if (self->uffd == -EOPNOTSUPP)
		SKIP(return, "no asynchronous write protection by userfaultfd");
	ASSERT_LE(0, self->uffd);
	if (!REQUIRE(scan(_metadata, self, HMM_SCAN_PROTECT, HMM_SCAN_WRITTEN, &categories),
		     c->area.why))
		return;
	ASSERT_NE(0, categories & HMM_SCAN_WRITTEN);
	/* protecting them invalidates the range, which may end exclusive access */
	device_check_kept(_metadata, c, c->addr, c->pages);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	ASSERT_EQ(0, scan(_metadata, self, HMM_SCAN_PROTECT, HMM_SCAN_WRITTEN, &categories));
	ASSERT_EQ(0, categories)
		TH_LOG("the pages were not protected: PAGEMAP_SCAN says %llx",
		       (unsigned long long)categories);
	CHECK_DATA(0);
	ASSERT_EQ(0, scan(_metadata, self, 0, HMM_SCAN_WRITTEN, &categories));
	ASSERT_EQ(0, categories);
	hmm_pattern_fill(c->addr, c->length, 1);
	ASSERT_EQ(0, scan(_metadata, self, 0, HMM_SCAN_WRITTEN, &categories));
	ASSERT_NE(0, categories & HMM_SCAN_WRITTEN);
	CHECK_DATA(1);
}

/* No page of a device, nor one that came back from there, is a merged one. */
TEST_F(device_pagemap, not_merged)
{
	struct device_case *c = &self->c;
	__u64 flags;
	size_t i;

	if (!MAKE_CASE())
		return;
	CHECK_DATA(0);
	if (c->coherent)
		SKIP(return, "kpageflags has nothing of device memory");
	for (i = 0; i < c->pages; i++) {
		ASSERT_EQ(0, hmm_flags_at(c->addr + i * c->page, &flags));
		ASSERT_NE(0, flags & hmm_kpf(KPF_ANON)) TH_LOG("page %zu", i);
		ASSERT_EQ(0, flags & hmm_kpf(KPF_KSM)) TH_LOG("page %zu", i);
	}
}

#include "hmm_main.h"
