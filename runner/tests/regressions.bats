#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# The catalogue of known bugs: what is in it, and what can be asked of it wrongly.

load helper

setup_file() {
	default_kernel
}

# entry NAME LINE...: in a catalogue of this test's own
entry() {
	export HMMIRROR_TEST_CATALOGUE=$BATS_TEST_TMPDIR/regressions
	mkdir -p "$HMMIRROR_TEST_CATALOGUE/$1"
	printf '%s\n' "${@:2}" > "$HMMIRROR_TEST_CATALOGUE/$1/about"
}

@test "--reintroduce without a name" {
	bad_input '--reintroduce wants the name' "$RUN" --reintroduce
}

@test "an entry that is not there" {
	bad_input "no regression is called 'banana'" "$RUN" --reintroduce banana
	bad_input "no regression is called 'banana'" "$RUN" --regressions 'hmm-*' banana
}

@test "--reintroduce with another mode" {
	bad_input 'exclude each other' "$RUN" --reintroduce all --upstream
	bad_input 'exclude each other' "$RUN" --regressions --reintroduce all
}

@test "--reintroduce with a kernel that is built" {
	bad_input '-k takes a source tree or a release' "$RUN" --reintroduce all -k "$KERNEL_BUILD"
}

@test "an entry that does not go with the kernel" {
	entry old 'files: mm/hmm.c' 'tests: fake' 'kernels: 4.20'
	bad_input 'none of these can be reintroduced' "$RUN" --reintroduce old -k "$KERNEL_SOURCE"
}

@test "a bug is only looked for where its test passes" {
	entry broken 'files: mm/hmm.c' 'tests: fake.fail' \
		"kernels: $(sed -n 's/^VERSION = //p' "$KERNEL_SOURCE/Makefile").$(
			sed -n 's/^PATCHLEVEL = //p' "$KERNEL_SOURCE/Makefile")"
	run "$RUN" --reintroduce broken -k "$KERNEL_SOURCE"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *'NOT CAUGHT  broken'*'without the bug: FAIL fake.fail'* ]]
	[ "${lines[-1]}" = '0 caught, 1 not caught' ]
}

# check NAME fixed|bug: what the entry's check says of any kernel
check() {
	printf 'file: mm/hmm.c\n%s: hmm_range_fault\n' "$2" > "$HMMIRROR_TEST_CATALOGUE/$1/check"
}

# signature NAME TEST SYMPTOM
signature() {
	printf 'recorded: 1.0\n%s\n\t1.0  %s\n' "$2" "$3" > "$HMMIRROR_TEST_CATALOGUE/$1/signature"
}

FAKE='assertion  Expected 1 (1) == 2 (2)'

logs_of() {
	sed -n 's/^logs: //p' <<< "$output"
}

@test "--regressions says of each entry whether the kernel has it" {
	entry good 'tests: fake.pass'
	check good fixed
	entry unseen 'tests: fake.pass'
	entry bad 'tests: fake.fail fake.pass'
	check bad bug
	signature bad fake.fail "$FAKE"
	entry other 'tests: fake.die'
	signature other fake.die 'signal  11'
	entry absent 'tests: fake.skip'
	entry unbuilt 'tests: fake.pass' 'needs: CONFIG_BANANA'
	run "$RUN" --regressions -k "$KERNEL_BUILD"
	echo "$output"
	[ "$status" = 1 ]
	grep -q '^fixed  *good  *1 passed, 0 skipped; the source has the fix$' <<< "$output"
	grep -q '^looks fixed  *unseen  *1 passed, 0 skipped; the entry has no check' <<< "$output"
	grep -q '^present  *bad  *fake.fail; the source has the bug$' <<< "$output"
	grep -q '^cannot be told here  *other  *fake.die fails in another way;' <<< "$output"
	grep -q '^cannot be told here  *absent  *1 skipped: no such thing here;' <<< "$output"
	grep -q '^cannot be told here  *unbuilt  .*built without CONFIG_BANANA' <<< "$output"
	grep -q '^6 entries: 1 present, 1 fixed, 1 looks fixed, 3 cannot be told here$' <<< "$output"
	[ "${lines[-1]}" = '1 passed, 2 failed, 1 skipped' ]
	jq -e '.cells[0].regressions | map(select(.entry == "bad"))[0].answer == "present"' \
		"$(logs_of)/results.json"
}

