/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages that a device has, in one of several ways, and where they are afterwards. Each
 * test begins with its own struct device_case in its fixture.
 */
#ifndef DEVICE_CASE_H
#define DEVICE_CASE_H

#include <limits.h>

#include "hmm_test.h"

/* Pages of a case whose state knows none that are larger. */
#define DEVICE_PAGES	8

/**
 * struct device_case - a range in a state, and what there was before
 * @area: window of the range
 * @state: its state; filled with the pattern 0
 * @before: counters of the device before
 * @addr: first byte
 * @offset: where it is in the window
 * @copy: as much memory elsewhere
 * @frames: what device_note() found, seen by children and their parent
 * @page: size of a page
 * @pages: pages of the range
 * @length: bytes of it
 * @coherent: the CPU uses the pages where they are
 * @exclusive: they are the system's, and the device has them for itself
 * @huge: one entry maps all of them
 * @lacking: what MISS() takes
 * @fd: mirror of the device
 */
struct device_case {
	struct hmm_area area;
	const struct hmm_state *state;
	struct hmmirror_stats before;
	char *addr;
	char *copy;
	__u64 *frames;
	size_t page;
	size_t pages;
	size_t length;
	size_t offset;
	int coherent;
	int exclusive;
	int huge;
	int lacking;
	int fd;
};

static inline int device_lacking(struct device_case *c, unsigned int device)
{
	if (c->exclusive)
		return hmm_area_feature(&c->area, HMMIRROR_FEAT_EXCLUSIVE);
	if (c->huge)
		return hmm_area_huge_memory(&c->area, device);
	return hmm_area_memory(&c->area, device);
}

/* Where a range of small pages is: at the start of a page table, or at the end of one. */
enum device_place {
	DEVICE_START,
	DEVICE_ACROSS,	/* half of it is in the next */
};

static inline void device_begin(struct __test_metadata *_metadata, struct device_case *c,
				const char *state, enum device_place place)
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
	if (place == DEVICE_ACROSS && !c->huge)
		c->offset = hmm_pmd_size() - c->length / 2;
	ASSERT_EQ(0, hmm_area_begin(&c->area, c->offset + c->length, 0));
	c->addr = c->area.addr + c->offset;
	c->copy = hmm_map_anon(c->length, 0);
	ASSERT_NE(NULL, c->copy);
	c->frames = mmap(NULL, c->page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, c->frames);
	c->lacking = device_lacking(c, device);
	if (c->lacking)
		return;
	c->fd = hmm_area_device(&c->area, device);
	ASSERT_LE(0, c->fd);
	ASSERT_EQ(0, hmm_stats(c->fd, 0, &c->before));
}

/* Pages of the device's memory that are in use since device_begin(). */
static inline long device_used(struct __test_metadata *_metadata, struct device_case *c)
{
	long used = hmm_used_since(c->fd, &c->before);

	ASSERT_NE(LONG_MIN, used);
	return used;
}

/*
 * Whatever was done to them, every page of the device is free again. What fails in a
 * teardown for good would begin it anew, so nothing here does.
 */
static inline void device_end(struct __test_metadata *_metadata, struct device_case *c)
{
	hmm_holder_end(c->area.child);
	c->area.child = 0;
	hmm_unmap(c->area.guard, c->area.guard_length);
	c->area.guard = NULL;
	if (!c->lacking)
		EXPECT_EQ(0, hmm_used_since(c->fd, &c->before));
	hmm_area_end(&c->area);
	hmm_unmap(c->copy, c->length);
	hmm_unmap(c->frames, c->page);
}

static inline long device_has(struct device_case *c)
{
	return c->exclusive ? 0 : c->pages;
}

/* Puts the range into its state, proves that, and that the device has the pages. */
static inline void device_put(struct __test_metadata *_metadata, struct device_case *c)
{
	ASSERT_EQ(0, hmm_state_make(&c->area, c->state, c->offset, c->length))
		TH_LOG("%s: %s", c->state->name, c->area.why);
	ASSERT_EQ(device_has(c), device_used(_metadata, c));
}

/*
 * Where the pages are that the device has for itself: they are the system's, so that no
 * counter of the device tells later whether they are free. Return: 0 or -errno.
 */
static inline int device_note(struct device_case *c, int fd)
{
	return c->exclusive ? hmm_mirror(fd, c->addr, c->length, c->frames) : 0;
}

