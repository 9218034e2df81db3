# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# The kernel's own hmm-tests, unmodified: those of the tree of the kernel under test, or
# of the release or tree that --upstream= names.

TESTS_OF=		# what --upstream= named

# tests_tree: sets T_SRC and T_NAME
tests_tree() {
	case $TESTS_OF in
	'')
		[ -n "$K_SRC" ] ||
			die "--upstream needs the source tree of linux $K_NAME; name the tests with --upstream=X.Y or --upstream=DIR"
		T_SRC=$K_SRC T_NAME=$K_NAME
		;;
	[0-9]*.[0-9]*)
		get_release "$TESTS_OF"
		T_SRC=$SRC T_NAME=$TESTS_OF
		;;
	*)
		[ -f "$TESTS_OF/Makefile" ] ||
			die "--upstream=$TESTS_OF: no such tree; give a release (6.1) or a source tree"
		T_SRC=$(realpath "$TESTS_OF")
		T_NAME=$(tree_version "$T_SRC")
		;;
	esac
	for T_DIR in mm vm; do
		T_DIR=$T_SRC/tools/testing/selftests/$T_DIR
		[ ! -f "$T_DIR/hmm-tests.c" ] || return 0
	done
	die "linux $T_NAME has no hmm-tests; they are there since 5.8; --upstream=X.Y takes those of another release"
}

# Until 5.19 a snapshot had the number that a migration back has had since.
tests_abi() {
	! grep -q 'HMM_DMIRROR_SNAPSHOT[[:space:]].*0x03' "$T_SRC/lib/test_hmm_uapi.h" ||
		MODULE_ARGS+=' test_abi=5.10'
}

# lacking TEST: what the kernel under test lacks of what that test takes for granted.
# Sets WHY.
lacking() {
	local test probes why features=${MODULE%/*}/src/compat/features.h
	while IFS=$'\t' read -r test probes why; do
		[ "$test" = "${1##*.}" ] || continue
		grep -qE "^#define HAVE_($probes) " "$features" && continue
		WHY=$why
		return 0
	done < "$ROOT/scripts/upstream-needs.txt"
	return 1
}

# build_upstream: sets UPSTREAM
build_upstream() {
	local dir state log
	tests_tree
	tests_abi
	compiler_id
	dir=$CACHE/upstream/$(echo "$T_SRC $CC_ID" | hash_text)
	state=$(hash_tree "$T_DIR" "$T_SRC/lib/test_hmm_uapi.h" "$ROOT"/guest/upstream/{pidfd,patience}.[ch])
	UPSTREAM=$dir/hmm-tests
	entry_current "$dir" "$state" && return
	need "$NEEDS_KERNEL $NEEDS_SUITE"
	lock "upstream-${dir##*/}" 'building hmm-tests'
	if ! entry_current "$dir" "$state"; then
		new_tmp upstream
		log=$TMP/log
		entry_begin "$dir"
		compile_upstream "$dir" "$log" || build_failed "building the hmm-tests of $T_NAME" "$log"
		entry_end "$dir" "$state"
	fi
	unlock
}

# compile_upstream DIR LOG
compile_upstream() {
	local headers=$1/headers/usr/include helper args=()
	if is_clean "$T_SRC"; then
		mkdir -p "$1/headers"
		long 'kernel headers for hmm-tests' "$2" 0 \
			make -C "$T_SRC" O="$1/headers" headers || return
	else
		headers=$T_SRC/usr/include
	fi
	[ ! -d "$headers" ] || args+=(-isystem "$headers")
	# what newer ones are linked with
	for helper in vm_util hugepage_settings thp_settings; do
		[ ! -f "$T_DIR/$helper.c" ] || args+=("$T_DIR/$helper.c")
	done
	# whole: a static link leaves out the constructor that finds the mounts
	! grep -q '<hugetlbfs.h>' "$T_DIR/hmm-tests.c" ||
		args+=("-Wl,--whole-archive" -lhugetlbfs "-Wl,--no-whole-archive")
	! grep -q pidfd_open "$T_DIR/../kselftest_harness.h" ||
		args+=("-Wl,--wrap=syscall" "$ROOT/guest/upstream/pidfd.c")
	args+=("-Wl,--wrap=alarm,--wrap=poll" "$ROOT/guest/upstream/patience.c")
	long "building the hmm-tests of $T_NAME" "$2" 0 gcc -O2 -static -D_GNU_SOURCE= \
		-I "$T_SRC" -I "$T_SRC/tools/testing/selftests" -I "$T_SRC/tools/include" \
		-o "$UPSTREAM" "$T_DIR/hmm-tests.c" "${args[@]}" -lrt -lpthread
}
