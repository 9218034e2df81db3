#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# A machine without static libraries, as Fedora has none of libnuma: programs are linked
# dynamically, and their libraries are in the guest's image.

load helper

setup_file() {
	default_kernel
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	own_cache
	mkdir bin
	# as gcc and ld end there
	cat > bin/gcc <<-'END'
		#!/bin/sh
		for word; do
			[ "$word" != -static ] || { echo '/usr/bin/ld: cannot find -lc' >&2; exit 1; }
		done
		exec /usr/bin/gcc "$@"
	END
	chmod +x bin/gcc
	export PATH=$PWD/bin:$PATH
}

@test "the agent and a program of the user's own without static libraries" {
	cat > own.c <<-'END'
		#include "hmmirror_lib.h"
		#include <numa.h>
		int main(void) { return numa_available() < 0; }
	END
	run "$RUN" -k "$KERNEL_BUILD" own.c
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^ok    own ' <<< "$output"
	grep -q ld-linux "$(cache)"/agent/*/agent
}
