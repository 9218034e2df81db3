# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# Follows a guest: what its tests say, and what its kernel says under them.

PASSED=0
FAILED=0
SKIPPED=0
PLANNED=0		# tests
declare -A VERDICT=()	# of each test that ended: ok, FAIL or SKIP
declare -A SPLAT=()	# first line of what the kernel said under a test

SPLAT_RE='BUG: |WARNING: |kernel BUG at|Oops: |general protection fault'
SPLAT_RE+='|KASAN: |KCSAN: |UBSAN: |possible circular locking|possible recursive locking'
SPLAT_RE+='|inconsistent lock state|suspicious RCU usage|INFO: task .* blocked for'
SPLAT_RE+='|rcu.*(detected stalls|self-detected stall)|soft lockup|hard LOCKUP'
SPLAT_RE+='|kmemleak: .*suspected|unreferenced object 0x|Bad page state|Bad rss-counter'
SPLAT_RE+='|Bad page map|: bad p[g4um]d |refcount_t: |corruption|Kernel panic|unable to handle'
# then nobody looks any more
SPLAT_RE+='|Kernel memory leak detector disabled|INFO: lockdep is turned off|turning off the locking'

# verdict ok|FAIL|SKIP NAME MS [REASON]: counts it and shows it
verdict() {
	local what=$1 name=$2 ms=$3 why=${4:-}
	VERDICT[$name]=$what
	record "$name" "$what" "$ms" "$why"
	case $what in
	ok) PASSED=$((PASSED + 1)) ;;
	FAIL) FAILED=$((FAILED + 1)) ;;
	SKIP) SKIPPED=$((SKIPPED + 1)) ;;
	esac
	step_clear
	# no tee: at hundreds of tests its forks are a good part of the whole time
	printf -v name '%-4s  %-50s %6s ms%s' "$what" "$name" "$ms" "${why:+  $why}"
	printf '%s\n' "$name"
	printf '%s\n' "$name" >> "$LOGS/summary"
}

# details NAME < text: what there is to say about a test that failed
details() {
	tee >(sed "s/^/$1\t/" >> "$LOGS/details") | sed 's/^/      /' | tee -a "$LOGS/summary"
}

# scan_console: reads what the console has got since the last time. A line that
# is not complete yet waits.
CONSOLE_FD=
CONSOLE_TEST=
CONSOLE_PART=
RACE=			# first line of a KCSAN report that is being read
RACE_FRAMES=0		# of the stack at hand
RACES=0			# reports of the kernel's own
scan_console() {
	local line
	while IFS= read -r -u "$CONSOLE_FD" line || { CONSOLE_PART+=$line; false; }; do
		line=$CONSOLE_PART$line
		CONSOLE_PART=
		if [[ $line == *'hmmirror-test: begin '* ]]; then
			CONSOLE_TEST=${line##*hmmirror-test: begin }
			CONSOLE_TEST=${CONSOLE_TEST%$'\r'}
		elif [[ $line == *'BUG: KCSAN: '* ]]; then
			RACE=${line%$'\r'} RACE_FRAMES=99
			! [[ $line == *'[hmmirror]'* ]] || race_is_ours
		elif [ -n "$RACE" ]; then
			race_line "$line"
		elif [ -n "$CONSOLE_TEST" ] && [[ $line =~ $SPLAT_RE ]] &&
			# a test that has memory fail
			[[ $line != *'Memory failure: '* ]] &&
			# one that has an allocation fail for which the kernel warns
			[[ $CONSOLE_TEST != fail_nth.* || $line != *'WARNING: '*' add_pages+'* ]] &&
			[ -z "${SPLAT[$CONSOLE_TEST]:-}" ]; then
			line=${line%$'\r'}
			SPLAT[$CONSOLE_TEST]=${line#*] }
		fi
	done
}

# The kernel has races of its own, in what the driver calls as well, and reports those
# under whatever runs. A race is taken for ours if one of the two accesses is in the
# module, or up to two calls below it: in a list, an xarray, a copy to or from a user.
race_line() {
	case $1 in
	*====*)
		RACES=$((RACES + 1))
		RACE=
		;;
	*' to 0x'*' bytes by '*) RACE_FRAMES=0 ;;
	*+0x*/0x*)
		RACE_FRAMES=$((RACE_FRAMES + 1))
		! ((RACE_FRAMES <= 3)) || ! [[ $1 == *'[hmmirror]'* ]] || race_is_ours
		;;
	esac
}

