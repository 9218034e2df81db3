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

void hmm_pattern_fill_as(void *data, const void *as, size_t length,
			 __u64 seed)
{
	const char *place = as;
	char *to = data;
	__u64 word;
	size_t i;

	for (i = 0; i < length; i += sizeof(word)) {
		word = hmm_pattern(place + i, seed);
		memcpy(to + i, &word, sizeof(word));
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
	__u64 word;
	size_t i;

	for (i = 0; i < length; i += sizeof(word)) {
		memcpy(&word, from + i, sizeof(word));
		if (word != hmm_pattern(place + i, seed))
			return i;
	}
	return -1;
}

long hmm_pattern_check(const void *addr, size_t length, __u64 seed)
{
	return hmm_pattern_check_as(addr, addr, length, seed);
}

long hmm_all_bytes(const void *addr, size_t length, unsigned char byte)
{
	const unsigned char *p = addr;
	size_t i;

	for (i = 0; i < length; i++)
		if (p[i] != byte)
			return i;
	return -1;
}
