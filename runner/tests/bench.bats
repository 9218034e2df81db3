#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# --bench, --bench --bisect, --count and --exact: the numbers and the runs are the same each time,
# whatever else the machine does, and what takes more is found.
# shellcheck disable=SC2154 # bats sets status, output and lines

load helper

setup_file() {
	default_kernel
	git_identity
}

setup() {
	own_repository
}

# counter: a program whose operation takes 3 % more if the kernel's command line says so
counter() {
	export HMMIRROR_TEST_COUNTER=$BATS_TEST_TMPDIR/counter
	gcc -O2 -static -I "$ROOT/lib" -o "$HMMIRROR_TEST_COUNTER" "$ROOT/runner/tests/counter.c" \
		"$ROOT/lib/count.c"
}

# kept: copies counts.json of the run that has just ended
kept() {
	cp "${lines[-1]#logs: }/counts.json" "$1"
}

@test "counts are the same to the last digit, also on a busy machine" {
	unset HMMIRROR_TEST_DRIVER
	run "$RUN" --bench open_close 'read.anon' to_device.anon
	echo "$output"
	[ "$status" = 0 ]
	kept first
	grep -q '^  read.anon ' "${lines[-1]#logs: }/report.html"
	local busy=()
	for _ in 1 2 3 4; do
		sh -c 'while :; do :; done' & busy+=($!)
	done
	run "$RUN" --bench open_close 'read.anon' to_device.anon
	kill "${busy[@]}"
	echo "$output"
	[ "$status" = 0 ]
	kept second
	cmp first second
	# the driver has a part of each
	grep -q '"operation": "read.anon"' first
	if grep -q '"driver": 0,' first; then return 1; fi
}

@test "functions: where the instructions of an operation are, and all of them" {
	unset HMMIRROR_TEST_DRIVER
	run "$RUN" --bench functions open_close read.anon
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^read.anon, 1 MiB: instructions a page$' <<< "$output"
	# nearly all of a walk over pages that are there is one function and what it calls
	grep -Eq '^ +[4-9][0-9]\.[0-9]  hmm_vma_walk_pmd$' <<< "$output"
	grep -q '  (hmmirror.ko)$' <<< "$output"
	bad_input 'name the operations' "$RUN" --bench functions
}

@test "finds the commit that adds 3 % to an operation" {
	counter
	history fast fast fast fast fast broken fast slow slow slow slow slow
	run "$RUN" --bench --bisect c1 c12 loop --at-once 2 --tree "$REPO"
	echo "$output"
	[ "$status" = 0 ]
	grep -qx '  commit 8: slow' <<< "$output"
	grep -q '(+3[.]0 %)' <<< "$output"
	grep -q 'commit 6: broken (the kernel does not build)$' <<< "$output"
}

@test "says so if the bad end does not take so much more" {
	counter
	history fast slow
	bad_input 'BAD is not 5.0 % worse' "$RUN" --bench --bisect c1 c2 loop --worse 5% --tree "$REPO"
}

@test "--count prints what lies between the marks of a program" {
	cat > mine.c <<-'END'
	#include "hmmirror_lib.h"
	#include <unistd.h>
	int main(void)
	{
		__u64 begun = hmm_count_begin();
		int i;

		for (i = 0; i < 1000; i++)
			asm volatile("");
		hmm_count_end(begun);
		begun = hmm_count_begin();
		getppid();
		hmm_count_end(begun);
		return 3;
	}
	END
	run "$RUN" --count mine.c
	echo "$output"
	[ "$status" = 3 ]
	# two pairs: one is the program's alone, the other has a system call in it
	[[ ${lines[-2]} =~ ^' '+1' '+[0-9]+' '+([0-9]+)' '+0' '+0$ ]]
	((BASH_REMATCH[1] >= 2000 && BASH_REMATCH[1] < 4000))
	[[ ${lines[-1]} =~ ^' '+2' '+[0-9]+' '+[0-9]+' '+([0-9]+)' '+0$ ]]
	((BASH_REMATCH[1] > 10))
}

