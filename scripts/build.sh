# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Builds the kernel, the driver and the test programs, all in the cache.
#
# An entry is used only if its stamp says that it was completed from what is
# there now. The stamp goes before anything is changed. After Ctrl-C make has
# tidied up and goes on the next time; a build that died otherwise leaves
# "building" and is started over.

CC_ID=			# of the compiler, for the keys

compiler_id() {
	[ -n "$CC_ID" ] || CC_ID=$(gcc --version 2>/dev/null | head -n 1)
}

# entry_current DIR STATE
entry_current() {
	[ -s "$1/stamp" ] && [ "$(< "$1/stamp")" = "$2" ]
}

entry_begin() {
	[ ! -e "$1/building" ] || rm -rf -- "$1"
	mkdir -p "$1" 2>/dev/null && rm -f "$1/stamp" && : > "$1/building" ||
		die "cannot write to $CACHE; is the disk full?"
	ENTRY=$1
}

entry_end() {
	{ echo "$2" > "$1/stamp"; } 2>/dev/null ||
		die "cannot write to $CACHE; is the disk full?"
	rm -f "$1/building"
	ENTRY=
}

# On the way out, after make has ended. A full disk leaves files cut short, and
# the room is wanted back.
entry_abandon() {
	[ -n "${ENTRY:-}" ] || return 0
	rm -f "$ENTRY/building"
	[ "${1:-}" != wipe ] || rm -rf -- "$ENTRY"
	ENTRY=
}

# build_failed WHAT LOG
build_failed() {
	if disk_full "$2"; then
		keep_log "$2" failed
		entry_abandon wipe
		die "$1: the disk of $CACHE is full; free some space or set XDG_CACHE_HOME"
	fi
	failed "$1" "$2"
}

# overlay SRC FILE: HMM_MIRROR has no prompt in most kernels, so a Kconfig on top
# of the tree's own selects it.
overlay() {
	sed 's/^mainmenu .*/mainmenu "hmmirror"/' "$1/Kconfig" > "$2"
	overlay_entry "$2"
}

overlay_entry() {
	printf '\nconfig HMMIRROR_OVERLAY\n\tdef_bool y\n\tselect HMM_MIRROR\n\tselect MMU_NOTIFIER\n' >> "$1"
}

build_kernel() {
	local dir build cc=() tree=() log again
	need "$NEEDS_KERNEL"
	compiler_id
	K_ID=$(kernel_id "${FRAGMENTS[@]}")
	dir=$CACHE/kernel/$K_ID
	build=$dir/build
	K_BUILD=$build
	K_IMAGE=$dir/image
	K_STATE=$(tree_state "$K_SRC")
	entry_current "$dir" "$K_STATE" && return
	lock "kernel-$K_ID" "building linux $K_NAME"
	if ! entry_current "$dir" "$K_STATE"; then
		new_tmp kernel
		log=$TMP/log
		entry_begin "$dir"
		mkdir -p "$build"
		# a tree of the user's own will be built again; on a first build ccache
		# only costs
		[ "$K_KIND" = tree ] && command -v ccache > /dev/null && use_ccache
		mapfile -t tree < <(tree_args "$K_SRC")
		# each takes all cores; many cores have room for a second one
		turn "$CACHE/lock/build" $(((JOBS + 15) / 16))
		seed_kernel "$dir"
		forget_objects "$dir"
		[ -e "$build/vmlinux" ] && again=1 || again=0
		configure_if_changed "$dir" "$log" "${tree[@]}"
		[ "$SEEDED" = 0 ] || spare_constructors "$log" "${tree[@]}"
		make_kernel "$log" "${cc[@]}" "${tree[@]}" ||
			if ((STEP && again)) && ! compiler_error "$log"; then
				say "linux $K_NAME does not build on top of another; once more from nothing"
				rm -rf -- "$build" "$dir/configured"
				mkdir -p "$build"
				configure_if_changed "$dir" "$log" "${tree[@]}"
				make_kernel "$log" "${cc[@]}" "${tree[@]}"
			else
				false
			fi ||
			build_failed "building linux $K_NAME" "$log"
		((again)) || grep -c '^  [A-Z]' "$log" > "$CACHE/kernel/files"
		turn_end
		boot_image "$build" "$K_IMAGE" 2> "$log" ||
			build_failed "the boot image of linux $K_NAME" "$log"
		entry_end "$dir" "$K_STATE"
	fi
	unlock
}

# kernel_id FRAGMENT...: of the cache entry
kernel_id() {
	# all revisions of a bisection are built in one folder
	(echo "$K_SRC $CC_ID"
	if ((STEP)); then overlay_entry /dev/stdout; else overlay "$K_SRC" /dev/stdout; fi
	cat "$ROOT/configs/base.config"
	config_lines "$@" < /dev/null) | hash_text
}

