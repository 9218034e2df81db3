#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# --format: results for other programs, on standard output and in files.
# shellcheck disable=SC2154 # bats sets status, output, stderr and lines

load helper

setup_file() {
	default_kernel
}

setup() {
	cd "$BATS_TEST_TMPDIR" || return
}

@test "--format on standard output has nothing else there" {
	run --separate-stderr "$RUN" --format ktap fake.fail fake.skip last.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[0]}" = 'KTAP version 1' ]
	grep -q '^  not ok 1 fake.fail$' <<< "$output"
	grep -q '^  ok 2 fake.skip # SKIP no such thing here$' <<< "$output"
	[[ ${lines[-1]} == 'not ok 1 '* ]]
	[[ $stderr == *'FAIL  fake.fail '*'1 passed, 1 failed, 1 skipped' ]]
	python3 "$KERNEL_SOURCE/tools/testing/kunit/kunit.py" parse <<< "$output" > parsed || true
	grep -q 'Ran 3 tests: passed: 1, failed: 1, skipped: 1' parsed
}

@test "--format into files, each in its own format" {
	run "$RUN" --format junit:j.xml --format json:r.json --format tap:t.tap --format lava:l.sh \
		--format=kcidb:k.json fake.fail fake.skip last.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '1 passed, 1 failed, 1 skipped' ]
	[ "$(xmllint --xpath 'count(//failure)' j.xml)" = 1 ]
	[ "$(jq -r '"\(.passed) \(.failed) \(.skipped)"' r.json)" = '1 1 1' ]
	[ "$(jq -r '[.tests[].status] | join(" ")' k.json)" = 'FAIL SKIP PASS' ]
	[[ $(prove -e cat t.tap) == *'Failed 1/3 subtests'* ]]
	grep -q '^lava-test-case fake.fail --result fail ' l.sh
}

@test "results.json names the source, the compiler, the config, QEMU and the command line" {
	run --separate-stderr "$RUN" -k "$KERNEL_BUILD" --format json last.pass
	[ "$status" = 0 ]
	jq . <<< "$output"
	[ "$(jq -r .cells[0].config_hash <<< "$output")" = "$(sha256sum "$KERNEL_BUILD/.config" | cut -d' ' -f1)" ]
	[[ $(jq -r .cells[0].compiler <<< "$output") == gcc* ]]
	[[ $(jq -r .cells[0].qemu <<< "$output") == 'QEMU emulator version '* ]]
	[[ $(jq -r .cells[0].accelerator <<< "$output") =~ ^(kvm|tcg)$ ]]
	[ "$(jq -r .command <<< "$output")" = "./run_tests.sh -k $KERNEL_BUILD --format json last.pass" ]
}

@test "--format of a kernel that cannot be run says so" {
	run --separate-stderr "$RUN" -k /nowhere --format ktap last.pass
	echo "$output"
	[ "$status" = 2 ]
	grep -q '^  # unknown kernel: /nowhere' <<< "$output"
	grep -q '^  not ok 1 run$' <<< "$output"
}

@test "--format that is not one, or cannot be written" {
	bad_input '--format banana: there is no such format' "$RUN" --format banana
	bad_input '--format needs a value' "$RUN" --format
	bad_input 'two formats on standard output' "$RUN" --format tap --format ktap
	bad_input 'cannot write to /nowhere' "$RUN" --format tap:/nowhere/x
	bad_input '--format is for tests, and not for --shell' "$RUN" --format tap --shell
	HMMIRROR_KCIDB_ORIGIN=X bad_input 'HMMIRROR_KCIDB_ORIGIN=X' "$RUN" --format kcidb:x
}
