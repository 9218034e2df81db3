// SPDX-License-Identifier: GPL-2.0
/*
 * A device whose memory is full, or is limited by the module parameter max_device_mb.
 *
 * A migration of more pages than fit must migrate what fits and leave the rest in system
 * memory with its data, report each page's outcome, and free everything afterwards.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "small_pages.h"

/* Pages at the end of the window that are checked one by one. */
#define CHECKED_PAGES	300
/* to migrate more takes too long */
#define MOST_PAGES	(64 << 10)

struct filled {
	struct hmm_area area;
	size_t pages;
	size_t moved;
	size_t refused;		/* because the device has no memory left */
	__u64 migrated;
	struct hmmirror_stats stats;
};

/*
 * Migrate more pages than the device has room for. None was written before, so that system
 * memory is not needed.
 */
static int fill_device(struct filled *filled, unsigned int device, size_t pages)
{
	size_t page = hmm_page_size(), i;
	__u8 *outcomes = hmm_map_anon(pages, 0);
	int ret, fd;

	filled->pages = pages;
	if (!outcomes)
		return -ENOMEM;
	ret = hmm_area_begin_small(&filled->area, pages * page);
	if (ret)
		return ret;
	fd = hmm_area_device(&filled->area, device);
	ret = hmm_to_device(fd, filled->area.addr, pages * page, outcomes, &filled->migrated);
	for (i = 0; i < pages; i++) {
		filled->moved += outcomes[i] == HMMIRROR_OUT_POPULATED;
		filled->refused += outcomes[i] == HMMIRROR_OUT_NOMEM;
	}
	hmm_unmap(outcomes, pages);
	return ret ? ret : hmm_stats(fd, 0, &filled->stats);
}

/* Return: what is wrong for a device without free memory, or NULL. */
static const char *not_full(const struct filled *filled)
{
	size_t page = hmm_page_size(), i;

	if (filled->moved + filled->refused != filled->pages)
		return "pages that neither moved nor were refused";
	if (filled->moved != filled->migrated)
		return "the call counts other pages as migrated than moved";
	if (filled->stats.device_pages_free)
		return "some memory is free";
	/*
	 * at the end of the window there are pages that moved and some that did not: both
	 * must be usable
	 */
	for (i = filled->pages - CHECKED_PAGES; i < filled->pages; i++)
		if (hmm_all_bytes(filled->area.addr + i * page, 64, 0) >= 0)
			return "pages are not empty";
	return NULL;
}

#define ASSERT_FULL(filled)						\
	do {								\
		const char *__why = not_full(filled);			\
									\
		ASSERT_EQ(NULL, __why) TH_LOG("%s", __why);		\
	} while (0)

FIXTURE(device_capacity)
{
	struct hmm_area area;
	struct filled filled;
};

FIXTURE_SETUP(device_capacity)
{
	ASSERT_EQ(0, hmm_area_begin_small(&self->area, hmm_pmd_size()));
}

FIXTURE_TEARDOWN(device_capacity)
{
	hmm_area_end(&self->filled.area);
	hmm_area_end(&self->area);
}

TEST_F(device_capacity, full)
{
	struct hmmirror_stats stats;
	__u64 migrated = 0;
	size_t pages;
	int fd;

	if (!REQUIRE(hmm_area_memory(&self->area, HMM_DEV_COHERENT), self->area.why))
		return;
	fd = hmm_area_device(&self->area, HMM_DEV_COHERENT);
	/* the first page makes the driver add memory */
	ASSERT_EQ(0, hmm_to_device(fd, self->area.addr, hmm_page_size(), NULL, &migrated));
	ASSERT_EQ(1, migrated);
	ASSERT_EQ(0, hmm_stats(fd, 0, &stats));
	pages = stats.device_pages_free + 100;
	if (pages > MOST_PAGES)
		SKIP(return, "more than 65536 pages of device memory: it would take too long");
	hmm_area_end(&self->area);

	ASSERT_EQ(0, fill_device(&self->filled, HMM_DEV_COHERENT, pages));
	ASSERT_FULL(&self->filled);
	ASSERT_LE(99, self->filled.refused);
	hmm_area_end(&self->filled.area);
	fd = hmm_open(HMM_DEV_COHERENT);
	ASSERT_EQ(0, hmm_stats(fd, 0, &stats));
	ASSERT_EQ(stats.device_pages, stats.device_pages_free);
	close(fd);
}

#define PARAMETERS	"/sys/module/hmmirror/parameters/"

/* max_device_mb limits the memory of a device for all processes. */
TEST_F(device_capacity, max_device_mb)
{
	char chunk[16];
	size_t limit;
	int fd;

	if (!REQUIRE(hmm_area_memory(&self->area, HMM_DEV_PRIVATE), self->area.why))
		return;
	ASSERT_EQ(0, hmm_read_text(PARAMETERS "chunk_mb", chunk, sizeof(chunk)));
	limit = (size_t)atol(chunk) << 20;
	if (limit / hmm_page_size() > MOST_PAGES)
		SKIP(return, "chunk_mb is more than 65536 pages: it would take too long");
	fd = hmm_area_device(&self->area, HMM_DEV_PRIVATE);
	/* release what other tests left */
	ASSERT_EQ(0, hmm_test_abi(fd, HMM_DMIRROR_RELEASE, self->area.addr, 1, NULL, NULL));
	ASSERT_EQ(0, hmm_area_set_knob(&self->area, PARAMETERS "max_device_mb", chunk));

	ASSERT_EQ(0, fill_device(&self->filled, HMM_DEV_PRIVATE, limit / hmm_page_size() + 100));
	ASSERT_FULL(&self->filled);
	ASSERT_EQ(limit, self->filled.stats.device_pages * hmm_page_size());
	ASSERT_EQ(100, self->filled.refused);
	hmm_area_end(&self->filled.area);

	/* less than a chunk: no memory at all */
	ASSERT_EQ(0, hmm_test_abi(fd, HMM_DMIRROR_RELEASE, self->area.addr, 1, NULL, NULL));
	ASSERT_EQ(0, hmm_write_text(PARAMETERS "max_device_mb", "1"));
	memset(&self->filled, 0, sizeof(self->filled));
	ASSERT_EQ(0, fill_device(&self->filled, HMM_DEV_PRIVATE, 2 * CHECKED_PAGES));
	ASSERT_FULL(&self->filled);
	ASSERT_EQ(0, self->filled.migrated);
	ASSERT_EQ(0, self->filled.stats.device_pages);
}

#include "hmm_main.h"
