// SPDX-License-Identifier: GPL-2.0
/* What is asked of pages in every state. */
#include "walk_cases.h"

#define PAGES	16

/* Pages that ask by themselves, or are in another state than their neighbours. */
static const size_t picked[] = { 0, PAGES / 2 - 1, PAGES - 1 };

void walk_range(struct __test_metadata *_metadata, struct walk *walk, const char *state,
		size_t pages, __u64 request)
{
	const struct hmm_state *s = hmm_state_find(state);

	ASSERT_NE(NULL, s);
	if (!pages)
		pages = PAGES;
	ASSERT_EQ(0, walk_begin(walk, pages, hmm_state_unit(s)));
	if (!REQUIRE(walk_make(walk, state, 0, pages), walk->why))
		return;
	if (!REQUIRE(walk_ask(walk, 0, 0, pages, request), walk->why))
		return;
}

/* No request for the range as a whole. */
static void ask_pages(struct __test_metadata *_metadata, struct walk *walk,
		      const char *state, const __u64 *requests, __u64 mask)
{
	size_t i;

	walk_end(walk);
	ASSERT_EQ(0, walk_begin(walk, PAGES, 0));
	if (!REQUIRE(walk_make(walk, state, 0, PAGES), walk->why))
		return;
	for (i = 0; i < PAGES; i++)
		walk->page[i].request = requests[i];
	if (!REQUIRE(walk_ask_pages(walk, 0, 0, PAGES, mask), walk->why))
		return;
}

void walk_page_requests(struct __test_metadata *_metadata, struct walk *walk,
			const char *state)
{
	static const __u64 kinds[] = { HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL };
	static const __u64 mix[] = {
		0, HMMIRROR_REQ_FAULT, 0, HMMIRROR_REQ_FAULT, HMMIRROR_REQ_ALL,
	};
	__u64 requests[PAGES];
	size_t i, kind;

	for (kind = 0; kind < ARRAY_SIZE(kinds); kind++) {
		memset(requests, 0, sizeof(requests));
		for (i = 0; i < ARRAY_SIZE(picked); i++)
			requests[picked[i]] = kinds[kind];
		ask_pages(_metadata, walk, state, requests, HMMIRROR_REQ_ALL);
	}
	for (i = 0; i < PAGES; i++)
		requests[i] = mix[i % ARRAY_SIZE(mix)];
	ask_pages(_metadata, walk, state, requests, HMMIRROR_REQ_ALL);
	ask_pages(_metadata, walk, state, requests, HMMIRROR_REQ_FAULT);
}

static void ask_among_others(struct __test_metadata *_metadata, struct walk *walk,
			     const char *state, __u64 request)
{
	size_t i;

	walk_end(walk);
	ASSERT_EQ(0, walk_begin(walk, PAGES, 0));
	for (i = 0; i < ARRAY_SIZE(picked); i++)
		if (!REQUIRE(walk_make(walk, state, picked[i], 1), walk->why))
			return;
	for (i = 0; i + 1 < ARRAY_SIZE(picked); i++)
		if (!REQUIRE(walk_make(walk, "anon_writable", picked[i] + 1, picked[i + 1] -
				       picked[i] - 1), walk->why))
			return;
	if (!REQUIRE(walk_ask(walk, 0, 0, PAGES, request), walk->why))
		return;
}

void walk_among_others(struct __test_metadata *_metadata, struct walk *walk,
		       const char *state)
{
	ask_among_others(_metadata, walk, state, 0);
	ask_among_others(_metadata, walk, state, HMMIRROR_REQ_FAULT);
	ask_among_others(_metadata, walk, state, HMMIRROR_REQ_ALL);
}
