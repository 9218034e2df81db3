#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# A machine without static libraries, as Fedora has none of libnuma: programs are linked
# dynamically, and their libraries are in the guest's image. --check=noapt is about a whole machine.

load helper

setup_file() {
	default_kernel
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	own_cache
	mkdir bin
	# as gcc and ld end there; an empty libpthread.a can be missing, too
	cat > bin/gcc <<-'END'
		#!/bin/sh
		for word; do
			case $word in
			-static) echo '/usr/bin/ld: cannot find -lc' >&2; exit 1 ;;
			-lpthread) echo '/usr/bin/ld: cannot find -lpthread' >&2; exit 1 ;;
			-print-file-name=libpthread.*) echo "${word#*=}"; exit ;;
			esac
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

@test "a program of --stress without static libraries" {
	run "$RUN" -k "$KERNEL_BUILD" --stress fuzz --minutes 0.1
	echo "$output"
	# it has run, and tells that the driver of these tests does nothing
	grep -q 'stress.fuzz: no call of 0 worked' <<< "$output"
	grep -q ld-linux "$(cache)"/stress/*/fuzz
}

@test "a busybox that is linked dynamically" {
	apt-get download -q busybox || skip 'the package busybox can not be downloaded'
	dpkg-deb -x busybox_*.deb unpacked
	cp unpacked/bin/busybox bin/
	grep -q ld-linux bin/busybox
	printf 'int main(void) { return 0; }\n' > own.c
	run "$RUN" -k "$KERNEL_BUILD" own.c
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^ok    own ' <<< "$output"
}
