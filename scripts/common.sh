# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# What every part needs: messages, progress, the cache, and leaving cleanly.

PROG=${PROG:-run_tests.sh}
CACHE=${XDG_CACHE_HOME:-${HOME:-}/.cache}/hmmirror
JOBS=$(nproc)
VERBOSE=0
CHILD=			# the process group that runs now
WORKERS=()		# processes that follow a guest each
CLEANUP=()		# files and folders to remove on the way out
ON_EXIT=()		# functions to call before that
STEP_OPEN=0		# a progress line stands on the terminal
DIE_STATUS=2		# of die
STEP=0			# this run tests one revision of a bisection
CELL=${HMMIRROR_CELL:-}	# this run is a cell of a matrix, and this its folder

die() {
	step_clear
	printf '%s: %s\n' "$PROG" "$*" >&2
	[ -z "${LOGS:-}" ] || printf '%s\n' "$*" > "$LOGS/reason"
	exit "$DIE_STATUS"
}

# unfit TEXT: as die, where it is the kernel that cannot be tested: a step of a
# bisection then leaves it out
unfit() {
	if ((STEP)); then
		DIE_STATUS=125
		# the step's line will tell it
		[ -z "$SESSION" ] || { printf '%s\n' "$*" > "$LOGS/reason"; exit 125; }
	fi
	die "$@"
}

say() {
	step_clear
	printf '%s\n' "$*" >&2
}

# One line that is rewritten on a terminal. Elsewhere a line for each new step,
# and one every 20 s.
STEP_LAST=
STEP_SHOWN=0
step() {
	local what=$1 detail=${2:-}
	if [ -n "$CELL" ]; then
		# the table has the kernel's name in another column
		printf '%s\n%s\n' "${K_NAME:-}" "${what/ linux ${K_NAME:-}/}${detail:+: $detail}" > "$CELL/state"
	elif [ -t 2 ]; then
		printf '\r\033[K%.*s' "$((${COLUMNS:-80} - 1))" \
			"$what${detail:+: $detail}" >&2
		STEP_OPEN=1
	elif [ "$what" != "$STEP_LAST" ] || ((SECONDS - STEP_SHOWN >= 20)); then
		printf '%s\n' "$what${detail:+: $detail}" >&2
		STEP_SHOWN=$SECONDS
	fi
	STEP_LAST=$what
}

step_clear() {
	[ "$STEP_OPEN" = 0 ] || printf '\r\033[K' >&2
	STEP_OPEN=0
}

# Every long child runs in a session of its own, so that all of it can be ended.
kill_child() {
	[ -n "$CHILD" ] || return 0
	kill -TERM -- "-$CHILD" "$CHILD" 2>/dev/null || true
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		kill -0 -- "-$CHILD" 2>/dev/null || break
		sleep 0.1
	done
	kill -KILL -- "-$CHILD" "$CHILD" 2>/dev/null || true
	CHILD=
}

on_exit() {
	local status=$?
	trap '' INT TERM HUP
	local hook
	step_clear
	kill_child
	[ "${#WORKERS[@]}" = 0 ] || { kill "${WORKERS[@]}"; wait "${WORKERS[@]}"; } 2>/dev/null
	stop_guest
	stop_native
	entry_abandon
	for hook in "${ON_EXIT[@]}"; do
		"$hook"
	done
	[ "${#CLEANUP[@]}" = 0 ] || rm -rf -- "${CLEANUP[@]}"
	exit "$status"
}

on_signal() {
	say "$PROG: interrupted"
	[ -z "${LOGS:-}" ] || echo interrupted > "$LOGS/reason"
	exit "$1"
}

init_common() {
	trap on_exit EXIT
	trap 'on_signal 130' INT
	trap 'on_signal 143' TERM
	trap 'on_signal 129' HUP
	[ -t 2 ] && read -r LINES COLUMNS < <(stty size <&2 2>/dev/null)
	# long closes them, whether or not there is a lock
	exec {LOCK_FD}< /dev/null {TURN_FD}< /dev/null
	[ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] || die 'HOME is not set; set it or XDG_CACHE_HOME'
	mkdir -p "$CACHE/tmp" 2>/dev/null ||
		die "cannot write to $CACHE; set XDG_CACHE_HOME to a folder of your own"
	sweep_cache
}