# seed_kernel DIR: a build with fragments starts as a copy of the one without, if
# that is there. kbuild makes anew what the other options and variables touch. The
# compiler must be the same; and one that is being built is not waited for. Sets
# SEEDED.
seed_kernel() {
	local base arg
	SEEDED=0
	[ ! -e "$1/build/.config" ] && [ "$K_KIND" = package ] || return 0
	for arg in "${MAKE_ARGS[@]}"; do
		case $arg in LLVM*=* | *CC=* | *LD=* | AR=* | CROSS_COMPILE=* | ARCH=*) return 0 ;; esac
	done
	base=$CACHE/kernel/$(kernel_id)
	[ "$base" != "$1" ] && entry_current "$base" "$K_STATE" || return 0
	step "copying the build of linux $K_NAME"
	# what a Ctrl-C leaves must not look like a build
	rm -rf -- "$1/copy"
	if (flock -n 9 && entry_current "$base" "$K_STATE" &&
		cp -a --reflink=auto "$base/build" "$1/copy" && cp -p "$base/files" "$1/files") \
		9> "$CACHE/lock/kernel-${base##*/}" 2> /dev/null; then
		# objtool's commands have the folder in them, and all objects depend on it
		grep -rlIFZ "$base/build" "$1/copy" | xargs -0r sed -i "s|$base/build|$1/build|g"
		rmdir "$1/build" && mv "$1/copy" "$1/build" && SEEDED=1
	else
		rm -rf -- "$1/copy"
	fi
	step_clear
}