@test "a failure that is a known bug gets its name, and no other does" {
	entry one 'tests: fake.fail' 'fix: mm: fix one' 'commit: 0123456789abcdef'
	check one bug
	signature one fake.fail "$FAKE"
	entry two 'tests: fake.splat' 'fix: mm: fix two' 'commit: unverified'
	signature two fake.splat 'report  WARNING: mm/fake.c | fake'
	entry wrong 'tests: fake.die' 'fix: mm: fix wrong'
	signature wrong fake.die 'signal  11'
	run "$RUN" -k "$KERNEL_BUILD" fake.fail fake.splat fake.die fake.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "$(tail -n 13 <<< "$output" | head -n 7)" = \
'1 failure is a known bug of the kernel:
  one   fake.fail
    fix: mm: fix one (0123456789ab)
1 failure looks like a known bug of the kernel:
  two   fake.splat
    fix: mm: fix two
1 failure is not explained by any known bug' ]
	[ "${lines[-1]}" = '1 passed, 3 failed, 0 skipped' ]
	jq -e '.cells[0].diagnosis | .unexplained == ["fake.die"] and
		.bugs[0] == {entry: "one", word: "is", fix: "mm: fix one",
			commit: "0123456789abcdef", tests: ["fake.fail"]}' "$(logs_of)/results.json"
	jq -e '.cells[0].tests | map(select(.bugs == ["two"])) | length == 1' \
		"$(logs_of)/results.json"
	xmllint --noout "$(logs_of)/junit.xml"
	grep -q '<failure message="" type="one">' "$(logs_of)/junit.xml"
	grep -q 'known bug of the kernel' "$(logs_of)/summary"
}

@test "--known: an entry's and a test's failures do not count" {
	entry one 'tests: fake.fail' 'fix: mm: fix one'
	signature one fake.fail "$FAKE"
	printf '%s\n' '# for our release' 'one fixed in the next one' 'fake.die on our list' \
		'fake.pass was red' > "$BATS_TEST_TMPDIR/known"
	run "$RUN" -k "$KERNEL_BUILD" --known "$BATS_TEST_TMPDIR/known" fake.fail fake.die fake.pass
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^XFAIL  fake.fail .*  fixed in the next one$' <<< "$output"
	grep -q '^XFAIL  fake.die .*  on our list  killed by signal 6$' <<< "$output"
	grep -q '^.*/known:4: fake.pass passes; the line can go$' <<< "$output"
	[ "${lines[-1]}" = '1 passed, 0 failed, 0 skipped, 2 xfail' ]
	jq -e '.xfail == 2 and .failed == 0 and
		(.cells[0].tests | map(select(.result == "xfail")) | length == 2)' \
		"$(logs_of)/results.json"
	grep -q '  ok [0-9]* fake.die # XFAIL on our list' "$(logs_of)/results.ktap"

	# what is not in the file still counts, and -x does not end at what is
	run "$RUN" -k "$KERNEL_BUILD" --known "$BATS_TEST_TMPDIR/known" -x fake.die fake.lies
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '0 passed, 1 failed, 0 skipped, 1 xfail' ]
}

@test "--known: what is wrong with the file is said with its line" {
	entry one 'tests: fake.fail'
	known=$BATS_TEST_TMPDIR/known
	bad_input "--known /nowhere: it cannot be read" "$RUN" --known /nowhere
	printf 'one soon\nfake.die\n' > "$known"
	bad_input "known:2: 'fake.die' has no reason" "$RUN" -k "$KERNEL_BUILD" --known "$known"
	printf 'one soon\n\nbanana soon\n' > "$known"
	bad_input "known:3: 'banana' is neither an entry of regressions/ nor a test" \
		"$RUN" -k "$KERNEL_BUILD" --known "$known"
	bad_input '--known is for tests, and not for --shell' "$RUN" --shell --known "$known"
}

