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

@test "--regressions names the entries" {
	entry good 'tests: fake.pass'
	entry bad 'tests: fake.fail fake.pass'
	entry absent 'tests: fake.skip'
	run "$RUN" --regressions -k "$KERNEL_BUILD"
	echo "$output"
	[ "$status" = 1 ]
	[[ $output == *'ok    good '*'1 passed, 0 skipped'* ]]
	[[ $output == *'FAIL  bad '*'fake.fail'* ]]
	[[ $output == *'SKIP  absent '* ]]
	[ "${lines[-1]}" = '1 passed, 1 failed, 1 skipped' ]
}

@test "every entry says all that it must" {
	local about key
	for about in "$ROOT"/regressions/*/about; do
		for key in symptom cause fix commit affected files tests kernels; do
			grep -q "^$key: ." "$about" || { echo "$about: no $key"; return 1; }
		done
		[ -s "${about%/about}/bug.cocci" ] || { echo "$about: no bug.cocci"; return 1; }
	done
}
