# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# A distribution's own kernel: its image, modules and headers packages, unpacked in the
# cache; nothing is installed on this machine.

KERNEL_PACKAGE='^linux-(image|modules|binary|headers|kbuild)-'

# package_field PACKAGE FIELD
package_field() {
	apt-cache "${APT_OPTIONS[@]}" show --no-all-versions "$1" 2>/dev/null |
		sed -n "s/^$2: //p" | head -n 1
}

# use_suite_of PACKAGE[/SUITE]: the machine's own apt has it, or the one of other suites
use_suite_of() {
	local name=${1%%/*} suite=
	[[ $1 != */* ]] || suite=${1#*/}
	command -v apt-cache > /dev/null ||
		die "no apt here to get $name from; give an image and its build folder: -k FILE:DIR"
	APT_OPTIONS=()
	new_tmp lists
	apt_lists "$TMP/log"
	if [ -n "$suite" ] || [ -z "$(package_field "$name" Version)" ]; then
		use_other_suites
		[ -z "$suite" ] || APT_OPTIONS+=(-o "APT::Default-Release=$suite")
	fi
	[ -n "$(package_field "$name" Version)" ] ||
		die "there is no package $name in the package sources${suite:+ of $suite}; apt-cache search linux-image shows what there is"
}

# kernel_packages PACKAGE...: sets PACKAGES, they and the kernel packages that they need
kernel_packages() {
	local todo=("$@") name
	local -A seen=()
	PACKAGES=()
	while [ "${#todo[@]}" -gt 0 ]; do
		PACKAGES+=("${todo[@]}")
		for name in "${todo[@]}"; do
			seen[$name]=1
		done
		mapfile -t todo < <(
			apt-cache "${APT_OPTIONS[@]}" show --no-all-versions "${todo[@]}" 2>/dev/null |
				sed -n 's/^Depends: //p' | tr ',' '\n' | sed 's/^ *//; s/[ |(].*//' |
				grep -E "$KERNEL_PACKAGE" | sort -u | while read -r name; do
				[ -n "${seen[$name]:-}" ] || echo "$name"
			done)
	done
}

