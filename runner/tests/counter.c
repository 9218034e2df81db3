// SPDX-License-Identifier: GPL-2.0
/*
 * Stands in for bench/hmm_count.c in the tests of the runner: its operation "loop" takes 3 %
 * more instructions on a kernel whose command line has fake=slow.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "hmm_count.h"

int main(int argc, char **argv)
{
	unsigned long rounds = 100000, i;
	char words[4096] = "";
	__u64 begun;
	int fd;

	if (argc == 2 && !strcmp(argv[1], "list")) {
		puts("loop");
		return 0;
	}
	fd = open("/proc/cmdline", O_RDONLY);
	if (fd >= 0 && read(fd, words, sizeof(words) - 1) > 0 && strstr(words, "fake=slow"))
		rounds += rounds * 3 / 100;
	begun = hmm_count_begin();
	for (i = 0; i < rounds; i++)
		asm volatile("");
	printf("count loop 1048576 %llu\n", (unsigned long long)hmm_count_end(begun));
	return 0;
}
