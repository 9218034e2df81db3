# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# --bisect-step: one revision, for git bisect run, whoever calls that. If --bisect does
# (see bisect.sh), what comes of it goes into its session.

SESSION=${HMMIRROR_BISECT:-}	# the folder; set in a step that --bisect started
END=${HMMIRROR_BISECT_END:-}	# that step is not git's: good or bad
LAPS=				# where a step's time went
LAP=${EPOCHREALTIME/./}
STEP_WHY=

lap() {
	# waiting for the builds of others is nobody's time
	local now=$((${EPOCHREALTIME/./} - WAITED * 1000000))
	LAPS+="${LAPS:+, }$1 $(((now - LAP) / 1000000)) s"
	LAP=$now
}

verdict_word() {
	case $1 in
	0) echo good ;;
	1) echo bad ;;
	*) echo skip ;;
	esac
}

# run_step: --bisect-step, one revision
run_step() {
	local tree=${TREE:-.} at
	at=$(git -C "$tree" rev-parse --show-toplevel 2>/dev/null) ||
		die "$tree is no git checkout; --tree names one"
	[ -z "$SESSION" ] || step_begin "$at"
	if [ -z "${HMMIRROR_TEST_BUILT:-}" ] && ! is_clean "$at"; then
		die "$at is not clean, $LEFT is there; revisions are built in the cache, so clean it (make mrproper)"
	fi
	# the tests first: it is not the revision's fault if there is none
	MODE=suite
	K_SRC=$at
	! wants_suite || build_suite
	select_tests
	build_agent
	need "$NEEDS_GUEST $NEEDS_REPORT"
	[ -n "$LOGS" ] || new_logs
	ON_EXIT+=(leave_results)
	FACTS["config"]=${CONFIGS[0]}
	STEP=1
	if [ -n "${HMMIRROR_TEST_BUILT:-}" ]; then
		resolve_kernel "$HMMIRROR_TEST_BUILT"
		HMMIRROR_GUEST_APPEND="${HMMIRROR_GUEST_APPEND:-} fake=$(< "$at/word")"
		[[ $HMMIRROR_GUEST_APPEND != *=broken ]] || unfit 'the kernel does not build'
	else
		resolve_kernel "$at"
	fi
	prepare_kernel "${CONFIGS[0]}"
	lap build
	build_driver
	lap driver
	run_suite
	lap guest
	FACTS["state"]='done'
	keep_guest
	[ -n "$SESSION" ] || printf 'logs: %s\n' "$LOGS"
	totals || exit 1
	((SKIPPED == 0)) || {
		STEP_WHY=$(skipped_why "$LOGS/verdicts")
		say "cannot be tested: $STEP_WHY"
		exit 125
	}
	exit 0
}

skipped_why() {
	awk -F '\t' '$2 == "SKIP" { print $1 " is skipped: " $4; exit }' "$1"
}

# step_begin TREE: what --bisect wants of its steps
step_begin() {
	local n known
	# git would go on for ever if it alone were left
	kill -0 "$HMMIRROR_BISECT_PID" 2>/dev/null || exit 143
	# git's words are in a file; these are the user's
	exec 2>&4
	STEP_REV=$(git -C "$1" rev-parse HEAD)
	known=$(awk -F '\t' -v rev="$STEP_REV" '$1 == rev { print $2 }' "$SESSION/steps")
	case $known in
	good) exit 0 ;;
	bad) exit 1 ;;
	skip) exit 125 ;;
	esac
	n=$(($(wc -l < "$SESSION/steps") + 1))
	LOGS=$SESSION/${END:-$(printf '%02d-%s' "$n" "${STEP_REV:0:12}")}
	rm -rf -- "$LOGS"
	mkdir "$LOGS" || die "cannot write to $CACHE; is the disk full?"
	[ ! -s "$SESSION/since" ] || LAP=$(< "$SESSION/since")
	STEP_BEGAN=$LAP
	lap checkout
	say "testing ${END:+$(end_name) }$(git -C "$1" log -1 --format='%h %s')"
	exec > "$LOGS/output"
	ON_EXIT+=(step_end)
}

end_name() {
	if [ "$END" = good ]; then echo "GOOD"; else echo "BAD"; fi
}

# step_end: on the way out of a step; status is that of on_exit
step_end() {
	local word seconds why
	# not a verdict but an end of everything
	# shellcheck disable=SC2154 # on_exit has it
	((status <= 1 || status == 125)) || return 0
	word=$(verdict_word "$status")
	seconds=$(((${EPOCHREALTIME/./} - STEP_BEGAN) / 1000000 - WAITED))
	why=$STEP_WHY
	[ -n "$why" ] || ((status != 125)) || why=$(cat "$LOGS/reason" 2>/dev/null)
	echo "$word" > "$LOGS/verdict"
	echo "$LAPS" > "$LOGS/laps"
	echo "$seconds" > "$LOGS/seconds"
	echo "$why" > "$LOGS/why"
	say "  $word, $seconds s${LAPS:+ ($LAPS)}${why:+: $why}"
	echo "${EPOCHREALTIME/./}" > "$SESSION/since"
	[ -n "$END" ] || printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$STEP_REV" "$word" "$seconds" "$LOGS" \
		"$(git -C "${TREE:-.}" log -1 --format=%s)" "$why" >> "$SESSION/steps"
}
