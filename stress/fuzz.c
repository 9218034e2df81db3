// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of both ABIs with sensible arguments, some of whose bits are then flipped, by
 * several processes at once. Every call must return, with an error that the ABI knows or
 * none.
 *
 * Calls have numbers: those of the first process begin at 0, those of the second one at
 * LIFE_CALLS, and so on. A third argument chooses among them: "all", which also tells of
 * each process, or ranges, as in "17,4100-4103". What a call is depends on the seed and on
 * its number only, so one can look for the few calls that it takes to fail.
 */
#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stress.h"

#define PROCESSES	4
#define AREA		(128UL << 10)
#define PLACES		10
/* A process makes this many calls; then another one starts with new memory. */
#define LIFE_CALLS	4000
/* slow on purpose, so not often */
#define LONG_WAIT_MS	8
#define RELEASE_ONE_IN	256
/*
 * Addresses for the calls: far from all that the program itself needs, because devices
 * write there, and each far from the next. What is planted is out of reach of even the
 * longest range: nothing may touch that. A few flipped bits don't lead from one to the
 * other.
 */
#define PLACES_AT	0x300000000000UL
#define PLACES_APART	(16UL << 20)
#define PLANTS_AT	0x0d5500000000UL
#define FIGURES_AT	0x0b2600000000UL
/* Name of a process that makes calls. */
#define LIVE		"stress.fuzz.live"
#define LIVE_ARGS	6
#define ALL		"all"
/* If so many calls are chosen at most, tell of each. */
#define FEW		64
#define MOST_CALLS	(1UL << 36)
#define EXIT_NO_LIFE	77

union argument {
	__u32 size;
	struct hmmirror_query query;
	struct hmmirror_range range;
	struct hmmirror_copy copy;
	struct hmmirror_migrate migrate;
	struct hmmirror_exclusive exclusive;
	struct hmmirror_stats stats;
	struct hmmirror_hold hold;
	struct hmmirror_plant plant;
	struct hmmirror_inject inject;
	struct hmmirror_dma dma;
	struct hmmirror_pmd_race_args race;
	struct hmm_dmirror_cmd cmd;
	unsigned char bytes[256];
};

/* Shared by all processes. */
struct figures {
	unsigned long calls;
	unsigned long good;
	unsigned long lives;
	unsigned long refused[256];	/* by errno */
	unsigned long odd_request;	/* calls with an error that no header knows */
	int odd_error;
};

struct fuzz {
	__u64 random;
	struct figures *figures;
	int fd[HMM_DEVICES];
	char *place[PLACES];
	char *plants;
	char *raced;
	union argument arg;
	unsigned long request;
	size_t size;
	/* for each call of this process: is it made? */
	char chosen[LIFE_CALLS];
};

static unsigned int below(struct fuzz *f, unsigned int limit)
{
	return stress_below(&f->random, limit);
}

/* An address in the process's own memory, whatever is there. */
static __u64 own(struct fuzz *f)
{
	__u64 page = hmm_page_size();

	return (uintptr_t)f->place[below(f, PLACES)] + below(f, AREA / page) * page;
}

static __u64 strange(struct fuzz *f)
{
	static const __u64 addresses[] = {
		0, 1, 0x1000,
		/* where programs end, and the kernel begins, on one CPU or another */
		0x7fffffffe000, 0x7ffffffff000, 0x800000000000, 0xfffffffff000, 0x1000000000000,
		0xffff000000000000, 0xfffffffffff000, 0xff00000000000000, 0xffff800000000000,
		0xffff888000000000, 0xffffffff80000000, 0xffffffff81000000,
		0xfffffffffffff000, 0xffffffffffffffff,
	};

	return addresses[below(f, ARRAY_SIZE(addresses))];
}

static __u64 address(struct fuzz *f)
{
	if (!below(f, 16))
		return strange(f);
	return own(f) + (below(f, 16) ? 0 : below(f, hmm_page_size()));
}

static __u64 length(struct fuzz *f)
{
	const __u64 page = hmm_page_size();
	const __u64 lengths[] = {
		0, 1, 8, page - 1, page, page + 1, hmm_pmd_size(), 1 << 30, 1ULL << 34,
		(1ULL << 34) + page, 1ULL << 47, 1ULL << 63, -page, -1,
	};

	if (!below(f, 16))
		return lengths[below(f, ARRAY_SIZE(lengths))];
	return (1 + below(f, 16)) * hmm_page_size();
}

static __u64 request(struct fuzz *f)
{
	static const __u64 requests[] = { 0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL };

	return requests[below(f, 3)];
}

