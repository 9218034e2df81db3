# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# Kernel source trees of the distribution's linux-source packages.

# default_release: X.Y of the package that "linux-source" stands for, which is
# the newest kernel of the distribution itself. apt takes a while to say, so the
# answer is kept until its lists change. Sets RELEASE.
default_release() {
	local memo=$CACHE/default-release lists=/var/lib/apt/lists
	if [ -s "$memo" ] && [ "$memo" -nt "$lists" ] &&
		[ "$memo" -nt /etc/apt/sources.list.d ] && [ -z "${APT_CONFIG:-}" ]; then
		RELEASE=$(< "$memo")
		return
	fi
	command -v apt-cache > /dev/null ||
		die "no apt here to get a kernel source from; give a tree with -k DIR"
	new_tmp release
	apt_lists "$TMP/log"
	RELEASE=$(apt-cache show --no-all-versions linux-source 2>/dev/null |
		sed -n 's/^Depends:.*linux-source-\([0-9.]*\).*/\1/p' | head -n 1)
	[ -n "$RELEASE" ] || RELEASE=$(offered_releases | tail -n 1)
	[ -n "$RELEASE" ] ||
		die "the machine's package sources have no linux-source; give a tree with -k DIR"
	echo "$RELEASE" > "$memo"
}

offered_releases() {
	apt-cache "${APT_OPTIONS[@]}" search --names-only '^linux-source-[0-9.]+$' 2>/dev/null |
		sed 's/^linux-source-\([0-9.]*\) .*/\1/' | sort -V
}

# get_release X.Y: the source tree, from the cache or from apt. Sets SRC and
# SRC_ID (which is the same for ever: a packaged tree does not change).
get_release() {
	local release=$1 log
	get_cached_release "$release" && return
	need "$NEEDS_FETCH"
	new_tmp source
	log=$TMP/log
	apt_lists "$log"
	APT_OPTIONS=()
	if [ -z "$(offered_version "$release")" ]; then
		use_other_suites
		[ -n "$(offered_version "$release")" ] || die "$(no_release)"
	fi
	lock "source-$release" "fetching linux-source-$release"
	if ! get_cached_release "$release"; then
		fetch_release "$release" "$log"
		get_cached_release "$release"
	fi
	unlock
}

# A tree that is there is taken, also when the suite has a newer version by now: so
# results stay comparable until somebody removes it.
get_cached_release() {
	local release=$1 dir=$CACHE/source/linux-$1
	[ -e "$dir/.hmmirror-version" ] || return 1
	SRC=$dir
	SRC_ID=$release-$(< "$dir/.hmmirror-version")
}

offered_version() {
	apt-cache "${APT_OPTIONS[@]}" show --no-all-versions "linux-source-$1" 2>/dev/null |
		sed -n 's/^Version: //p' | head -n 1
}

no_release() {
	local all
	all=$(offered_releases | tr '\n' ' ')
	echo "there is no linux-source-$release in the package sources${all:+; they have: $all}(or give a tree with -k DIR)"
}

# download_source RELEASE LOG DIR
download_source() {
	local old=$PWD status=0
	cd "$3" || return
	long "downloading linux-source-$1" "$2" 0 \
		apt-get "${APT_OPTIONS[@]}" download -q "linux-source-$1" ||
		status=$?
	cd "$old" || return
	return "$status"
}

# fetch_release RELEASE LOG: nothing is installed, so no root is needed; apt has
# checked the archive's signature and the package's hash.
fetch_release() {
	local release=$1 log=$2 dir=$TMP deb tar version
	if ! download_source "$release" "$log" "$dir"; then
		# lists that are older than what the archive keeps
		am_root && [ "${#APT_OPTIONS[@]}" = 0 ] && ! apt_disk_full "$log" || apt_failed "$log" "linux-source-$release"
		apt_update "$log"
		download_source "$release" "$log" "$dir" ||
			apt_failed "$log" "linux-source-$release"
	fi
	deb=$(echo "$dir"/linux-source-"$release"_*.deb)
	[ -e "$deb" ] || apt_failed "$log" "linux-source-$release"
	version=$(dpkg-deb -f "$deb" Version)
	mkdir "$dir/tree"
	tar=./usr/src/linux-source-$release.tar.xz
	long "unpacking linux-source-$release $version" "$log" 0 bash -c '
		set -o pipefail
		dpkg-deb --fsys-tarfile "$1" | tar -xO "$2" |
			xz -dc -T0 | tar -x --strip-components=1 -C "$3"' \
		- "$deb" "$tar" "$dir/tree" || failed "unpacking linux-source-$release" "$log"
	rm -f "$deb"
	echo "$version" > "$dir/tree/.hmmirror-version"
	mkdir -p "$CACHE/source"
	mv -T "$dir/tree" "$CACHE/source/linux-$release"
}

# all_releases: of each suite the one that linux-source stands for there now. Sets
# RELEASES.
all_releases() {
	command -v apt-cache > /dev/null ||
		die "-k all: no apt here to get kernel sources from; give trees with -k DIR"
	use_other_suites
	mapfile -t RELEASES < <(apt-cache "${APT_OPTIONS[@]}" show linux-source 2>/dev/null |
		sed -n 's/^Depends:.*linux-source-\([0-9.]*\).*/\1/p' | sort -Vu)
	[ "${#RELEASES[@]}" -gt 0 ] ||
		die "-k all: the machine's package sources have no linux-source; give trees with -k DIR"
}

# harness_tree: a source tree for kselftest's harness; the distribution's own, so that
# it stays the same when others are fetched. Sets KSRC.
harness_tree() {
	local dir
	if [ -n "${HMMIRROR_CELL_KSRC:-}" ]; then
		KSRC=$HMMIRROR_CELL_KSRC
		return
	fi
	if [ -s "$CACHE/default-release" ] && get_cached_release "$(< "$CACHE/default-release")"; then
		KSRC=$SRC
		return
	fi
	dir=$(for d in "$CACHE"/source/linux-*/; do
		[ -e "$d/.hmmirror-version" ] && echo "${d%/}"
	done | sort -V | tail -n 1)
	if [ -z "$dir" ]; then
		if [ -n "${K_SRC:-}" ] && [ -d "$K_SRC/tools/testing/selftests" ]; then
			dir=$K_SRC
		else
			default_release
			get_release "$RELEASE"
			dir=$SRC
		fi
	fi
	KSRC=$dir
}