# A run that was killed leaves folders behind; a living one holds its own.
sweep_cache() {
	local dir pid
	for dir in "$CACHE"/tmp/*; do
		pid=${dir##*.}
		[ -e "$dir" ] && ! kill -0 "$pid" 2>/dev/null && rm -rf -- "$dir"
	done
	return 0
}

# new_tmp NAME: a folder inside the cache, gone at exit. Sets TMP.
new_tmp() {
	TMP=$CACHE/tmp/$1.$RANDOM.$$
	mkdir -p "$TMP" || die "cannot write to $CACHE; is the disk full?"
	CLEANUP+=("$TMP")
}

# lock NAME: one run at a time works on a cache entry. The lock goes with unlock
# or with the process.
lock() {
	mkdir -p "$CACHE/lock"
	exec {LOCK_FD}>"$CACHE/lock/$1"
	flock -n "$LOCK_FD" && return
	local start=$SECONDS
	until flock -w 1 "$LOCK_FD"; do
		step "waiting for another run to finish $2" "$((SECONDS - start)) s"
	done
	step_clear
}

unlock() {
	exec {LOCK_FD}>&-
}

# turn FILE COUNT: waits until fewer than COUNT other runs have such a turn. It ends
# with turn_end or with the process.
turn() {
	local i start=$SECONDS
	mkdir -p "$CACHE/lock"
	while :; do
		for ((i = 0; i < $2; i++)); do
			exec {TURN_FD}> "$1.$i"
			flock -n "$TURN_FD" && break 2
			exec {TURN_FD}>&-
		done
		step "waiting for its turn"
		sleep 0.5
	done
	WAITED=$((${WAITED:-0} + SECONDS - start))
}

turn_end() {
	exec {TURN_FD}>&-
}

hash_text() {
	sha1sum | cut -c1-16
}

# hash_tree DIR...: of names and contents.
hash_tree() {
	find "$@" -type f ! -name '*.swp' ! -name '*~' -print0 | LC_ALL=C sort -z |
		xargs -0r sha1sum | hash_text
}

# disk_full LOG: does it say so? The log can itself be cut short.
disk_full() {
	grep -q 'No space left on device' "$1" 2>/dev/null ||
		(($(df --output=avail -k "$CACHE" 2>/dev/null | tail -n 1) < 1024))
}

# long LABEL LOG COUNT COMMAND...: runs it into LOG and shows how it goes. COUNT
# is the number of lines to expect (0: not known). Returns its status.
long() {
	local label=$1 log=$2 count=$3 start=$SECONDS status=0 lines
	shift 3
	step "$label"
	: > "$log" || die "cannot write to $CACHE; is the disk full?"
	# nothing of ours may keep a lock alive, so no descriptor is handed down
	setsid "$@" >> "$log" 2>&1 < /dev/null {LOCK_FD}>&- {TURN_FD}>&- &
	CHILD=$!
	while kill -0 "$CHILD" 2>/dev/null; do
		sleep 0.3
		((SECONDS > start)) || continue
		if [ "$count" -gt 0 ]; then
			lines=$(grep -c '^  [A-Z]' "$log")
			step "$label" "$lines of about $count files, $((SECONDS - start)) s"
		else
			step "$label" "$((SECONDS - start)) s"
		fi
	done
	wait "$CHILD" || status=$?
	CHILD=
	step_clear
	return "$status"
}

# keep_log LOG NAME: sets KEPT, where a failed step's log can be read afterwards
keep_log() {
	mkdir -p "$CACHE/logs"
	# a step's own folder tells which revision it was
	if ((STEP)); then KEPT=$LOGS/$2.log; else KEPT=$CACHE/logs/$2.log; fi
	cp "$1" "$KEPT" 2>/dev/null || KEPT=$1
}

# failed WHAT LOG: ends the run for a build step that did not work
failed() {
	keep_log "$2" failed
	if disk_full "$2"; then
		die "$1: the disk of $CACHE is full; free some space or set XDG_CACHE_HOME"
	fi
	step_clear
	grep -E 'error:|Error|\*\*\*|undefined reference' "$2" | head -n 5 >&2
	unfit "$1 failed; see $KEPT"
}