/* Return: how many of these frames are somebody's anonymous pages; or -errno. */
static inline int device_left(const struct device_case *c)
{
	int left = 0, ret;
	__u64 flags;
	size_t i;

	for (i = 0; i < c->pages; i++) {
		ret = hmm_page_flags(hmm_entry_pfn(c->frames[i]), 1, &flags);
		if (ret)
			return ret;
		left += !!(flags & hmm_kpf(KPF_ANON));
	}
	return left;
}

/* Nobody has the pages any more; one or the other may be used for something new. */
static inline void device_gone(struct __test_metadata *_metadata, struct device_case *c)
{
	int left;

	ASSERT_EQ(0, device_used(_metadata, c));
	if (!c->exclusive)
		return;
	ASSERT_NE(0, c->frames[0] & HMMIRROR_PTE_VALID);
	left = device_left(c);
	if (left == (int)c->pages) {
		/* the lists of a CPU have references, until they are emptied */
		hmm_write_text("/proc/sys/vm/compact_memory", "1");
		left = device_left(c);
	}
	if (left != -ENOENT)
		ASSERT_GT((int)c->pages, left);
}

/* The range as it is now, filled with any data, is brought to the device. */
static inline void device_again(struct __test_metadata *_metadata, struct device_case *c)
{
	unsigned int huge = c->huge ? HMMIRROR_MIGRATE_HUGE : 0;
	int ret;

	if (c->exclusive)
		ret = hmm_excl_pages(c->fd, HMMIRROR_EXCL_TAKE, c->addr, c->length, NULL, NULL);
	else
		ret = hmm_move(c->fd, HMMIRROR_MIGRATE_TO_DEVICE | huge, c->addr, c->length,
			       NULL, NULL);
	ASSERT_EQ(0, ret);
}

/* Some pages, all of a huge one, are in the state still. */
static inline void device_still(struct __test_metadata *_metadata, struct device_case *c,
				size_t first, size_t pages)
{
	ASSERT_EQ(0, hmm_state_prove(&c->area, c->state, c->offset + first * c->page,
				     pages * c->page))
		TH_LOG("%s: %s", c->state->name, c->area.why);
}

/*
 * Some pages are not the CPU's, or coherent memory, whatever was done to their mapping.
 * That the device has something for itself it may have to ask for again by then.
 */
static inline void device_there(struct __test_metadata *_metadata, struct device_case *c,
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

/*
 * Some pages were used by a CPU: what is private is at home, what the device had for
 * itself it has no more, and what is coherent is where it was.
 */
static inline void device_came(struct __test_metadata *_metadata, struct device_case *c,
			       size_t first, size_t pages)
{
	char *addr = c->addr + first * c->page;
	__u64 entry, held = 0;
	size_t i;

	for (i = 0; i < pages; i++) {
		ASSERT_EQ(0, hmm_pagemap_one(addr + i * c->page, &entry));
		ASSERT_NE(0, entry & HMM_PM_PRESENT)
			TH_LOG("page %zu: pagemap says %llx", first + i,
			       (unsigned long long)entry);
	}
	if (c->coherent) {
		device_there(_metadata, c, addr, pages);
		ASSERT_EQ(device_has(c), device_used(_metadata, c));
	} else if (c->exclusive) {
		ASSERT_EQ(0, hmm_excl_pages(c->fd, HMMIRROR_EXCL_TEST, addr,
					    pages * c->page, NULL, &held));
		ASSERT_EQ(0, held);
	} else {
		ASSERT_EQ(c->huge ? 0 : device_has(c) - (long)pages,
			  device_used(_metadata, c));
	}
}

#define CASE_BEGIN()							\
	({								\
		int __need = MISS(self->c.lacking, self->c.area.why);	\
									\
		if (!__need)						\
			device_put(_metadata, &self->c);		\
		__need;							\
	})

/* The first @_pages of the range, used by a CPU. */
#define CAME(_pages)		device_came(_metadata, &self->c, 0, _pages)
#define CHECK(_seed)							\
	ASSERT_EQ(-1, hmm_pattern_check(self->c.addr, self->c.length, _seed))
#define CHECK_COPY(_seed)						\
	ASSERT_EQ(-1, hmm_pattern_check_as(self->c.copy, self->c.addr,	\
					   self->c.length, _seed))

#endif /* DEVICE_CASE_H */