static void fill_range(struct fuzz *f)
{
	struct hmmirror_range *range = &f->arg.range;

	range->flags = below(f, 3) ? 1U << below(f, 3) : 0;
	range->addr = address(f);
	range->length = length(f);
	range->entries = address(f);
	range->default_flags = request(f);
	range->request_mask = below(f, 4) ? 0 : request(f);
	range->timeout_ms = 1 + below(f, LONG_WAIT_MS);
}

static void fill_copy(struct fuzz *f)
{
	struct hmmirror_copy *copy = &f->arg.copy;

	copy->flags = below(f, 4);
	copy->addr = address(f) + (below(f, 2) ? below(f, hmm_page_size()) : 0);
	copy->length = below(f, 2) ? length(f) : 1 + below(f, 10000);
	copy->buffer = address(f);
}

static void fill_migrate(struct fuzz *f)
{
	struct hmmirror_migrate *migrate = &f->arg.migrate;

	migrate->flags = 1 + below(f, 2) + (below(f, 4) ? 0 : HMMIRROR_MIGRATE_HUGE);
	if (!below(f, 4))
		migrate->flags |= HMMIRROR_MIGRATE_PIECES << below(f, 4);
	if (!below(f, 8))
		/* not the last one, which is slow */
		migrate->flags |= below(f, HMMIRROR_MISTAKE_GIVEN_BACK) <<
				  HMMIRROR_MIGRATE_MISTAKE_SHIFT;
	migrate->addr = address(f);
	migrate->length = length(f);
	migrate->outcomes = below(f, 2) ? address(f) : 0;
}

static void fill_exclusive(struct fuzz *f)
{
	struct hmmirror_exclusive *excl = &f->arg.exclusive;

	excl->op = below(f, 6);
	excl->addr = address(f);
	excl->length = excl->op < HMMIRROR_EXCL_ADD ? length(f) : 8;
	excl->held = excl->op < HMMIRROR_EXCL_ADD && below(f, 2) ? address(f) : 0;
	excl->operand = stress_random(&f->random);
}

static void fill_hold(struct fuzz *f)
{
	struct hmmirror_hold *hold = &f->arg.hold;

	hold->flags = 1U << below(f, 3);
	hold->stage = hold->flags == HMMIRROR_HOLD_ARM ? below(f, STRESS_STAGES) : 0;
	hold->limit_ms = hold->flags == HMMIRROR_HOLD_RELEASE ? 0 : 1 + below(f, LONG_WAIT_MS);
}

static void fill_plant(struct fuzz *f)
{
	struct hmmirror_plant *plant = &f->arg.plant;

	plant->flags = 1U << below(f, 2);
	if (plant->flags != HMMIRROR_PLANT_PUT)
		return;
	plant->addr = below(f, 4) ? (uintptr_t)f->plants : strange(f);
	plant->kind = below(f, HMMIRROR_PLANT_PUD_HUGE);
}

static void fill_inject(struct fuzz *f)
{
	struct hmmirror_inject *inject = &f->arg.inject;

	inject->event = below(f, STRESS_EVENTS);
	inject->nth = below(f, 4);
	inject->times = inject->nth ? 1 + below(f, 4) : 0;
}

static void fill_dma(struct fuzz *f)
{
	struct hmmirror_dma *dma = &f->arg.dma;

	dma->op = below(f, 4);
	dma->results = address(f);
	if (dma->op != HMMIRROR_DMA_FREE) {
		dma->addr = address(f);
		dma->length = length(f);
	}
	if (dma->op == HMMIRROR_DMA_MAP)
		dma->request = request(f);
	if (dma->op == HMMIRROR_DMA_ALLOC) {
		dma->flags = below(f, 4);
		dma->mask_bits = below(f, 2) ? 0 : below(f, 80);
	}
}

static void fill_pmd_race(struct fuzz *f)
{
	struct hmmirror_pmd_race_args *race = &f->arg.race;

	race->flags = 1U << below(f, 2);
	if (race->flags != HMMIRROR_PMD_RACE_ARM)
		return;
	race->addr = (uintptr_t)f->raced;
	race->nth = below(f, 18);
}

static void fill_query(struct fuzz *f)
{
	f->arg.query.ask = below(f, HMMIRROR_FEAT_NR + 1);
}

static void fill_stats(struct fuzz *f)
{
	f->arg.stats.flags = below(f, 2);
}

