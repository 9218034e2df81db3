# SPDX-License-Identifier: GPL-2.0
# results.json from its cells.

def total(f): map(f) | add // 0;

# an assertion is a reason too
def why: if .reason == "" and .result == "failed" then .output[0] // "" else .reason end;

# tests whose result is not the same in all cells that have them
def differences:
	[.[] | select(.state == "done") | .label as $cell | .tests[]
		| {name, cell: $cell, result, reason: why}]
	| group_by(.name)
	| map(select([.[].result] | unique | length > 1)
		| {test: .[0].name, cells: (map({(.cell): {result, reason}}) | add)});

. as $cells
| {
	started: $started, mode: $mode,
	passed: total(.passed), failed: total(.failed), skipped: total(.skipped),
	seconds: ($seconds | tonumber),
	cells: $cells,
	differences: differences
}
