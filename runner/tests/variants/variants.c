// SPDX-License-Identifier: GPL-2.0
/*
 * A test whose variants end in every way, to see that none has a part of the verdict
 * of the one before it.
 */
#include <kselftest_harness.h>

FIXTURE(variants) {
	int unused;
};

FIXTURE_VARIANT(variants) {
	int result;
	const char *reason;
};

FIXTURE_SETUP(variants)
{
}

FIXTURE_TEARDOWN(variants)
{
}

FIXTURE_VARIANT_ADD(variants, fails) {
	.result = KSFT_FAIL,
};

FIXTURE_VARIANT_ADD(variants, passes) {
	.result = KSFT_PASS,
};

FIXTURE_VARIANT_ADD(variants, skips) {
	.result = KSFT_SKIP,
	.reason = "the first reason",
};

FIXTURE_VARIANT_ADD(variants, passes_again) {
	.result = KSFT_PASS,
};

FIXTURE_VARIANT_ADD(variants, skips_again) {
	.result = KSFT_SKIP,
	.reason = "the second reason",
};

TEST_F(variants, verdict)
{
	if (variant->result == KSFT_SKIP)
		SKIP(return, "%s", variant->reason);
	ASSERT_EQ(KSFT_PASS, variant->result);
}

#include "../../../selftests/hmm_main.h"
