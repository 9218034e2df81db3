# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# What -k stands for, and whether that kernel can run the suite.
#
# resolve_kernel sets
#	K_NAME	as shown to the user
#	K_KIND	package, tree, built or native
#	K_SRC	source tree; can be empty for a built kernel
#	K_BUILD	build folder, to build modules against
#	K_IMAGE	what QEMU starts
#	K_MODULES	its modules, if they are installed somewhere
#	K_ID	names the cache entries that belong to it

# Without these the guest does not come up, or there is nothing to test.
NEEDED_OPTIONS='64BIT MODULES BLK_DEV_INITRD BINFMT_ELF BINFMT_SCRIPT DEVTMPFS
	PROC_FS SYSFS TMPFS PRINTK SERIAL_8250_CONSOLE HMM_MIRROR'

resolve_kernel() {
	local arg=$1
	K_NAME='' K_KIND='' K_SRC='' K_BUILD='' K_IMAGE='' K_MODULES='' K_ID='' K_STATE=''
	case $arg in
	native)
		K_KIND=native
		K_NAME="$(uname -r) (native)"
		K_BUILD=${HMMIRROR_TEST_NATIVE:-/lib/modules/$(uname -r)/build}
		;;
	linux-image-*)
		resolve_package "$arg"
		;;
	'')
		default_release
		resolve_release "$RELEASE"
		;;
	[0-9]*.[0-9]*)
		[[ $arg =~ ^[0-9]+\.[0-9]+$ || -e $arg ]] ||
			die "unknown kernel: $arg; releases are given as X.Y (see --help)"
		if [ -e "$arg" ]; then resolve_path "$arg"; else resolve_release "$arg"; fi
		;;
	*)
		resolve_path "$arg"
		;;
	esac
}

