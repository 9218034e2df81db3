# SPDX-License-Identifier: GPL-2.0
# One cell of results.json, from the files that it left: facts (KEY TAB VALUE),
# verdicts (TEST TAB VERDICT TAB MS TAB REASON) and details (TEST TAB LINE). What was
# said last about a test counts.

def rows: split("\n") | map(select(. != "") | split("\t"));
def number: if . == null or . == "" then 0 else tonumber end;

($facts | rows | map({(.[0]): .[1]}) | add // {}) as $fact
| (reduce ($details | rows)[] as $row ({};
	.[$row[0]] += [$row[1:] | join("\t")])) as $output
| (reduce ($verdicts | rows)[] as $row ({}; .[$row[0]] = {
	name: $row[0],
	result: {"ok": "passed", "FAIL": "failed", "SKIP": "skipped"}[$row[1]],
	ms: ($row[2] | number),
	reason: ($row[3] // ""),
	output: ($output[$row[0]] // [])
})) as $tests
| {
	label: $fact.label, kernel: $fact.kernel, config: ($fact.config // ""),
	state: $fact.state, reason: ($fact.reason // ""), logs: $fact.logs,
	passed: ($fact.passed | number), failed: ($fact.failed | number),
	skipped: ($fact.skipped | number), seconds: ($fact.seconds | number),
	tests: [$tests[]]
}
