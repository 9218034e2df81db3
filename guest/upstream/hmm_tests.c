// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own hmm-tests with the main() of our programs, which lists tests and runs
 * one by its name. Their source stays as it is: HMM_TESTS is the path of hmm-tests.c.
 */
#define main hmm_tests_main
#include HMM_TESTS
#undef main

/* theirs has told the harness in which order constructors are called */
#define HMM_MAIN_WITHOUT_ORDER
#include "hmm_main.h"
