// SPDX-License-Identifier: GPL-2.0
/*
 * Counts the instructions of what a device does with memory, for --bench.
 *
 *	hmm_count REPEATS SIZE[,SIZE]... OPERATION...
 *	hmm_count list
 *
 * SIZE is in KiB. An operation that needs larger ranges gets the least that it needs. Prints a
 * line for each time that one ran, in the order of the marks of lib/count.c:
 *
 *	count OPERATION BYTES INSTRUCTIONS
 *	skip OPERATION BYTES REASON
 *	refused OPERATION BYTES ERROR
 *
 * Each time the memory is made anew, proved to be in its state, and given to a mirror that was
 * just opened. "list" prints the names of the operations.
 */
#include <err.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hmmirror_lib.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define MAX_SIZES	16
#define HELD_MIB	64

struct run;

/*
 * struct operation - what is counted
 * @name: what it does, and to what
 * @state: of the memory, as lib/state_*.c names it; NULL: no memory
 * @prepare: what the mirror does before; may be NULL
 * @execute: what is counted: 0 or -errno
 * @flags: of a walk, HMMIRROR_REQ_*; of a migration, HMMIRROR_MIGRATE_*; of a map for DMA,
 *	HMMIRROR_DMA_*; of an invalidation, enum way
 * @expect: of a walk, what each answer has, or 0 if each has to be 0
 * @share: of the pages that have to be moved or mapped, one in so many; 0: nothing is
 */
struct operation {
	const char *name;
	const char *state;
	int (*prepare)(struct run *run);
	int (*execute)(struct run *run);
	unsigned int flags;
	__u64 expect;
	unsigned int share;
};

/*
 * struct run - one time that an operation runs
 * @pages: of the range
 * @done: how many of them were moved or mapped
 * @entries: room for the answers of a walk or the results of a map
 * @buffer: as long as the range
 * @helper: ends a migration that the operation waits for
 */
struct run {
	const struct operation *op;
	struct hmm_area area;
	char *addr;
	size_t length;
	size_t pages;
	__u64 done;
	int fd;
	void *entries;
	char *buffer;
	pthread_t helper;
};

/* no result of a page is longer than struct hmmirror_dma_page */
#define ENTRY_SIZE	sizeof(struct hmmirror_dma_page)

enum way { PROTECT, DISCARD, UNMAP };

