#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# What the runner makes of tests that end well and badly, and of being disturbed.

load helper

setup_file() {
	default_kernel
}

@test "--help and --list" {
	run "$RUN" --help
	[ "$status" = 0 ]
	[[ $output == Usage:* ]]
	run "$RUN" --list last.pass 'fake.s*'
	[ "$status" = 0 ]
	[[ $output == *fake.skip*last.pass ]]
	[[ $output != *fake.crash* ]]
}

@test "--man and --completion are made of --help" {
	run "$RUN" --man
	[ "$status" = 0 ]
	[[ $output == *'.B \-\-bisect GOOD BAD'*'.B \-\-at\-once N'*'.SH EXIT STATUS'* ]]
	run "$RUN" --completion bash
	[ "$status" = 0 ]
	bash -n <<< "$output"
	run "$RUN" --completion zsh
	[[ ${lines[0]} == '#compdef run_tests.sh' ]]
	bad_input '--completion fish: it is bash or zsh' "$RUN" --completion fish
	run "$RUN" --complete --bisect a b --at
	[ "$output" = --at-once ]
}

@test "green is green, and the logs are where it says" {
	run "$RUN" '*.pass'
	echo "$output"
	[ "$status" = 0 ]
	[ "${lines[-1]}" = '2 passed, 0 failed, 0 skipped' ]
	[ -s "${lines[-2]#logs: }/console.1" ]
}

@test "a variant has nothing of the verdict of another" {
	local harness=tools/testing/selftests/kselftest_harness.h
	NEWEST=$(grep -ls 'int exit_code;' "$(cache)"/source/linux-*/$harness | sort -V | tail -1)
	[ "$NEWEST" ] || skip 'no tree in the cache has a harness as of 6.9 or later'
	export NEWEST=${NEWEST%/"$harness"}
	HMMIRROR_GUESTS=1 HMMIRROR_TEST_SUITE=$ROOT/runner/tests/variants run "$RUN" -k "$KERNEL_BUILD"
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '2 passed, 1 failed, 2 skipped' ]
	[[ $output == *'SKIP  variants.skips.verdict '*'the first reason'* ]]
	[[ $output == *'SKIP  variants.skips_again.verdict '*'the second reason'* ]]
}

@test "old logs go, but not under a run that goes on" {
	local logs dead live i
	logs=$(cache)/logs
	dead=$logs/20200101-000000-1
	live=$logs/20200101-000000-2
	mkdir -p "$dead" "$live"
	for i in {1..30}; do mkdir -p "$logs/20200102-000000-41943$i"; done
	# as a run does, also one in another container that shares the cache
	exec 8< "$live"
	flock 8
	run "$RUN" last.pass
	exec 8<&-
	echo "$output"
	[ "$status" = 0 ]
	[ ! -e "$dead" ]
	[ -e "$live" ]
	rm -rf "$logs"/2020010[12]-*
}

@test "what another run holds in the cache stays, what nobody holds goes" {
	local held free
	held=$(cache)/tmp/work.1.1 free=$(cache)/tmp/work.2.$$
	mkdir -p "$held" "$free"
	exec 8< "$held"
	flock 8
	run "$RUN" last.pass
	exec 8<&-
	echo "$output"
	[ -e "$held" ]
	[ ! -e "$free" ]
	rm -r "$held"
}

@test "tests that fail, crash, hang, flood and splat are told apart" {
	run "$RUN" --timeout 8 --exclude fake.leaves 'fake.*' 'cell.*' last.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '4 passed, 12 failed, 1 skipped' ]
	grep -q '^ok    fake.pass ' <<< "$output"
	grep -q '^FAIL  fake.fail ' <<< "$output"
	grep -q 'Expected 1 (1) == 2 (2)' <<< "$output"
	grep -q '^SKIP  fake.skip .* no such thing here$' <<< "$output"
	grep -q '^FAIL  fake.splat .*WARNING: CPU: 0 PID: 1 at mm/fake.c' <<< "$output"
	grep -q '^FAIL  fake.lockdep .*possible circular locking' <<< "$output"
	grep -q '^FAIL  fake.crash .*the guest died' <<< "$output"
	grep -q 'Kernel panic - not syncing: sysrq triggered crash' <<< "$output"
	grep -q '^FAIL  fake.freeze .*the guest said nothing' <<< "$output"
	grep -q '^FAIL  fake.hang .*no end within 8 s' <<< "$output"
	grep -q '^FAIL  fake.flood .*256 KiB' <<< "$output"
	grep -q '^FAIL  fake.die .*signal 6' <<< "$output"
	grep -q '^FAIL  fake.silent .*ran no test' <<< "$output"
	grep -q '^FAIL  fake.lies .*said not ok and ended with 0' <<< "$output"
	grep -q "^FAIL  fake.taints .*the kernel's taint changed: U\$" <<< "$output"
	grep -q '^FAIL  fake.report .*the kernel: mirror cracked' <<< "$output"
	grep -q '^ok    last.pass ' <<< "$output"
}

