// SPDX-License-Identifier: GPL-2.0
/* Make each call with its first allocation failing, then its second, ... until all succeed. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fail_run.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define DEBUGFS		"/sys/kernel/debug/"
#define BUFFER_SIZE	(2 * FAIL_PAGES * hmm_page_size())

/* How long RCU callbacks and other CPUs may take to free pages, ms. */
#define SETTLE_MS	200

static const struct {
	const char *option;
	const char *path;
	const char *value;
} knobs[] = {
	/* allocations that may sleep too */
	{ "CONFIG_FAILSLAB", DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ "CONFIG_FAILSLAB", DEBUGFS "failslab/cache-filter", "N" },
	{ "CONFIG_FAIL_PAGE_ALLOC", DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ "CONFIG_FAIL_PAGE_ALLOC", DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ "CONFIG_FAIL_PAGE_ALLOC", DEBUGFS "fail_page_alloc/min-order", "0" },
	/* no stack trace for each of them */
	{ "CONFIG_FAILSLAB", DEBUGFS "failslab/verbose", "0" },
	{ "CONFIG_FAIL_PAGE_ALLOC", DEBUGFS "fail_page_alloc/verbose", "0" },
};

static long used_pages(struct fail_case *c)
{
	struct hmmirror_stats stats;

	if (hmm_stats(c->fd, 0, &stats))
		return -1;
	return hmm_stats_used(&stats);
}

static int set_up(struct fail_case *c)
{
	struct hmm_area *area = &c->area;
	size_t i;
	int ret;

	c->nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (c->nth < 0)
		return hmm_skip(area, "the kernel was built without CONFIG_FAULT_INJECTION");
	c->page = hmm_page_size();
	c->length = FAIL_PAGES * c->page;
	ret = hmm_area_begin(area, hmm_pmd_size(), 0);
	if (ret)
		return hmm_fail(area, ret, "window");
	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		if (access(knobs[i].path, F_OK))
			return hmm_skip(area, "no %s: %s with CONFIG_FAULT_INJECTION_DEBUG_FS",
					knobs[i].path, knobs[i].option);
		ret = hmm_area_set_knob(area, knobs[i].path, knobs[i].value);
		if (ret)
			return hmm_fail(area, ret, "%s", knobs[i].path);
	}
	c->addr = area->addr;
	c->buffer = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (c->buffer == MAP_FAILED)
		return hmm_fail(area, -errno, "buffer");
	c->fd = hmm_area_device(area, 0);
	if (c->fd < 0)
		return hmm_fail(area, c->fd, "/dev/hmm_dmirror0");
	c->used = used_pages(c);
	return 0;
}

void fail_begin(struct fail_case *c)
{
	memset(c, 0, sizeof(*c));
	c->fd = -1;
	c->setup_ret = set_up(c);
}

/* Let the device have memory: the first migration would add it, and allocate for that. */
static int add_memory(struct fail_case *c)
{
	int ret = hmm_area_map_small(&c->area, c->addr, c->length,
				     PROT_READ | PROT_WRITE);

	if (ret)
		return ret;
	hmm_touch_write(c->addr, c->length);
	return hmm_to_device(c->fd, c->addr, c->length, NULL, NULL);
}

void fail_end(struct fail_case *c)
{
	if (c->nth > 0)
		close(c->nth);
	if (c->buffer && c->buffer != MAP_FAILED)
		munmap(c->buffer, BUFFER_SIZE);
	hmm_area_end(&c->area);
}

static int arm(struct fail_case *c, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(c->nth, text, len, 0) == len ? 0 : -errno;
}

/* Return: 1 if an allocation failed since arm(); 0 if the call made fewer; -errno. */
static int disarm(struct fail_case *c)
{
	char text[16];
	ssize_t len = pread(c->nth, text, sizeof(text) - 1, 0);
	int hit;

	if (len <= 0)
		return len ? -errno : -EIO;
	text[len] = '\0';
	hit = !strcmp(text, "0\n");
	return arm(c, 0) ? -EIO : hit;
}

