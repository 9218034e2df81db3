#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make check: everything that can be said about this checkout, on the default kernel;
# "check.sh all" on each packaged one. Closes with the totals of all of it.
# shellcheck disable=SC2034 # variables of the parts
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
PROG='make check'
RUN=$ROOT/run_tests.sh

# shellcheck source-path=SCRIPTDIR
. "$ROOT/scripts/common.sh"
. "$ROOT/scripts/packages.sh"
. "$ROOT/scripts/aptroot.sh"
. "$ROOT/scripts/sources.sh"
. "$ROOT/scripts/fragments.sh"
. "$ROOT/scripts/distro.sh"
. "$ROOT/scripts/kernel.sh"
. "$ROOT/scripts/build.sh"
. "$ROOT/scripts/vm.sh"
. "$ROOT/scripts/native.sh"
. "$ROOT/scripts/coverage.sh"

# the builds choose their own -j
unset MAKEFLAGS MAKELEVEL MFLAGS

# two minutes of tests, of all that the driver does
DEBUG_TESTS=(fail_nth 'hostile*' 'global.*' migrate_held 'events*' exclusive copy mirror fork plant)

OK=0
BAD=0
SKIP=0
SUMMARY=()

part() {
	printf '\n== %s ==\n' "$1"
	PART=$1
	PART_START=$SECONDS
	PART_WAS=("$OK" "$BAD" "$SKIP")
}

part_end() {
	SUMMARY+=("$(printf '%-12s %4d passed, %3d failed, %3d skipped  %5d s' "$PART" \
		$((OK - PART_WAS[0])) $((BAD - PART_WAS[1])) $((SKIP - PART_WAS[2])) \
		$((SECONDS - PART_START)))")
}

# try WHAT COMMAND...: one test; what it prints is shown if it fails
try() {
	local what=$1 out
	shift
	if out=$("$@" 2>&1); then
		OK=$((OK + 1))
		printf 'ok    %s\n' "$what"
	else
		BAD=$((BAD + 1))
		printf 'FAIL  %s\n' "$what"
		printf '%s\n' "$out" | head -n 40 | sed 's/^/      /'
	fi
}

# add "N passed, N failed, N skipped"
add() {
	if [[ $1 =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed,\ ([0-9]+)\ skipped$ ]]; then
		OK=$((OK + BASH_REMATCH[1]))
		BAD=$((BAD + BASH_REMATCH[2]))
		SKIP=$((SKIP + BASH_REMATCH[3]))
	else
		BAD=$((BAD + 1))
		echo "FAIL  $PART: it did not come to an end"
	fi
}

check_shell() {
	local file
	part shellcheck
	try run_tests.sh shellcheck -x "$ROOT/run_tests.sh"
	try guest/init shellcheck -s sh "$ROOT/guest/init"
	try .ci/run shellcheck "$ROOT/.ci/run"
	# each part by itself as well; what its notes ask about is in the other parts
	for file in "$ROOT"/scripts/*.sh "$ROOT"/scripts/tests/*.bats; do
		try "${file#"$ROOT"/}" shellcheck -x -S warning "$file"
	done
	part_end
}

# style FILE: BIT() and __printf() are the kernel's own; neither its exported
# headers nor programs have them. What checkpatch knows of a tree is of no use here.
style() {
	local ignore=
	case $1 in
	"$ROOT"/driver/uapi/*) ignore=BIT_MACRO ;;
	"$ROOT"/driver/*) ;;
	*) ignore=BIT_MACRO,PREFER_DEFINED_ATTRIBUTE_MACRO ;;
	esac
	perl "$K_SRC/scripts/checkpatch.pl" --strict --no-tree --no-summary --terse \
		--show-types ${ignore:+--ignore "$ignore"} -f "$1"
}

check_style() {
	local file
	part checkpatch
	while read -r file; do
		try "${file#"$ROOT"/}" style "$file"
	done < <(find "$ROOT/driver" "$ROOT/lib" "$ROOT/selftests" "$ROOT/stress" "$ROOT/scripts" \
		-name '*.[ch]' | LC_ALL=C sort)
	part_end
}

# clean_build ARG...: a fresh build of the driver that says nothing about it
clean_build() {
	local dir=$TMP/driver
	rm -rf "$dir"
	cp -r "$ROOT/driver" "$dir"
	make -C "$dir" KDIR="$K_BUILD" -j"$JOBS" "$@" > "$TMP/out" 2>&1 || {
		tail -n 20 "$TMP/out"
		return 1
	}
	! grep -vE '^make' "$TMP/out" | grep -E 'warning:|error:'
}

check_build() {
	local kernel
	part build
	new_tmp check
	CHECK_TMP=$TMP
	for kernel in "${RELEASES[@]}"; do
		resolve_kernel "$kernel"
		prepare_kernel ''
		TMP=$CHECK_TMP
		try "driver for $K_NAME, W=1" clean_build W=1
		try "driver for $K_NAME, sparse" clean_build C=2
	done
	part_end
}

# run_part NAME COMMAND...: a command that closes with totals
run_part() {
	local out status
	part "$1"
	shift
	new_tmp part
	out=$TMP/part
	"$@" 2>&1 < /dev/null | tee "$out"
	status=${PIPESTATUS[0]}
	add "$(tail -n 1 "$out")"
	# a kernel on which nothing could be run has no failed test
	((status < 2)) || { BAD=$((BAD + 1)); echo "FAIL  $PART: it ended with status $status"; }
	part_end
}

check_runner() {
	local out bad
	part runner
	new_tmp bats
	out=$TMP/bats
	bats --formatter tap "$ROOT/scripts/tests" 2>&1 < /dev/null | tee "$out"
	bad=$(grep -c '^not ok' "$out")
	OK=$((OK + $(grep -c '^ok .*' "$out") - $(grep -c '^ok .*# skip' "$out")))
	SKIP=$((SKIP + $(grep -c '^ok .*# skip' "$out")))
	BAD=$((BAD + bad))
	# bats that did not run at all must not count as green
	grep -q '^1\.\.[1-9]' "$out" || BAD=$((BAD + 1))
	part_end
}

init_common
need "$NEEDS_CHECK"
resolve_kernel ''
RELEASES=('')
case ${1:-} in
all) all_releases ;;
?*) die "unknown: $1; it is scripts/check.sh or scripts/check.sh all" ;;
esac
check_shell
check_style
if [ "${1:-}" = all ]; then
	run_part suite "$RUN" -k all
	run_part upstream "$RUN" -k all --upstream
	# the newest tests, on kernels that are older
	run_part newest "$RUN" -k all --upstream="${RELEASES[-1]}"
else
	run_part suite "$RUN"
	run_part upstream "$RUN" --upstream
fi
run_part stress "$RUN" --stress all --minutes 0.3
run_part soak "$RUN" --stress soak --minutes 0.3
if [ "${1:-}" = all ]; then
	# a kernel of its own, which takes long to build; and each guest of it long to look
	# for leaks, so there is one
	HMMIRROR_GUESTS=1 run_part debug "$RUN" -c debug "${DEBUG_TESTS[@]}"
fi
check_build
check_runner

printf '\n'
printf '%s\n' "${SUMMARY[@]}"
printf '%s passed, %s failed, %s skipped\n' "$OK" "$BAD" "$SKIP"
[ "$BAD" = 0 ]
