// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel log, in which the host looks for reports. After a test under which
 * something was logged a mark follows, with the name of the test. A mark before
 * each test would say the same, and take a millisecond on an emulated console.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

#define MARK		"hmmirror-test: "
/* The longest record that the kernel gives. */
#define RECORD_SIZE	8192

static int read_fd = -1;
static char current[512];

/*
 * Opens the log for each mark: without printk.devkmsg=on, which a user's machine lacks,
 * the kernel drops all but ten lines of an open file in five seconds.
 */
static void mark(const char *what, const char *name)
{
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char buf[sizeof(current) + 64];
	int n = snprintf(buf, sizeof(buf), "<4>" MARK "%s %s\n", what, name);

	if (n > 0 && n < (int)sizeof(buf) && write(fd, buf, n) < 0)
		errno = 0;	/* no log: the host goes by the time alone */
	if (fd >= 0)
		close(fd);
}

/*
 * The kernel warns of most things once a boot (WARN_ON_ONCE()). Without this only the first
 * test that reaches one would fail, which depends on the order of the tests.
 */
static void let_kernel_warn_again(void)
{
	int fd = open("/sys/kernel/debug/clear_warn_once", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		errno = 0;	/* a later test may then miss its warning */
	if (fd >= 0)
		close(fd);
}

/* Was anything logged since the last call, but for marks? */
static int has_news(void)
{
	char record[RECORD_SIZE + 1], *text;
	int news = 0, warned = 0;
	ssize_t n;

	while ((n = read(read_fd, record, RECORD_SIZE)) > 0 || errno == EPIPE) {
		/* EPIPE: so much was logged that some of it is lost */
		record[n > 0 ? n : 0] = '\0';
		text = strchr(record, ';');
		news |= !text || !starts_with(text + 1, MARK);
		warned |= !!strstr(record, "WARNING: ");
		errno = 0;
	}
	/* on a machine with other users each warning is for them, too */
	if (warned && options.alone)
		let_kernel_warn_again();
	return news;
}

void log_open(void)
{
	read_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (read_fd >= 0)
		lseek(read_fd, 0, SEEK_END);
	/* what comes from here on waits for the name of a test */
	mark("begin", "tests");
}

/* From here on all belongs to @test, and what has come since the last test to that. */
void log_begin(const char *test)
{
	log_end();
	snprintf(current, sizeof(current), "%s", test);
}

/* All that was logged so far and is not marked yet belongs to the test that runs or ran last. */
void log_end(void)
{
	errno = 0;
	if (has_news() && *current)
		mark("under", current);
}