resolve_release() {
	get_release "$1"
	K_KIND=package
	K_SRC=$SRC
	K_NAME=${SRC_ID#*-}
}

resolve_path() {
	local arg=$1 path=${1%%:*} build=
	[[ $arg == *:* && ! -e $arg ]] && build=${arg#*:}
	[ -e "$path" ] ||
		die "unknown kernel: $arg; give a release (6.1), a source or build tree, a bzImage or native"
	path=$(realpath "$path")
	if [ -f "$path" ]; then
		resolve_image "$path" "$build"
	elif [ -f "$path/Kconfig" ] && [ -d "$path/mm" ] && [ -f "$path/kernel/fork.c" ] &&
		[ -f "$path/Kbuild" ]; then
		resolve_tree "$path"
	elif [ -f "$path/.config" ] && [ -f "$path/include/config/kernel.release" ]; then
		resolve_built "$path"
	else
		die "$path is not a kernel tree; -k takes the top folder of a source or build tree"
	fi
}

# is_clean TREE: kbuild builds elsewhere only from a tree in which nothing was built
is_clean() {
	for LEFT in .config include/config include/generated arch/x86/include/generated; do
		[ ! -e "$1/$LEFT" ] || return 1
	done
}

resolve_tree() {
	local tree=$1
	if ! is_clean "$tree"; then
		[ -f "$tree/include/config/kernel.release" ] && [ -f "$tree/vmlinux" ] ||
			die "$tree is not clean, $LEFT is there; clean it (make mrproper, which removes .config too) and it is built in the cache, or build it (make) and it is used as it is"
		resolve_built "$tree"
		return
	fi
	[ -f "$tree/mm/hmm.c" ] || unfit "$tree has no mm/hmm.c; the driver needs 5.0 or newer"
	K_KIND=tree
	K_SRC=$tree
	K_NAME=$(tree_version "$tree")
}

# What its Makefile says, without running make.
tree_version() {
	sed -n 's/^\(VERSION\|PATCHLEVEL\|SUBLEVEL\|EXTRAVERSION\) *= *//p;6q' "$1/Makefile" |
		tr '\n' ' ' | sed 's/ *$//; s/ /./g; s/\.-/-/'
}

resolve_built() {
	local build=$1
	K_KIND=built
	K_BUILD=$build
	K_NAME=$(< "$build/include/config/kernel.release")
	K_IMAGE=$build/arch/x86/boot/bzImage
	if grep -qx CONFIG_PVH=y "$build/.config" && [ -f "$build/vmlinux" ]; then
		K_IMAGE=$build/vmlinux
	fi
	[ -f "$K_IMAGE" ] || die "$build has neither a vmlinux that QEMU can start nor a bzImage; build it (make)"
	if [ -e "$build/source" ]; then
		K_SRC=$(realpath "$build/source")
	elif [ -f "$build/Kconfig" ]; then
		K_SRC=$build
	fi
	check_options "$build/.config" "$build"
}

# A bzImage: its build folder is given, or around it, or installed with it.
resolve_image() {
	local image=$1 build=$2 release
	is_bzimage "$image" || die "$image is not a bzImage; give the kernel's arch/x86/boot/bzImage"
	if [ -z "$build" ] && [[ $image == */arch/x86/boot/bzImage ]]; then
		build=${image%/arch/x86/boot/bzImage}
	fi
	if [ -z "$build" ]; then
		release=$(image_release "$image")
		installed_image "$release" ||
			die "no build folder for $image in $HEADERS; install linux-headers-$release or give it: -k $image:DIR"
		build=$HEADERS
	fi
	[ -f "$build/.config" ] && [ -f "$build/include/config/kernel.release" ] ||
		die "$build is not a kernel's build folder; give it as -k $image:DIR"
	build=$(realpath "$build")
	resolve_built_image "$image" "$build"
}

resolve_built_image() {
	K_KIND=built
	K_IMAGE=$1
	K_BUILD=$2
	# a distribution's headers say less than its image
	K_NAME=$(image_release "$1")
	[ ! -e "$2/source" ] || K_SRC=$(realpath "$2/source")
	check_options "$2/.config" "$2"
}

is_bzimage() {
	[ "$(dd if="$1" bs=1 skip=514 count=4 2>/dev/null | tr -d '\0')" = HdrS ]
}

# The boot protocol keeps a pointer to the version string at 0x20e.
image_release() {
	local at
	at=$(od -An -tu2 -j526 -N2 "$1" | tr -d ' ')
	dd if="$1" bs=1 skip=$((at + 512)) count=128 2>/dev/null | tr '\0' '\n' |
		head -n 1 | cut -d' ' -f1
}

# check_options CONFIG WHAT
check_options() {
	local config=$1 what=$2 option missing=()
	for option in $NEEDED_OPTIONS; do
		grep -qx "CONFIG_$option=y" "$config" || missing+=("CONFIG_$option=y")
	done
	[ "${#missing[@]}" = 0 ] ||
		unfit "the kernel of $what cannot run the suite; it needs ${missing[*]}"
}

# tree_files TREE: name, date and size of the source files that can matter
tree_files() {
	(cd "$1" && find . \( -path ./Documentation -o -path ./sound -o -path ./samples \
		-o -path ./tools/testing -o -path './arch/[!x]*' -o -path './.git' \
		-o -path ./drivers/gpu -o -path ./drivers/net -o -path ./drivers/media \
		-o -path ./drivers/staging -o -path ./drivers/usb \) -prune -o \
		-type f -printf '%P %T@ %s\n' | LC_ALL=C sort)
}

# tree_state TREE: changes when one of them does
tree_state() {
	tree_files "$1" | hash_text
}

# prepare_kernel CONFIGS: after this K_BUILD, K_IMAGE and K_ID are there. CONFIGS
# are names joined by +.
prepare_kernel() {
	local configs=$1
	[ "$COVERAGE" = 0 ] || coverage_kernel
	read_fragments "$configs"
	case $K_KIND in
	package | tree)
		build_kernel
		;;
	*)
		[ -z "$(config_lines "${FRAGMENTS[@]}" < /dev/null)" ] ||
			die "-c $configs: this kernel is built already; give a source tree or a release"
		[ -e "$K_BUILD/.config" ] ||
			die "no kernel headers in $K_BUILD; install linux-headers-$(uname -r)"
		[ "$K_KIND" != native ] || check_native
		built_with
		K_ID=$(printf '%s\n' "$K_BUILD" "$(stat -c %Y "$K_BUILD/.config" \
			"$K_BUILD/Module.symvers" 2>&1)" | hash_text)
		;;
	esac
}
