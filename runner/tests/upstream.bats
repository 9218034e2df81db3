#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# --upstream GLOB: some of the kernel's own tests; and the settings of huge pages under which
# they and the suite run.

load helper

setup_file() {
	default_kernel
	unset HMMIRROR_TEST_DRIVER HMMIRROR_TEST_SUITE
}

setup() {
	unset HMMIRROR_TEST_DRIVER HMMIRROR_TEST_SUITE
	cd "$BATS_TEST_TMPDIR" || return
}

@test "--upstream picks tests by name, of the kernel's tree or of one that is named" {
	local words
	for words in --upstream "--upstream=$KERNEL_SOURCE"; do
		run "$RUN" -k "$KERNEL_BUILD" "$words" 'hmm*exclusive*' -x
		echo "$output"
		[ "$status" = 0 ]
		[[ ${lines[-1]} =~ ^[1-9][0-9]*' passed, 0 failed' ]]
		[ "$(grep -cE '^(ok|SKIP) ' <<< "$output")" = "$(grep -cE '^(ok|SKIP) .*exclusive' <<< "$output")" ]
	done
}

@test "-c thp-always and -c thp-never set what they say" {
	local word
	cat > show.c <<- 'END'
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>

		int main(int argc, char **argv)
		{
			FILE *file = fopen("/sys/kernel/mm/transparent_hugepage/enabled", "r");
			char line[64] = "";

			if (argc != 2 || !file || !fgets(line, sizeof(line), file))
				return 2;
			printf("huge pages: %s", line);
			return !strstr(line, argv[1]);
		}
	END
	for word in always never; do
		run "$RUN" -k "$KERNEL_BUILD" -c "thp-$word" --exec show.c "[$word]"
		echo "$output"
		[ "$status" = 0 ]
		grep -q "huge pages: .*\[$word\]" <<< "$output"
	done
}
