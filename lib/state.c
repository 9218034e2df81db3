// SPDX-License-Identifier: GPL-2.0
/* All states: found by name, made, and proved. */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "hmm_buffer.h"
#include "hmm_state.h"
#include "hmm_system.h"
#include "internal.h"
#include "state_tables.h"

static const struct hmm_state *const tables[] = {
	hmm_states_anon,
	hmm_states_shared,
	hmm_states_file,
	hmm_states_special,
	hmm_states_thp,
	hmm_states_mthp,
	hmm_states_hugetlb,
	hmm_states_uffd,
	hmm_states_device,
	hmm_states_device_huge,
	hmm_states_fixture,
};

const struct hmm_state *hmm_state_next(const struct hmm_state *state)
{
	const struct hmm_state *s;
	int found = !state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		for (s = tables[i]; s->name; s++) {
			if (found)
				return s;
			found = s == state;
		}
	}
	return NULL;
}

const struct hmm_state *hmm_state_find(const char *name)
{
	const struct hmm_state *s = NULL;

	while ((s = hmm_state_next(s)))
		if (!strcmp(s->name, name))
			break;
	return s;
}

size_t hmm_state_unit(const struct hmm_state *state)
{
	size_t size;

	switch (state->unit) {
	case HMM_UNIT_ORDER2:
		return hmm_page_size() << 2;
	case HMM_UNIT_ORDER4:
		return hmm_page_size() << 4;
	case HMM_UNIT_ORDER8:
		return hmm_page_size() << 8;
	case HMM_UNIT_PMD:
		return hmm_pmd_size();
	case HMM_UNIT_PUD:
		return hmm_pud_size();
	case HMM_UNIT_CONT_PTE:
		size = hmm_hugetlb_between(hmm_page_size(), hmm_pmd_size());
		break;
	case HMM_UNIT_CONT_PMD:
		size = hmm_hugetlb_between(hmm_pmd_size(), hmm_pud_size());
		break;
	default:
		return hmm_page_size();
	}
	/* without such pages any will do: the state says that there are none */
	return size ? size : hmm_page_size();
}

static int check_range(struct hmm_area *area, const struct hmm_state *state,
		       size_t offset, size_t length)
{
	size_t unit = hmm_state_unit(state);

	if (offset > area->length || length > area->length - offset)
		return hmm_fail(area, EINVAL, "%s: outside of the window",
				state->name);
	if (((uintptr_t)area->addr + offset) % unit || length % unit)
		return hmm_fail(area, EINVAL, "%s: not a multiple of %zu",
				state->name, unit);
	return 0;
}

int hmm_state_make(struct hmm_area *area, const struct hmm_state *state,
		   size_t offset, size_t length)
{
	int ret = check_range(area, state, offset, length);

	if (!ret && state->supported)
		ret = state->supported(area, state);
	if (!ret && state->from)
		ret = hmm_state_make_named(area, state->from, offset, length);
	if (!ret)
		ret = state->make(area, state, area->addr + offset, length);
	if (!ret)
		ret = hmm_state_prove(area, state, offset, length);
	return ret;
}

int hmm_state_make_named(struct hmm_area *area, const char *name, size_t offset, size_t length)
{
	const struct hmm_state *state = hmm_state_find(name);

	if (!state)
		return hmm_fail(area, EINVAL, "no state is called %s", name);
	return hmm_state_make(area, state, offset, length);
}

int hmm_state_prove(struct hmm_area *area, const struct hmm_state *state,
		    size_t offset, size_t length)
{
	int ret = check_range(area, state, offset, length);

	if (ret)
		return ret;
	return state->prove(area, state, area->addr + offset, length);
}
