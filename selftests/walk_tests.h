/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The requests that are made of every state of small pages. A program that
 * includes this has a fixture named WALK_FIXTURE, whose variants name a state.
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
	HMM_NEED(walk_put(walk, state, 0, WALK_PAGES), walk->why);
	HMM_NEED(walk_ask(walk, 0, 0, WALK_PAGES, request), walk->why);
}

/* A state in the first, a middle and the last page, among writable ones. */
static void walk_among(struct __test_metadata *_metadata, struct walk *walk,
		       const char *state, __u64 request)
{
	size_t i;

	ASSERT_EQ(0, walk_begin(walk, WALK_PAGES, 0));
	for (i = 0; i < ARRAY_SIZE(walk_places); i++)
		HMM_NEED(walk_put(walk, state, walk_places[i], 1), walk->why);
	for (i = 0; i + 1 < ARRAY_SIZE(walk_places); i++)
		HMM_NEED(walk_put(walk, "anon_writable", walk_places[i] + 1,
				  walk_places[i + 1] - walk_places[i] - 1),
			 walk->why);
	HMM_NEED(walk_ask(walk, 0, 0, WALK_PAGES, request), walk->why);
}

/* Requests by page, for the first, a middle and the last page alone. */
static void walk_single(struct __test_metadata *_metadata, struct walk *walk,
			const char *state, __u64 request)
{
	size_t i;

	ASSERT_EQ(0, walk_begin(walk, WALK_PAGES, 0));
	HMM_NEED(walk_put(walk, state, 0, WALK_PAGES), walk->why);
	for (i = 0; i < ARRAY_SIZE(walk_places); i++)
		walk->page[walk_places[i]].request = request;
	HMM_NEED(walk_ask_pages(walk, 0, 0, WALK_PAGES, HMMIRROR_REQ_ALL),
		 walk->why);
}

FIXTURE_SETUP(WALK_FIXTURE)
{
}

FIXTURE_TEARDOWN(WALK_FIXTURE)
{
	walk_end(&self->walk);
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

TEST_F(WALK_FIXTURE, page_read)
{
	walk_single(_metadata, &self->walk, variant->state,
		    HMMIRROR_REQ_FAULT);
}

TEST_F(WALK_FIXTURE, page_write)
{
	walk_single(_metadata, &self->walk, variant->state, HMMIRROR_REQ_ALL);
}

/* Some pages ask for nothing, some to be read, some to be written. */
TEST_F(WALK_FIXTURE, page_mixed)
{
	static const __u64 mix[] = {
		0, HMMIRROR_REQ_FAULT, 0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL,
	};
	struct walk *walk = &self->walk;
	size_t i;

	ASSERT_EQ(0, walk_begin(walk, WALK_PAGES, 0));
	HMM_NEED(walk_put(walk, variant->state, 0, WALK_PAGES), walk->why);
	for (i = 0; i < WALK_PAGES; i++)
		walk->page[i].request = mix[i % ARRAY_SIZE(mix)];
	HMM_NEED(walk_ask_pages(walk, 0, 0, WALK_PAGES, HMMIRROR_REQ_ALL),
		 walk->why);
}

/* Requests to write, under a mask that lets only reads through. */
TEST_F(WALK_FIXTURE, page_masked)
{
	struct walk *walk = &self->walk;
	size_t i;

	ASSERT_EQ(0, walk_begin(walk, WALK_PAGES, 0));
	HMM_NEED(walk_put(walk, variant->state, 0, WALK_PAGES), walk->why);
	for (i = 0; i < WALK_PAGES; i++)
		walk->page[i].request = HMMIRROR_REQ_ALL;
	HMM_NEED(walk_ask_pages(walk, 0, 0, WALK_PAGES, HMMIRROR_REQ_FAULT),
		 walk->why);
}

TEST_F(WALK_FIXTURE, among_snapshot)
{
	walk_among(_metadata, &self->walk, variant->state, 0);
}

TEST_F(WALK_FIXTURE, among_read)
{
	walk_among(_metadata, &self->walk, variant->state, HMMIRROR_REQ_FAULT);
}

TEST_F(WALK_FIXTURE, among_write)
{
	walk_among(_metadata, &self->walk, variant->state, HMMIRROR_REQ_ALL);
}