# spare_constructors LOG MAKE-ARG...: counting branches needs CONFIG_CONSTRUCTORS,
# which adds two fields near the end of struct module. Nearly all files include that,
# and few look at what is there: if nothing else that can matter is behind, only
# those are built again.
spare_constructors() {
	local log=$1 config=$K_BUILD/.config
	shift
	grep -qx CONFIG_CONSTRUCTORS=y "$config" || return 0
	! grep -Eqx 'CONFIG_(FUNCTION_ERROR_INJECTION|DYNAMIC_DEBUG_CORE)=y' "$config" || return 0
	sed -n '/^#ifdef CONFIG_CONSTRUCTORS/,/^}/p' "$K_SRC/include/linux/module.h" |
		grep -v '^\s*/\*.*\*/$' | tr -d '\n\t ' | grep -Eqx "$SPARED" || return 0
	long "configuring linux $K_NAME" "$log" 0 \
		make -C "$K_SRC" O="$K_BUILD" KBUILD_KCONFIG="$K_BUILD/Kconfig.hmmirror" \
		"${MAKE_ARGS[@]}" "$@" syncconfig || build_failed "configuring linux $K_NAME" "$log"
	find "$K_BUILD/include/config" -iname 'constructors*' -exec touch -d 2000-01-01 {} +
	rm -f "$K_BUILD"/init/main.o "$K_BUILD"/kernel/module.o "$K_BUILD"/kernel/module/*.o
	find "$K_BUILD" \( -name '*.mod.o' -o -name '*.lds' \) -delete
}

SPARED='#ifdefCONFIG_CONSTRUCTORSctor_fn_t\*ctors;unsignedintnum_ctors;#endif'
SPARED+='#ifdefCONFIG_FUNCTION_ERROR_INJECTION[^#]*#endif'
SPARED+='(#ifdefCONFIG_DYNAMIC_DEBUG_CORE[^#]*#endif)?}____cacheline_aligned.*'

# Sets cc, unless the compiler is another one; no folder but the cache is written to.
use_ccache() {
	export CCACHE_DIR=${CCACHE_DIR:-$CACHE/ccache}
	# a header that was just checked out is not one that changes under the compiler
	export CCACHE_SLOPPINESS=${CCACHE_SLOPPINESS:-include_file_mtime,include_file_ctime}
	[[ " ${MAKE_ARGS[*]}" == *' LLVM='* ]] || cc=(CC='ccache gcc')
	# git would be asked whether the tree has changes, and what depends on the answer
	# be built anew
	cc+=(LOCALVERSION=)
}

# make_kernel LOG MAKE-ARG...
make_kernel() {
	local log=$1
	shift
	long "building linux $K_NAME" "$log" "$( ((again)) && echo 0 || expected_files)" \
		make -C "$K_SRC" O="$K_BUILD" KBUILD_KCONFIG="$K_BUILD/Kconfig.hmmirror" \
		-j"$JOBS" "${MAKE_ARGS[@]}" "$@" "$(kernel_target "$K_BUILD")" modules
}

# compiler_error LOG: a line of the source is wrong, and not what is left of another build
compiler_error() {
	grep -qE '^[^ :]+:[0-9]+:[0-9]+: (fatal )?error: ' "$1"
}

# make goes by dates, and a file that is put back as it was has an old one. What
# was made from files that changed goes; for anything but a C file, all goes.
forget_objects() {
	local files=$1/files name
	tree_files "$K_SRC" > "$files.new" || die "cannot write to $CACHE; is the disk full?"
	if [ -e "$files" ]; then
		while read -r name; do
			case $name in
			*.c) rm -f "$1/build/${name%.c}.o" ;;
			*)
				[ "$K_SRC/$name" -nt "$files" ] ||
					find "$1/build" -name '*.o' -delete
				;;
			esac
		done < <(LC_ALL=C comm -3 "$files" "$files.new" | awk '{ print $1 }' | sort -u)
	fi
	mv "$files.new" "$files"
}

expected_files() {
	cat "$CACHE/kernel/files" 2>/dev/null || echo 1593
}

# QEMU starts a vmlinux with a PVH entry as it is; nothing needs to be packed and
# unpacked.
kernel_target() {
	if grep -qx CONFIG_PVH=y "$1/.config"; then echo vmlinux; else echo bzImage; fi
}

boot_image() {
	if [ "$(kernel_target "$1")" = vmlinux ]; then
		objcopy --strip-all "$1/vmlinux" "$2"
	else
		cp "$1/arch/x86/boot/bzImage" "$2"
	fi
}

# tree_args TREE: what make has to be told, a line each
tree_args() {
	# Nothing but Module.symvers is wanted from "make modules". A tree that somebody
	# added drivers to (Ubuntu's) can have some that do not link in a small kernel.
	echo KBUILD_MODPOST_WARN=1
	# a variable in two host programs' objects, which gcc has not merged since 10
	! grep -qs '^YYLTYPE yylloc;' "$1/scripts/dtc/dtc-lexer.l" || echo HOSTCFLAGS=-fcommon
}

# configure_if_changed DIR LOG MAKE-ARG...: it takes longer than to build a file
configure_if_changed() {
	local dir=$1 state
	shift
	state=$( (grep -E '^\./Makefile |/Kconfig[^/]* |^\./(scripts|kernel/configs|arch/x86/configs)/' \
		"$dir/files"; cat "$ROOT/configs/base.config" "${FRAGMENTS[@]}"
		echo "${MAKE_ARGS[*]}") | hash_text)
	[ ! -e "$K_BUILD/.config" ] || [ ! -e "$dir/configured" ] ||
		[ "$(< "$dir/configured")" != "$state" ] || return 0
	rm -f "$dir/configured"
	configure_kernel "$@"
	echo "$state" > "$dir/configured"
}

# configure_kernel LOG MAKE-ARG...
configure_kernel() {
	local log=$1 kconfig=$K_BUILD/Kconfig.hmmirror missed
	shift
	overlay "$K_SRC" "$kconfig"
	long "configuring linux $K_NAME" "$log" 0 \
		make -C "$K_SRC" O="$K_BUILD" KBUILD_KCONFIG="$kconfig" "${MAKE_ARGS[@]}" "$@" tinyconfig ||
		build_failed "configuring linux $K_NAME" "$log"
	cat "$ROOT/configs/base.config" "${FRAGMENTS[@]}" >> "$K_BUILD/.config"
	long "configuring linux $K_NAME" "$log" 0 \
		make -C "$K_SRC" O="$K_BUILD" KBUILD_KCONFIG="$kconfig" "${MAKE_ARGS[@]}" "$@" olddefconfig ||
		build_failed "configuring linux $K_NAME" "$log"
	check_options "$K_BUILD/.config" "linux $K_NAME${FRAGMENTS[*]:+ with ${FRAGMENTS[*]##*/}}"
	missed=$(unmet "$K_BUILD/.config" "${FRAGMENTS[@]}" < /dev/null)
	[ -z "$missed" ] || say "note: linux $K_NAME cannot have$missed"
}

# driver_needs: changes when the driver has to be built again: for a tree that somebody
# works on with its headers, config, symbols and build scripts, but not with its C files
driver_needs() {
	[ "$K_KIND" = tree ] || { echo "$K_STATE"; return; }
	(grep -vE '^\./(arch|block|crypto|drivers|fs|init|io_uring|ipc|kernel|lib|mm|net|security|virt)/.*\.[cS] ' \
		"$CACHE/kernel/$K_ID/files"
		cat "$K_BUILD"/{Module.symvers,include/generated/{autoconf,bounds,utsrelease}.h}) | hash_text
}

