# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# What a run leaves for other programs: results.json and junit.xml. A cell, that is one
# kernel with one config, leaves three files that they are made of (see results.jq).

declare -A FACTS=()	# of this cell
RUN_START=$SECONDS
RUN_STARTED=$(date -u +%Y-%m-%dT%H:%M:%SZ)
WAITED=0		# seconds for other cells

# record NAME VERDICT MS REASON
record() {
	printf '%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${4//[[:cntrl:]]/ }" >> "$LOGS/verdicts"
}

# cell_end: this cell's facts; once, on any way out
cell_end() {
	local key
	[ -n "$LOGS" ] && [ ! -e "$LOGS/facts" ] || return 0
	FACTS[kernel]=${K_NAME:-}
	FACTS[label]=${FACTS[label]:-${K_NAME:-the default kernel}}
	FACTS[state]=${FACTS[state]:-failed}
	FACTS[reason]=$(cat "$LOGS/reason" 2>/dev/null)
	rm -f "$LOGS/reason"
	FACTS[passed]=$PASSED FACTS[failed]=$FAILED FACTS[skipped]=$SKIPPED
	FACTS[seconds]=$((SECONDS - RUN_START - WAITED))
	FACTS[logs]=$LOGS
	for key in "${!FACTS[@]}"; do
		printf '%s\t%s\n' "$key" "${FACTS[$key]//[[:cntrl:]]/ }"
	done > "$LOGS/facts"
}

# write_results DIR CELL-DIR...: results.json and junit.xml in DIR
write_results() {
	local dir=$1 cell name
	shift
	command -v jq > /dev/null || return 0
	for cell; do
		# a cell that was ended before it began
		[ -e "$cell/facts" ] || printf 'label\t%s\nstate\tfailed\nreason\tnot run\n' "${cell##*/}" > "$cell/facts"
		for name in verdicts details; do
			[ -e "$cell/$name" ] || : > "$cell/$name"
			tr -d '\000-\010\013-\037' < "$cell/$name" > "$cell/.$name"
		done
		jq -n --rawfile facts "$cell/facts" --rawfile verdicts "$cell/.verdicts" \
			--rawfile details "$cell/.details" -f "$ROOT/scripts/results.jq"
		rm -f "$cell"/.{verdicts,details}
	done | jq -s --arg started "$RUN_STARTED" --arg mode "$MODE" \
		--arg seconds "$((SECONDS - RUN_START))" -f "$ROOT/scripts/matrix.jq" > "$dir/results.json" &&
		jq -r -f "$ROOT/scripts/junit.jq" "$dir/results.json" > "$dir/junit.xml"
}
