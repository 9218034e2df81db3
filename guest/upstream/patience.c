// SPDX-License-Identifier: GPL-2.0
/*
 * The harness gives a test of hmm-tests 30 s, too few for a kernel that looks for its own
 * mistakes under emulation. Linked with -Wl,--wrap=alarm and -Wl,--wrap=poll, by one of
 * which the harness waits: it has as long as the runner gives, and a moment less, so that
 * it goes on with the next test.
 */
#include <stdlib.h>

#include "patience.h"

#define MOMENT	5

static int at_least(int seconds)
{
	const char *given = getenv("HMM_TEST_SECONDS");
	int most = given ? atoi(given) - MOMENT : 0;

	return most > seconds ? most : seconds;
}

unsigned int __wrap_alarm(unsigned int seconds)
{
	return __real_alarm(seconds ? at_least(seconds) : 0);
}

int __wrap_poll(struct pollfd *fds, nfds_t nr, int ms)
{
	return __real_poll(fds, nr, ms >= 1000 ? at_least(ms / 1000) * 1000 : ms);
}