@test "--flaky: what passes when it is run again does not count, unless the kernel reported" {
	entry one 'tests: nothing'
	run "$RUN" -k "$KERNEL_BUILD" --flaky 2 again.marks again.fails fake.pass
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^FLAKY  again.fails .*passed 2 of 2 times when run again$' <<< "$output"
	[ "${lines[-1]}" = '2 passed, 0 failed, 0 skipped, 1 flaky' ]
	jq -e '.flaky == 1 and (.cells[0].tests | map(select(.result == "flaky"))[0] |
		.again == 2 and .passed_again == 2)' "$(logs_of)/results.json"
	grep -q '<flakyFailure' "$(logs_of)/junit.xml"

	run "$RUN" -k "$KERNEL_BUILD" --flaky 2 fake.splat fake.fail
	echo "$output"
	[ "$status" = 1 ]
	grep -q '^FAIL  fake.fail .*passed 0 of 2 times when run again$' <<< "$output"
	if grep -q '^FAIL  fake.splat .*when run again$' <<< "$output"; then return 1; fi
	[ "${lines[-1]}" = '0 passed, 2 failed, 0 skipped' ]

	bad_input '--flaky 0: a number is wanted' "$RUN" --flaky 0
	bad_input '--flaky and --repeat exclude each other' "$RUN" --flaky 2 --repeat 2
	bad_input '--confusion goes with --reintroduce' "$RUN" --confusion
}

@test "--reintroduce records how the tests fail with a bug" {
	unset HMMIRROR_TEST_SUITE HMMIRROR_TEST_DRIVER
	export HMMIRROR_TEST_CATALOGUE=$BATS_TEST_TMPDIR/regressions
	mkdir "$HMMIRROR_TEST_CATALOGUE"
	cp -r "$ROOT/regressions/hmm-special-no-fault" "$HMMIRROR_TEST_CATALOGUE"
	signature=$HMMIRROR_TEST_CATALOGUE/hmm-special-no-fault/signature
	rm -f "$signature"
	run "$RUN" --reintroduce all -k "$KERNEL_SOURCE"
	echo "$output"
	[ "$status" = 0 ]
	cat "$signature"
	grep -q '^recorded: [0-9.]*$' "$signature"
	grep -q '^walk_vm_special.mixed_special.read_fault$' "$signature"
	grep -q '^	[0-9.]*  assertion  .*Expected' "$signature"
}

@test "the checks tell the default kernel's source from one with the bug" {
	mkdir "$BATS_TEST_TMPDIR/source"
	ln -s "$KERNEL_SOURCE" "$BATS_TEST_TMPDIR/source/linux-$(
		sed -n 's/^VERSION = //p' "$KERNEL_SOURCE/Makefile").$(
		sed -n 's/^PATCHLEVEL = //p' "$KERNEL_SOURCE/Makefile")"
	cd "$ROOT"
	run python3 -m runner.tests.source_checks "$BATS_TEST_TMPDIR/source"
	echo "$output"
	[ "$status" = 0 ]
	[[ ${lines[-1]} == *', 0 problems' ]]
}

@test "every entry says all that it must" {
	local about key
	for about in "$ROOT"/regressions/*/about; do
		for key in symptom cause fix commit affected files tests kernels; do
			grep -q "^$key: ." "$about" || { echo "$about: no $key"; return 1; }
		done
		for key in bug.cocci check; do
			# what nobody has fixed cannot be brought back
			[ $key = bug.cocci ] && grep -q '^kernels: none$' "$about" && continue
			[ -s "${about%/about}/$key" ] || { echo "$about: no $key"; return 1; }
		done
	done
}
