# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The kernel tree's own hmm-tests, unmodified.

# build_upstream: sets UPSTREAM
build_upstream() {
	local dir state log from source headers helper args=()
	[ -n "$K_SRC" ] || die "--upstream needs the source tree of linux $K_NAME; give a tree with -k DIR"
	for source in mm vm; do
		from=$K_SRC/tools/testing/selftests/$source
		[ ! -f "$from/hmm-tests.c" ] || break
	done
	source=$from/hmm-tests.c
	[ -f "$source" ] || die "linux $K_NAME has no hmm-tests; they are there since 5.8"
	compiler_id
	dir=$CACHE/upstream/$(echo "$K_SRC $CC_ID" | hash_text)
	state=$(hash_tree "$from" "$K_SRC/lib/test_hmm_uapi.h")
	UPSTREAM=$dir/hmm-tests
	entry_current "$dir" "$state" && return
	need "$NEEDS_SUITE"
	lock "upstream-${dir##*/}" 'building hmm-tests'
	if ! entry_current "$dir" "$state"; then
		new_tmp upstream
		log=$TMP/log
		entry_begin "$dir"
		headers=$K_BUILD/usr/include
		case $K_KIND in
		package | tree)
			long "the headers of linux $K_NAME" "$log" 0 \
				make -C "$K_SRC" O="$K_BUILD" headers ||
				build_failed "the headers of linux $K_NAME" "$log"
			;;
		esac
		[ ! -d "$headers" ] || args+=(-isystem "$headers")
		# helpers that newer ones are linked with
		for helper in vm_util hugepage_settings thp_settings; do
			[ ! -f "$from/$helper.c" ] || args+=("$from/$helper.c")
		done
		! grep -q '<hugetlbfs.h>' "$source" || args+=(-lhugetlbfs)
		long 'building hmm-tests' "$log" 0 gcc -O2 -static -D_GNU_SOURCE= \
			-I "$K_SRC" -I "$K_SRC/tools/testing/selftests" \
			-I "$K_SRC/tools/include" -o "$UPSTREAM" "$source" "${args[@]}" \
			-lrt -lpthread || build_failed 'building hmm-tests' "$log"
		entry_end "$dir" "$state"
	fi
	unlock
}