@test "what a failed test leaves behind fails nobody else" {
	run "$RUN" fake.leaves last.clean
	echo "$output"
	[ "$status" = 1 ]
	grep -q '^FAIL  fake.leaves ' <<< "$output"
	grep -q '^fake.leaves left something behind: .*refcnt' <<< "$output"
	grep -q '^ok    last.clean ' <<< "$output"
	[ -s "$(sed -n 's/^logs: //p' <<< "$output")/console.2" ]
}

@test "a test that harms its agent costs one verdict" {
	run "$RUN" --timeout 3 'agent.*' last.pass
	echo "$output"
	[ "$status" = 1 ]
	grep -q '^FAIL  agent.stuck .*no end within 3 s' <<< "$output"
	grep -q '^FAIL  agent.stops .*no end within 3 s' <<< "$output"
	grep -q '^ok    agent.daemons ' <<< "$output"
	grep -q '^ok    last.pass ' <<< "$output"
}

@test "--fail-fast ends at the first failure" {
	run "$RUN" -x fake.fail last.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '0 passed, 1 failed, 0 skipped' ]
}

@test "--rerun-failed runs what failed in the last run" {
	run "$RUN" fake.fail fake.pass fake.die
	run "$RUN" --rerun-failed
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '0 passed, 2 failed, 0 skipped' ]
	run "$RUN" last.pass
	run "$RUN" --rerun-failed
	[ "$status" = 0 ]
	[ "$output" = 'no test failed in the last run' ]
}

@test "--exec: a report of the kernel's under a program that ends well" {
	cat > "$BATS_TEST_TMPDIR/report.c" <<-'END'
		#include <fcntl.h>
		#include <string.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			const char *text = "<4>WARNING: CPU: 0 PID: 1 at mm/fake.c:1 fake+0x1/0x2\n";

			return write(open("/dev/kmsg", O_WRONLY), text, strlen(text)) < 0 || argc > 1 ? 5 : 0;
		}
	END
	gcc -static -o "$BATS_TEST_TMPDIR/report" "$BATS_TEST_TMPDIR/report.c"
	run "$RUN" --exec "$BATS_TEST_TMPDIR/report"
	echo "$output"
	[ "$status" = 1 ]
	[ "$(grep -c 'so the status is 1$' <<< "$output")" = 1 ]
	run "$RUN" --exec "$BATS_TEST_TMPDIR/report" x
	[ "$status" = 5 ]
}

@test "paths with spaces and signs that have a meaning elsewhere" {
	local dir="$BATS_TEST_TMPDIR/a +[b]*.c|d"
	mkdir -p "$dir"
	echo '# guest: append=fake=skip' > "$dir/x +.config"
	echo 'int main(void) { return 4; }' > "$dir/own.c"
	run "$RUN" -c "$dir/x +.config" "$dir/own.c" cell.skips
	echo "$output"
	[ "${lines[-1]}" = '0 passed, 0 failed, 2 skipped' ]
	XDG_CACHE_HOME=$dir bad_input 'set XDG_CACHE_HOME to one without spaces' "$RUN" last.pass
}

@test "several guests side by side share the tests, and lose none" {
	HMMIRROR_GUESTS=3 run "$RUN" --keep --exclude fake.leaves 'fake.[!hf]*' last.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '2 passed, 8 failed, 1 skipped' ]
	grep -q '^FAIL  fake.splat .*WARNING: CPU: 0 PID: 1 at mm/fake.c' <<< "$output"
	grep -q '^FAIL  fake.crash .*the guest died' <<< "$output"
	grep -q '^ok    last.pass ' <<< "$output"
	[ -s "${lines[-2]#logs: }/console.301" ]
	[ -s "${lines[-2]#logs: }/initramfs.3" ]
	HMMIRROR_GUESTS=no run "$RUN" last.pass
	[ "$status" = 2 ]
	[[ ${lines[-1]} == *'a number is wanted'* ]]
}

