// SPDX-License-Identifier: GPL-2.0
/* The driver's answers in words. */
#include <stdio.h>
#include <string.h>

#include "hmm_device.h"
#include "internal.h"

static const char *const flag_names[] = {
	"valid", "write", "error", "zero", "private", "coherent", "other's",
	"untouched",
};

static size_t append(char *text, size_t size, size_t used, const char *word)
{
	int n;

	if (used >= size)
		return used;
	n = snprintf(text + used, size - used, "%s%s", used ? " " : "", word);
	return used + n;
}

const char *hmm_entry_str(__u64 entry, char *text, size_t size)
{
	size_t known = ARRAY_SIZE(flag_names);
	__u64 flags = hmm_entry_flags(entry);
	char word[40];
	size_t i, used = 0;

	if (!entry)
		used = append(text, size, used, "nothing (0)");
	for (i = 0; i < known; i++)
		if (flags & (1ULL << i))
			used = append(text, size, used, flag_names[i]);
	flags >>= known;
	if (flags) {
		snprintf(word, sizeof(word), "unknown flags %#llx",
			 flags << known);
		used = append(text, size, used, word);
	}
	if (hmm_entry_order(entry)) {
		snprintf(word, sizeof(word), "order %u",
			 hmm_entry_order(entry));
		used = append(text, size, used, word);
	}
	if (hmm_entry_pfn(entry)) {
		snprintf(word, sizeof(word), "pfn %#llx",
			 hmm_entry_pfn(entry));
		append(text, size, used, word);
	}
	return text;
}

const char *hmm_outcome_str(unsigned int outcome)
{
	switch (outcome) {
	case HMMIRROR_OUT_NONE:
		return "none";
	case HMMIRROR_OUT_MIGRATED:
		return "migrated";
	case HMMIRROR_OUT_POPULATED:
		return "populated";
	case HMMIRROR_OUT_NOMEM:
		return "no memory";
	case HMMIRROR_OUT_REFUSED:
		return "refused";
	}
	return "?";
}
