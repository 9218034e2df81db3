// SPDX-License-Identifier: GPL-2.0
/* Patterns that depend on the address. */
#include <string.h>

#include "hmm_buffer.h"

__u64 hmm_pattern(const void *addr, __u64 seed)
{
	/* Odd factors, so that no two words of one pattern are the same. */
	__u64 word = (uintptr_t)addr / 8 * 0x9e3779b97f4a7c15ULL;

	return (word ^ (seed * 0xd1342543de82ef95ULL)) | 1ULL << 63;
}

/*
 * A huge page of 512 MiB takes an emulated CPU seconds to fill. Pages of more than 4 KiB have the
 * pattern at their start and end, which are as likely to be lost as what is in between.
 */
#define DENSE_PAGE	4096UL
#define ENDS		2048UL

static int is_whole(const char *as, size_t length)
{
	return !(((uintptr_t)as | length) & (hmm_page_size() - 1));
}

/* Return: bytes from @as to the next word that has the pattern, 0 if it is this one. */
static size_t gap(const char *as, size_t page)
{
	size_t offset = (uintptr_t)as & (page - 1);

	if (page <= DENSE_PAGE || offset < ENDS || offset >= page - ENDS)
		return 0;
	return page - ENDS - offset;
}

/* Return: bytes from @as, which has the pattern, to the next gap. */
static size_t run(const char *as, size_t page)
{
	size_t offset = (uintptr_t)as & (page - 1);

	if (page <= DENSE_PAGE)
		return SIZE_MAX;
	return offset < ENDS ? ENDS - offset : page + ENDS - offset;
}

/* Return: where the run ends that begins at @i, in a range of @length. */
static size_t run_end(const char *as, size_t i, size_t length, size_t page)
{
	size_t bytes = run(as + i, page);

	return i < length && bytes < length - i ? i + bytes : length;
}

void hmm_pattern_fill_as(void *data, const void *as, size_t length,
			 __u64 seed)
{
	/* a part of a page is what somebody looks at, wherever it lies */
	size_t page = is_whole(as, length) ? hmm_page_size() : DENSE_PAGE, i, end;
	const char *place = as;
	char *to = data;
	__u64 word;

	for (i = gap(place, page); i < length; i = end + gap(place + end, page)) {
		end = run_end(place, i, length, page);
		for (; i < end; i += sizeof(word)) {
			word = hmm_pattern(place + i, seed);
			memcpy(to + i, &word, sizeof(word));
		}
	}
}

void hmm_pattern_fill(void *addr, size_t length, __u64 seed)
{
	hmm_pattern_fill_as(addr, addr, length, seed);
}

long hmm_pattern_check_as(const void *data, const void *as, size_t length,
			  __u64 seed)
{
	const char *place = as, *from = data;
	size_t page = hmm_page_size(), i, end;
	__u64 word;

	/* what lies in a gap as a whole was filled on its own */
	if (gap(place, page) >= length)
		page = DENSE_PAGE;
	for (i = gap(place, page); i < length; i = end + gap(place + end, page)) {
		end = run_end(place, i, length, page);
		for (; i < end; i += sizeof(word)) {
			memcpy(&word, from + i, sizeof(word));
			if (word != hmm_pattern(place + i, seed))
				return i;
		}
	}
	return -1;
}

long hmm_pattern_check(const void *addr, size_t length, __u64 seed)
{
	return hmm_pattern_check_as(addr, addr, length, seed);
}

/* Bytes that are compared one by one; a range of more is compared with itself, this much apart. */
#define PIECE	64UL

long hmm_all_bytes(const void *addr, size_t length, unsigned char byte)
{
	const unsigned char *p = addr;
	size_t i;

	for (i = 0; i < length; i++) {
		if (p[i] != byte)
			return i;
		if (i + 1 == PIECE && !memcmp(p, p + PIECE, length - PIECE))
			return -1;
	}
	return -1;
}
