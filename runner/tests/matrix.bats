#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# Several kernels and configs in one run.
# shellcheck disable=SC2154 # bats sets status, output and lines

load helper

setup_file() {
	default_kernel
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
	printf '# guest: append=fake=fail\n' > fails.config
	printf '# guest: append=fake=skip\n' > skips.config
}

# json FILTER: of the last run's results
json() {
	jq -r "$1" "$LOGS/results.json"
}

# logs_of_run: sets LOGS
logs_of_run() {
	LOGS=$(grep '^logs: ' <<< "$output")
	LOGS=${LOGS#logs: }
}

@test "two cells: what differs stands out, JSON and JUnit have it all" {
	run "$RUN" -k "$KERNEL_BUILD" -c skips.config -c fails.config cell fake.pass last.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '6 passed, 1 failed, 1 skipped' ]
	logs_of_run
	grep -qF '  cell.fails  FAIL build fails.config; ok build skips.config' <<< "$output"
	grep -qF '      # fake.c:1:Expected 1 (1) == 2 (2)' <<< "$output"
	grep -qF '  1 test: SKIP build skips.config; ok build fails.config' <<< "$output"
	[ "$(json '.cells | length')" = 2 ]
	[ "$(json '.cells[1] | "\(.state) \(.passed) \(.failed) \(.skipped)"')" = 'done 3 1 0' ]
	[ "$(json '.passed + .failed + .skipped')" = 8 ]
	[ "$(json '[.differences[].test] | join(" ")')" = 'cell.fails cell.skips' ]
	[ "$(json '.cells[0].tests[] | select(.name == "cell.skips").reason')" = 'no such thing here' ]
	xmllint --noout "$LOGS/junit.xml"
	[ "$(xmllint --xpath 'count(//testcase)' "$LOGS/junit.xml")" = 8 ]
	[ "$(xmllint --xpath 'count(//failure)' "$LOGS/junit.xml")" = 1 ]
	[ "$(xmllint --xpath 'count(//skipped)' "$LOGS/junit.xml")" = 1 ]
	grep -q '^cell.skips$' "$LOGS/differences"
	[ -s "$LOGS/build_fails.config/console.1" ]
}

@test "one kernel leaves JSON and JUnit too, whatever its tests print" {
	run "$RUN" --timeout 3 fake.fail fake.flood fake.die last.pass
	logs_of_run
	echo "$output"
	[ "$(json '.cells[0] | "\(.state) \(.passed) \(.failed)"')" = 'done 1 3' ]
	xmllint --noout "$LOGS/junit.xml"
	[ "$(xmllint --xpath 'count(//failure)' "$LOGS/junit.xml")" = 3 ]
}

@test "a cell that cannot be run: reason, status 2, the others are run" {
	run "$RUN" -k "$KERNEL_BUILD" -k /nowhere last.pass
	echo "$output"
	[ "$status" = 2 ]
	[ "${lines[-1]}" = '1 passed, 0 failed, 0 skipped' ]
	grep -q '^nowhere cannot be run: unknown kernel: /nowhere' <<< "$output"
	logs_of_run
	[ "$(json '.cells[1] | "\(.state) \(.reason)"')" != 'failed ' ]
	[ "$(xmllint --xpath 'count(//error)' "$LOGS/junit.xml")" = 1 ]
}

@test "the table on a terminal" {
	TERM=xterm script -qec "stty cols 80 rows 24; $RUN -k $KERNEL_BUILD -c skips.config -c fails.config cell" out || true
	cat out
	# two tests can be over between two looks at them
	grep -qE 'build .*(booting|testing [0-9]+ of 2)' out
	grep -q 'build .*skips.config *1 *0 *1 .*done' out
	tr -d '\r' < out | grep -qx $'2 passed, \e\\[1;31m1 failed\e\\[m, 1 skipped'
}

@test "Ctrl-C ends all cells" {
	local pid
	env --default-signal=INT "$RUN" -k "$KERNEL_BUILD" -c skips.config -c fails.config fake.hang > out 2>&1 &
	pid=$!
	wait_for 60 grep -q testing out
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	cat out
	[ "$status" = 130 ]
	if pgrep -fa "$(cache)/tmp/work.*/initramfs" | grep "$BATS_TEST_TMPDIR"; then return 1; fi
	if pgrep -fa -- "run_tests.sh .*-c fails.config"; then return 1; fi
}

@test "-k all is what linux-source stands for in each suite" {
	[ -e "$(cache)/apt/updated" ] || skip 'the lists of other suites are not there yet'
	PYTHONPATH=$ROOT run --separate-stderr python3 -c '
import asyncio
from runner.__main__ import ROOT, find_cache
from runner.host import Host
from runner.matrix import expand
from runner.terminal import Terminal
terminal = Terminal()
print(*asyncio.run(expand(Host(ROOT, find_cache(terminal), terminal), ["all"])))'
	echo "$output"
	[ "$status" = 0 ]
	[[ ${lines[-1]} =~ ^5\.10\ 6\.1\ 6\.12( [0-9.]+)+$ ]]
}
