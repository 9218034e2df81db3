/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests that are made of every state of small pages. A program that
 * includes this has a fixture that holds a struct walk, and defines its name as
 * WALK_FIXTURE; the fixture's variants name a state.
 */
#include "walk_run.h"

#define WALK_PAGES	16

/* The pages that single requests go to, and that stand among others. */
static const size_t walk_places[] = { 0, WALK_PAGES / 2 - 1, WALK_PAGES - 1 };

/* A state in the whole window. */
static void walk_whole(struct __test_metadata *_metadata, struct walk *walk,
		       const char *state, __u64 request)
{
	ASSERT_EQ(0, walk_begin(walk, WALK_PAGES, 0));
	if (MISS(walk_put(walk, state, 0, WALK_PAGES), walk->why))
		return;
	if (MISS(walk_ask(walk, 0, 0, WALK_PAGES, request), walk->why))
		return;
}

/* Requests by page, under a mask; none of the range by default. */
static void walk_pages(struct __test_metadata *_metadata, struct walk *walk,
		       const char *state, const __u64 *requests, __u64 mask)
{
	size_t i;

	walk_end(walk);
	ASSERT_EQ(0, walk_begin(walk, WALK_PAGES, 0));
	if (MISS(walk_put(walk, state, 0, WALK_PAGES), walk->why))
		return;
	for (i = 0; i < WALK_PAGES; i++)
		walk->page[i].request = requests[i];
	if (MISS(walk_ask_pages(walk, 0, 0, WALK_PAGES, mask), walk->why))
		return;
}

/* A state in the first, a middle and the last page, among writable ones. */
static void walk_among(struct __test_metadata *_metadata, struct walk *walk,
		       const char *state, __u64 request)
{
	size_t i;

	walk_end(walk);
	ASSERT_EQ(0, walk_begin(walk, WALK_PAGES, 0));
	for (i = 0; i < ARRAY_SIZE(walk_places); i++)
		if (MISS(walk_put(walk, state, walk_places[i], 1), walk->why))
			return;
	for (i = 0; i + 1 < ARRAY_SIZE(walk_places); i++)
		if (MISS(walk_put(walk, "anon_writable", walk_places[i] + 1,
				  walk_places[i + 1] - walk_places[i] - 1),
			 walk->why))
			return;
	if (MISS(walk_ask(walk, 0, 0, WALK_PAGES, request), walk->why))
		return;
}

TEST_F(WALK_FIXTURE, snapshot)
{
	walk_whole(_metadata, &self->walk, variant->state, 0);
}

TEST_F(WALK_FIXTURE, read_fault)
{
	walk_whole(_metadata, &self->walk, variant->state, HMMIRROR_REQ_FAULT);
}

TEST_F(WALK_FIXTURE, write_fault)
{
	walk_whole(_metadata, &self->walk, variant->state, HMMIRROR_REQ_ALL);
}

/*
 * The first, a middle and the last page ask, each kind of request alone; then
 * some ask for nothing, some to be read, some to be written; and once more
 * under a mask that lets only the reads through.
 */
TEST_F(WALK_FIXTURE, page_requests)
{
	static const __u64 kinds[] = { HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL };
	static const __u64 mix[] = {
		0, HMMIRROR_REQ_FAULT, 0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL,
	};
	__u64 requests[WALK_PAGES];
	size_t i, kind;

	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		memset(requests, 0, sizeof(requests));
		for (i = 0; i < ARRAY_SIZE(walk_places); i++)
			requests[walk_places[i]] = kinds[kind];
		walk_pages(_metadata, &self->walk, variant->state, requests,
			   HMMIRROR_REQ_ALL);
	}
	for (i = 0; i < WALK_PAGES; i++)
		requests[i] = mix[i % ARRAY_SIZE(mix)];
	walk_pages(_metadata, &self->walk, variant->state, requests,
		   HMMIRROR_REQ_ALL);
	walk_pages(_metadata, &self->walk, variant->state, requests,
		   HMMIRROR_REQ_FAULT);
}

TEST_F(WALK_FIXTURE, among_others)
{
	walk_among(_metadata, &self->walk, variant->state, 0);
	walk_among(_metadata, &self->walk, variant->state, HMMIRROR_REQ_FAULT);
	walk_among(_metadata, &self->walk, variant->state, HMMIRROR_REQ_ALL);
}
