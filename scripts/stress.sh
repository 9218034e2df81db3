# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# --stress: programs that run for a time and at random, in the place of tests.

STRESS_NAMES='kill load fuzz pressure'
STRESS=			# which of them, all, or soak, which is three of them at once
MINUTES=
SEED=

# check_stress: the options that go with it, or without it make no sense
check_stress() {
	if [ "$MODE" != stress ]; then
		[ -z "$MINUTES" ] || die "--minutes is for --stress; for tests there is --timeout"
		[ -z "$SEED" ] || die "--seed is for --stress; tests have nothing random"
		return
	fi
	[[ " $STRESS_NAMES soak all " == *" $STRESS "* ]] ||
		die "--stress $STRESS: there is no such run; it is one of $STRESS_NAMES soak, or all"
	MINUTES=${MINUTES:-1}
	# a number that awk and the shell both understand, not 0
	[[ $MINUTES =~ ^[0-9]{1,4}(\.[0-9]{1,2})?$ && $MINUTES =~ [1-9] ]] ||
		die "--minutes $MINUTES: minutes are wanted, 0.1 to 9999"
	SEED=${SEED:-$((RANDOM << 15 | RANDOM))}
	[[ $SEED =~ ^[0-9]{1,18}$ ]] || die "--seed $SEED: a number is wanted, up to 18 digits"
	((${#GLOBS[@]} + ${#OWN_FILES[@]} == 0)) ||
		die "--stress takes no test names; got ${GLOBS[0]:-${OWN_FILES[0]}}"
	[ "$STRESS" = all ] || STRESS_NAMES=$STRESS
	STRESS_SECONDS=$(awk "BEGIN { s = int($MINUTES * 60); print (s > 5 ? s : 5) }")
	# what takes longer than it was to take hangs
	TIMEOUT=$((STRESS_SECONDS + 120))
}

# build_stress: Sets STRESS_DIR, the folder of the programs.
build_stress() {
	local dir state
	compiler_id
	dir=$CACHE/stress
	STRESS_DIR=$dir
	state=$( (echo "$CC_ID"; hash_tree "$ROOT/stress" "$ROOT/lib" "$ROOT/driver/uapi") | hash_text)
	entry_current "$dir" "$state" && return
	need "$NEEDS_SUITE"
	lock stress 'building the stress programs'
	if ! entry_current "$dir" "$state"; then
		new_tmp stress
		entry_begin "$dir"
		long 'building the stress programs' "$TMP/log" 0 \
			make -C "$ROOT/stress" CC=gcc OUTPUT="$dir" -j"$JOBS" ||
			build_failed 'building the stress programs' "$TMP/log"
		entry_end "$dir" "$state"
	fi
	unlock
}

run_stress() {
	local name programs=()
	build_stress
	NAMES=()
	for name in $STRESS_NAMES; do
		NAMES+=("stress.$name")
		PROGRAM["stress.$name"]=$(in_guest "$STRESS_DIR/$name")
		programs+=("$STRESS_DIR/$name")
	done
	[ "$STRESS" != soak ] || programs+=("$STRESS_DIR/kill" "$STRESS_DIR/fuzz" "$STRESS_DIR/pressure")
	PLANNED=${#NAMES[@]}
	start_work "${programs[@]}"
	printf 'seed %s: --seed %s makes the same choices again\n' "$SEED" "$SEED" |
		tee -a "$LOGS/summary"
	run_guests
}

# stress_plan NAME: its line of the plan; only a guest's module may come and go
stress_plan() {
	printf '%s\t%s\t%s\t%s\t%s' "$TIMEOUT" "$1" "${PROGRAM[$1]}" "$SEED" "$STRESS_SECONDS"
	[ "$K_KIND" = native ] || [ "$1" != stress.load ] ||
		printf '\t/modules/hmmirror.ko\t%s' "$(module_args)"
	echo
}
