#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make bench: the driver beside the kernel's own test_hmm.ko in one guest, how its
# costs grow, and how long the runner takes. docs/performance.md has the results.
# shellcheck disable=SC2034 # variables of the parts
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 2
PROG='make bench'

# shellcheck source-path=SCRIPTDIR
. "$ROOT/scripts/common.sh"
. "$ROOT/scripts/packages.sh"
. "$ROOT/scripts/aptroot.sh"
. "$ROOT/scripts/sources.sh"
. "$ROOT/scripts/fragments.sh"
. "$ROOT/scripts/distro.sh"
. "$ROOT/scripts/kernel.sh"
. "$ROOT/scripts/build.sh"
. "$ROOT/scripts/image.sh"
. "$ROOT/scripts/vm.sh"
. "$ROOT/scripts/native.sh"
. "$ROOT/scripts/report.sh"
. "$ROOT/scripts/run.sh"

usage() {
	cat <<'END'
Usage: scripts/bench.sh [PART]...

  driver   hmmirror.ko and test_hmm.ko side by side, 64 MiB of 4K pages
  growth   hmmirror.ko alone, 4 KiB to 1 GiB
  runner   ./run_tests.sh with a full cache: Enter to verdict, guest to first test
  fresh    the same with an empty cache, downloads included, step by step

Without PART: all but fresh.
END
}

# The kernel's driver is a module of its own tree; built beside, from a copy.
build_test_hmm() {
	local dir=$HERE/test_hmm
	[ -f "$K_SRC/lib/test_hmm.c" ] || die "linux $K_NAME has no lib/test_hmm.c to compare with"
	mkdir "$dir"
	cp "$K_SRC"/lib/test_hmm*.[ch] "$dir/"
	echo 'obj-m := test_hmm.o' > "$dir/Kbuild"
	long 'building test_hmm.ko' "$HERE/log" 0 make -C "$K_BUILD" M="$dir" modules ||
		failed 'building test_hmm.ko' "$HERE/log"
	TEST_HMM=$dir/test_hmm.ko
}

build_bench() {
	BENCH=$HERE/hmm_bench
	gcc -O2 -Wall -Wextra -static -I "$ROOT/driver/uapi" -o "$BENCH" \
		"$ROOT/bench/hmm_bench.c" 2> "$HERE/log" || failed 'building hmm_bench' "$HERE/log"
}

# in_bench_guest: runs the commands of stdin there; what they print comes out
in_bench_guest() {
	cat > "$HERE/commands"
	start_work "$HERE/commands" "$BENCH" "$TEST_HMM"
	printf '0\texec\t/bin/sh\t/tests/commands\n' > "$HERE/plan"
	make_plan "$WORK/plan.cpio" run < "$HERE/plan"
	start_guest "$LOGS/console.1"
	EXEC_END=()
	follow "$LOGS/console.1" > "$HERE/results" || die "the guest was lost; see $LOGS/console.1"
	[ "${EXEC_END[*]:0:2}" = 'exit 0' ] || {
		cat "$HERE/results" >&2
		die "the benchmark failed; see $LOGS/console.1"
	}
	grep -E '^[a-z_]+ [a-z_]+ [0-9]+ [0-9]+ [0-9]+$' "$HERE/results" > "$HERE/numbers"
}