@test "--exec shows the output and passes the status on" {
	cat > "$BATS_TEST_TMPDIR/a.c" <<-'END'
		#include <stdio.h>
		#include <unistd.h>
		int main(int argc, char **argv)
		{
			printf("%d %s %d\n", argc, argv[2], access("/sys/module/hmmirror", R_OK));
			return 7;
		}
	END
	gcc -static -o "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/a.c"
	run --separate-stderr "$RUN" --exec "$BATS_TEST_TMPDIR/a" 1 'two words'
	# shellcheck disable=SC2154 # bats sets it
	echo "$output $stderr"
	[ "$status" = 7 ]
	[ "$output" = '3 two words 0' ]
}

@test "--shell has the driver, and takes commands from a file" {
	run --separate-stderr "$RUN" --shell <<< 'ls -d /sys/module/hmmirror; exit 3'
	echo "$output"
	[ "$status" = 3 ]
	[ "$output" = /sys/module/hmmirror ]
}

@test "--shell on a terminal" {
	local in=$BATS_TEST_TMPDIR/in out=$BATS_TEST_TMPDIR/out
	mkfifo "$in"
	timeout 60 script -qec "$RUN --shell" /dev/null < "$in" > "$out" &
	exec 9> "$in"
	# what comes before the shell is there would be lost
	wait_for 50 grep -q '/ # ' "$out"
	# shellcheck disable=SC2016 # the guest expands it
	echo 'cd /sys/module/hmmirror; echo "in $PWD"; exit' >&9
	wait "$!"
	exec 9>&-
	cat "$out"
	grep -q 'in /sys/module/hmmirror' "$out"
}

@test "--keep leaves what starts the guest again" {
	run "$RUN" --keep last.pass
	[ "$status" = 0 ]
	local logs=${lines[-2]#logs: }
	[ -s "$logs/initramfs" ] && [ -s "$logs/qemu.cmd" ]
	# it writes a console's log where it is
	cd "$BATS_TEST_TMPDIR" || return
	run timeout 60 sh "$logs/qemu.cmd" < /dev/null
	rm -r "$logs"
	[[ $output == *'end ok'* ]]
}

@test "what runs beside the tests has to run as long as they do" {
	local beside=$BATS_TEST_TMPDIR/beside.config
	echo '# guest: beside=sleep 600' > "$beside"
	run "$RUN" -c "$beside" last.pass
	echo "$output"
	[ "$status" = 0 ]
	grep -q 'beside the tests: 0 pages swapped out' <<< "$output"
	echo '# guest: beside=sleep now' > "$beside"
	run "$RUN" -c "$beside" last.pass
	echo "$output"
	[ "$status" = 1 ]
	grep -q '^FAIL  guest.beside .*it ended before the tests did: .*now' <<< "$output"
}

@test "Ctrl-C while the guest runs" {
	env --default-signal=INT "$RUN" fake.hang > "$BATS_TEST_TMPDIR/out" 2>&1 &
	local pid=$!
	wait_for 40 pgrep -f "$(cache)/tmp/work.*[.]$pid/" > /dev/null
	sleep 2
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/out"
	[ "$status" = 130 ]
	nothing_left "$pid"
}

@test "Ctrl-C while a kernel is built, and again" {
	local pid
	own_cache
	env --default-signal=INT "$RUN" -k "$KERNEL_SOURCE" > "$BATS_TEST_TMPDIR/out" 2>&1 &
	pid=$!
	wait_for 60 grep -q 'building linux' "$BATS_TEST_TMPDIR/out"
	sleep 2
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	cat "$BATS_TEST_TMPDIR/out"
	[ "$status" = 130 ]
	nothing_left "$pid"
	# goes on from there, so nothing says that it has to be thrown away
	[ -z "$(find "$(cache)/kernel" -maxdepth 2 -name stamp -o -maxdepth 2 -name building)" ]
}

@test "killed outright: no QEMU stays, the next run cleans up" {
	local pid
	"$RUN" fake.hang > "$BATS_TEST_TMPDIR/out" 2>&1 &
	pid=$!
	wait_for 40 pgrep -f "$(cache)/tmp/work.*[.]$pid/" > /dev/null
	kill -KILL "$pid"
	wait "$pid" || true
	"$RUN" --help > /dev/null
	"$RUN" last.pass
	nothing_left "$pid"
}

@test "two runs at once, on an empty cache" {
	own_cache
	"$RUN" -k "$KERNEL_BUILD" last.pass > "$BATS_TEST_TMPDIR/one" 2>&1 &
	local one=$!
	"$RUN" -k "$KERNEL_BUILD" last.pass > "$BATS_TEST_TMPDIR/two" 2>&1 &
	local two=$!
	wait "$one"
	wait "$two"
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/one")" = '1 passed, 0 failed, 0 skipped' ]
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/two")" = '1 passed, 0 failed, 0 skipped' ]
}

