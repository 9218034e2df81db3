# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# --bisect: git bisect run in a worktree of its own, of which each revision is a run
# with --bisect-step.
#
# The logs folder is the session. It holds
#	session		what names it: repository, revisions, tests, config
#	good/ bad/	the logs of the two ends, and of each step NN-REVISION/
#	steps		a line a step: revision, verdict, seconds, folder, subject, reason
#	tests		those that decide: they pass on GOOD and fail on BAD
#	git.log		what git said
# What "steps" has is not tested again, so a second call goes on where the first one
# was interrupted, whatever has become of git's own state.

# in_tree ARG...: git in the worktree; no hook of the user's is run there
in_tree() {
	git -C "$BISECT_TREE" -c core.hooksPath=/dev/null -c advice.detachedHead=false \
		-c gc.auto=0 "$@"
}

# bisect_revisions: sets REPO, GOOD_REV and BAD_REV
bisect_revisions() {
	local tree=${TREE:-.} name
	unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE
	[ -d "$tree" ] || die "--tree $tree: no such folder; give a git checkout of the kernel"
	REPO=$(git -C "$tree" rev-parse --path-format=absolute --git-common-dir 2>&1) ||
		die "$tree is no git checkout: ${REPO##*$'\n'}; --tree names one"
	for name in "$GOOD" "$BAD"; do
		git -C "$tree" rev-parse -q --verify "$name^{commit}" > /dev/null 2>&1 ||
			die "unknown revision: $name; it is not in $tree"
	done
	GOOD_REV=$(git -C "$tree" rev-parse "$GOOD^{commit}")
	BAD_REV=$(git -C "$tree" rev-parse "$BAD^{commit}")
	[ "$GOOD_REV" != "$BAD_REV" ] || die "$GOOD and $BAD are the same commit"
	git -C "$tree" merge-base --is-ancestor "$GOOD_REV" "$BAD_REV" || {
		! git -C "$tree" merge-base --is-ancestor "$BAD_REV" "$GOOD_REV" ||
			die "$GOOD comes after $BAD; the good revision is given first, and has to be the older one"
		die "$GOOD is no ancestor of $BAD; give as good what $BAD was made from (git merge-base $GOOD $BAD)"
	}
}

