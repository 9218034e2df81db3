/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The tables of states, one a subject; each ends with a row without a name.
 * Only state.c and the tables' own files need this.
 */
#ifndef STATE_TABLES_H
#define STATE_TABLES_H

#include "hmm_state.h"

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