@test "a half-written cache entry is not used" {
	local ko
	own_cache
	run "$RUN" -k "$KERNEL_BUILD" last.pass
	[ "$status" = 0 ]
	ko=$(echo "$(cache)"/driver/*/hmmirror.ko)
	# what a power cut leaves
	truncate -s 1000 "$ko" "$(cache)"/agent/*/agent "$(cache)"/suite/*/bin/fake
	for entry in "${ko%/*}" "$(cache)"/agent/* "$(cache)"/suite/*; do
		rm "$entry/stamp"
		touch "$entry/building"
	done
	run "$RUN" -k "$KERNEL_BUILD" last.pass
	echo "$output"
	[ "$status" = 0 ]
	[ "${lines[-1]}" = '1 passed, 0 failed, 0 skipped' ]
}

# lockdep's state is seen where a kernel has it; here a file stands in for that
@test "the agent ends early when a report has turned lockdep off" {
	local dir=$BATS_TEST_TMPDIR
	[ "$EUID" = 0 ] || skip 'needs root, for a mount'
	# which has one agent only
	own_cache
	run "$RUN" -k "$KERNEL_BUILD" last.pass
	[ "$status" = 0 ]
	printf 'run 9\t%s\t/bin/sh\t-c\t%s\n' first true \
		second 'echo " debug_locks: 0" > /proc/lockdep_stats' third true > "$dir/commands"
	unshare -m sh -c "mount -t tmpfs none /proc && echo ' debug_locks: 1' > /proc/lockdep_stats &&
		exec $(echo "$(cache)"/agent/*/agent) - < $dir/commands > $dir/out"
	cat "$dir/out"
	[ "$(grep -v ^end "$dir/out")" = $'ready 0\nbegin\nbegin\nlockdep off' ]
}

@test "-k native runs the plan on this machine" {
	local bin=$BATS_TEST_TMPDIR/bin
	[ "$EUID" = 0 ] || skip 'needs root'
	mkdir "$bin"
	# a driver is not to come near the machine that this runs on
	cat > "$bin/insmod" <<-END
		#!/bin/sh
		echo "\$0 \$*" >> $BATS_TEST_TMPDIR/log
	END
	cp "$bin/insmod" "$bin/rmmod"
	printf '#!/bin/sh\nexec sleep 60\n' > "$bin/dmesg"
	chmod +x "$bin"/*
	PATH=$bin:$PATH HMMIRROR_TEST_NATIVE=$KERNEL_BUILD run "$RUN" -k native --timeout 2 \
		fake.pass fake.fail fake.hang fake.die last.pass
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '2 passed, 3 failed, 0 skipped' ]
	[[ "$(< "$BATS_TEST_TMPDIR/log")" == *insmod*hmmirror.ko*rmmod\ hmmirror ]]
	# nothing that a test started is left
	if pgrep -fa "$(cache)/suite/.*/fake fake"; then return 1; fi
}

@test "--stress: a short run, with its seed and what it has counted" {
	HMMIRROR_TEST_DRIVER='' run "$RUN" --stress fuzz --minutes 0.1 --seed 5
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *'seed 5: '* ]]
	[[ $output =~ stress.fuzz:\ [1-9][0-9]*\ calls ]]
	[ "${lines[-1]}" = '1 passed, 0 failed, 0 skipped' ]
}