static const struct {
	unsigned long request;
	size_t size;
	void (*fill)(struct fuzz *f);
	unsigned int one_in;	/* among those that are chosen */
} calls[] = {
	{ HMMIRROR_QUERY, sizeof(struct hmmirror_query), fill_query, 4 },
	{ HMMIRROR_STATS, sizeof(struct hmmirror_stats), fill_stats, 4 },
	{ HMMIRROR_RANGE, sizeof(struct hmmirror_range), fill_range, 1 },
	{ HMMIRROR_COPY, sizeof(struct hmmirror_copy), fill_copy, 1 },
	{ HMMIRROR_MIGRATE, sizeof(struct hmmirror_migrate), fill_migrate, 1 },
	{ HMMIRROR_EXCLUSIVE, sizeof(struct hmmirror_exclusive), fill_exclusive, 1 },
	{ HMMIRROR_HOLD, sizeof(struct hmmirror_hold), fill_hold, 16 },
	{ HMMIRROR_PLANT, sizeof(struct hmmirror_plant), fill_plant, 2 },
	{ HMMIRROR_INJECT, sizeof(struct hmmirror_inject), fill_inject, 2 },
	{ HMMIRROR_DMA, sizeof(struct hmmirror_dma), fill_dma, 1 },
	/* a breakpoint on every CPU takes some 300 ms */
	{ HMMIRROR_PMD_RACE, sizeof(struct hmmirror_pmd_race_args), fill_pmd_race, 1024 },
};

/* The kernel's own ABI has one struct for all calls. */
static void choose_test_abi(struct fuzz *f)
{
	do {
		f->request = _IOWR('H', below(f, 12), struct hmm_dmirror_cmd);
		/* releases all memory of a device, which takes 100 ms */
	} while (f->request == HMM_DMIRROR_RELEASE && below(f, RELEASE_ONE_IN));
	f->size = sizeof(f->arg.cmd);
	f->arg.cmd.addr = address(f);
	f->arg.cmd.ptr = address(f);
	f->arg.cmd.npages = below(f, 16) ? 1 + below(f, 16) : length(f);
}

static void choose_own_abi(struct fuzz *f)
{
	unsigned int i;

	do {
		i = below(f, ARRAY_SIZE(calls));
	} while (below(f, calls[i].one_in));
	f->request = calls[i].request;
	f->size = calls[i].size;
	f->arg.size = f->size;
	calls[i].fill(f);
	if (!below(f, 64))
		f->arg.size = below(f, 2) ? f->size + 8 * below(f, 9) : below(f, 300);
}

/* Bits to flip: all but those that only make a call slow. */
static void flip(struct fuzz *f)
{
	unsigned int n = below(f, 2) ? 0 : 1 + below(f, 4), bit;

	while (n--) {
		bit = below(f, f->size * 8);
		f->arg.bytes[bit / 8] ^= 1 << bit % 8;
	}
	if (f->request == HMMIRROR_HOLD && f->arg.hold.limit_ms <= 10000)
		f->arg.hold.limit_ms %= LONG_WAIT_MS;
	if (f->request == HMMIRROR_RANGE && f->arg.range.timeout_ms <= 60000)
		f->arg.range.timeout_ms = 1 + f->arg.range.timeout_ms % LONG_WAIT_MS;
	/* with that many, each walk of this mirror takes a second from then on */
	if (f->request == HMMIRROR_INJECT && below(f, 64))
		f->arg.inject.times %= 16;
	/* flipped bits must not put probes where other processes run */
	if (f->request == HMMIRROR_INJECT && f->arg.inject.event < HMMIRROR_INJECT_NR)
		f->arg.inject.event %= STRESS_EVENTS;
	if (f->request == HMMIRROR_HOLD && f->arg.hold.stage < HMMIRROR_STAGE_NR)
		f->arg.hold.stage %= STRESS_STAGES;
	if (f->request == HMMIRROR_PMD_RACE)
		f->arg.race.flags &= ~HMMIRROR_PMD_RACE_ARM;
	/* nothing else may touch what is planted, so not at any address */
	if (f->request == HMMIRROR_PLANT && f->arg.plant.addr - PLACES_AT < 1UL << 30)
		f->arg.plant.addr = 0;
	if (!below(f, 256))
		f->request ^= 1UL << (8 + below(f, 24));
}

/* Address of the argument: mostly a good one. */
static void *argument(struct fuzz *f)
{
	if (below(f, 64))
		return &f->arg;
	return (void *)(uintptr_t)(below(f, 2) ? address(f) : strange(f));
}

