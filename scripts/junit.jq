# SPDX-License-Identifier: GPL-2.0
# junit.xml from results.json: a suite for each cell. A cell that could not be run has
# one test, which is an error.

def esc: tostring | @html;
def seconds: . / 1000;

def testcase($suite):
	"<testcase classname=\"\($suite | esc)\" name=\"\(.name | esc)\" time=\"\(.ms | seconds)\""
	+ if .result == "failed" then
		"><failure message=\"\(.reason | esc)\">\(.output | join("\n") | esc)</failure></testcase>"
	elif .result == "skipped" then
		"><skipped message=\"\(.reason | esc)\"/></testcase>"
	else "/>" end;

"<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
"<testsuites name=\"hmmirror\" time=\"\(.seconds)\">",
(.cells[]
	| .label as $suite
	| (.state != "done") as $broken
	| "<testsuite name=\"\($suite | esc)\" tests=\"\((.tests | length) + if $broken then 1 else 0 end)\""
		+ " failures=\"\([.tests[] | select(.result == "failed")] | length)\""
		+ " errors=\"\(if $broken then 1 else 0 end)\""
		+ " skipped=\"\([.tests[] | select(.result == "skipped")] | length)\" time=\"\(.seconds)\">",
	  (.tests[] | testcase($suite)),
	  (if $broken then
		"<testcase classname=\"\($suite | esc)\" name=\"run\" time=\"0\"><error message=\"\(.reason | esc)\"/></testcase>"
	  else empty end),
	  "</testsuite>"),
"</testsuites>"