# bisect_session: that of the same arguments if it did not come to its end, or a new one
bisect_session() {
	local id dir old file
	id=$(printf '%s\n' "$REPO" "$GOOD_REV" "$BAD_REV" "${CONFIGS[0]}" "$TIMEOUT" "$REPEAT" \
		"${GLOBS[@]}"; cat -- /dev/null "${OWN_FILES[@]}")
	for dir in "$CACHE"/logs/*/; do
		[ -e "$dir/session" ] && [ ! -e "$dir/finished" ] && [ "$(< "$dir/session")" = "$id" ] &&
			old=${dir%/}
	done
	if [ -n "${old:-}" ]; then
		LOGS=$old
		say "going on with $LOGS, $(wc -l < "$LOGS/steps") steps are done"
	else
		new_logs
		: > "$LOGS/steps"
		# not to be removed before its end
		: > "$LOGS/keep"
		for file in "${OWN_FILES[@]}"; do
			cp -- "$file" "$LOGS/" || die "cannot write to $CACHE; is the disk full?"
		done
		printf '%s\n' "$id" > "$LOGS/session"
	fi
	rm -f "$LOGS/reason"
	SESSION=$LOGS
	# the file of the user's own can change meanwhile
	[ "${#OWN_FILES[@]}" = 0 ] || OWN_FILES=("${OWN_FILES[@]/#*\//$LOGS/}")
}

# bisect_worktree: one for each repository, so that ccache knows its paths
bisect_worktree() {
	local home
	home=$CACHE/bisect/$(echo "$REPO" | hash_text)
	BISECT_TREE=$home/tree
	mkdir -p "$home" || die "cannot write to $CACHE; is the disk full?"
	exec {BISECT_FD}> "$home/lock"
	flock -n "$BISECT_FD" || die "another bisection of this repository is under way; wait for its end"
	new_tmp worktree
	if ! in_tree rev-parse -q --verify HEAD > /dev/null 2>&1; then
		rm -rf -- "$BISECT_TREE" "$home/session"
		git --git-dir="$REPO" worktree prune
		long 'checking out a worktree' "$TMP/log" 0 git --git-dir="$REPO" \
			-c core.hooksPath=/dev/null worktree add --detach "$BISECT_TREE" "$BAD_REV" || {
			rm -rf -- "$BISECT_TREE"
			! disk_full "$TMP/log" || die "the disk of $CACHE is full; free some space or set XDG_CACHE_HOME"
			die "git cannot make a worktree: $(tail -n 1 "$TMP/log")"
		}
	fi
	# what a git that was killed has left; nobody else works here
	rm -f "$(in_tree rev-parse --path-format=absolute --git-path index.lock)" \
		"$(in_tree rev-parse --path-format=absolute --git-path HEAD.lock)"
	in_tree reset -q --hard
	# git's state in it is of another session, or nobody's
	if [ "$(cat "$home/session" 2>/dev/null)" != "$SESSION" ]; then
		in_tree bisect reset HEAD > /dev/null 2>&1
		echo "$SESSION" > "$home/session"
	fi
}

# bisect_child COMMAND...: in a process group of its own, as git has to be ended with
# the step that it runs, and the step needs a moment for that. Its own words go into
# git.log; 4 is the user's.
bisect_child() {
	HMMIRROR_BISECT=$SESSION HMMIRROR_BISECT_PID=$$ HMMIRROR_CELL_KSRC=${KSRC:-} \
		setsid "$@" 4>&2 >> "$SESSION/git.log" 2>&1 < /dev/null {BISECT_FD}>&- &
	BISECT_PID=$!
	wait "$BISECT_PID"
	BISECT_PID=
}

bisect_stop() {
	local i
	[ -n "${BISECT_PID:-}" ] || return 0
	kill -TERM -- "-$BISECT_PID" 2>/dev/null
	for ((i = 0; i < 300; i++)); do
		kill -0 -- "-$BISECT_PID" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$BISECT_PID" 2>/dev/null
	say "the same command goes on from here"
}

# step_command NAME...: sets COMMAND
step_command() {
	COMMAND=(setpriv --pdeathsig TERM "$ROOT/run_tests.sh" --bisect-step --tree "$BISECT_TREE"
		--timeout "$TIMEOUT" --repeat "$REPEAT")
	[ -z "${CONFIGS[0]}" ] || COMMAND+=(-c "${CONFIGS[0]}")
	((VERBOSE == 0)) || COMMAND+=(-v)
	((KEEP == 0)) || COMMAND+=(--keep)
	COMMAND+=(-- "$@")
}

# bisect_end good|bad: that end of the history, unless it has been done
bisect_end() {
	local rev
	[ ! -e "$SESSION/$1/verdict" ] || return 0
	if [ "$1" = good ]; then rev=$GOOD_REV; else rev=$BAD_REV; fi
	echo "${EPOCHREALTIME/./}" > "$SESSION/since"
	in_tree checkout -q --detach "$rev" >> "$SESSION/git.log" 2>&1 ||
		die "git cannot check out $rev: $(tail -n 1 "$SESSION/git.log")"
	step_command "${OWN_FILES[@]}" "${GLOBS[@]}"
	HMMIRROR_BISECT_END=$1 bisect_child "${COMMAND[@]}"
	[ -e "$SESSION/$1/verdict" ] || bisect_aborted
}

# What stopped it has been told: by the step, or by git.
bisect_aborted() {
	ON_EXIT=()
	say "it has stopped, see $SESSION/git.log; the same command goes on from here"
	exit 2
}

# end_verdicts good|bad: "ok|FAIL|SKIP NAME REASON" of each test there
end_verdicts() {
	[ ! -e "$SESSION/$1/verdicts" ] || awk -F '\t' '
		{ sub(/@.*/, "", $1); if (!($1 in what)) { order[++n] = $1; what[$1] = "ok" } }
		what[$1] != "FAIL" && $2 != "ok" { what[$1] = $2; why[$1] = $4 }
		END { for (i = 1; i <= n; i++) print what[order[i]] "\t" order[i] "\t" why[order[i]] }' \
		"$SESSION/$1/verdicts"
}

# bisect_ends: is GOOD good and BAD bad? Sets DECIDE, the tests that tell them apart.
bisect_ends() {
	local what name why good=() skip='' bad='' module=0
	local -A passes=()
	bisect_end bad
	[ -s "$SESSION/bad/verdicts" ] ||
		bisect_wrong "BAD cannot be tested: $(cat "$SESSION/bad/why"); see $SESSION/bad"
	while IFS=$'\t' read -r what name why; do
		[ "$what" != FAIL ] || bad+=" $name"
		[ "$what" != SKIP ] || skip="$name is skipped: $why"
	done < <(end_verdicts bad)
	[ -n "$bad" ] || bisect_wrong "BAD ($BAD) is not bad: ${skip:-the tests pass there}"
	bisect_end good
	[ -s "$SESSION/good/verdicts" ] ||
		bisect_wrong "GOOD cannot be tested: $(cat "$SESSION/good/why"); see $SESSION/good"
	while IFS=$'\t' read -r what name why; do
		case $what in
		ok) good+=("$name") passes[$name]=1 ;;
		SKIP) [[ "$bad " != *" $name "* ]] || skip="$name is skipped there: $why" ;;
		FAIL) bisect_wrong "GOOD ($GOOD) is not good: $name fails there${why:+: $why}; see $SESSION/good" ;;
		esac
	done < <(end_verdicts good)
	DECIDE=()
	for name in $bad; do
		[[ $name != module.* ]] || module=1
		[ -z "${passes[$name]:-}" ] || DECIDE+=("$name")
	done
	# what the driver's unloading tells can be of any of them
	((module == 0)) || DECIDE=("${good[@]}")
	[ "${#DECIDE[@]}" -gt 0 ] ||
		bisect_wrong "nothing tells GOOD ($GOOD) from BAD: what fails on BAD does not pass there; ${skip:-see $SESSION/good}"
	printf '%s\n' "${DECIDE[@]}" > "$SESSION/tests"
	say "GOOD is good and BAD is bad; deciding: ${DECIDE[*]}"
}

