# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# Which Debian package has what a job needs, and getting the missing ones.

# what is needed -> a test for it -> package. A test beginning with / is a file.
NEEDS_KERNEL='gcc:gcc make:make bc:bc bison:bison flex:flex cpio:cpio perl:perl
	/usr/include/stdio.h:libc6-dev /usr/include/gelf.h:libelf-dev xz:xz-utils'
NEEDS_SUITE='gcc:gcc make:make /usr/include/stdio.h:libc6-dev
	/usr/include/numa.h:libnuma-dev /usr/include/hugetlbfs.h:libhugetlbfs-dev'
NEEDS_GUEST='qemu-system-x86_64:qemu-system-x86 cpio:cpio busybox:busybox-static'
NEEDS_FETCH='xz:xz-utils'
NEEDS_DISTRO='depmod:kmod'
NEEDS_REPORT='jq:jq'
NEEDS_REINTRODUCE='spatch:coccinelle'
NEEDS_BISECT='git:git ccache:ccache'
NEEDS_CHECK='shellcheck:shellcheck sparse:sparse bats:bats perl:perl pgrep:procps
	xmllint:libxml2-utils git:git ccache:ccache spatch:coccinelle'

# For the tests: a machine that lacks these, whatever is installed.
HIDDEN=${HMMIRROR_TEST_MISSING:-}

have() {
	case " $HIDDEN " in
	*" $1 "*) return 1 ;;
	esac
	case $1 in
	/*) [ -e "$1" ] ;;
	busybox) busybox_static ;;
	# a user's PATH has no sbin
	*) PATH=$PATH:/sbin:/usr/sbin command -v "$1" > /dev/null ;;
	esac
}

# is_static FILE: the name of the dynamic linker stands near a program's start.
is_static() {
	! head -c 4096 "$1" | grep -q -a 'ld-linux\|/ld-musl'
}

# A busybox that needs a C library would not run in the guest.
busybox_static() {
	BUSYBOX=$(command -v busybox) && is_static "$BUSYBOX"
}

am_root() {
	[ "${HMMIRROR_TEST_UID:-$EUID}" = 0 ]
}

# need LIST: one of the lists above
need() {
	local word missing=() log
	for word in $1; do
		have "${word%%:*}" && continue
		[[ " ${missing[*]} " == *" ${word##*:} "* ]] || missing+=("${word##*:}")
	done
	[ "${#missing[@]}" = 0 ] && return
	command -v apt-get > /dev/null ||
		die "these Debian packages are needed and there is no apt-get: ${missing[*]}; install what they hold"
	am_root ||
		die "packages are missing; as root: apt-get install --no-install-recommends ${missing[*]}"
	new_tmp packages
	log=$TMP/log
	apt_lists "$log"
	# two runs at once must not both call apt
	lock packages 'installing packages'
	DEBIAN_FRONTEND=noninteractive long "installing ${missing[*]}" "$log" 0 \
		apt-get install -y -q --no-install-recommends \
		-o DPkg::Lock::Timeout=300 "${missing[@]}" || apt_failed "$log" "${missing[*]}"
	unlock
	for word in $1; do
		have "${word%%:*}" ||
			die "${word##*:} is installed and there is still no ${word%%:*}; check the package"
	done
	say "installed ${missing[*]}"
}

# A fresh machine has no package lists.
apt_lists() {
	local log=$1 lists
	lists=$(apt-config shell d Dir::State::lists/d | sed "s/^d='\(.*\)'$/\1/")
	compgen -G "$lists*_Packages*" > /dev/null && return
	apt_update "$log"
}

apt_update() {
	local log=$1
	am_root || die "apt has no package lists; as root: apt-get update"
	lock packages 'updating the package lists'
	long 'updating the package lists' "$log" 0 \
		apt-get update -q -o DPkg::Lock::Timeout=300 ||
		apt_failed "$log" 'the package lists'
	unlock
	if grep -q '^W: Failed to fetch\|^W: Some index files failed' "$log" &&
		! grep -q '^\(Get\|Hit\):' "$log"; then
		apt_failed "$log" 'the package lists'
	fi
}

apt_disk_full() {
	grep -qiE "no space left|don.t have enough free space" "$1"
}

# apt says a lot; the user needs one line.
apt_failed() {
	local log=$1 what=$2
	if apt_disk_full "$log"; then
		die "cannot get $what: the disk is full; free some space"
	fi
	keep_log "$log" apt
	if grep -qiE 'could not (resolve|connect)|failed to fetch|unable to connect|connection (failed|timed out|refused)|network is unreachable|temporary failure' "$log"; then
		die "cannot download $what: no network to the machine's package sources; see $KEPT"
	elif grep -qiE 'unable to locate package|no installation candidate|unable to find a source' "$log"; then
		die "the machine's package sources do not have all of $what; see $KEPT"
	fi
	die "apt could not get $what; see $KEPT"
}
