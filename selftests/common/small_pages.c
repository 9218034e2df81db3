// SPDX-License-Identifier: GPL-2.0
/* What fixtures with a window of small pages and a device share. */
#include "small_pages.h"

void check_outcomes(struct __test_metadata *_metadata, const __u8 *outcomes, size_t first,
		    size_t pages, __u8 want)
{
	size_t i;

	for (i = first; i < first + pages; i++) {
		ASSERT_EQ(want, outcomes[i])
			TH_LOG("page %zu: %s, want %s", i, hmm_outcome_str(outcomes[i]),
			       hmm_outcome_str(want));
	}
}