/* All pages of the device that the last call took are freed once its memory is unmapped. */
static int nothing_left(struct fail_case *c)
{
	int i;

	for (i = 0; i < SETTLE_MS; i++) {
		if (used_pages(c) == c->used)
			return 1;
		usleep(1000);
	}
	return 0;
}

static int documented(const struct fail_call *call, int error)
{
	size_t i;

	for (i = 0; i < FAIL_ERRORS; i++)
		if (call->errors[i] && error == call->errors[i])
			return 1;
	return error == -ENOMEM;
}

/* Map new memory as it must be before each call. */
static int fresh(struct fail_case *c, const struct fail_call *call)
{
	int ret = hmm_area_map_small(&c->area, c->addr, hmm_pmd_size(),
				     PROT_READ | PROT_WRITE);

	if (ret)
		return ret;
	if (!nothing_left(c))
		return -ENOTEMPTY;
	/* the page table exists as a rule */
	c->addr[c->length] = 1;
	if (!call->empty)
		hmm_pattern_fill(c->addr, c->length, 1);
	c->spare = -1;
	return call->before ? call->before(c, call) : 0;
}

static int intact(struct fail_case *c, const struct fail_call *call)
{
	if (call->written)
		return 1;
	if (call->empty)
		return hmm_all_bytes(c->addr, c->length, 0) < 0;
	return hmm_pattern_check(c->addr, c->length, 1) < 0;
}

#define WRONG(...)							\
	({								\
		int __len = snprintf(c->why, sizeof(c->why), "%s, allocation %u: ",	\
				     call->name, nth);			\
									\
		snprintf(c->why + __len, sizeof(c->why) - __len, __VA_ARGS__);	\
		-EIO;							\
	})

static int sweep(struct fail_case *c, const struct fail_call *call)
{
	unsigned int nth = 0, coped = 0;
	int hit = 1, ret;

	for (nth = 1; hit; nth++) {
		if (nth == FAIL_LIMIT)
			return WRONG("there is no end of them");
		ret = fresh(c, call);
		if (ret)
			return WRONG("preparing it: %s", strerror(-ret));
		if (arm(c, nth))
			return WRONG("fail-nth can't be set");
		ret = call->call(c, call);
		hit = disarm(c);
		if (hit < 0)
			return WRONG("fail-nth can't be read");
		if (ret && !hit)
			return WRONG("error %d without a failure", ret);
		if (ret && !documented(call, ret))
			return WRONG("error %d is not one of those that are documented", ret);
		if (!intact(c, call))
			return WRONG("the memory has changed");
		if (call->after)
			call->after(c, call);
		coped += hit && !ret;

		/* the next call must work as ever */
		ret = fresh(c, call);
		if (!ret)
			ret = call->call(c, call);
		if (ret || !intact(c, call))
			return WRONG("the next call: %d", ret);
		if (call->after)
			call->after(c, call);
		c->injected += hit;
	}
	printf("# %s: %u failures, %u of them told, %u not\n", call->name, nth - 2,
	       nth - 2 - coped, coped);
	return 0;
}

int fail_sweep(struct fail_case *c, enum hmmirror_feature feature,
	       const struct fail_call *calls, size_t nr)
{
	int ret = c->setup_ret;
	size_t i;

	if (!ret)
		ret = hmm_area_feature(&c->area, feature);
	if (!ret && feature == HMMIRROR_FEAT_DEVICE_PRIVATE && add_memory(c))
		ret = hmm_fail(&c->area, -ENOMEM, "migrating pages");
	if (ret)
		snprintf(c->why, sizeof(c->why), "%s", c->area.why);
	for (i = 0; i < nr && !ret; i++)
		ret = sweep(c, &calls[i]);
	return ret;
}
