#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# --collection: other kselftests of the kernel's tree, with the default kernel.

load helper

setup_file() {
	default_kernel
}

@test "--collection runs a program of the tree, with a verdict for each of its lines" {
	run "$RUN" -k "$KERNEL_BUILD" --collection mm/madv_populate --collection 'mm/map_fixed*'
	echo "$output"
	[ "$status" = 0 ]
	[ "$(grep -c '^ok    mm.madv_populate.' <<< "$output")" -ge 10 ]
	grep -q '^ok    mm.map_fixed_noreplace' <<< "$output"
	[[ ${lines[-1]} =~ ^[1-9][0-9]*' passed, 0 failed' ]]
	# the tree is as it was
	[ ! -e "$KERNEL_SOURCE/tools/testing/selftests/vm/local_config.mk" ]
}

@test "--collection: a program that cannot be built is a skip that says why" {
	run "$RUN" -k "$KERNEL_BUILD" --collection mm/vm_util --collection mm/map_populate
	echo "$output"
	grep -qE '^SKIP  mm.vm_util .*it cannot be built: ' <<< "$output"
	grep -q '^ok    mm.map_populate' <<< "$output"
}

@test "--collection of what is not there" {
	bad_input '--collection mm: COLLECTION/PROGRAM is wanted' "$RUN" --collection mm
	bad_input 'has no such program' "$RUN" -k "$KERNEL_BUILD" --collection mm/banana
	bad_input 'has no tools/testing/selftests/banana' "$RUN" -k "$KERNEL_BUILD" --collection banana/x
	bad_input '--collection takes no test names' "$RUN" --collection mm/ksm_tests walk_anon
	bad_input '--collection and --upstream exclude each other' "$RUN" --collection mm/ksm_tests --upstream
}