# A second call would find the same.
bisect_wrong() {
	bisect_close
	die "$@"
}

bisect_close() {
	: > "$SESSION/finished"
	((KEEP)) || rm -f "$SESSION/keep"
	git --git-dir="$REPO" worktree remove --force "$BISECT_TREE" 2>/dev/null
	rm -rf -- "$BISECT_TREE"
	git --git-dir="$REPO" worktree prune
}

run_bisect() {
	local name file own=() others=()
	need "$NEEDS_BISECT $NEEDS_REPORT"
	bisect_revisions
	[ ! -f "${CONFIGS[0]}" ] || CONFIGS[0]=$(realpath "${CONFIGS[0]}")
	# once, and the same programs for all revisions
	K_SRC=$(realpath "${TREE:-.}")
	! wants_suite || build_suite
	select_tests
	bisect_session
	bisect_worktree
	ON_EXIT+=(bisect_stop)
	bisect_ends
	if ! in_tree bisect log > /dev/null 2>&1; then
		in_tree bisect start "$BAD_REV" "$GOOD_REV" >> "$SESSION/git.log" 2>&1 ||
			die "git cannot bisect: $(tail -n 1 "$SESSION/git.log")"
	fi
	for name in "${DECIDE[@]}"; do
		if [ -z "${OWN[$name]:-}" ]; then others+=("$name"); else own+=("$SESSION/$name.c"); fi
	done
	step_command "${own[@]}" "${others[@]}"
	echo "${EPOCHREALTIME/./}" > "$SESSION/since"
	# with nothing between the two ends git knows it already
	in_tree bisect log | grep -q '^# first bad commit' ||
		bisect_child git -C "$BISECT_TREE" -c core.hooksPath=/dev/null \
			-c advice.detachedHead=false -c gc.auto=0 bisect run "${COMMAND[@]}"
	in_tree bisect log > "$SESSION/bisect.log" 2>&1
	grep -qE '^# (possible )?first bad commit' "$SESSION/bisect.log" || bisect_aborted
	ON_EXIT=()
	bisect_report | tee "$SESSION/summary"
	bisect_close
	! grep -q '^# possible' "$SESSION/bisect.log" || exit 1
	exit 0
}

bisect_report() {
	local rev total=0 n=0 seconds word where subject why
	printf '\n%-13s %-5s %7s  %s\n' revision '' time subject
	for word in bad good; do
		seconds=$(< "$SESSION/$word/seconds")
		total=$((total + seconds))
		rev=$GOOD_REV
		[ "$word" = good ] || rev=$BAD_REV
		printf '%-13s %-5s %5s s  %s\n' "${rev:0:12}" "$word" "$seconds" "$(in_tree log -1 --format=%s "$rev")"
	done
	while IFS=$'\t' read -r rev word seconds where subject why; do
		total=$((total + seconds)) n=$((n + 1))
		printf '%-13s %-5s %5s s  %s%s\n' "${rev:0:12}" "$word" "$seconds" "$subject" \
			"${why:+ ($why)}"
	done < "$SESSION/steps"
	printf '\n'
	if grep -q '^# first bad commit' "$SESSION/bisect.log"; then
		rev=$(sed -n 's/^# first bad commit: \[\([0-9a-f]*\)\].*/\1/p' "$SESSION/bisect.log")
		in_tree log -1 --date=iso --format='first bad commit: %H%n  %s%n  %an <%ae>, %ad' "$rev"
	else
		printf 'the first bad commit is one of these; the others of them cannot be tested:\n'
		sed -n 's/^# possible first bad commit: \[\([0-9a-f]*\)\].*/\1/p' "$SESSION/bisect.log" |
			while read -r rev; do
				in_tree log -1 --date=iso --format='  %h %s (%an, %ad)' "$rev"
			done
	fi
	printf 'decided by: %s\n' "$(tr '\n' ' ' < "$SESSION/tests")"
	printf 'logs: %s\n' "$SESSION"
	printf '%s steps and the two ends in %s min %s s\n' "$n" $((total / 60)) $((total % 60))
}
