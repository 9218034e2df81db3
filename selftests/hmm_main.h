/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The main() of every test program, included last. It lists the tests and runs those that
 * are named by globs, which the harness of many kernels can't; the harness does the rest.
 * It is a header because the harness keeps its list of tests in static variables of each
 * program.
 */
#ifndef HMM_MAIN_H
#define HMM_MAIN_H

#include <fnmatch.h>

#include "hmm_serve.h"

#define HMM_NAME_MAX	256

static void hmm_usage(const char *program)
{
	printf("Usage: %s [NAME|GLOB]...\n"
	       "       %s --list\n"
	       "       %s --serve\n\n"
	       "Runs all tests of this program, or those that are named. A name is\n"
	       "fixture.variant.test, as --list prints it. --serve takes names from a socket\n"
	       "on standard input, and forks a process for each.\n",
	       program, program, program);
}

static void hmm_test_name(char *name, const struct __fixture_metadata *fixture,
			  const struct __fixture_variant_metadata *variant,
			  const struct __test_metadata *test)
{
	snprintf(name, HMM_NAME_MAX, "%s%s%s.%s", fixture->name,
		 variant ? "." : "", variant ? variant->name : "", test->name);
}

static int hmm_wanted(const char *name, char **globs)
{
	if (!*globs)
		return 1;
	for (; *globs; globs++)
		if (!fnmatch(*globs, name, 0))
			return 1;
	return 0;
}

/*
 * The harness runs every test of a fixture with every variant. To run some pairs only, make
 * each pair a fixture of its own with one variant and one test: copies of the originals,
 * linked anew.
 */
struct hmm_pick {
	struct __fixture_metadata fixture;
	struct __fixture_variant_metadata variant;
	struct hmm_pick *next;
};

extern char __data_start[], _end[];

/*
 * The copy must be shared with forks exactly if the original is. Newer harnesses share it
 * and pass results through it. Older ones have it in static memory, and their child stores
 * 0 to the pid that the parent waits for: if that were shared, the parent would wait for
 * nobody and report a pass.
 */
static struct __test_metadata *
hmm_copy_test(const struct __test_metadata *test)
{
	int is_static = (char *)test >= __data_start && (char *)test < _end;
	const char *seconds = getenv("HMM_TEST_SECONDS");
	struct __test_metadata *copy;

	copy = mmap(NULL, sizeof(*copy), PROT_READ | PROT_WRITE,
		    (is_static ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS, -1, 0);
	if (copy == MAP_FAILED)
		return NULL;
	*copy = *test;
	copy->next = NULL;
	copy->prev = copy;
	/* the caller knows how slow the machine is */
	if (seconds && atoi(seconds) > copy->timeout)
		copy->timeout = atoi(seconds);
	return copy;
}

static struct __fixture_metadata *
hmm_pick_one(const struct __fixture_metadata *fixture,
	     const struct __fixture_variant_metadata *variant,
	     const struct __test_metadata *test)
{
	struct hmm_pick *pick = calloc(1, sizeof(*pick));

	if (!pick)
		return NULL;
	pick->fixture = *fixture;
	pick->fixture.next = NULL;
	pick->fixture.tests = hmm_copy_test(test);
	if (!pick->fixture.tests)
		return NULL;
	pick->fixture.tests->fixture = &pick->fixture;
	if (variant) {
		pick->variant = *variant;
		pick->variant.next = NULL;
		pick->fixture.variant = &pick->variant;
	}
	return &pick->fixture;
}

/* List or link each wanted pair. Return: how many there are, or -1. */
static int hmm_select(char **globs, int list)
{
	struct __fixture_metadata *fixture, *head = NULL, **tail = &head, *one;
	struct __fixture_variant_metadata *variant;
	struct __test_metadata *test;
	char name[HMM_NAME_MAX];
	int count = 0;

	for (fixture = __fixture_list; fixture; fixture = fixture->next) {
		variant = fixture->variant;
		do {
			for (test = fixture->tests; test; test = test->next) {
				hmm_test_name(name, fixture, variant, test);
				if (!hmm_wanted(name, globs))
					continue;
				count++;
				if (list) {
					printf("%s\n", name);
					continue;
				}
				one = hmm_pick_one(fixture, variant, test);
				if (!one)
					return -1;
				*tail = one;
				tail = &one->next;
			}
			variant = variant ? variant->next : NULL;
		} while (variant);
	}
	if (!list)
		__fixture_list = head;
	return count;
}

#ifndef HMM_UPSTREAM_TESTS
/*
 * What the harness does before a test, and how it tells the result: as an exit status, or up
 * to 6.8 by flags.
 */
#ifdef HMM_RESULT_IS_STATUS
static void hmm_begin_test(struct __test_metadata *test)
{
	test->exit_code = KSFT_PASS;
}

static int hmm_test_skipped(const struct __test_metadata *test)
{
	return test->exit_code == KSFT_SKIP;
}

static int hmm_test_passed(const struct __test_metadata *test)
{
	return test->exit_code == KSFT_PASS;
}
#else
static void hmm_begin_test(struct __test_metadata *test)
{
	test->passed = 1;
	test->skip = 0;
	test->step = 1;
}

static int hmm_test_skipped(const struct __test_metadata *test)
{
	return test->skip;
}

static int hmm_test_passed(const struct __test_metadata *test)
{
	return test->passed;
}
#endif

/*
 * Runs a test in this process, which --serve has forked for it, and tells of it as the
 * harness does. The harness would fork once more, which takes an emulated guest as long as
 * many a test. A test that is to be killed by a signal is left to the harness.
 *
 * The original may be in memory that the server shares with all tests. So use a copy, or
 * the next variant would begin with the exit status of this one.
 *
 * Return: the exit status; -1 if the harness has to run it.
 */
static int hmm_run_served(const char *name, const struct __fixture_variant_metadata *variant,
			  const struct __test_metadata *original)
{
	struct __fixture_variant_metadata chosen = { .name = "" };
	struct __test_metadata *test = hmm_copy_test(original);
	struct __test_results *results;

	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!test || test->termsig != -1 || results == MAP_FAILED)
		return -1;
	if (variant)
		chosen = *variant;
	test->results = results;
	hmm_begin_test(test);
	test->fn(test, &chosen);
	if (hmm_test_skipped(test)) {
		printf("ok 1 %s # SKIP %s\n", name, *results->reason ? results->reason : "unknown");
		return 0;
	}
	printf("%s 1 %s\n", hmm_test_passed(test) ? "ok" : "not ok", name);
	return !hmm_test_passed(test);
}

