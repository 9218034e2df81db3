// SPDX-License-Identifier: GPL-2.0
/* Migrations and walks in a thread of their own. */
#include <errno.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "hmm_call.h"
#include "hmm_process.h"

/* A thread waits if it is seen asleep this often in a row, at intervals of 1 ms. */
#define SAMPLES		5
#define PATIENCE_MS	2000
/* An emulated CPU of a busy machine takes seconds to copy a huge page of 512 MiB. */
#define REACH_MS	20000
#define LOOK_MS		100
#define WALK_MS		30000

static void pause_ms(void)
{
	struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

/* Walk with a timeout that is longer than any hold. */
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
	int ret = hmm_hold_arm(call->fd, stage, limit_ms), over, ms;

	if (ret)
		return ret;
	call->entries = NULL;
	ret = hmm_call_begin(call);
	if (ret)
		return ret;
	for (ms = 0; ms < REACH_MS; ms += LOOK_MS) {
		over = hmm_call_over(call);
		ret = hmm_hold_wait(call->fd, LOOK_MS);
		if (ret == HMMIRROR_HELD_NOW)
			return 0;
		if (ret < 0 || over)
			break;
	}
	hmm_hold_release(call->fd);
	hmm_call_end(call);
	return ret < 0 ? ret : -ETIME;
}