race_is_ours() {
	[ -n "${SPLAT[$CONSOLE_TEST]:-}" ] || SPLAT[$CONSOLE_TEST]=${RACE#*] }
	RACE=
}

# stress_figures LINE: what a stress program has counted
stress_figures() {
	step_clear
	printf '      %s\n' "$1" | tee -a "$LOGS/summary"
}

# splat_lines NAME: from the first line of the report on
splat_lines() {
	awk -v name="$1" -v first="${SPLAT[$1]}" '
		index($0, "hmmirror-test: begin ") { on = $0 ~ ("begin " name "\r?$"); shown = 0 }
		on && (shown || index($0, first)) && shown++ < 25' "$CONSOLE" | tr -d '\r'
}

# test_ended NAME MS VERDICT REASON
test_ended() {
	local name=$1 ms=$2 what=$3 why=$4
	scan_console
	if [ -n "${SPLAT[$name]:-}" ]; then
		[ "$what" = FAIL ] || why="the kernel: ${SPLAT[$name]}"
		what=FAIL
	fi
	verdict "$what" "$name" "$ms" "$why"
	[ "$what" = FAIL ] || return 0
	printf '%s\n' "${OUTPUT[@]}" | grep -vE '^$|^TAP version|^1\.\.|^# (Starting|Totals|FAILED|PASSED)|^#  RUN' |
		head -n 20 | details "$name"
	[ -z "${SPLAT[$name]:-}" ] || splat_lines "$name" | details "$name"
}

# judge NAME HOW N MS: a program that ran one test has ended. TAP's own words
# decide; the exit status must agree.
judge() {
	local name=$1 how=$2 number=$3 ms=$4 line skip='' said=0
	for line in "${OUTPUT[@]}"; do
		case $line in
		'ok '* | 'not ok '*)
			said=1
			[[ $line =~ '# SKIP '?(.*) ]] && skip=${BASH_REMATCH[1]:-no reason given}
			;;
		'1..0 # SKIP'*) said=1 skip=${line#*SKIP } ;;
		esac
	done
	case $how,$number in
	exit,0 | exit,4)
		if [ -n "${OWN[$name]:-}" ]; then
			# a program of the user's own need not speak TAP
			((number == 0)) || skip=${skip:-it says that it cannot tell}
			said=1
		fi
		if [ "$said" = 0 ]; then
			test_ended "$name" "$ms" FAIL 'it ran no test'
		elif [ -n "$skip" ]; then
			test_ended "$name" "$ms" SKIP "$skip"
		else
			test_ended "$name" "$ms" ok ''
		fi
		;;
	exit,*) test_ended "$name" "$ms" FAIL "" ;;
	signal,*) test_ended "$name" "$ms" FAIL "killed by signal $number" ;;
	timeout,*) test_ended "$name" "$ms" FAIL "no end within $TIMEOUT s" ;;
	output,*) test_ended "$name" "$ms" FAIL 'more than 256 KiB of output' ;;
	esac
}

# sub_failed NAME MS: the kernel can lack what the test takes for granted
sub_failed() {
	if lacking "$1"; then
		# what it asks for instead can be refused with a warning
		scan_console
		[[ ${SPLAT[$1]:-} != WARNING:* ]] || unset "SPLAT[$1]"
		test_ended "$1" "$2" SKIP "$WHY"
	else
		test_ended "$1" "$2" FAIL ''
	fi
}

# sub_test LINE: a line of a program that runs many tests itself
SUB=
SUB_START=0
SUB_PLAN=0
SUB_SEEN=0
sub_test() {
	local line=$1 ms
	case $line in
	'#  RUN '*)
		SUB=${line#'#  RUN '}
		SUB=${SUB#"${SUB%%[! ]*}"}
		SUB=${SUB%% *}
		SUB_START=${EPOCHREALTIME/./}
		OUTPUT=()
		;;
	1..[0-9]*)
		SUB_PLAN=${line#1..}
		SUB_PLAN=${SUB_PLAN%% *}
		PLANNED=$SUB_PLAN
		[ -z "$CELL" ] || step "testing $PLANNED"
		;;
	'ok '* | 'not ok '*)
		ms=$(((${EPOCHREALTIME/./} - SUB_START) / 1000))
		SUB_SEEN=$((SUB_SEEN + 1))
		if [[ $line == 'not ok '* ]]; then
			sub_failed "$SUB" "$ms"
		elif [[ $line =~ '# SKIP '?(.*) ]]; then
			test_ended "$SUB" "$ms" SKIP "${BASH_REMATCH[1]:-no reason given}"
		else
			test_ended "$SUB" "$ms" ok ''
		fi
		SUB=
		;;
	esac
}

# sub_end HOW N MS: it must have run all that it had planned
sub_end() {
	local how=$1 number=$2 left
	if [ -n "$SUB" ]; then
		SUB_SEEN=$((SUB_SEEN + 1))
		judge "$SUB" "$how" "$number" "$3"
		SUB=
	fi
	left=$((SUB_PLAN - SUB_SEEN))
	if ((left > 0)); then
		FAILED=$((FAILED + left - 1))
		verdict FAIL "$CURRENT" "$3" "$left tests did not run"
	elif [ "$SUB_PLAN" = 0 ]; then
		verdict FAIL "$CURRENT" "$3" 'it ran no test'
		printf '%s\n' "${OUTPUT[@]}" | head -n 20 | details "$CURRENT"
	fi
}

guest_is_up() {
	READY_MS=$1
	[ -z "$CELL" ] || ((PLANNED == 0)) || step "testing $PLANNED"
}

# boots_on: it has said something since the last time, and is not at it for ten minutes
boots_on() {
	local size
	size=$(stat -c %s "$CONSOLE")
	((size > BOOT_SIZE && ++BOOT_WAITS < 10)) && BOOT_SIZE=$size
}