# Taken in turns, so that what the machine does meanwhile hits both.
part_driver() {
	step "linux $K_NAME, hmmirror.ko and test_hmm.ko in turns"
	in_bench_guest <<-'END'
		set -e
		rmmod hmmirror
		for i in 1 2 3; do
			insmod /tests/test_hmm.ko
			/tests/hmm_bench test_hmm 64 5
			rmmod test_hmm
			insmod /modules/hmmirror.ko
			/tests/hmm_bench hmmirror 64 5
			rmmod hmmirror
		done
		insmod /modules/hmmirror.ko
	END
	step_clear
	printf '64 MiB of 4K pages, linux %s, %s, ns a page (median of 15):\n' "$K_NAME" "$ACCEL"
	LC_ALL=C sort -k2,2 -k1,1 -k5,5n "$HERE/numbers" | awk '
		{ key = $1 " " $2; n[key]++; v[key, n[key]] = $5; size = $3; op[$2] = 1 }
		function median(k) { return v[k, int((n[k] + 1) / 2)] / (size / 4096) }
		END {
			printf "  %-10s %10s %10s %7s %12s\n", "", "test_hmm", "hmmirror", "ratio", "/ memcpy"
			copy = median("hmmirror memcpy")
			other = median("test_hmm memcpy")
			if (other < copy)
				copy = other
			split("memcpy snapshot read write to_device to_system", order)
			for (i = 1; i in order; i++) {
				o = order[i]
				a = median("test_hmm " o); b = median("hmmirror " o)
				printf "  %-10s %10.0f %10.0f %7.2f %12.2f\n", o, a, b, b / a, b / copy
				if (o ~ /^to_/) { ra += a; rb += b }
			}
			printf "  %-10s %10.0f %10.0f %7.2f\n", "round trip", ra, rb, rb / ra
		}'
}

part_growth() {
	step "linux $K_NAME, hmmirror.ko from 4 KiB to 1 GiB"
	in_bench_guest <<-'END'
		set -e
		for size in 4k 64k 1024k 16 64 256; do
			/tests/hmm_bench hmmirror $size 5
		done
		/tests/hmm_bench hmmirror 1024 1
	END
	step_clear
	printf 'hmmirror.ko, linux %s, %s, ns a page (median of 5; 1 GiB: of 1):\n' "$K_NAME" "$ACCEL"
	awk '
		{ if (!($3 in seen)) { seen[$3] = 1; sizes[++n] = $3 } v[$2, $3] = $5 / ($3 / 4096) }
		END {
			split("memcpy snapshot read write to_device to_system", order)
			printf "  %-10s", "KiB"
			for (i = 1; i in order; i++) printf " %10s", order[i]
			print ""
			for (s = 1; s <= n; s++) {
				printf "  %-10d", sizes[s] / 1024
				for (i = 1; i in order; i++) printf " %10.0f", v[order[i], sizes[s]]
				print ""
			}
		}' "$HERE/numbers"
}

# timed COMMAND...: each line it prints, with the seconds since the start
timed() {
	local start=${EPOCHREALTIME/./} line now
	while IFS= read -r line; do
		now=$(((${EPOCHREALTIME/./} - start) / 100000))
		printf '%4d.%d s  %s\n' $((now / 10)) $((now % 10)) "$line"
	done < <("$@" 2>&1 < /dev/null)
}

part_runner() {
	step 'the second run of ./run_tests.sh'
	"$ROOT/run_tests.sh" > "$HERE/log" 2>&1 < /dev/null
	timed "$ROOT/run_tests.sh" -v > "$HERE/timed"
	step_clear
	printf 'second run of ./run_tests.sh:\n'
	grep -E 'booting|first test|passed, ' "$HERE/timed" | sed 's/^/  /'
}

part_fresh() {
	step 'a run of ./run_tests.sh with an empty cache'
	new_tmp fresh
	XDG_CACHE_HOME=$TMP timed "$ROOT/run_tests.sh" > "$HERE/timed"
	step_clear
	printf 'first run of ./run_tests.sh, empty cache:\n'
	grep -vE ' s  (ok|SKIP) ' "$HERE/timed" | sed 's/^/  /'
}

case ${1:-} in
-h | --help) usage; exit 0 ;;
esac
for part in "$@"; do
	case $part in
	driver | growth | runner | fresh) ;;
	*) die "unknown part: $part; see scripts/bench.sh --help" ;;
	esac
done
[ $# -gt 0 ] || set -- driver growth runner

init_common
MODE='exec'
TIMEOUT=0
KEEP=0
need "$NEEDS_KERNEL $NEEDS_SUITE $NEEDS_GUEST"
resolve_kernel "${HMMIRROR_BENCH_KERNEL:-}"
prepare_kernel ''
build_driver
build_agent
lock bench 'another benchmark'
new_tmp bench
HERE=$TMP			# TMP goes to whoever makes the next one
build_bench
for part in "$@"; do
	case $part in
	driver | growth) [ -n "${TEST_HMM:-}" ] || build_test_hmm ;;
	esac
	"part_$part"
done
