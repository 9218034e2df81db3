// SPDX-License-Identifier: GPL-2.0
/* A range of pages that a device has in one of several ways. */
#include <limits.h>

#include "device_case.h"

static int ask_support(struct device_case *c, unsigned int device)
{
	if (c->exclusive)
		return hmm_area_feature(&c->area, HMMIRROR_FEAT_EXCLUSIVE);
	if (c->huge)
		return hmm_area_huge_memory(&c->area, device);
	return hmm_area_memory(&c->area, device);
}

void device_begin(struct __test_metadata *_metadata, struct device_case *c,
		  const char *state, enum device_range range)
{
	unsigned int device = HMM_DEV_PRIVATE;

	c->state = hmm_state_find(state);
	ASSERT_NE(NULL, c->state);
	c->coherent = !!strstr(state, "coherent");
	c->exclusive = !!strstr(state, "exclusive");
	c->huge = hmm_state_unit(c->state) > hmm_page_size();
	if (c->coherent)
		device = HMM_DEV_COHERENT;
	c->page = hmm_page_size();
	c->length = c->huge ? hmm_state_unit(c->state) : DEVICE_PAGES * c->page;
	c->pages = c->length / c->page;
	if (range == DEVICE_ACROSS_TABLES && !c->huge)
		c->offset = hmm_pmd_size() - c->length / 2;
	ASSERT_EQ(0, hmm_area_begin(&c->area, c->offset + c->length, 0));
	c->addr = c->area.addr + c->offset;
	c->copy = hmm_map_anon(c->length, 0);
	ASSERT_NE(NULL, c->copy);
	c->frames = mmap(NULL, c->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, c->frames);
	c->setup_ret = ask_support(c, device);
	if (c->setup_ret)
		return;
	c->fd = hmm_area_device(&c->area, device);
	ASSERT_LE(0, c->fd);
	ASSERT_EQ(0, hmm_stats(c->fd, 0, &c->before));
}

long device_used(struct __test_metadata *_metadata, struct device_case *c)
{
	long used = hmm_used_since(c->fd, &c->before);

	ASSERT_NE(LONG_MIN, used);
	return used;
}

void device_end(struct __test_metadata *_metadata, struct device_case *c)
{
	/* End all mappings first: they hold what is still on the device. */
	hmm_holder_end(c->area.child);
	c->area.child = 0;
	hmm_unmap(c->area.guard, c->area.guard_length);
	c->area.guard = NULL;
	/* An ASSERT that fails here would start the teardown again, without end. */
	if (!c->setup_ret)
		EXPECT_EQ(0, hmm_used_since(c->fd, &c->before));
	hmm_area_end(&c->area);
	hmm_unmap(c->copy, c->length);
	hmm_unmap(c->frames, c->page);
}

long device_expected(const struct device_case *c)
{
	return c->exclusive ? 0 : c->pages;
}

void device_make(struct __test_metadata *_metadata, struct device_case *c)
{
	ASSERT_EQ(0, hmm_state_make(&c->area, c->state, c->offset, c->length))
		TH_LOG("%s: %s", c->state->name, c->area.why);
	ASSERT_EQ(device_expected(c), device_used(_metadata, c));
}

int device_record_pfns(struct device_case *c, int fd)
{
	return c->exclusive ? hmm_mirror(fd, c->addr, c->length, c->frames) : 0;
}

/* Return: how many of the recorded frames hold an anonymous page now; or -errno. */
static int count_anon(const struct device_case *c)
{
	int anon = 0, ret;
	__u64 flags;
	size_t i;

	for (i = 0; i < c->pages; i++) {
		ret = hmm_page_flags(hmm_entry_pfn(c->frames[i]), 1, &flags);
		if (ret)
			return ret;
		anon += !!(flags & hmm_kpf(KPF_ANON));
	}
	return anon;
}

void device_check_freed(struct __test_metadata *_metadata, struct device_case *c)
{
	int anon;

	ASSERT_EQ(0, device_used(_metadata, c));
	if (!c->exclusive)
		return;
	ASSERT_NE(0, c->frames[0] & HMMIRROR_PTE_VALID);
	anon = count_anon(c);
	if (anon == (int)c->pages) {
		/* Compaction drains the per-CPU batches, which hold references. */
		hmm_write_text("/proc/sys/vm/compact_memory", "1");
		anon = count_anon(c);
	}
	/* Others may have been given some of the frames since, but hardly all. */
	if (anon != -ENOENT)
		ASSERT_GT((int)c->pages, anon);
}

void device_migrate(struct __test_metadata *_metadata, struct device_case *c)
{
	unsigned int huge = c->huge ? HMMIRROR_MIGRATE_HUGE : 0;
	int ret;

	if (c->exclusive)
		ret = hmm_excl_pages(c->fd, HMMIRROR_EXCL_MAKE, c->addr, c->length, NULL, NULL);
	else
		ret = hmm_move(c->fd, HMMIRROR_MIGRATE_TO_DEVICE | huge, c->addr, c->length,
			       NULL, NULL);
	ASSERT_EQ(0, ret);
}

void device_prove(struct __test_metadata *_metadata, struct device_case *c, size_t first,
		  size_t pages)
{
	ASSERT_EQ(0, hmm_state_prove(&c->area, c->state, c->offset + first * c->page,
				     pages * c->page))
		TH_LOG("%s: %s", c->state->name, c->area.why);
}

void device_check_kept(struct __test_metadata *_metadata, struct device_case *c,
		       const char *addr, size_t pages)
{
	__u64 entry;
	size_t i;

	for (i = 0; i < pages; i++) {
		if (c->coherent) {
			ASSERT_EQ(0, hmm_entry(c->fd, addr + i * c->page, &entry));
			ASSERT_NE(0, entry & HMMIRROR_PTE_COHERENT) TH_LOG("page %zu", i);
			continue;
		}
		ASSERT_EQ(0, hmm_pagemap_one(addr + i * c->page, &entry));
		ASSERT_EQ(HMM_PM_SWAP, entry & (HMM_PM_SWAP | HMM_PM_PRESENT))
			TH_LOG("page %zu: pagemap says %llx", i, (unsigned long long)entry);
	}
}

void device_check_cpu_used(struct __test_metadata *_metadata, struct device_case *c,
			   size_t first, size_t pages)
{
	char *addr = c->addr + first * c->page;
	__u64 entry, exclusive = 0;
	size_t i;

	for (i = 0; i < pages; i++) {
		ASSERT_EQ(0, hmm_pagemap_one(addr + i * c->page, &entry));
		ASSERT_NE(0, entry & HMM_PM_PRESENT)
			TH_LOG("page %zu: pagemap says %llx", first + i,
			       (unsigned long long)entry);
	}
	if (c->coherent) {
		device_check_kept(_metadata, c, addr, pages);
		ASSERT_EQ(device_expected(c), device_used(_metadata, c));
	} else if (c->exclusive) {
		ASSERT_EQ(0, hmm_excl_pages(c->fd, HMMIRROR_EXCL_TEST, addr,
					    pages * c->page, NULL, &exclusive));
		ASSERT_EQ(0, exclusive);
	} else {
		/* a fault on one byte of a huge page migrates all of it */
		ASSERT_EQ(c->huge ? 0 : device_expected(c) - (long)pages,
			  device_used(_metadata, c));
	}
}
