# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Common to the tests of the runner: the built default kernel, a driver that does
# nothing, and a suite whose tests end in every way.
# shellcheck disable=SC2154 # bats sets status, output and lines

bats_require_minimum_version 1.5.0
ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
export RUN=$ROOT/run_tests.sh
export HMMIRROR_TEST_DRIVER=$ROOT/runner/tests/driver
export HMMIRROR_TEST_SUITE=$ROOT/runner/tests/suite

# default_kernel: sets KERNEL_BUILD and KERNEL_SOURCE, built before if need be
default_kernel() {
	local out
	out=$(PYTHONPATH=$ROOT python3 -m runner.tests.default_kernel) || return
	export KERNEL_BUILD=${out% *} KERNEL_SOURCE=${out#* }
}

# own_cache: an empty cache for this test
own_cache() {
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	mkdir -p "$XDG_CACHE_HOME"
}

cache() {
	echo "${XDG_CACHE_HOME:-$HOME/.cache}/hmmirror"
}

# git_identity: an author for the commits that a test makes
git_identity() {
	export GIT_AUTHOR_NAME='A Developer' GIT_AUTHOR_EMAIL=dev@example.org
	export GIT_COMMITTER_NAME='A Developer' GIT_COMMITTER_EMAIL=dev@example.org
}

# own_repository: a folder for this test, with REPO for a history in it
own_repository() {
	REPO=$BATS_TEST_TMPDIR/repo
	cd "$BATS_TEST_TMPDIR" || return
}

# history WORD...: a commit in REPO for each, with the tags c1, c2, ...; in place of
# the kernel of such a revision the default one boots, and acts upon the word
history() {
	local word n=0
	export HMMIRROR_TEST_BUILT=$KERNEL_BUILD
	git init -q "$REPO"
	for word; do
		n=$((n + 1))
		printf '%s\n' "$word" > "$REPO/word"
		printf '%s\n' "$n" > "$REPO/n"
		git -C "$REPO" add -A
		git -C "$REPO" commit -q -m "commit $n: $word"
		git -C "$REPO" tag "c$n"
	done
}

# bad_input TEXT COMMAND...: status 2, one line that begins as all do and has TEXT
bad_input() {
	local text=$1
	shift
	run "$@"
	echo "$output"
	[ "$status" = 2 ]
	[[ ${lines[-1]} == 'run_tests.sh: '*"$text"* ]]
	[ "$(grep -c '^run_tests.sh: ' <<< "$output")" = 1 ]
}

# nothing_left PID: no QEMU of that run, nothing temporary in the cache
nothing_left() {
	if pgrep -fa "$(cache)/tmp/.*[.]$1/"; then return 1; fi
	[ -z "$(find "$(cache)/tmp" -mindepth 1 -name "*.$1")" ]
}

# wait_for SECONDS COMMAND...
wait_for() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.2
	done
}