# get_packages PACKAGE...: they and what they need. Sets D_DIR, where they are unpacked.
get_packages() {
	local log name
	kernel_packages "$@"
	D_DIR=$CACHE/package/$1-$(package_field "$1" Version)
	entry_current "$D_DIR" ok && return
	need "$NEEDS_DISTRO"
	lock "package-${D_DIR##*/}" "fetching $1"
	if ! entry_current "$D_DIR" ok; then
		new_tmp package
		log=$TMP/log
		rm -rf "$D_DIR"
		entry_begin "$D_DIR"
		download_packages "$log" "$TMP" || apt_failed "$log" "${PACKAGES[*]}"
		for name in "$TMP"/*.deb; do
			long "unpacking ${name##*/}" "$log" 0 dpkg-deb -x "$name" "$D_DIR" ||
				build_failed "unpacking ${name##*/}" "$log"
		done
		rm -f "$TMP"/*.deb
		relocate "$D_DIR"
		entry_end "$D_DIR" ok
	fi
	unlock
}

# download_packages LOG DIR
download_packages() {
	local old=$PWD status=0
	cd "$2" || return
	long "downloading ${PACKAGES[0]} and what goes with it" "$1" 0 \
		apt-get "${APT_OPTIONS[@]}" download -q "${PACKAGES[@]}" || status=$?
	cd "$old" || return
	return "$status"
}

# relocate DIR: headers name each other by absolute paths, and modprobe wants an index
relocate() {
	local dir file to
	for dir in "$1"/usr/src/linux-headers-*; do
		for file in "$dir/Makefile" "$dir/.kernelvariables"; do
			[ ! -f "$file" ] || sed -i -E "s#([ =])/usr/(src|lib)/#\1$1/usr/\2/#g" "$file"
		done
		for file in "$dir"/*; do
			[ -h "$file" ] || continue
			to=$(readlink "$file")
			[[ $to != /* ]] || ln -sfn "$1$to" "$file"
		done
	done
	for dir in "$1"/lib/modules/*/ "$1"/usr/lib/modules/*/; do
		[ ! -d "$dir/kernel" ] || PATH=$PATH:/sbin:/usr/sbin depmod -b "${dir%lib/modules/*}" \
			"$(basename "$dir")"
	done
}

# resolve_package NAME[/SUITE]: linux-image-amd64, linux-image-6.1.0-56-amd64, ...
resolve_package() {
	local name=${1%%/*} real release dir
	use_suite_of "$1"
	kernel_packages "$name"
	# a meta package can look like one too, and the real one is what it leads to
	real=$(printf '%s\n' "${PACKAGES[@]}" | grep -E '^linux-image-[0-9]+\.[0-9]' | tail -n 1)
	[ -n "$real" ] || die "$name brings no kernel; give a linux-image package"
	release=${real#linux-image-}
	release=${release%-unsigned}
	[ -n "$(package_field "linux-headers-$release" Version)" ] ||
		die "$real has no linux-headers-$release beside it; give an image and its build folder: -k FILE:DIR"
	get_packages "$real" "linux-headers-$release"
	for dir in "$D_DIR/boot" "$D_DIR/usr/lib/modules/$release" "$D_DIR/lib/modules/$release"; do
		[ ! -f "$dir/vmlinuz-$release" ] || K_IMAGE=$dir/vmlinuz-$release
		[ ! -f "$dir/vmlinuz" ] || K_IMAGE=$dir/vmlinuz
		[ ! -d "$dir/kernel" ] || K_MODULES=$dir
	done
	[ -n "$K_IMAGE" ] || die "$real brings no kernel image; give an image and its build folder: -k FILE:DIR"
	resolve_built_image "$K_IMAGE" "$D_DIR/usr/src/linux-headers-$release"
	headers_work
}

# installed_image RELEASE: headers of a kernel that is installed, from apt if they are not.
# Sets HEADERS.
installed_image() {
	HEADERS=/lib/modules/$1/build
	[ ! -d "/lib/modules/$1/kernel" ] || K_MODULES=/lib/modules/$1
	[ ! -e "$HEADERS/.config" ] || return 0
	command -v apt-cache > /dev/null && [ -n "$(package_field "linux-headers-$1" Version)" ] ||
		return 1
	get_packages "linux-headers-$1"
	HEADERS=$D_DIR/usr/src/linux-headers-$1
}

# A newer release's headers have programs for its own C library.
headers_work() {
	local out
	out=$("$K_BUILD/scripts/basic/fixdep" 2>&1)
	[[ $out != *GLIBC_* ]] ||
		die "the headers of linux $K_NAME hold programs for a newer Debian than this; run it there, or give a release (-k X.Y) or a tree"
}

# built_with: what the compiler of a kernel that is built already means for the driver
built_with() {
	local cc
	# type data for a module wants pahole, and nothing here reads it
	! grep -qx CONFIG_DEBUG_INFO_BTF_MODULES=y "$K_BUILD/.config" ||
		MAKE_ARGS+=(CONFIG_DEBUG_INFO_BTF_MODULES=)
	! grep -qx CONFIG_CC_IS_CLANG=y "$K_BUILD/.config" || MAKE_ARGS+=(LLVM=1)
	cc=$(sed -n 's/^CC *[:?]*=.*[) ]\(gcc-[0-9]*\)$/\1/p' "$K_BUILD/.kernelvariables" 2>/dev/null)
	[ -n "$cc" ] && ! command -v "$cc" > /dev/null || return 0
	# an older one does not know all of its options
	(($(gcc -dumpversion | cut -d. -f1) >= ${cc#gcc-})) ||
		die "linux $K_NAME was built with $cc; install that, or run this on the Debian release that has it"
	MAKE_ARGS+=(CC=gcc)
}