static int open_close(struct run *run)
{
	int fd = hmm_open(0);

	(void)run;
	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int walk(struct run *run)
{
	return hmm_walk(run->fd, run->addr, run->length, run->op->flags, run->entries);
}

static int map(struct run *run)
{
	return hmm_map(run->fd, run->addr, run->length, HMMIRROR_REQ_ALL, NULL);
}

static int copy_in(struct run *run)
{
	return hmm_dev_read(run->fd, run->addr, run->buffer, run->length);
}

static int copy_out(struct run *run)
{
	return hmm_dev_write(run->fd, run->addr, run->buffer, run->length);
}

static int move(struct run *run)
{
	return hmm_move(run->fd, run->op->flags, run->addr, run->length, NULL, &run->done);
}

/* Every other page comes home. */
static int bring_half_home(struct run *run)
{
	size_t i;

	for (i = 1; i < run->pages; i += 2)
		hmm_touch_write(run->addr + i * hmm_page_size(), hmm_page_size());
	return 0;
}

/* Ends the migration of migrate_last() once the walk waits for it. */
static void *end_migration(void *data)
{
	struct timespec ms = { .tv_nsec = 1000000 };
	struct run *run = data;

	while (hmm_thread_state(getpid()) != 'D')
		nanosleep(&ms, NULL);
	hmm_plant_take(run->fd);
	return NULL;
}

/*
 * The last huge page of the range is under migration. The walk waits for that, and has to go on
 * from there.
 */
static int migrate_last(struct run *run)
{
	size_t length = hmm_pmd_size();
	char *last = run->addr + run->length - length;
	int ret = hmm_area_map(&run->area, last, length, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);

	/* what comes afterwards shall cost little: one fault for the huge zero page */
	if (!ret && madvise(last, length, MADV_HUGEPAGE) && errno != EINVAL)
		ret = -errno;
	if (!ret)
		ret = hmm_plant(run->fd, last, HMMIRROR_PLANT_PMD_MIGRATION);
	return ret ? ret : -pthread_create(&run->helper, NULL, end_migration, run);
}

static int cpu_write(struct run *run)
{
	hmm_touch_write(run->addr, run->length);
	return 0;
}

static int make_exclusive(struct run *run)
{
	return hmm_excl_pages(run->fd, HMMIRROR_EXCL_MAKE, run->addr, run->length, NULL,
			      &run->done);
}

static int release_exclusive(struct run *run)
{
	return hmm_excl_pages(run->fd, HMMIRROR_EXCL_RELEASE, run->addr, run->length, NULL,
			      &run->done);
}

static int alloc_dma(struct run *run)
{
	struct hmmirror_dma dma = { .flags = run->op->flags };

	return hmm_dma_call(run->fd, &dma, HMMIRROR_DMA_ALLOC, run->addr, run->length);
}

static int map_dma(struct run *run)
{
	struct hmmirror_dma dma = {
		.results = (uintptr_t)run->entries,
		.request = HMMIRROR_REQ_ALL,
	};
	int ret = hmm_dma_call(run->fd, &dma, HMMIRROR_DMA_MAP, run->addr, run->length);

	run->done = dma.pages;
	return ret;
}

static int alloc_and_map_dma(struct run *run)
{
	int ret = alloc_dma(run);

	return ret ? ret : map_dma(run);
}

static int unmap_dma(struct run *run)
{
	struct hmmirror_dma dma = { .results = (uintptr_t)run->entries };
	int ret = hmm_dma_call(run->fd, &dma, HMMIRROR_DMA_UNMAP, run->addr, run->length);

	run->done = dma.pages;
	return ret;
}

static int invalidate(struct run *run)
{
	int ret;

	switch (run->op->flags) {
	case PROTECT:
		ret = mprotect(run->addr, run->length, PROT_READ);
		break;
	case DISCARD:
		ret = madvise(run->addr, run->length, MADV_DONTNEED);
		break;
	default:
		ret = munmap(run->addr, run->length);
	}
	return ret ? -errno : 0;
}

#define FAULT_READ	HMMIRROR_REQ_FAULT
#define FAULT_WRITE	HMMIRROR_REQ_ALL
#define VALID		HMMIRROR_PTE_VALID
#define WRITABLE	(HMMIRROR_PTE_VALID | HMMIRROR_PTE_WRITE)
#define OWN		(WRITABLE | HMMIRROR_PTE_PRIVATE)
#define TO_DEVICE	HMMIRROR_MIGRATE_TO_DEVICE
#define TO_SYSTEM	HMMIRROR_MIGRATE_TO_SYSTEM
#define HUGE		HMMIRROR_MIGRATE_HUGE

#define WALK(_name, _state, _request, _expect)	\
	{ .name = (_name), .state = (_state), .execute = walk, .flags = (_request),	\
	  .expect = (_expect) }
#define MOVE(_name, _state, _prepare, _flags, _share)	\
	{ .name = (_name), .state = (_state), .prepare = (_prepare), .execute = move,	\
	  .flags = (_flags), .share = (_share) }
#define DO(_name, _state, _prepare, _execute, _flags, _share)	\
	{ .name = (_name), .state = (_state), .prepare = (_prepare),			\
	  .execute = (_execute), .flags = (_flags), .share = (_share) }

static const struct operation operations[] = {
	DO("open_close", NULL, NULL, open_close, 0, 0),
	WALK("snapshot.absent", "anon_none", 0, 0),
	WALK("snapshot.anon", "anon_writable", 0, WRITABLE),
	WALK("snapshot.file", "file_shared_written", 0, WRITABLE),
	WALK("snapshot.thp", "thp_writable", 0, WRITABLE),
	WALK("snapshot.hugetlb", "hugetlb_writable", 0, WRITABLE),
	WALK("snapshot.swapped", "anon_swapped", 0, 0),
	WALK("snapshot.device", "dev_private", 0, OWN),
	WALK("snapshot.device_huge", "dev_huge", 0, OWN),
	WALK("read.absent", "anon_none", FAULT_READ, VALID),
	WALK("read.anon", "anon_writable", FAULT_READ, VALID),
	WALK("read.file", "file_private_cached", FAULT_READ, VALID),
	WALK("read.thp", "thp_writable", FAULT_READ, VALID),
	WALK("read.hugetlb", "hugetlb_writable", FAULT_READ, VALID),
	WALK("read.swapped", "anon_swapped", FAULT_READ, VALID),
	WALK("read.device", "dev_private", FAULT_READ, OWN),
	WALK("read.other_device", "dev_other", FAULT_READ, VALID),
	{ .name = "read.migrating", .state = "anon_writable", .prepare = migrate_last,
	  .execute = walk, .flags = FAULT_READ, .expect = VALID },
	WALK("write.absent", "anon_none", FAULT_WRITE, WRITABLE),
	WALK("write.anon", "anon_writable", FAULT_WRITE, WRITABLE),
	WALK("write.shared", "anon_cow_parent", FAULT_WRITE, WRITABLE),
	WALK("write.file", "shmem_shared_cached", FAULT_WRITE, WRITABLE),
	WALK("write.thp_absent", "thp_none", FAULT_WRITE, WRITABLE),
	WALK("write.thp", "thp_writable", FAULT_WRITE, WRITABLE),
	WALK("write.hugetlb_absent", "hugetlb_none", FAULT_WRITE, WRITABLE),
	WALK("write.hugetlb", "hugetlb_writable", FAULT_WRITE, WRITABLE),
	WALK("write.swapped", "anon_swapped", FAULT_WRITE, WRITABLE),
	DO("map.anon", "anon_writable", NULL, map, 0, 0),
	DO("map.thp", "thp_writable", NULL, map, 0, 0),
	DO("copy_in.anon", "anon_writable", NULL, copy_in, 0, 0),
	DO("copy_in.mapped", "anon_writable", map, copy_in, 0, 0),
	DO("copy_out.anon", "anon_writable", NULL, copy_out, 0, 0),
	DO("copy_out.mapped", "anon_writable", map, copy_out, 0, 0),
	DO("copy_in.device", "dev_private", NULL, copy_in, 0, 0),
	MOVE("to_device.anon", "anon_writable", NULL, TO_DEVICE, 1),
	MOVE("to_device.absent", "anon_none", NULL, TO_DEVICE, 1),
	MOVE("to_device.shared", "anon_cow_parent", NULL, TO_DEVICE, 1),
	MOVE("to_device.partly", "dev_private", bring_half_home, TO_DEVICE, 2),
	MOVE("to_device.thp", "thp_writable", NULL, TO_DEVICE | HUGE, 1),
	MOVE("to_system.device", "dev_private", NULL, TO_SYSTEM, 1),
	MOVE("to_system.shared", "dev_private_cow", NULL, TO_SYSTEM, 1),
	MOVE("to_system.partly", "dev_private", bring_half_home, TO_SYSTEM, 2),
	MOVE("to_system.device_huge", "dev_huge", NULL, TO_SYSTEM | HUGE, 1),
	DO("cpu_fault.device", "dev_private", NULL, cpu_write, 0, 0),
	DO("cpu_fault.device_huge", "dev_huge", NULL, cpu_write, 0, 0),
	DO("cpu_fault.exclusive", "dev_exclusive", NULL, cpu_write, 0, 0),
	DO("exclusive.make", "anon_writable", NULL, make_exclusive, 0, 1),
	DO("exclusive.release", "anon_writable", make_exclusive, release_exclusive, 0, 1),
	DO("dma_map.direct", "anon_writable", alloc_dma, map_dma, 0, 1),
	DO("dma_map.iommu", "anon_writable", alloc_dma, map_dma, HMMIRROR_DMA_IOMMU, 1),
	DO("dma_unmap.direct", "anon_writable", alloc_and_map_dma, unmap_dma, 0, 1),
	DO("dma_unmap.iommu", "anon_writable", alloc_and_map_dma, unmap_dma,
	   HMMIRROR_DMA_IOMMU, 1),
	DO("invalidate.protect", "anon_writable", map, invalidate, PROTECT, 0),
	DO("invalidate.discard", "anon_writable", map, invalidate, DISCARD, 0),
	DO("invalidate.unmap", "anon_writable", map, invalidate, UNMAP, 0),
};

static int is_walk(const struct operation *op)
{
	return op->execute == walk;
}

/* What the kernel lacks for it, in area->why: HMM_SKIP, or 0. */
static int lacks(struct run *run)
{
	const struct operation *op = run->op;
	int ret = 0;

	if (op->execute == move && op->flags & HUGE)
		ret = hmm_area_huge_memory(&run->area, 0);
	else if (op->execute == move)
		ret = hmm_area_memory(&run->area, 0);
	else if (op->execute == make_exclusive || op->execute == release_exclusive)
		ret = hmm_area_feature(&run->area, HMMIRROR_FEAT_EXCLUSIVE);
	else if (op->execute == map_dma || op->execute == unmap_dma)
		ret = hmm_area_feature(&run->area, op->flags ? HMMIRROR_FEAT_DMA_IOMMU :
							       HMMIRROR_FEAT_DMA);
	return ret;
}

static void check_answers(const struct run *run)
{
	const struct operation *op = run->op;
	const __u64 *entries = run->entries;
	char text[HMM_ENTRY_STR_MAX];
	size_t i;

	if (op->share && run->done != run->pages / op->share)
		errx(2, "%s: %llu of %zu pages", op->name, run->done, run->pages / op->share);
	for (i = 0; is_walk(op) && i < run->pages; i++)
		if (op->expect ? (entries[i] & op->expect) != op->expect : entries[i] != 0)
			errx(2, "%s: page %zu: %s", op->name, i,
			     hmm_entry_str(entries[i], text, sizeof(text)));
}

/* Memory that is there already, so that only the driver's writing into it is counted. */
static void *populated(size_t length)
{
	void *memory = hmm_map_anon(length, 0);

	if (!memory)
		err(2, "memory");
	memset(memory, 0xff, length);
	return memory;
}

/* Return: 0 or HMM_SKIP, with run->area.why; ends the program for anything else. */
static int set_up(struct run *run)
{
	const struct operation *op = run->op;
	int ret;

	ret = hmm_area_begin(&run->area, run->length, 0);
	if (ret)
		errx(2, "%s: no address space for %zu bytes", op->name, run->length);
	ret = lacks(run);
	if (!ret && op->state)
		ret = hmm_state_make_named(&run->area, op->state, 0, run->length);
	if (ret == HMM_SKIP)
		return ret;
	if (ret)
		errx(2, "%s: %s", op->name, run->area.why);
	run->addr = run->area.addr;
	run->entries = populated(run->pages * ENTRY_SIZE);
	run->buffer = populated(run->length);
	run->fd = hmm_open(0);
	if (run->fd < 0)
		errx(2, "/dev/hmm_dmirror0: %s", strerror(-run->fd));
	ret = op->prepare ? op->prepare(run) : 0;
	if (ret)
		errx(2, "%s: not prepared: %s", op->name, strerror(-ret));
	return 0;
}

static void tear_down(struct run *run)
{
	if (run->helper)
		pthread_join(run->helper, NULL);
	if (run->fd >= 0)
		close(run->fd);
	hmm_unmap(run->entries, run->pages * ENTRY_SIZE);
	hmm_unmap(run->buffer, run->length);
	hmm_area_end(&run->area);
}

/* Return: 0 or HMM_SKIP. */
static int run_once(const struct operation *op, size_t length)
{
	struct run run = {
		.op = op,
		.length = length,
		.pages = length / hmm_page_size(),
		.fd = -1,
	};
	int ret = set_up(&run);
	__u64 count;

	if (ret) {
		printf("skip %s %zu %s\n", op->name, length, run.area.why);
	} else {
		count = hmm_count_begin();
		ret = op->execute(&run);
		count = hmm_count_end(count);
		if (!ret)
			check_answers(&run);
		/* a kernel may refuse what a later one does; the runner knows of the marks */
		if (ret)
			printf("refused %s %zu %s\n", op->name, length, strerror(-ret));
		else
			printf("count %s %zu %llu\n", op->name, length, count);
	}
	fflush(stdout);
	tear_down(&run);
	return ret;
}

/* Each operation has a process of its own, as some states are of a whole process. */
static void run_operation(const struct operation *op, size_t length, int repeats)
{
	int status, i;
	pid_t child;

	child = fork();
	if (child < 0)
		err(2, "fork");
	if (!child) {
		for (i = 0; i < repeats; i++)
			if (run_once(op, length))
				break;
		exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		errx(2, "%s failed", op->name);
}

static const struct operation *find(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(operations); i++)
		if (!strcmp(operations[i].name, name))
			return &operations[i];
	errx(2, "there is no operation %s", name);
}

/* Return: what ranges of an operation must be multiples of; 0 if it has none. */
static size_t unit_of(const struct operation *op)
{
	const struct hmm_state *state;

	if (!op->state)
		return 0;
	state = hmm_state_find(op->state);
	if (!state)
		errx(2, "%s: there is no state %s", op->name, op->state);
	/* half of the pages are one at least; before one huge page there is something to walk */
	if (op->share > 1)
		return op->share * hmm_page_size();
	return op->prepare == migrate_last ? 5 * hmm_pmd_size() : hmm_state_unit(state);
}

static void run_sizes(const struct operation *op, const size_t *sizes, size_t n, int repeats)
{
	size_t unit = unit_of(op), last = 0, length, i;

	for (i = 0; i < (unit ? n : 1); i++) {
		length = sizes[i] < unit ? unit : sizes[i];
		if (length != last)
			run_operation(op, length, repeats);
		last = length;
	}
}

/*
 * Keeps the scattered pages that are free now, and those that are freed on the way, from what is
 * counted: the driver has more to do where neighbours in a range are none in memory.
 */
static void hold_scattered_pages(void)
{
	size_t length = HELD_MIB << 20;
	char *memory = hmm_map_anon(length, 0);

	if (!memory)
		err(2, "memory");
	/* EINVAL: the kernel has no huge pages */
	if (madvise(memory, length, MADV_NOHUGEPAGE) && errno != EINVAL)
		err(2, "MADV_NOHUGEPAGE");
	/* a child shall not copy the page tables */
	if (madvise(memory, length, MADV_DONTFORK))
		err(2, "MADV_DONTFORK");
	hmm_touch_write(memory, length);
}

/* Return: how many sizes there are in @text. */
static size_t parse_sizes(char *text, size_t *sizes)
{
	char *word;
	size_t n = 0;

	while ((word = strsep(&text, ","))) {
		if (n == MAX_SIZES || atol(word) <= 0)
			errx(2, "%s: a size in KiB is wanted, at most %d", word, MAX_SIZES);
		sizes[n++] = atol(word) << 10;
	}
	return n;
}

int main(int argc, char **argv)
{
	size_t sizes[MAX_SIZES], n, i;
	int repeats;

	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (i = 0; i < ARRAY_SIZE(operations); i++)
			puts(operations[i].name);
		return 0;
	}
	repeats = argc > 3 ? atoi(argv[1]) : 0;
	if (repeats < 1)
		errx(2, "usage: hmm_count REPEATS SIZE[,SIZE]... OPERATION... | list");
	n = parse_sizes(argv[2], sizes);
	hold_scattered_pages();
	for (argv += 3; *argv; argv++)
		run_sizes(find(*argv), sizes, n, repeats);
	return 0;
}
