#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# --mutate: what can be asked of it wrongly, and some mutants of the default kernel, with the real
# driver and suite.

load helper

setup_file() {
	default_kernel
}

# mutate ARGUMENT...: with the project's own driver and suite
mutate() {
	run env -u HMMIRROR_TEST_DRIVER -u HMMIRROR_TEST_SUITE "$RUN" --mutate "$@"
	echo "$output"
}

@test "--mutate with something that is no C file of a kernel" {
	bad_input 'a C file of the kernel is wanted' "$RUN" --mutate banana
	bad_input 'a C file of the kernel is wanted' "$RUN" --mutate /etc/passwd
	bad_input '--mutate needs a value' "$RUN" --mutate
}

@test "--mutate with lines that make no sense" {
	bad_input 'the last line stands before the first' "$RUN" --mutate mm/hmm.c:9-3
	bad_input 'behind the file come lines' "$RUN" --mutate 'mm/hmm.c:a b'
}

@test "--mutate with another mode" {
	bad_input 'exclude each other' "$RUN" --mutate mm/hmm.c --upstream
	bad_input '--coverage and --mutate exclude each other' "$RUN" --mutate mm/hmm.c --coverage
}

@test "--mutate with a file that the kernel does not have" {
	bad_input 'has no such file' "$RUN" --mutate mm/banana.c -k "$KERNEL_SOURCE"
}

@test "--mutate with a file that the kernel is built without" {
	bad_input 'is built without it' "$RUN" --mutate mm/kasan/init.c -k "$KERNEL_SOURCE"
}

@test "--mutate with a kernel that is built" {
	bad_input '-k takes a source tree or a release' "$RUN" --mutate mm/hmm.c -k "$KERNEL_BUILD"
}

@test "--mutate with lines that have no mutants" {
	bad_input 'has nothing there that could be changed' "$RUN" --mutate mm/hmm.c:1-9 -k "$KERNEL_SOURCE"
}

@test "mutants are caught" {
	mutate mm/hmm.c:hmm_pfns_fill -k "$KERNEL_SOURCE" -v \
		walk_anon.none_readonly.snapshot walk_vm_special.io.snapshot
	[ "$status" = 0 ]
	[[ $output == *'caught '*'hmm_pfns_fill: without i++  walk_'* ]]
	[[ $output == *' caught, 0 listed, 0 survived'* ]]
}

@test "mutants that no test reaches are named" {
	mutate mm/hmm.c:hmm_vma_walk_hugetlb_entry -k "$KERNEL_SOURCE" walk_anon.none_readonly.snapshot
	[ "$status" = 1 ]
	[[ $output == *'not reached  mm/hmm.c:'*'hmm_vma_walk_hugetlb_entry: not (required_fault)'* ]]
	[[ $output == *' that no test reaches)'* ]]
}