/* The same for the test with this name; -1 also if there is none. */
static int hmm_run_named(const char *wanted)
{
	struct __fixture_variant_metadata *variant;
	struct __fixture_metadata *fixture;
	struct __test_metadata *test;
	char name[HMM_NAME_MAX];

	for (fixture = __fixture_list; fixture; fixture = fixture->next) {
		if (strncmp(wanted, fixture->name, strlen(fixture->name)))
			continue;
		variant = fixture->variant;
		do {
			for (test = fixture->tests; test; test = test->next) {
				hmm_test_name(name, fixture, variant, test);
				if (!strcmp(name, wanted))
					return hmm_run_served(name, variant, test);
			}
			variant = variant ? variant->next : NULL;
		} while (variant);
	}
	return -1;
}
#else
static int hmm_run_named(const char *wanted)
{
	return -1;
}
#endif /* HMM_UPSTREAM_TESTS */

int main(int argc, char **argv)
{
	char *harness_argv[2], *served[3] = { argv[0] };
	int list = 0, count, status;

	harness_argv[0] = argv[0];
	harness_argv[1] = NULL;
	setvbuf(stdout, NULL, _IOLBF, 0);

	if (argc == 2 && !strcmp(argv[1], "--serve")) {
		served[1] = hmm_serve();
		if (!served[1])
			return 0;
		status = hmm_run_named(served[1]);
		if (status >= 0)
			return status;
		argv = served;
	}
	if (argc > 1 && argv[1][0] == '-') {
		list = !strcmp(argv[1], "--list");
		if (!strcmp(argv[1], "--help")) {
			hmm_usage(argv[0]);
			return 0;
		}
		if (!list) {
			fprintf(stderr, "%s: unknown option %s; see --help\n",
				argv[0], argv[1]);
			return 2;
		}
		argv++;
		argc--;
	}
	if (argc == 1 && !list)
		return test_harness_run(1, harness_argv);

	count = hmm_select(argv + 1, list);
	if (count < 0) {
		fprintf(stderr, "%s: out of memory\n", argv[0]);
		return 2;
	}
	if (!count) {
		fprintf(stderr, "%s: no test matches; see --list\n",
			argv[0]);
		return 2;
	}
	return list ? 0 : test_harness_run(1, harness_argv);
}

/* Tell the harness in which order constructors run, if it asks. */
#if !defined(KSELFTEST_PRIO_TEST) && !defined(HMM_UPSTREAM_TESTS)
static void __attribute__((constructor)) __constructor_order_last(void)
{
	if (!__constructor_order)
		__constructor_order = _CONSTRUCTOR_ORDER_BACKWARD;
}
#endif

#endif /* HMM_MAIN_H */
