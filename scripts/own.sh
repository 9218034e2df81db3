# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# Reproducers of the user's own: one C file, which uses lib/.

# new_own NAME: begins one in the current folder
new_own() {
	local name=${1%.c} file
	[[ $name =~ ^[A-Za-z0-9][A-Za-z0-9_-]*$ ]] ||
		die "--new $1: a plain name is wanted, of letters, digits, - and _"
	file=$name.c
	[ ! -e "$file" ] || die "$file is there already and stays as it is; give another name"
	sed "s/@NAME@/$name/g" "$ROOT/scripts/template.c" 2>/dev/null > "$file" ||
		die "cannot write to $PWD; go to a folder of your own"
	say "made $file; it runs as it is:"
	say "  $0 --exec $file"
}

# build_lib: the library for them. Sets OWN_LIB.
build_lib() {
	local dir state
	compiler_id
	dir=$CACHE/lib
	OWN_LIB=$dir/libhmmirror.a
	state=$( (echo "$CC_ID"; hash_tree "$ROOT/lib" "$ROOT/driver/uapi") | hash_text)
	entry_current "$dir" "$state" && return
	need "$NEEDS_SUITE"
	lock lib 'building the library'
	if ! entry_current "$dir" "$state"; then
		new_tmp lib
		entry_begin "$dir"
		long 'building the library' "$TMP/log" 0 make -C "$dir" CC=gcc -j"$JOBS" \
			-f "$ROOT/lib/libhmmirror.mk" OUTPUT="$dir" "$OWN_LIB" ||
			build_failed 'building the library' "$TMP/log"
		entry_end "$dir" "$state"
	fi
	unlock
}

# build_own FILE: Sets OWN_PROGRAM, gone at exit.
build_own() {
	local file=$1
	build_lib
	new_tmp own
	OWN_PROGRAM=$TMP/$(basename "$file" .c)
	gcc -std=gnu11 -O2 -g -Wall -Wextra -D_GNU_SOURCE= -static -I "$ROOT/lib" \
		-I "$ROOT/driver/uapi" -o "$OWN_PROGRAM" "$file" "$OWN_LIB" \
		-lhugetlbfs -lnuma -lpthread > "$TMP/log" 2>&1 || {
		grep -v 'statically linked applications requires' "$TMP/log" | head -n 20 >&2
		! disk_full "$TMP/log" || die "the disk of $CACHE is full; free some space or set XDG_CACHE_HOME"
		die "$file does not compile"
	}
	# what the linker says of libraries is not about the file
	grep -A 3 "^$file:" "$TMP/log" >&2
	return 0
}
