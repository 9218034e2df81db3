// SPDX-License-Identifier: GPL-2.0
/* What differs on this kernel from others, each found out at most once. */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "expect_kernel.h"
#include "hmmirror_lib.h"

/* Bring all of a new area into a state. */
static int make(struct hmm_area *area, const char *name)
{
	const struct hmm_state *state = hmm_state_find(name);
	int ret = hmm_area_begin(area, hmm_state_unit(state), 0);

	if (ret)
		return ret;
	ret = hmm_state_make(area, state, 0, area->length);
	if (!ret)
		return 0;
	fprintf(stderr, "# what this kernel does with %s: %s\n", name,
		area->why);
	return ret == HMM_SKIP ? -EOPNOTSUPP : ret;
}

static int swap_in_writable(void)
{
	struct hmm_area area = { 0 };
	int ret = make(&area, "anon_swapped");

	if (!ret) {
		hmm_touch_read(area.addr, area.length);
		ret = !hmm_prove_writable(&area, area.addr, 1);
	}
	hmm_area_end(&area);
	return ret;
}

static int huge_zero_copied(void)
{
	struct hmm_area area = { 0 };
	int ret = make(&area, "thp_zero");

	if (!ret) {
		hmm_touch_write(area.addr, 1);
		ret = hmm_smaps(area.addr, "AnonHugePages") > 0;
	}
	hmm_area_end(&area);
	return ret;
}

static int query(struct hmmirror_query *query)
{
	int fd = hmm_open(0), ret;

	if (fd < 0)
		return fd;
	memset(query, 0, sizeof(*query));
	ret = hmm_ioctl_query(fd, query);
	close(fd);
	return ret;
}

static int trait(__u64 bit)
{
	struct hmmirror_query q;
	int ret = query(&q);

	return ret ? ret : !!(q.traits & bit);
}

static int walker_is(enum hmmirror_walker first, enum hmmirror_walker last)
{
	struct hmmirror_query q;
	int ret = query(&q);

	return ret ? ret : q.walker >= first && q.walker <= last;
}

static int faults_counted(void)
{
	return trait(HMMIRROR_TRAIT_FAULTS_COUNTED);
}

static int exclusive_page(void)
{
	return trait(HMMIRROR_TRAIT_EXCLUSIVE_PAGE);
}

static int holes_anon(void)
{
	return trait(HMMIRROR_TRAIT_HOLES_ANON);
}

static int unmap_told(void)
{
	return trait(HMMIRROR_TRAIT_UNMAP_TOLD);
}

static int pud_marked(void)
{
	return trait(HMMIRROR_TRAIT_PUD_MARKED);
}

static int table_checked(void)
{
	return trait(HMMIRROR_TRAIT_TABLE_CHECKED);
}

static int pud_unseen(void)
{
	return trait(HMMIRROR_TRAIT_PUD_UNSEEN);
}

static int looks_joined(void)
{
	return trait(HMMIRROR_TRAIT_LOOKS_JOINED);
}

static int home_for_all(void)
{
	return trait(HMMIRROR_TRAIT_HOME_FOR_ALL);
}

static int walks_vmas(void)
{
	return trait(HMMIRROR_TRAIT_WALKS_VMAS);
}

static int by_mapping(void)
{
	int ret = walks_vmas();

	return ret < 0 ? ret : !ret;
}

static int walked_twice(void)
{
	int ret = by_mapping();

	return ret > 0 ? walker_is(HMMIRROR_WALKER_FLAGS, HMMIRROR_WALKER_FLAGS) : ret;
}

static int refused_empty(void)
{
	int ret = walks_vmas();

	return ret > 0 ? walker_is(HMMIRROR_WALKER_FLAGS, HMMIRROR_WALKER_FLAGS) : ret;
}

static int drops_lock(void)
{
	int ret = trait(HMMIRROR_TRAIT_KEEPS_LOCK);

	return ret < 0 ? ret : !ret;
}

static int cold_begins_anew(void)
{
	int ret = drops_lock();

	return ret > 0 ? walker_is(HMMIRROR_WALKER_SNAPSHOT, HMMIRROR_WALKER_SNAPSHOT) : ret;
}

/* 5.3 brought both: faults keep the mmap lock, and the walker looks at protnone entries */
static int hint_valid(void)
{
	int ret = drops_lock();

	return ret ? (ret < 0 ? ret : 0) :
	       walker_is(HMMIRROR_WALKER_SNAPSHOT, HMMIRROR_WALKER_TABLES);
}

static int order(void)
{
	struct hmmirror_query q;
	int ret = query(&q);

	return ret ? ret : !!(q.features & (1ULL << HMMIRROR_FEAT_ORDER));
}

