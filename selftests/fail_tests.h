/* SPDX-License-Identifier: GPL-2.0 */
/* What the programs of fail_nth.* have in common. */
#ifndef FAIL_TESTS_H
#define FAIL_TESTS_H

#include "fail_nth.h"

#define WHY_SIZE	256

FIXTURE(fail_nth)
{
	struct fail_world world;
	char why[WHY_SIZE];
	int lacking;
};

FIXTURE_SETUP(fail_nth)
{
	self->lacking = fail_begin(&self->world);
}

FIXTURE_TEARDOWN(fail_nth)
{
	fail_end(&self->world);
}

/* Return: 0 when all of them were swept, HMM_SKIP or -errno with self->why. */
static int run(struct _test_data_fail_nth *self, enum hmmirror_feature feature,
	       const struct fail_call *calls, size_t nr)
{
	int ret = self->lacking;
	size_t i;

	if (!ret)
		ret = hmm_area_feature(&self->world.area, feature);
	if (!ret && feature == HMMIRROR_FEAT_DEVICE_PRIVATE && fail_memory(&self->world))
		ret = hmm_fail(&self->world.area, -ENOMEM, "migrating pages");
	if (ret)
		snprintf(self->why, sizeof(self->why), "%s", self->world.area.why);
	for (i = 0; i < nr && !ret; i++)
		ret = fail_sweep(&self->world, &calls[i], self->why, sizeof(self->why));
	return ret;
}

/* Without a failure there was no test: some of the calls must have had one. */
#define ASSERT_INJECTED()	ASSERT_LT(0, self->world.injected)

#endif /* FAIL_TESTS_H */
