// SPDX-License-Identifier: GPL-2.0
/* Holds, plants and injections, and calls in threads. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hmm_means.h"
#include "internal.h"

/* A thread that is seen asleep this often in a row, a millisecond apart, waits. */
#define SAMPLES		5
#define PATIENCE_MS	2000
#define WALK_MS		30000

int hmm_ioctl_hold(int fd, struct hmmirror_hold *hold)
{
	if (!hold->size)
		hold->size = sizeof(*hold);
	return hmm_ioctl(fd, HMMIRROR_HOLD, hold);
}

int hmm_ioctl_plant(int fd, struct hmmirror_plant *plant)
{
	if (!plant->size)
		plant->size = sizeof(*plant);
	return hmm_ioctl(fd, HMMIRROR_PLANT, plant);
}

int hmm_ioctl_flicker(int fd, struct hmmirror_flicker *flicker)
{
	if (!flicker->size)
		flicker->size = sizeof(*flicker);
	return hmm_ioctl(fd, HMMIRROR_FLICKER, flicker);
}

int hmm_ioctl_inject(int fd, struct hmmirror_inject *inject)
{
	if (!inject->size)
		inject->size = sizeof(*inject);
	return hmm_ioctl(fd, HMMIRROR_INJECT, inject);
}

static int hold(int fd, unsigned int flags, enum hmmirror_stage stage,
		unsigned int limit_ms)
{
	struct hmmirror_hold h = {
		.flags = flags,
		.stage = stage,
		.limit_ms = limit_ms,
	};
	int ret = hmm_ioctl_hold(fd, &h);

	return ret ? ret : (int)h.held;
}

int hmm_hold_arm(int fd, enum hmmirror_stage stage, unsigned int limit_ms)
{
	int ret = hold(fd, HMMIRROR_HOLD_ARM, stage, limit_ms);

	return ret < 0 ? ret : 0;
}

int hmm_hold_wait(int fd, unsigned int limit_ms)
{
	return hold(fd, HMMIRROR_HOLD_WAIT, 0, limit_ms);
}

int hmm_hold_release(int fd)
{
	return hold(fd, HMMIRROR_HOLD_RELEASE, 0, 0);
}

int hmm_plant(int fd, const void *addr, enum hmmirror_planted kind)
{
	struct hmmirror_plant plant = {
		.flags = HMMIRROR_PLANT_PUT,
		.addr = (uintptr_t)addr,
		.kind = kind,
	};

	return hmm_ioctl_plant(fd, &plant);
}

int hmm_plant_take(int fd)
{
	struct hmmirror_plant plant = { .flags = HMMIRROR_PLANT_TAKE };

	return hmm_ioctl_plant(fd, &plant);
}

int hmm_flicker(int fd, const void *addr, unsigned int nth)
{
	struct hmmirror_flicker flicker = {
		.flags = HMMIRROR_FLICKER_ARM,
		.addr = (uintptr_t)addr,
		.nth = nth,
	};

	return hmm_ioctl_flicker(fd, &flicker);
}

int hmm_flicker_end(int fd)
{
	struct hmmirror_flicker flicker = { .flags = HMMIRROR_FLICKER_END };
	int ret = hmm_ioctl_flicker(fd, &flicker);

	return ret ? ret : (int)flicker.looks;
}

int hmm_inject(int fd, enum hmmirror_event event, unsigned int nth,
	       unsigned int times)
{
	struct hmmirror_inject inject = {
		.event = event,
		.nth = nth,
		.times = times,
	};
	int ret = hmm_ioctl_inject(fd, &inject);

	return ret ? ret : (int)inject.hits;
}

static void pause_ms(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

/* However long what it waits for may take. */
static int patient_walk(const struct hmm_call *call)
{
	struct hmmirror_range range = {
		.flags = call->flags,
		.addr = (uintptr_t)call->addr,
		.length = call->length,
		.entries = (uintptr_t)call->entries,
		.default_flags = call->request,
		.request_mask = call->mask,
		.timeout_ms = WALK_MS,
	};
	int ret = hmm_ioctl_range(call->fd, &range);

	return ret ? ret : range.error;
}

static void *run(void *data)
{
	struct hmm_call *call = data;

	__atomic_store_n(&call->tid, syscall(SYS_gettid), __ATOMIC_SEQ_CST);
	while (sem_wait(&call->go))
		;
	if (!call->begun)
		return NULL;
	if (call->entries)
		call->error = patient_walk(call);
	else
		call->error = hmm_move(call->fd,
				       call->flags ? : HMMIRROR_MIGRATE_TO_DEVICE,
				       call->addr, call->length, call->outcomes, NULL);
	__atomic_store_n(&call->over, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

int hmm_call_prepare(struct hmm_call *call)
{
	int ret;

	call->tid = 0;
	call->begun = 0;
	call->over = 0;
	call->error = 0;
	sem_init(&call->go, 0, 0);
	ret = pthread_create(&call->thread, NULL, run, call);
	call->running = !ret;
	return -ret;
}

int hmm_call_begin(struct hmm_call *call)
{
	int ret = call->running ? 0 : hmm_call_prepare(call);

	if (ret)
		return ret;
	call->begun = 1;
	sem_post(&call->go);
	return 0;
}

int hmm_call_over(const struct hmm_call *call)
{
	return __atomic_load_n(&call->over, __ATOMIC_SEQ_CST);
}

int hmm_call_blocks(struct hmm_call *call)
{
	int i, seen = 0;
	pid_t tid;

	for (i = 0; i < PATIENCE_MS && seen < SAMPLES; i++) {
		if (hmm_call_over(call))
			return 0;
		tid = __atomic_load_n(&call->tid, __ATOMIC_SEQ_CST);
		seen = tid && hmm_thread_state(tid) == 'D' ? seen + 1 : 0;
		pause_ms();
	}
	return seen == SAMPLES && !hmm_call_over(call);
}

int hmm_call_end(struct hmm_call *call)
{
	if (!call->running)
		return call->error;
	if (!call->begun)
		sem_post(&call->go);
	pthread_join(call->thread, NULL);
	call->running = 0;
	return call->error;
}

int hmm_hold_migration(struct hmm_call *call, enum hmmirror_stage stage,
		       unsigned int limit_ms)
{
	int ret = hmm_hold_arm(call->fd, stage, limit_ms);

	if (ret)
		return ret;
	call->entries = NULL;
	ret = hmm_call_begin(call);
	if (ret)
		return ret;
	ret = hmm_hold_wait(call->fd, PATIENCE_MS);
	if (ret == HMMIRROR_HELD_NOW)
		return 0;
	hmm_hold_release(call->fd);
	hmm_call_end(call);
	return ret < 0 ? ret : -ETIME;
}
