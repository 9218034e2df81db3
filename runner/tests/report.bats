#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# report.html of each run, and --open.

load helper

setup_file() {
	default_kernel
}

@test "each run leaves a report, and --open shows that of the last one" {
	local browser=$BATS_TEST_TMPDIR/browser
	# shellcheck disable=SC2016 # the script expands it
	printf '#!/bin/sh\necho "$1" > %s\n' "$BATS_TEST_TMPDIR/opened" > "$browser"
	chmod +x "$browser"
	own_cache
	bad_input 'no run has left a report yet' "$RUN" --open
	run "$RUN" -k "$KERNEL_BUILD" fake.fail fake.splat last.pass
	echo "$output"
	[ "$status" = 1 ]
	local logs=${lines[-2]#logs: }
	grep -q 'href="#t/0/fake.fail">fake.fail</a>' "$logs/report.html"
	# what the kernel said under a test is with that test
	[ "$(jq -r '.cells[0].tests[] | select(.name == "fake.splat").console[0]' \
		"$logs/results.json" | grep -c 'WARNING: CPU: 0')" = 1 ]
	BROWSER=$browser run "$RUN" --open
	echo "$output"
	[ "$status" = 0 ]
	[ "$output" = "$logs/report.html" ]
	[ "$(< "$BATS_TEST_TMPDIR/opened")" = "file://$logs/report.html" ]
	# and what changed since
	echo '# guest: append=x=1' > "$BATS_TEST_TMPDIR/x.config"
	run "$RUN" -k "$KERNEL_BUILD" fake.fail fake.splat last.pass
	logs=${lines[-2]#logs: }
	grep -q 'Since the last run of ' "$logs/report.html"
	run "$RUN" -k "$KERNEL_BUILD" -c "$BATS_TEST_TMPDIR/x.config" last.pass
	logs=${lines[-2]#logs: }
	[ "$(grep -c 'Since the last run of ' "$logs/report.html")" = 0 ]
}
