#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# "make deb": what it says if something is missing (--check=machine makes, installs and purges the
# packages); and "make tarball".

load helper

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	mkdir -p tree/tools/testing/selftests bin
	touch tree/tools/testing/selftests/lib.mk
	# without the tools of packages
	for name in bash sh make dirname uname cut git gcc; do
		ln -s "$(command -v "$name")" bin/
	done
}

@test "make deb without a tree" {
	run make -C "$ROOT" deb BUILD="$PWD/build"
	echo "$output"
	[ "$status" = 2 ]
	grep -q 'KSRC=DIR is wanted' <<< "$output"
}

@test "make deb without Debian's tools: the apt-get line" {
	PATH=$PWD/bin run make -C "$ROOT" deb KSRC="$PWD/tree" BUILD="$PWD/build"
	echo "$output"
	[ "$status" = 2 ]
	grep -q 'as root: apt-get install --no-install-recommends dpkg-dev debhelper dh-dkms' <<< "$output"
	[ ! -e build ]
}

@test "make tarball: a collection that another machine unpacks and lists" {
	default_kernel
	make -j "$(nproc)" -C "$ROOT" tarball KSRC="$KERNEL_SOURCE" BUILD="$PWD/build" > log 2>&1 || {
		tail log
		return 1
	}
	mkdir elsewhere
	tar -C elsewhere -xzf build/hmmirror-kselftest.tar.gz
	rm -r build
	run elsewhere/hmmirror-kselftest/run_kselftest.sh -l
	echo "$output"
	[ "$status" = 0 ]
	grep -qx 'hmmirror:walk_anon' <<< "$output"
	elsewhere/hmmirror-kselftest/hmmirror/walk_anon --list | grep -q '^walk_anon\.swapped\.snapshot$'
}
