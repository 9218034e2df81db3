#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# What a run looks like on a terminal.

load helper

setup_file() {
	default_kernel
}

# on_terminal COMMAND: what it shows on one, a line for each \r
on_terminal() {
	TERM=xterm script -qec "stty cols 80 rows 24; $1" /dev/null < /dev/null | tr '\r' '\n'
}

@test "on a terminal: colour, progress with time left, failures last" {
	local red=$'\e[1;31m' plain=$'\e[m'
	run on_terminal "HMMIRROR_GUESTS=1 $RUN fake.fail fake.splat fake.skip cell last.pass"
	echo "$output"
	grep -qF "${red}FAIL$plain  fake.fail " <<< "$output"
	grep -qF $'\e[32mok\e[m    last.pass ' <<< "$output"
	grep -qE '[1-5] of 6 tests, [12] failed, about [0-9]+ s left' <<< "$output"
	[[ $output == *$'\nfailed:\n'*'  fake.fail  # fake.c:1:Expected 1 (1) == 2 (2)'*'  fake.splat  the kernel: WARNING'*'logs: '*"3 passed, ${red}2 failed$plain, 1 skipped"* ]]
}

@test "NO_COLOR, and no terminal: no colour" {
	run on_terminal "NO_COLOR=1 $RUN fake.fail last.pass"
	echo "$output"
	grep -q 'FAIL  fake.fail ' <<< "$output"
	if grep -q $'\e\[[0-9;]*m' <<< "$output"; then return 1; fi
	TERM=xterm run "$RUN" fake.fail last.pass
	echo "$output"
	if grep -q $'\e' <<< "$output"; then return 1; fi
	if grep -q 'left$' <<< "$output"; then return 1; fi
}
