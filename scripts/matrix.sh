# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# Several kernels and configs in one run. Each pair is a cell: a run of its own in the
# background (HMMIRROR_CELL names its folder), of which a table shows how far it is.
# Cells build one after another, as a build takes all cores, and are tested as many
# side by side as cores and memory allow.
#
# One index for each cell:
CELL_DIR=()		# its logs
CELL_LABEL=()		# how the results call it
CELL_KERNEL=()
CELL_CONFIG=()
CELL_SHORT=()		# its config, as the table shows it
CELL_PID=()		# empty once it has ended
CELL_NAME=()		# of its kernel
CELL_STATE=()		# what it is doing
CELL_FD=()		# its verdicts, as they come
CELL_COUNTS=()		# "passed failed skipped" so far
CELL_SECONDS=()		# that it has worked
CELL_BROKEN=()		# why it could not be run
CELL_WORD=()		# what was last told of it without a terminal
CELL_SHOWN=()		# and when
declare -A CELL_VERDICT=()	# by index and test
TABLE_LINES=0		# that stand on the terminal

# expand_all: "all" is every release that the suites have now
expand_all() {
	local kernel kernels=()
	for kernel in "${KERNELS[@]}"; do
		case $kernel in
		all)
			all_releases
			kernels+=("${RELEASES[@]}")
			;;
		'')
			default_release
			kernels+=("$RELEASE")
			;;
		*) kernels+=("$kernel") ;;
		esac
	done
	KERNELS=("${kernels[@]}")
}

