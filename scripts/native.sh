# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# -k native: the same plan on the running kernel. The agent's output takes the way
# that a guest's second serial line takes, and the kernel log that of its first.

check_native() {
	am_root || die '-k native loads a module into this kernel; run it as root'
	[ ! -d /sys/module/hmmirror ] ||
		die 'hmmirror is loaded already; rmmod hmmirror and run this again'
	grep -qx CONFIG_HMM_MIRROR=y "$K_BUILD/.config" ||
		die "this kernel has no CONFIG_HMM_MIRROR=y; run the suite in QEMU, without -k native"
}

# start_native CONSOLE PLAN
start_native() {
	local console=$1 out
	out=$(insmod "$MODULE" 2>&1) || die "the driver does not load: $out; see dmesg"
	NATIVE_LOADED=1
	: > "$console"
	setsid dmesg --follow-new > "$console" 2>&1 &
	NATIVE_LOG=$!
	exec {RESULT_FD}< <(exec setpriv --pdeathsig KILL setsid bash -c '
		"$1" /dev/stdout "$2"
		echo done' - "$AGENT" "$2" < /dev/null 2> "$WORK/qemu.err")
	QEMU_PID=$!
}

# On every way out: this kernel is left as it was.
stop_native() {
	[ -z "${NATIVE_LOG:-}" ] || kill "$NATIVE_LOG" 2>/dev/null
	NATIVE_LOG=
	[ -n "${NATIVE_LOADED:-}" ] || return 0
	NATIVE_LOADED=
	rmmod hmmirror 2>/dev/null || say 'hmmirror is still in use; rmmod hmmirror when it is not'
}
