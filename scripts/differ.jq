# SPDX-License-Identifier: GPL-2.0
# What stands out in results.json, to be read. $full: each test with its reasons;
# otherwise what differs by passing and skipping only is put together.

def why: if .reason == "" then .output[0] // "" else .reason end;
def word: {"passed": "ok", "failed": "FAIL", "skipped": "SKIP"}[.];

# the cells by result, worst first: "FAIL 6.12, 7.2; ok 6.1"
def by_result($cells):
	. as $of
	| [("failed", "skipped", "passed") as $result
		| [$cells[] | select($of[.].result == $result)]
		| select(length > 0) | "\($result | word) \(join(", "))"]
	| join("; ");

def subjects:
	group_by(.test | split(".")[0])
	| map("\(.[0].test | split(".")[0]) (\(length))") | join(", ");

def failed_everywhere($cells):
	[.cells[] | select(.state == "done") | .label as $cell | .tests[]
		| select(.result == "failed") | {test: .name, cell: $cell, result, reason: why}]
	| group_by(.test)
	| map({test: .[0].test, cells: (map({(.cell): {result, reason}}) | add)});

[.cells[] | select(.state == "done") | .label] as $cells
| (.differences | map(.test)) as $differ
| ((.differences | map(select(any(.cells[]; .result == "failed"))))
	+ (failed_everywhere($cells) | map(select(.test as $test | $differ | index([$test]) | not)))
	| sort_by(.test)) as $failed
| (.differences | map(select(all(.cells[]; .result != "failed")))) as $skipped
| if $full == "1" then
	($failed + $skipped)[]
	| .test as $test | .cells as $of
	| "\($test)",
	  ($cells[] | select($of[.])
		| "    \($of[.].result | word)\t\(.)\t\($of[.].reason)")
else
	($failed | if length > 0 then
		"failed:",
		(.[] | "  \(.test)  \(.cells as $of | $of | by_result($cells))",
			([.cells[] | select(.result == "failed") | .reason | select(. != "")] | unique | .[0:2][]
				| "      \(.)"))
	else empty end),
	($skipped | if length > 0 then
		"passed on some and skipped on others:",
		(group_by(.cells | by_result($cells))
			| sort_by(-length)[]
			| "  \(length) \(if length == 1 then "test" else "tests" end): \(.[0].cells | by_result($cells))",
			  "      \(subjects)")
	else empty end)
end