@test "--exact makes the same run again, also one in which the guest dies" {
	run "$RUN" --exact 7 fake.pass fake.fail fake.crash fake.taints last.pass
	echo "$output"
	[ "$status" = 1 ]
	grep -qx 'seed 7: --exact 7 makes the same run again' <<< "$output"
	local first=${lines[-2]#logs: }
	run "$RUN" --exact 7 fake.pass fake.fail fake.crash fake.taints last.pass
	echo "$output"
	local second=${lines[-2]#logs: } file
	[ -s "$first/console.2" ]
	for file in console.1 console.2 results summary; do
		cmp "$first/$file" "$second/$file"
	done
	# with another seed, a timer may fire between the marks
	run "$RUN" --exact 7 --exec "$HMMIRROR_TEST_SUITE/../counter.c"
	echo "$output"
	[ "$status" = 0 ]
	local count=${lines[-1]}
	[[ $count == 'count loop 1048576 '* ]]
	run "$RUN" --exact 7 --exec "$HMMIRROR_TEST_SUITE/../counter.c"
	echo "$output"
	[ "${lines[-1]}" = "$count" ]
}

@test "--exact finds the calls with which --stress fuzz fails" {
	unset HMMIRROR_TEST_SUITE
	export HMMIRROR_TEST_DRIVER=$BATS_TEST_TMPDIR/driver
	cp -r "$ROOT/driver" "$HMMIRROR_TEST_DRIVER"
	# one call that sets a trap, and another one that goes into it
	sed -i -e '/^int hmmirror_ioctl_query/i static bool trap;' \
		-e '/^int hmmirror_ioctl_query/,/^}/s/^\treturn 0;/\ttrap = true;\n&/' \
		-e '/^int hmmirror_ioctl_stats/,/^}/s/^\treturn 0;/\tWARN_ON(trap \&\& cmd->flags);\n&/' \
		"$HMMIRROR_TEST_DRIVER/abi/query.c"
	run "$RUN" --exact 7 --stress fuzz --minutes 0.1 --calls 96-127
	echo "$output"
	[ "$status" = 1 ]
	grep -Eq '^[23] of 32 calls are enough to fail so \([0-9]+ guests tried\):$' <<< "$output"
	# the numbers of QUERY and STATS, whose flags may be flipped ones
	grep -Eq '^  call [0-9]+: device [0-3], request 0x[0-9a-f]*da00, argument ' <<< "$output"
	grep -Eq '^  call [0-9]+: device [0-3], request 0x[0-9a-f]*da05, argument ' <<< "$output"
	local again
	again=$(sed -n 's/^again, with the same kernel and config: //p' <<< "$output")
	[[ $again == '--exact 7 --stress fuzz --minutes 0.10 --calls '* ]]
	# shellcheck disable=SC2086 # words
	run "$RUN" $again
	echo "$output"
	[ "$status" = 1 ]
	grep -q 'WARNING: ' <<< "$output"
}

@test "--replay stops a debugger where the first failed test fails" {
	run "$RUN" --exact 7 --replay fake.pass fake.crash
	echo "$output"
	[ "$status" = 1 ]
	[[ ${lines[-1]} == 'replay: gdb -q -x '*/replay.gdb ]]
	local script=${lines[-1]#replay: gdb -q -x } logs
	logs=${script%/*}
	run timeout 300 gdb -q -batch -x "$script" -ex backtrace -ex kill
	echo "$output"
	grep -q ' in panic ()' <<< "$output"
	grep -q ' in sysrq_handle_crash ()' <<< "$output"
	# up to the stop it is the same run
	[ "$(grep -c . "$logs/replay.console")" -ge 4 ]
	cmp -n "$(stat -c %s "$logs/replay.console")" "$logs/console.1" "$logs/replay.console"

	run "$RUN" --exact 7 --replay fake.pass fake.fail fake.crash
	echo "$output"
	run timeout 300 gdb -q -batch -x "${lines[-1]#replay: gdb -q -x }" -ex backtrace -ex kill
	echo "$output"
	grep -q ' in test_failed ()' <<< "$output"
	run "$RUN" --exact 7 --replay fake.pass
	echo "$output"
	[ "$status" = 0 ]
	[ "${lines[-1]}" = 'no test failed, so there is nothing to replay' ]
}

@test "a seed is another schedule, and the same one each time" {
	unset HMMIRROR_TEST_DRIVER
	local seed
	for seed in 3 3 4; do
		run "$RUN" --exact "$seed" --stress race.walk --minutes 0.02
		echo "$output"
		[ "$status" = 0 ]
		grep -oE '[0-9]+ rounds of 1 races' <<< "$output" >> rounds
		cp "${lines[-2]#logs: }/console.1" "console.$((++count))"
	done
	cmp console.1 console.2
	if cmp -s console.1 console.3; then return 1; fi
	[ "$(sed -n 1p rounds)" = "$(sed -n 2p rounds)" ]
	[ "$(sed -n 1p rounds)" != "$(sed -n 3p rounds)" ]
	bad_input 'race.walk ' "$RUN" --stress race.walks
}

@test "refuses what it cannot count" {
	bad_input 'there is no operation no.such' "$RUN" --bench no.such
	bad_input 'one operation' "$RUN" --bench --bisect a b
	bad_input 'percent are wanted' "$RUN" --bench --bisect a b loop --worse much
	bad_input '--worse is for' "$RUN" --worse 5% walk_anon
	bad_input 'does an operation go with' "$RUN" --bench held read.anon
	bad_input 'give one -k' "$RUN" --bench held -k 6.1 -k 7.2
	bad_input '--replay is for --exact' "$RUN" --replay walk_anon
	bad_input 'on one kernel, with one -c and one seed' "$RUN" --exact 1-5 --replay walk_anon
}
