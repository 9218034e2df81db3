# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# From a prepared kernel to verdicts: which tests, in how many guests.

BOOT_TIMEOUT=60
KEEP_LOGS=30		# runs
LOGS=$CELL		# folder of this run's
declare -A FINISHED=()	# tests that need not be run again in the next guest
declare -A PROGRAM=()	# of each test
declare -A OWN=()	# tests that are programs of the user's own
CONSOLES=0		# number of the last console log
SHARE=''		# .1, .2, ...: which of several guests side by side
NAMES=()

# new_logs: a folder for this run; the oldest of the others go, unless their run,
# whose process the name ends with, is still under way
new_logs() {
	local old
	mkdir -p "$CACHE/logs"
	LOGS=$CACHE/logs/$(date +%Y%m%d-%H%M%S)-$$
	mkdir "$LOGS" || die "cannot write to $CACHE; is the disk full?"
	: > "$LOGS/summary" || die "cannot write to $CACHE; is the disk full?"
	while read -r old; do
		[ -e "$old/keep" ] || kill -0 "${old##*-}" 2> /dev/null || rm -rf -- "$old"
	done < <(find "$CACHE/logs" -mindepth 1 -maxdepth 1 -type d | sort | head -n "-$KEEP_LOGS")
}

# wants_suite: or are there only programs of the user's own?
wants_suite() {
	((${#OWN_FILES[@]} == 0 || ${#GLOBS[@]}))
}

# select_tests: those of the suite that match a glob. Sets NAMES and PROGRAM.
select_tests() {
	local program name glob
	local -A hit=()
	NAMES=()
	OWN=()
	for glob in "${OWN_FILES[@]}"; do
		build_own "$glob"
		name=${OWN_PROGRAM##*/}
		[ -z "${OWN[$name]:-}" ] && [ ! -e "${SUITE:-}/$name" ] ||
			die "$glob: there is another program of that name; rename it"
		PROGRAM[$name]=$OWN_PROGRAM OWN[$name]=1
		NAMES+=("$name")
	done
	while IFS=$'\t' read -r program name; do
		PROGRAM[$name]=$program
		((${#GLOBS[@]} + ${#OWN_FILES[@]})) || NAMES+=("$name")
		for glob in "${GLOBS[@]}"; do
			# shellcheck disable=SC2053 # a pattern is meant
			if [[ $name == $glob || $name == $glob.* ]]; then
				hit[$glob]=1
				NAMES+=("$name")
				break
			fi
		done
	done < <(! wants_suite || cat "${SUITE%/bin}/tests")
	PLANNED=${#NAMES[@]}
	for glob in "${GLOBS[@]}"; do
		[ -n "${hit[$glob]:-}" ] && continue
		# a second glob may have been shadowed by the first
		# shellcheck disable=SC2053
		for name in "${NAMES[@]}"; do
			[[ $name == $glob || $name == $glob.* ]] && continue 2
		done
		die "no test matches '$glob'; --list shows the names"
	done
}

# repeat_tests: NAME becomes NAME, NAME@2, NAME@3, ..., a round of all after another
repeat_tests() {
	local i name all=("${NAMES[@]}")
	for ((i = 2; i <= REPEAT; i++)); do
		for name in "${all[@]}"; do
			NAMES+=("$name@$i")
			PROGRAM[$name@$i]=${PROGRAM[$name]}
			OWN[$name@$i]=${OWN[$name]:-}
		done
	done
	PLANNED=${#NAMES[@]}
}

# plan: the lines of the tests that have not been run yet. A test that has failed need
# not be repeated.
plan() {
	local name i
	for name in "${NAMES[@]}"; do
		[ -z "${FINISHED[$name]:-}" ] || continue
		[ "$MODE" != stress ] || { stress_plan "$name"; continue; }
		if ((REPEAT > 1)); then
			[ "${VERDICT[${name%@*}]:-}" != FAIL ] || continue
			for ((i = 2; i <= REPEAT; i++)); do
				[ "${VERDICT[${name%@*}@$i]:-}" != FAIL ] || continue 2
			done
		fi
		printf '%s\t%s\t%s\t%s\n' "$TIMEOUT" "$name" "${PROGRAM[$name]}" "${name%@*}"
	done
}

# run_guests: until every planned test has a verdict
run_guests() {
	local n=$CONSOLES idle=0 boots=0 lost console
	while [ -n "$(plan)" ]; do
		n=$((n + 1))
		console=$LOGS/console.$n
		launch "$console"
		follow "$console" && lost=0 || lost=1
		stop_native
		[ -z "$READY_MS" ] || ((VERBOSE == 0)) || say "first test $READY_MS ms after QEMU's start"
		# it may have ended early, after what only a boot can mend
		((lost)) || { ((PROGRESS)) && [ -n "$(plan)" ] && continue; break; }
		if [ -z "$CURRENT" ] && [ "$PROGRESS" = 0 ]; then
			# on a busy machine it can be slow; a bisection must not go wrong for that
			((STEP && boots++ == 0)) || no_guest
		elif [ -z "$CURRENT" ] && [ -z "$(plan)" ]; then
			CURRENT=module.unload
		fi
		if [ -n "$CURRENT" ]; then
			lost_test
			FINISHED[$CURRENT]=1
			((STOP_AT_LOSS == 0)) || break
		elif ((++idle > 3)); then
			no_guest
		fi
	done
}

# launch CONSOLE: what has no verdict yet, in a guest or on this machine
launch() {
	if [ "$K_KIND" = native ]; then
		plan > "$WORK/plan"
		step "running on this machine's kernel, $K_NAME"
		start_native "$1" "$WORK/plan"
	else
		make_plan "$WORK/plan.cpio" run < <(plan)
		[ -n "$SHARE" ] || step "booting linux $K_NAME ($ACCEL)"
		start_guest "$1"
	fi
}

no_guest() {
	step_clear
	{ cat "$WORK/qemu.err"; tail -n 10 "$CONSOLE" | tr -d '\r'; } >&2
	unfit "the guest does not come up with linux $K_NAME: $LOST; see $CONSOLE"
}

# in_guest FILE: where a program is for the agent
in_guest() {
	if [ "$K_KIND" = native ]; then echo "$1"; else echo "/tests/${1##*/}"; fi
}

run_suite() {
	local name where programs=()
	select_tests
	repeat_tests
	while read -r name; do
		[[ $name == /* ]] || name=${SUITE:-}/$name
		programs+=("$name")
	done < <(for name in "${NAMES[@]}"; do echo "${PROGRAM[$name]}"; done | sort -u)
	where=$(in_guest "${SUITE:-}/")
	for name in "${NAMES[@]}"; do
		if [[ ${PROGRAM[$name]} == /* ]]; then
			PROGRAM[$name]=$(in_guest "${PROGRAM[$name]}")
		else
			PROGRAM[$name]=$where${PROGRAM[$name]}
		fi
	done
	start_work "${programs[@]}"
	share_out
}

# guests_that_fit: as cores and memory allow
guests_that_fit() {
	local free n=${HMMIRROR_GUESTS:-}
	if [ -n "$n" ]; then
		[[ $n =~ ^[1-9][0-9]?$ ]] || die "HMMIRROR_GUESTS=$n: a number is wanted, 1 to 99"
		echo "$n"
		return
	fi
	n=$JOBS
	free=$(awk '/^MemAvailable:/ { print int($2 / 1024 / 1024 / 4) }' /proc/meminfo)
	((n <= free)) || n=$free
	echo $((n > 1 ? n : 1))
}

# guests_at_once: as many as fit, and as the tests are good for
guests_at_once() {
	local n tests=${#NAMES[@]} least=32
	[ "$K_KIND" != native ] || { echo 1; return; }
	n=$(guests_that_fit) || exit "$DIE_STATUS"
	[ -z "${HMMIRROR_GUESTS:-}" ] || least=1
	((n <= tests / least)) || n=$((tests / least))
	echo $((n > 1 ? n : 1))
}

# share_out: the planned tests go to several guests side by side, each followed by
# a process of its own. Neighbours stay together, as they run the same code and every
# guest has to translate what it runs; but slow ones are neighbours, too, so that
# each guest gets some pieces and not one.
share_out() {
	local i j n at status file passed failed skipped pieces=6 all=("${NAMES[@]}")
	n=$(guests_at_once) || exit "$DIE_STATUS"
	((n > 1)) || { run_guests; return; }
	step "booting linux $K_NAME ($ACCEL), $n guests"
	for ((i = 0; i < n; i++)); do
		NAMES=()
		for ((j = i; j < n * pieces; j += n)); do
			at=$((${#all[@]} * j / (n * pieces)))
			NAMES+=("${all[@]:at:${#all[@]} * (j + 1) / (n * pieces) - at}")
		done
		worker "$i" &
		WORKERS+=($!)
	done
	for i in "${WORKERS[@]}"; do
		wait "$i"
		status=$?
		((status == 0)) || exit "$status"
	done
	WORKERS=()
	for file in "$WORK"/*/totals; do
		read -r passed failed skipped < "$file"
		PASSED=$((PASSED + passed))
		FAILED=$((FAILED + failed))
		SKIPPED=$((SKIPPED + skipped))
	done
}

# worker INDEX: a share of the tests; its own folder, its own consoles
worker() {
	trap stop_guest EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	mkdir "$WORK/$1"
	ln "$WORK/base.cpio" "$WORK/$1/base.cpio" || die "cannot write to $CACHE; is the disk full?"
	WORK=$WORK/$1
	SHARE=.$(($1 + 1))
	CONSOLES=$((($1 + 1) * 100))
	PASSED=0 FAILED=0 SKIPPED=0
	run_guests
	keep_guest
	echo "$PASSED $FAILED $SKIPPED" > "$WORK/totals"
}

run_upstream() {
	# a benchmark of 7.x moves 256 MiB to a coherent device
	SPM_MB=320
	build_upstream
	NAMES=(hmm-tests)
	PROGRAM=([hmm-tests]=$(in_guest "$UPSTREAM"))
	start_work "$UPSTREAM"
	run_guests
}

# start_work PROGRAM...: what all guests of this kernel have in common
start_work() {
	[ -n "$LOGS" ] || new_logs
	new_tmp work
	WORK=$TMP
	exec {STREAM_FD}>> "$LOGS/results"
	[ -z "$CELL" ] || turn "${CELL%/*}/.guest" "$HMMIRROR_CELL_TURNS"
	[ "$K_KIND" != native ] || return 0
	make_image "$WORK/base.cpio" "$@"
	choose_accel
}

run_exec() {
	if [ "${#OWN_FILES[@]}" -gt 0 ]; then
		build_own "${OWN_FILES[0]}"
		EXEC[0]=$OWN_PROGRAM
	fi
	exec_guest "${EXEC[0]}" "/tests/${EXEC[0]##*/}" "${EXEC[@]:1}"
}

# A serial line loses what is sent before anybody reads, so commands that do not
# come from a terminal go in as a file.
run_shell() {
	if [ -t 0 ]; then
		start_work
		guest_shell
		return
	fi
	new_tmp script
	cat > "$TMP/script"
	MODE='exec'
	TIMEOUT=0
	exec_guest "$TMP/script" /bin/sh /tests/script
}

# exec_guest FILE COMMAND...: runs it in a guest that has FILE in /tests, and ends
# with its status
exec_guest() {
	local file=$1 name=${1##*/} line arg
	shift
	line=$(printf '%s\texec' "$TIMEOUT"; printf '\t%s' "$@")
	start_work "$file"
	make_plan "$WORK/plan.cpio" run <<< "$line"
	step "booting linux $K_NAME ($ACCEL)"
	start_guest "$LOGS/console.1"
	EXEC_END=()
	if ! follow "$LOGS/console.1" && [ "${#EXEC_END[@]}" = 0 ]; then
		[ -n "$CURRENT" ] || no_guest
		tail -n 15 "$CONSOLE" | tr -d '\r' >&2
		die "$LOST while $name ran; see $CONSOLE"
	fi
	keep_guest
	if [ -n "${SPLAT[exec]:-}" ]; then
		say "the kernel: ${SPLAT[exec]}"
		splat_lines exec >&2
		say "see $CONSOLE"
	fi
	case ${EXEC_END[0]} in
	exit) exit "${EXEC_END[1]}" ;;
	signal)
		say "$name was killed by signal ${EXEC_END[1]}"
		exit $((128 + EXEC_END[1]))
		;;
	*)
		say "$name did not end within $TIMEOUT s"
		exit 124
		;;
	esac
}

list_tests() {
	! wants_suite || build_suite
	select_tests
	printf '%s\n' "${NAMES[@]}"
}

# run_kernel KERNEL CONFIGS
run_kernel() {
	MODULE_ARGS=''
	resolve_kernel "$1"
	prepare_kernel "$2"
	build_driver
	build_agent
	if [ "$K_KIND" = native ]; then
		case $MODE in
		shell | exec) die "--$MODE is for a guest; on this machine just run it" ;;
		esac
	else
		need "$NEEDS_GUEST"
	fi
	[ "$MODE" != suite ] || ! wants_suite || build_suite
	"run_$MODE"
	[ "$COVERAGE" = 0 ] || coverage_report
	keep_guest
}

# run_cell KERNEL CONFIGS: one kernel, and what it leaves for other programs
run_cell() {
	ON_EXIT+=(leave_results)
	need "$NEEDS_REPORT"
	FACTS["config"]=$2
	FACTS["label"]=${HMMIRROR_CELL_LABEL:-}
	run_kernel "$1" "$2"
	FACTS["state"]='done'
	step_clear
	((REGRESSIONS == 0)) || show_regressions "$LOGS/verdicts"
	[ -n "$CELL" ] || printf 'logs: %s\n' "$LOGS"
	totals
}

leave_results() {
	cell_end
	[ -z "$LOGS" ] || [ -n "$CELL" ] || write_results "$LOGS" "$LOGS"
}

# totals: the last line
totals() {
	printf '%s passed, %s failed, %s skipped\n' "$PASSED" "$FAILED" "$SKIPPED" |
		tee -a "$LOGS/summary"
	[ "$FAILED" = 0 ]
}

run_all() {
	case $MODE in
	list) list_tests ;;
	reintroduce) run_reintroduce ;;
	new) new_own "$NEW" ;;
	bisect) run_bisect ;;
	bisect-step) run_step ;;
	shell | exec) run_kernel "${KERNELS[0]}" "${CONFIGS[0]}" ;;
	*)
		expand_all
		if ((${#KERNELS[@]} * ${#CONFIGS[@]} > 1)); then
			run_matrix
		else
			run_cell "${KERNELS[0]}" "${CONFIGS[0]}"
		fi
		;;
	esac
}

# --keep: what QEMU was given, with paths that stay
keep_guest() {
	[ "$KEEP" = 1 ] && [ -e "$WORK/initramfs" ] || return 0
	: > "$LOGS/keep"
	cp "$WORK/initramfs" "$LOGS/initramfs$SHARE"
	[ ! -e "$WORK/qemu.cmd" ] ||
		sed "s|$WORK/initramfs|&$SHARE|; s|$WORK/|$LOGS/|g" "$WORK/qemu.cmd" \
			> "$LOGS/qemu.cmd$SHARE"
}
