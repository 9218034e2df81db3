# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# Config fragments, that is what -c names. Beside config lines a fragment can have
#
#	# guest: append=WORD	a word for the guest's kernel command line
#	# guest: module=WORD	a parameter of hmmirror.ko
#	# guest: cpus=N		so many CPUs
#	# guest: hugepages=N	so many huge pages are set aside; what is short then is the rest
#	# guest: slow		it is given three times as long to come up
#	# guest: spread		tests start out on all of them, not on one
#	# guest: beside=COMMAND	a program that runs beside the tests; all its libraries
#				go with it
#	# make: VAR=VALUE	for every make of the kernel and the driver
#	# needs: COMMAND:PACKAGE	to be installed if the command is missing
#
# A fragment that only sets the guest goes with a kernel that is built already.

FRAGMENTS=()		# files that -c named
G_APPEND=		# of the guest's kernel command line
G_MODULE=		# parameters of hmmirror.ko
G_CPUS=2
G_HUGEPAGES=64		# of 2 MiB
G_SLOW=0
G_SPREAD=0
G_BESIDE=
MAKE_ARGS=()

# find_fragment NAME: a file of configs/ or a path. Sets FRAGMENT.
find_fragment() {
	if [ -f "$ROOT/configs/$1.config" ]; then
		FRAGMENT=$ROOT/configs/$1.config
	elif [ -f "$1" ]; then
		FRAGMENT=$1
	else
		die "unknown config: $1; give a file or one of:$(cd "$ROOT/configs" && printf ' %s' *.config | sed 's/\.config//g; s/ base//')"
	fi
}

# read_fragments CONFIGS: names joined by +. Sets the variables above.
read_fragments() {
	local name
	FRAGMENTS=() G_APPEND='' G_MODULE='' G_CPUS=2 G_HUGEPAGES=64 G_SLOW=0 G_SPREAD=0 G_BESIDE='' MAKE_ARGS=()
	for name in ${1//+/ }; do
		find_fragment "$name"
		FRAGMENTS+=("$FRAGMENT")
		read_directives "$FRAGMENT"
	done
}

# read_directives FILE
read_directives() {
	local file=$1 key value
	while read -r key value; do
		case $key,$value in
		guest:,append=?*) G_APPEND+=" ${value#append=}" ;;
		guest:,module=?*) G_MODULE+=" ${value#module=}" ;;
		guest:,cpus=[1-9]) G_CPUS=${value#cpus=} ;;
		guest:,hugepages=*[!0-9]*) die "$file: '# $key $value': a number is wanted" ;;
		guest:,hugepages=[1-9]*) G_HUGEPAGES=${value#hugepages=} ;;
		guest:,slow) G_SLOW=1 ;;
		guest:,spread) G_SPREAD=1 ;;
		guest:,beside=[a-z]*)
			[ -z "$G_BESIDE" ] ||
				die "$file: another fragment has a program beside the tests already; take one"
			G_BESIDE=${value#beside=}
			;;
		make:,[A-Z]*=*) MAKE_ARGS+=("$value") ;;
		needs:,?*:?*) need "$value" ;;
		*) die "$file: '# $key $value' is not understood; see docs/runner.md" ;;
		esac
	done < <(sed -n 's/^# \(guest:\|make:\|needs:\)/\1/p' "$file")
}

# config_lines FILE...: what of fragments goes into a build
config_lines() {
	sed -n '/^CONFIG_/p; /^# CONFIG_.* is not set$/p; /^# make:/p' "$@"
}

# unmet CONFIG FILE...: config lines that did not come true, because the tree lacks the
# option or another one decides
unmet() {
	local config=$1 line option
	shift
	while read -r line; do
		case $line in
		CONFIG_*) grep -qxF "$line" "$config" || printf ' %s' "$line" ;;
		*)
			option=${line#'# '}
			option=${option%' is not set'}
			! grep -q "^$option=" "$config" || printf ' %s=n' "$option"
			;;
		esac
	done < <(config_lines "$@" | grep -v '^# make:')
}