static int zero_special(void)
{
	int ret = trait(HMMIRROR_TRAIT_ZERO_PAGE);

	return ret < 0 ? ret : !ret;
}

static int other_refused(void)
{
	struct hmm_area area = { 0 };
	int ret = trait(HMMIRROR_TRAIT_OTHER_FAULTED);
	__u64 entry;

	if (ret)
		return ret < 0 ? ret : 0;
	if (expect_when(WHEN_OTHER_LATER))
		return 0;
	ret = make(&area, "dev_other");
	if (!ret) {
		ret = hmm_walk(hmm_area_device(&area, 0), area.addr,
			       area.length, HMMIRROR_REQ_FAULT, &entry);
		ret = ret == -EFAULT ? 1 : ret;
	}
	hmm_area_end(&area);
	return ret;
}

#define WALKER(_first, _last) {			\
		.first = HMMIRROR_WALKER_##_first,	\
		.last = HMMIRROR_WALKER_##_last,	\
	}

/* Found out by a function, or by the range of walkers for which it holds. */
static const struct {
	int (*ask)(void);
	enum hmmirror_walker first;
	enum hmmirror_walker last;
} tells[WHEN_NR] = {
	[WHEN_SWAP_IN_WRITABLE] = { swap_in_writable },
	[WHEN_HUGE_ZERO_COPIED] = { huge_zero_copied },
	[WHEN_OTHER_REFUSED] = { other_refused },
	[WHEN_FAULTS_COUNTED] = { faults_counted },
	[WHEN_EXCLUSIVE_PAGE] = { exclusive_page },
	[WHEN_HOLES_ANON] = { holes_anon },
	[WHEN_UNMAP_TOLD] = { unmap_told },
	[WHEN_HOME_FOR_ALL] = { home_for_all },
	[WHEN_ORDER] = { order },
	[WHEN_PUD_MARKED] = { pud_marked },
	[WHEN_TABLE_CHECKED] = { table_checked },
	[WHEN_PUD_UNSEEN] = { pud_unseen },
	[WHEN_LOOKS_JOINED] = { looks_joined },
	[WHEN_ZERO_SPECIAL] = { zero_special },
	[WHEN_EMPTY_HUGETLB_VALID] = WALKER(SNAPSHOT, TABLES),
	[WHEN_BY_MAPPING] = { by_mapping },
	[WHEN_REFUSED_EMPTY] = { refused_empty },
	[WHEN_REQUESTS_LOST] = WALKER(VMA, FLAGS),
	[WHEN_NOTHING_BLANKED] = WALKER(VMA, TABLES),
	[WHEN_WALKED_TWICE] = { walked_twice },
	[WHEN_MIGRATION_IGNORED] = WALKER(SNAPSHOT, FLAGS),
	[WHEN_OTHER_LATER] = WALKER(VMA, FLAGS),
	[WHEN_MIXED_REFUSED] = WALKER(VMA, TABLES),
	[WHEN_MAPPING_INVALID] = WALKER(VMA, VMA),
	[WHEN_COLD_BEGINS_ANEW] = { cold_begins_anew },
	[WHEN_BAD_PTE_ENDS] = WALKER(VMA, FLAGS),
	[WHEN_SNAPSHOT_CUT] = WALKER(VMA, SNAPSHOT),
	[WHEN_BAD_PMD_PASSED] = WALKER(VMA, FLAGS),
	[WHEN_FIRST_DECIDES] = WALKER(VMA, VMA),
	[WHEN_WRITE_UNCHECKED] = WALKER(VMA, SNAPSHOT),
	[WHEN_FAULTS_WAIT] = { drops_lock },
	[WHEN_HINT_VALID] = { hint_valid },
	[WHEN_HUGE_HINT_VALID] = WALKER(TABLES, TABLES),
	[WHEN_HINT_UNSEEN] = { drops_lock },
};

int expect_when(enum expect_when when)
{
	static struct {
		int known;
		int holds;
	} answers[WHEN_NR];
	int ret;

	if (!answers[when].known) {
		ret = tells[when].ask ? tells[when].ask() :
		      walker_is(tells[when].first, tells[when].last);
		if (ret < 0)
			fprintf(stderr, "# difference %d between kernels: %s\n",
				when, strerror(-ret));
		answers[when].holds = ret > 0;
		answers[when].known = 1;
	}
	return answers[when].holds;
}

long expect_faults(void)
{
	return expect_when(WHEN_FAULTS_COUNTED) ? hmm_faults() :
						  hmm_vmstat("pgfault");
}