# build_driver: hmmirror.ko for K_BUILD, from a copy. Sets MODULE.
build_driver() {
	local from=${HMMIRROR_TEST_DRIVER:-$ROOT/driver} dir state log
	dir=$CACHE/driver/$( (echo "$K_ID $from") | hash_text)
	state=$(hash_tree "$from").$(driver_needs)
	MODULE=$dir/hmmirror.ko
	entry_current "$dir" "$state" && return
	need "$NEEDS_KERNEL"
	lock "driver-${dir##*/}" 'building hmmirror.ko'
	if ! entry_current "$dir" "$state"; then
		new_tmp driver
		log=$TMP/log
		entry_begin "$dir"
		copy_changed "$from" "$dir/src"
		long "building hmmirror.ko for $K_NAME" "$log" 0 \
			make -C "$dir/src" KDIR="$K_BUILD" -j"$JOBS" "${MAKE_ARGS[@]}" ||
			build_failed "building hmmirror.ko for $K_NAME" "$log"
		grep -v '^make' "$log" | grep ': warning: ' | head -n 3 >&2
		cp "$dir/src/hmmirror.ko" "$MODULE" || build_failed 'hmmirror.ko' "$log"
		entry_end "$dir" "$state"
	fi
	unlock
}

# copy_changed FROM TO: what is the same keeps its date, so that make has little
# to do; what is gone in FROM means a fresh start.
copy_changed() {
	local from=$1 to=$2 file
	mkdir -p "$to"
	(cd "$from" && find . -type f | LC_ALL=C sort) > "$to/.list.new"
	if [ -e "$to/.list" ] && ! cmp -s "$to/.list" "$to/.list.new"; then
		rm -rf -- "$to"
		mkdir -p "$to"
		(cd "$from" && find . -type f | LC_ALL=C sort) > "$to/.list.new"
	fi
	mv "$to/.list.new" "$to/.list"
	while read -r file; do
		cmp -s "$from/$file" "$to/$file" && continue
		mkdir -p "$(dirname "$to/$file")"
		cp "$from/$file" "$to/$file" || return
	done < "$to/.list"
}

# build_suite: the test programs, built once for every kernel. Sets SUITE, a
# folder with programs, "tests" (program TAB name) beside them.
build_suite() {
	local from=${HMMIRROR_TEST_SUITE:-$ROOT/selftests} dir state log program
	harness_tree
	compiler_id
	dir=$CACHE/suite/$(echo "$KSRC $CC_ID $from" | hash_text)
	state=$(hash_tree "$from" "$ROOT/lib" "$ROOT/driver/uapi")
	SUITE=$dir/bin
	entry_current "$dir" "$state" && return
	need "$NEEDS_SUITE"
	lock "suite-${dir##*/}" 'building the suite'
	if ! entry_current "$dir" "$state"; then
		new_tmp suite
		log=$TMP/log
		entry_begin "$dir"
		mkdir -p "$SUITE"
		long 'building the suite' "$log" 0 \
			make -C "$from" KSRC="$KSRC" OUTPUT="$SUITE" -j"$JOBS" ||
			build_failed 'building the suite' "$log"
		make -s -C "$from" KSRC="$KSRC" OUTPUT="$SUITE" print-programs 2> "$log" |
			tr ' ' '\n' | sed '/^$/d; s|.*/||' > "$dir/programs"
		[ -s "$dir/programs" ] || failed 'listing the suite' "$log"
		while read -r program; do
			"$SUITE/$program" --list < /dev/null 2> "$log" | sed "s/^/$program\t/"
		done < "$dir/programs" > "$dir/tests"
		[ -s "$dir/tests" ] || failed 'listing the tests' "$log"
		entry_end "$dir" "$state"
	fi
	unlock
}

# build_agent: runs the plan in the guest. Sets AGENT.
build_agent() {
	local from=$ROOT/guest/agent.c dir state
	compiler_id
	dir=$CACHE/agent
	state=$( (echo "$CC_ID"; cat "$from") | hash_text)
	AGENT=$dir/agent
	entry_current "$dir" "$state" && return
	need "$NEEDS_SUITE"
	lock agent 'building the guest agent'
	if ! entry_current "$dir" "$state"; then
		new_tmp agent
		entry_begin "$dir"
		gcc -O2 -Wall -Wextra -static -o "$AGENT" "$from" 2> "$TMP/log" ||
			build_failed 'building the guest agent' "$TMP/log"
		entry_end "$dir" "$state"
	fi
	unlock
}
