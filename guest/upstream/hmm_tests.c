// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own hmm-tests with the main() of our programs, which lists tests and runs
 * one by its name. Their source stays as it is: HMM_TESTS is the path of hmm-tests.c.
 */
#define main hmm_tests_main
#include HMM_TESTS
#undef main

/*
 * Theirs has told the harness in which order constructors are called. And the harness runs each of
 * them, as they are written for that of their tree, where ours can do without it.
 */
#define HMM_UPSTREAM_TESTS
#include "hmm_main.h"