static char *memory_at(unsigned long addr, size_t length)
{
	return mmap((void *)addr, length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* Memory of every kind. The process does not need its contents. */
static void settle(struct fuzz *f)
{
	unsigned long at = PLACES_AT;
	int file = hmm_file_memfd(AREA, 0), i;

	for (i = 0; i < PLACES; i++, at += PLACES_APART) {
		f->place[i] = memory_at(at, AREA);
		memset(f->place[i], i, i < 6 ? AREA : 0);
	}
	mprotect(f->place[1], AREA, PROT_READ);
	mprotect(f->place[2], AREA, PROT_NONE);
	munmap(f->place[3] + AREA / 2, AREA / 2);
	mmap(f->place[6], AREA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0);
	mmap(f->place[7], AREA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, f->fd[0],
	     below(f, 4) * 0x40000000UL);
	at = (at + hmm_pmd_size() - 1) & -hmm_pmd_size();
	f->raced = memory_at(at, hmm_pmd_size());
	f->plants = memory_at(PLANTS_AT, hmm_pmd_size());
	if (below(f, 2))
		hmm_touch_table(f->plants);
	close(file);
}

/* Errors that the ABI header names, and no others. */
static const int documented[] = {
	EINVAL, E2BIG, EFBIG, EFAULT, EOPNOTSUPP, ESRCH, EINTR, ENOMEM, ENOTTY, EBUSY,
	ENOENT, ENXIO, EPERM, EIO,
	/* from the kernel: exclusive access to a page without a struct page */
	EEXIST,
};

static void count(struct fuzz *f, int ret)
{
	struct figures *figures = f->figures;
	unsigned int type = f->request >> 8 & 0xff;
	size_t i;

	__atomic_add_fetch(&figures->calls, 1, __ATOMIC_RELAXED);
	if (ret >= 0) {
		__atomic_add_fetch(&figures->good, 1, __ATOMIC_RELAXED);
		return;
	}
	__atomic_add_fetch(&figures->refused[-ret & 255], 1, __ATOMIC_RELAXED);
	for (i = 0; i < ARRAY_SIZE(documented); i++)
		if (documented[i] == -ret)
			return;
	/* others are not for the driver */
	if (type == HMMIRROR_IOC_TYPE || type == 'H') {
		figures->odd_request = f->request;
		figures->odd_error = -ret;
	}
}

static struct figures *map_figures(int file)
{
	return mmap((void *)FIGURES_AT, sizeof(struct figures), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, file, 0);
}

/* The next range of @text, or NULL if there is none. */
static const char *next_range(const char *text, unsigned long *first, unsigned long *last)
{
	char *end;

	if (!*text)
		return NULL;
	*first = strtoul(text, &end, 10);
	*last = *end == '-' ? strtoul(end + 1, &end, 10) : *first;
	return *end == ',' ? end + 1 : end;
}

/* Is @text "all", or are there ranges that make sense? */
static int is_choice(const char *text)
{
	unsigned long first, last;
	const char *next;

	if (!strcmp(text, ALL))
		return 1;
	if (!*text)
		return 0;
	for (; (next = next_range(text, &first, &last)); text = next)
		if (next == text || !isdigit(*text) || last < first || last >= MOST_CALLS)
			return 0;
	return 1;
}

/* How many of @n calls from @from on are chosen; if @chosen is not NULL, also which. */
static unsigned long choose(const char *text, unsigned long from, unsigned long n, char *chosen)
{
	unsigned long first, last, count = 0;

	if (!strcmp(text, ALL)) {
		if (chosen)
			memset(chosen, 1, n);
		return n;
	}
	while ((text = next_range(text, &first, &last))) {
		first = first < from ? from : first;
		last = last < from + n ? last : from + n - 1;
		if (first > last)
			continue;
		count += last - first + 1;
		if (chosen)
			memset(chosen + first - from, 1, last - first + 1);
	}
	return count;
}

/* Tells of a call before it is made, as it may be the last one. */
static void tell(const struct fuzz *f, unsigned long number, int device, const void *to)
{
	char line[16 * sizeof(f->arg)];
	int length, i;

	length = sprintf(line, "# call %lu: device %d, request %#lx, argument", number, device,
			 f->request);
	if (to != &f->arg)
		length += sprintf(line + length, " at %p", to);
	for (i = 0; to == &f->arg && i < (int)(f->size / sizeof(__u64)); i++) {
		__u64 word;

		memcpy(&word, f->arg.bytes + i * sizeof(word), sizeof(word));
		length += sprintf(line + length, " %llx", (unsigned long long)word);
	}
	dprintf(STDOUT_FILENO, "%s\n", line);
}

static int live(__u64 seed, struct figures *figures, long end_ms, const char *choice,
		unsigned long from)
{
	struct fuzz f = { .random = seed, .figures = figures };
	int i, device, few;
	void *to;

	few = strcmp(choice, ALL) && choose(choice, 0, MOST_CALLS, NULL) <= FEW;
	choose(choice, from, LIFE_CALLS, f.chosen);
	for (i = 0; i < HMM_DEVICES; i++)
		f.fd[i] = hmm_open(i);
	settle(&f);
	for (i = 0; i < LIFE_CALLS && stress_now() < end_ms; i++) {
		device = below(&f, HMM_DEVICES);
		if (f.fd[device] < 0)
			continue;
		memset(&f.arg, 0, sizeof(f.arg));
		if (below(&f, 4))
			choose_own_abi(&f);
		else
			choose_test_abi(&f);
		flip(&f);
		to = argument(&f);
		if (!f.chosen[i])
			continue;
		if (few)
			tell(&f, from + i, device, to);
		count(&f, hmm_ioctl(f.fd[device], f.request, to));
	}
	return 0;
}

/*
 * Start another process in place of one that has ended, the next one that has a chosen call.
 * exec() a new program: after a fork alone, it could leave memory that it shares with us on
 * a device. Return: 0 if there is none.
 */
static int start(struct stress *stress, __u64 *random, struct figures *figures, int file)
{
	const char *choice = *stress->extra ? *stress->extra : ALL;
	static unsigned long next;
	unsigned long from;
	char arg[4][24];
	__u64 seed;
	pid_t pid;

	do {
		from = next;
		if (stress_over(stress) || !choose(choice, from, MOST_CALLS, NULL))
			return 0;
		seed = stress_random(random);
		next += LIFE_CALLS;
	} while (!choose(choice, from, LIFE_CALLS, NULL));
	figures->lives++;
	if (*stress->extra)
		printf("# calls %lu-%lu\n", from, from + LIFE_CALLS - 1);
	snprintf(arg[0], sizeof(arg[0]), "%llu", (unsigned long long)seed);
	snprintf(arg[1], sizeof(arg[1]), "%ld", stress->end_ms);
	snprintf(arg[2], sizeof(arg[2]), "%d", file);
	snprintf(arg[3], sizeof(arg[3]), "%lu", from);
	pid = fork();
	if (pid < 0)
		stress_fail(stress, "fork: %s", strerror(errno));
	if (!pid) {
		execl("/proc/self/exe", LIVE, arg[0], arg[1], arg[2], arg[3], choice, NULL);
		_exit(EXIT_NO_LIFE);
	}
	return 1;
}

int main(int argc, char **argv)
{
	struct figures *figures;
	struct stress stress;
	__u64 random;
	int file, i, status;

	if (argc == LIVE_ARGS && !strcmp(argv[0], LIVE)) {
		figures = map_figures(atoi(argv[3]));
		if (figures == MAP_FAILED)
			return EXIT_NO_LIFE;
		return live(strtoull(argv[1], NULL, 10), figures, atol(argv[2]), argv[5],
			    strtoul(argv[4], NULL, 10));
	}
	stress_begin(&stress, "stress.fuzz", argc, argv);
	if (*stress.extra && !is_choice(*stress.extra))
		stress_fail(&stress, "%s: numbers of calls are wanted, as 17,4100-4103, or %s",
			    *stress.extra, ALL);
	random = stress.seed;
	/* keep a copy open across exec() */
	file = dup(hmm_file_memfd(sizeof(*figures), 0));
	figures = map_figures(file);
	if (figures == MAP_FAILED)
		stress_fail(&stress, "mmap: %s", strerror(errno));
	stress_empty(&stress);

	for (i = 0; i < PROCESSES; i++)
		start(&stress, &random, figures, file);
	while (wait(&status) > 0) {
		/* a call may have written over what it was pointed at */
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			stress_fail(&stress, "a process was killed");
		if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NO_LIFE)
			stress_fail(&stress, "a process could not be started");
		if (!stress_over(&stress))
			start(&stress, &random, figures, file);
	}
	stress_empty(&stress);

	printf("# refused:");
	for (i = 1; i < 256; i++)
		if (figures->refused[i])
			printf(" %lu %s;", figures->refused[i], strerror(i));
	printf("\n");
	if (figures->odd_error)
		stress_fail(&stress, "call 0x%lx: error %d is not one that is documented",
			    figures->odd_request, figures->odd_error);
	if (!figures->calls && *stress.extra && strcmp(*stress.extra, ALL))
		stress_fail(&stress, "the time was over before call %s", *stress.extra);
	if (!figures->good && (!*stress.extra || !strcmp(*stress.extra, ALL)))
		stress_fail(&stress, "no call of %lu worked", figures->calls);
	stress_ok(&stress, "%lu calls by %lu processes, %lu of them worked", figures->calls,
		  figures->lives, figures->good);
}