# kernel_label KERNEL: short, as the user named it
kernel_label() {
	local path=${1%%:*}
	case $1 in
	*/*) basename "$path" ;;
	*) echo "$1" ;;
	esac
}

make_cells() {
	local kernel config label
	local -A taken=()
	for kernel in "${KERNELS[@]}"; do
		for config in "${CONFIGS[@]}"; do
			label=$(kernel_label "$kernel")${config:+ $(kernel_label "$config")}
			taken[$label]=$((${taken[$label]:-0} + 1))
			((taken[$label] == 1)) || label+=" (${taken[$label]})"
			add_cell "$label" "$kernel" "$config"
		done
	done
}

# add_cell LABEL KERNEL CONFIG
add_cell() {
	local i=${#CELL_DIR[@]} fd
	CELL_LABEL+=("$1")
	CELL_DIR+=("$LOGS/${1//[^[:alnum:].+_-]/_}")
	CELL_KERNEL+=("$2")
	CELL_CONFIG+=("$3")
	CELL_SHORT+=("${3:+$(kernel_label "$3")}")
	CELL_NAME+=("$(kernel_label "$2")")
	CELL_STATE+=(starting)
	CELL_COUNTS+=('0 0 0')
	CELL_SECONDS+=(0)
	CELL_BROKEN+=('')
	mkdir "${CELL_DIR[i]}" || die "cannot write to $CACHE; is the disk full?"
	: > "${CELL_DIR[i]}/verdicts"
	exec {fd}< "${CELL_DIR[i]}/verdicts"
	CELL_FD[i]=$fd
}

# name_cell INDEX VERSION: 6.1 becomes 6.1.192-2, and my-tree is my-tree (6.1.0)
name_cell() {
	local label
	[ -n "$2" ] || return 0
	label=$(kernel_label "${CELL_KERNEL[$1]}")
	CELL_NAME[$1]="$label ($2)"
	[[ $2 != "$label"[.-]* ]] || CELL_NAME[$1]=$2
}

# start_cells GUESTS: so many fit on this machine
start_cells() {
	local i cells=${#CELL_DIR[@]} each options=(--timeout "$TIMEOUT")
	each=$(($1 > cells ? $1 / cells : 1))
	[ "$MODE" = suite ] || options+=("--$MODE${TESTS_OF:+=$TESTS_OF}")
	((COVERAGE == 0)) || options+=(--coverage)
	((KEEP == 0)) || options+=(--keep)
	[ "$MODE" != stress ] || options=(--stress "$STRESS" --minutes "$MINUTES" --seed "$SEED")
	((REPEAT == 1)) || options+=(--repeat "$REPEAT")
	((VERBOSE == 0)) || options+=(-v)
	# newer kernels skip less, so they take longer: with them first, no core waits at the end
	for ((i = cells - 1; i >= 0; i--)); do
		HMMIRROR_CELL=${CELL_DIR[i]} HMMIRROR_CELL_LABEL=${CELL_LABEL[i]} \
		HMMIRROR_CELL_KSRC=$KSRC HMMIRROR_CELL_TURNS=$(($1 / each)) HMMIRROR_GUESTS=$each \
		setpriv --pdeathsig TERM "$ROOT/run_tests.sh" "${options[@]}" \
			${CELL_KERNEL[i]:+-k "${CELL_KERNEL[i]}"} ${CELL_CONFIG[i]:+-c "${CELL_CONFIG[i]}"} \
			-- "${OWN_FILES[@]}" "${GLOBS[@]}" > "${CELL_DIR[i]}/output" 2>&1 < /dev/null &
		CELL_PID[i]=$!
		WORKERS+=($!)
	done
}

# look INDEX: what that cell has said since the last time
look() {
	local i=$1 name line what passed failed skipped planned
	{ read -r name && read -r line; } 2>/dev/null < "${CELL_DIR[i]}/state" && {
		name_cell "$i" "$name"
		CELL_STATE[i]=$line
	}
	read -r passed failed skipped <<< "${CELL_COUNTS[i]}"
	while IFS=$'\t' read -r -u "${CELL_FD[i]}" name what _; do
		# a later word about the same test replaces the earlier one
		case ${CELL_VERDICT[$i $name]:-} in
		ok) passed=$((passed - 1)) ;;
		FAIL) failed=$((failed - 1)) ;;
		SKIP) skipped=$((skipped - 1)) ;;
		esac
		case $what in
		ok) passed=$((passed + 1)) ;;
		FAIL) failed=$((failed + 1)) ;;
		SKIP) skipped=$((skipped + 1)) ;;
		esac
		CELL_VERDICT[$i $name]=$what
	done
	CELL_COUNTS[i]="$passed $failed $skipped"
	[[ ! ${CELL_STATE[i]} =~ ^testing\ ([0-9]+)$ ]] || {
		planned=${BASH_REMATCH[1]}
		CELL_STATE[i]="testing $((passed + failed + skipped)) of $planned"
	}
}

# cell_ended INDEX: 0 and 1 are verdicts, anything else is a cell that could not be run
cell_ended() {
	local i=$1 status=0 key value passed=0 failed=0 skipped=0
	wait "${CELL_PID[i]}" || status=$?
	CELL_PID[i]=
	look "$i"
	while IFS=$'\t' read -r key value; do
		case $key in
		passed) passed=$value ;;
		failed) failed=$value ;;
		skipped) skipped=$value ;;
		seconds) CELL_SECONDS[i]=$value ;;
		reason) CELL_BROKEN[i]=$value ;;
		esac
	done 2>/dev/null < "${CELL_DIR[i]}/facts"
	CELL_COUNTS[i]="$passed $failed $skipped"
	CELL_STATE[i]='done'
	((status > 1)) || return 0
	CELL_BROKEN[i]=${CELL_BROKEN[i]:-it ended with status $status; see ${CELL_DIR[i]}/output}
	CELL_STATE[i]='cannot be run'
}

# table_line INDEX. Sets LINE.
table_line() {
	local i=$1 passed failed skipped
	read -r passed failed skipped <<< "${CELL_COUNTS[i]}"
	((passed + failed + skipped)) || [ "${CELL_STATE[i]}" = 'done' ] || passed='' failed='' skipped=''
	printf -v LINE '%-18s %-10s %6s %6s %7s %5s s  %s' "${CELL_NAME[i]}" "${CELL_SHORT[i]}" \
		"$passed" "$failed" "$skipped" "${CELL_SECONDS[i]}" "${CELL_STATE[i]}"
}

TABLE_HEAD=$(printf '%-18s %-10s %6s %6s %7s %7s' kernel config passed failed skipped time)

# draw: the table over the one that stands there; as much as the terminal has room for,
# cells that work first
draw() {
	local i shown=0 room=$((${LINES:-24} - 3)) waiting=0
	((TABLE_LINES == 0)) || printf '\033[%dA' "$TABLE_LINES"
	printf '\033[J%.*s\n' "${COLUMNS:-80}" "$TABLE_HEAD"
	for ((i = 0; i < ${#CELL_DIR[@]}; i++)); do
		if ((${#CELL_DIR[@]} > room)) && [[ ${CELL_STATE[i]} == waiting* || -z ${CELL_PID[i]} ]]; then
			waiting=$((waiting + 1))
			continue
		fi
		((shown < room)) || break
		shown=$((shown + 1))
		table_line "$i"
		printf '%.*s\n' "${COLUMNS:-80}" "$LINE"
	done
	TABLE_LINES=$((shown + 1))
	((waiting == 0)) || { printf '%d more wait or are done\n' "$waiting"; TABLE_LINES=$((shown + 2)); }
} >&2

# progress INDEX: without a terminal a line when a cell goes on to something else, and
# one every 30 s
progress() {
	local i=$1 word=${CELL_STATE[$1]%%[:0-9]*} counts
	[ "$word" != "${CELL_WORD[i]:-starting}" ] || ((SECONDS - ${CELL_SHOWN[i]:-0} >= 30)) || return 0
	[[ $word != waiting* ]] || return 0
	CELL_WORD[i]=$word
	CELL_SHOWN[i]=$SECONDS
	read -ra counts <<< "${CELL_COUNTS[i]}"
	case $word in
	'done') word="${counts[0]} passed, ${counts[1]} failed, ${counts[2]} skipped, ${CELL_SECONDS[i]} s" ;;
	'cannot be run') word+=": ${CELL_BROKEN[i]}" ;;
	*) word=${CELL_STATE[i]} ;;
	esac
	say "${CELL_LABEL[i]}: $word"
}

# watch_cells: until all have ended
watch_cells() {
	local i live=1 last=$SECONDS
	while ((live)); do
		live=0
		for ((i = 0; i < ${#CELL_DIR[@]}; i++)); do
			[ -n "${CELL_PID[i]}" ] || continue
			if kill -0 "${CELL_PID[i]}" 2>/dev/null; then
				live=1
				[[ ${CELL_STATE[i]} == waiting* ]] || CELL_SECONDS[i]=$((CELL_SECONDS[i] + SECONDS - last))
				look "$i"
			else
				cell_ended "$i"
			fi
			[ -t 2 ] || progress "$i"
		done
		last=$SECONDS
		[ ! -t 2 ] || draw
		((live == 0)) || sleep 0.5
	done
	WORKERS=()
}

run_matrix() {
	local guests kernel
	guests=$(guests_that_fit) || exit 2
	need "$NEEDS_REPORT $NEEDS_KERNEL $NEEDS_SUITE $NEEDS_GUEST"
	new_logs
	make_cells
	ON_EXIT+=(leave_matrix)
	# the same programs for all of them
	for kernel in "${KERNELS[@]}"; do
		[ ! -d "$kernel/tools/testing/selftests" ] || K_SRC=$(realpath "$kernel")
	done
	if [ "$MODE" = suite ] && wants_suite; then build_suite; else harness_tree; fi
	start_cells "$guests"
	watch_cells
	show_matrix
}

leave_matrix() {
	rm -f "$LOGS"/.guest.* "$LOGS"/*/state
	((KEEP == 0)) || : > "$LOGS/keep"
	write_results "$LOGS" "${CELL_DIR[@]}"
	[ ! -s "$LOGS/results.json" ] ||
		jq -r --arg full 1 -f "$ROOT/scripts/differ.jq" "$LOGS/results.json" > "$LOGS/differences"
}