# follow CONSOLE: until the guest says "done" or cannot. Returns 0 when done, 1
# when the guest is lost. READY_MS and PROGRESS tell how far it got.
follow() {
	local line rest limit got status=1 begun=${EPOCHREALTIME/./}
	CONSOLE=$1
	CURRENT='' SUB='' PROGRESS=0 LOST='' OUTPUT=()
	CONSOLE_TEST=boot CONSOLE_PART='' READY_MS='' BEGUN=0
	BOOT_SIZE=0 BOOT_WAITS=0
	exec {CONSOLE_FD}< "$CONSOLE"
	limit=$((BOOT_TIMEOUT * (G_SLOW ? 3 : 1)))
	while :; do
		got=0
		IFS= read -r -t "$limit" -u "$RESULT_FD" line || got=$?
		if ((got > 128)); then
			[ -n "$READY_MS" ] || ! boots_on || continue
			LOST="the guest said nothing for $limit s"
			break
		elif ((got)); then
			LOST='the guest died'
			break
		fi
		line=${line%$'\r'}
		[ "$MODE" = exec ] || printf '%s\n' "$line" >&"$STREAM_FD"
		case $line in
		'| '*)
			line=${line:2}
			((VERBOSE == 0)) || printf '      %s\n' "$line"
			OUTPUT+=("$line")
			case $MODE in
			upstream) sub_test "$line" ;;
			exec) printf '%s\n' "$line" ;;
			stress) ! [[ $line == '# '* ]] || stress_figures "${line:2}" ;;
			esac
			;;
		'begin '*)
			[ -n "$READY_MS" ] || guest_is_up $(((${EPOCHREALTIME/./} - begun) / 1000))
			CURRENT=${line#begin }
			BEGUN=${EPOCHREALTIME/./}
			OUTPUT=()
			limit=$((TIMEOUT + 15))
			[ "$MODE" != exec ] || ((TIMEOUT)) || limit=864000
			;;
		'end '*)
			rest=${line#end }
			PROGRESS=$((PROGRESS + 1))
			read -ra rest <<< "${rest% ms}"
			[ "${#rest[@]}" = 3 ] || rest=("${rest[0]}" - "${rest[1]}")
			case $MODE in
			upstream) sub_end "${rest[@]}" ;;
			exec) EXEC_END=("${rest[@]}") ;;
			*) judge "$CURRENT" "${rest[@]}" ;;
			esac
			FINISHED[$CURRENT]=1
			CURRENT=
			;;
		leaks) limit=1800 ;;
		'gcda '*) coverage_data "${CONSOLE##*.}" "${line#gcda }" ;;
		'broken '*)
			stop_guest
			tail -n 10 "$CONSOLE" | tr -d '\r' >&2
			unfit "the driver does not load: ${line#broken }; see $CONSOLE"
			;;
		'busy '*)
			verdict FAIL module.unload 0 "${line#busy }"
			;;
		'lockdep off')
			step_clear
			say "lockdep has reported and is off; what is left runs in a fresh guest"
			;;
		'beside '*) stress_figures "beside the tests: ${line#beside }" ;;
		'gone '*)
			verdict FAIL guest.beside 0 "it ended before the tests did: ${line#gone }"
			;;
		done)
			status=0
			break
			;;
		esac
	done
	stop_guest
	scan_console
	late_splats
	exec {CONSOLE_FD}<&-
	return "$status"
}

# What the kernel said under a test after it had been counted.
late_splats() {
	local name
	if [ -n "${SPLAT[boot]:-}" ]; then
		say "note: while it booted the kernel said: ${SPLAT[boot]}"
		unset 'SPLAT[boot]'
	fi
	((RACES == 0)) ||
		say "note: the kernel reported $RACES data races of its own; see $CONSOLE"
	RACES=0 RACE=
	for name in "${!SPLAT[@]}"; do
		case ${VERDICT[$name]:-} in
		FAIL) continue ;;
		ok) PASSED=$((PASSED - 1)) ;;
		SKIP) SKIPPED=$((SKIPPED - 1)) ;;
		'')	# the guest died in it: lost_test tells; module.* are no tests
			[[ $name == module.* ]] || continue
			;;
		esac
		verdict FAIL "$name" 0 "the kernel, later: ${SPLAT[$name]}"
		splat_lines "$name" | details "$name"
	done
}

# lost_test: the guest died or hung in CURRENT
lost_test() {
	local name=${SUB:-$CURRENT} ms=0
	((BEGUN == 0)) || ms=$(((${EPOCHREALTIME/./} - BEGUN) / 1000))
	verdict FAIL "$name" "$ms" "$LOST${SPLAT[$name]:+: ${SPLAT[$name]}}"
	{
		printf '%s\n' "${OUTPUT[@]}" | head -n 20
		if [ -n "${SPLAT[$name]:-}" ]; then
			splat_lines "$name"
		else
			tail -n 15 "$CONSOLE" | tr -d '\r'
		fi
	} | details "$name"
}
