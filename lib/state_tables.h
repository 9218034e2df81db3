/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables of states, one for each state_*.c; each ends with a row without a name. Only
 * state.c and those files need this.
 */
#ifndef STATE_TABLES_H
#define STATE_TABLES_H

#include "hmm_state.h"

/* A row, for tables whose rows have much in common. */
#define STATE_ROW(_name, _what, _unit, _flags, _prot, _variant, _make, _prove)	\
	{								\
		.name = (_name),					\
		.what = (_what),					\
		.unit = (_unit),					\
		.flags = (_flags),					\
		.prot = (_prot),					\
		.variant = (_variant),					\
		.make = (_make),					\
		.prove = (_prove),					\
	}

extern const struct hmm_state hmm_states_anon[];
extern const struct hmm_state hmm_states_shared[];
extern const struct hmm_state hmm_states_file[];
extern const struct hmm_state hmm_states_special[];
extern const struct hmm_state hmm_states_thp[];
extern const struct hmm_state hmm_states_mthp[];
extern const struct hmm_state hmm_states_hugetlb[];
extern const struct hmm_state hmm_states_uffd[];
extern const struct hmm_state hmm_states_device[];
extern const struct hmm_state hmm_states_device_huge[];
extern const struct hmm_state hmm_states_fixture[];

#endif /* STATE_TABLES_H */