# show_matrix: the table, what stands out in it, and the totals
show_matrix() {
	local i counts broken=0 status=0
	[ ! -t 2 ] || printf '\033[%dA\033[J' "$TABLE_LINES" >&2
	leave_matrix
	ON_EXIT=()
	{
		printf '%s\n' "$TABLE_HEAD"
		for ((i = 0; i < ${#CELL_DIR[@]}; i++)); do
			table_line "$i"
			printf '%s\n' "$LINE"
			read -ra counts <<< "${CELL_COUNTS[i]}"
			PASSED=$((PASSED + counts[0])) FAILED=$((FAILED + counts[1])) SKIPPED=$((SKIPPED + counts[2]))
		done
		for ((i = 0; i < ${#CELL_DIR[@]}; i++)); do
			[ -z "${CELL_BROKEN[i]}" ] || printf '%s cannot be run: %s\n' "${CELL_LABEL[i]}" "${CELL_BROKEN[i]}"
		done
		jq -r --arg full 0 -f "$ROOT/scripts/differ.jq" "$LOGS/results.json"
	} > "$LOGS/summary"
	cat "$LOGS/summary"
	for ((i = 0; i < ${#CELL_DIR[@]}; i++)); do
		[ -z "${CELL_BROKEN[i]}" ] || broken=1
	done
	printf 'logs: %s\n' "$LOGS"
	totals || status=1
	((broken == 0)) || status=2
	return "$status"
}
