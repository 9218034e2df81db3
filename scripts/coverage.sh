# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# --coverage: which branch outcomes of the walker the tests took.
#
# The kernel counts in the files below. When its tests are over, each guest sends
# the counts over the second serial line; here they are added up, shown by gcovr,
# and compared with the list of what nothing can take.

COVERAGE=0
COVERAGE_LIST=$ROOT/scripts/unreachable.txt

# coverage_files: those that count, without .c. Before 5.16 migrate.c has what is
# in migrate_device.c since.
coverage_files() {
	echo hmm
	if [ -e "$K_SRC/mm/migrate_device.c" ]; then echo migrate_device; else echo migrate; fi
}

# coverage_kernel: adds to the configs of prepare_kernel what makes a kernel count
coverage_kernel() {
	case $K_KIND in
	package | tree) configs=gcov${configs:++$configs} ;;
	*)
		[ -e "$K_BUILD/mm/hmm.gcno" ] ||
			die "--coverage: $K_NAME was built without counting; give a source tree or a release"
		need 'gcovr:gcovr gcov-tool:gcc python3:python3'
		;;
	esac
}

# coverage_data GUEST LINE: "PATH BASE64", the counts of one file from one guest
coverage_data() {
	local to=$LOGS/coverage/guest.$1/mm
	[ "$COVERAGE" = 1 ] || return 0
	mkdir -p "$to"
	base64 -d <<< "${2#* }" > "$to/$(basename "${2%% *}")" ||
		die "cannot write to $CACHE; is the disk full?"
}

# coverage_merge DIR: the counts of all guests, added up
coverage_merge() {
	local to=$1 guest
	for guest in "$LOGS"/coverage/guest.*; do
		[ -d "$guest" ] || die 'no guest lived to tell its counts'
		if [ -e "$to" ]; then
			gcov-tool merge -o "$to.new" "$to" "$guest" 2> "$LOGS/coverage/log" ||
				die "gcov-tool cannot add the counts; see $LOGS/coverage/log"
			rm -rf -- "$to"
			mv "$to.new" "$to"
		else
			cp -r "$guest" "$to"
		fi
	done
}

# coverage_judge NAME TEST PERCENT: what coverage.py says of mm/NAME.c, as the result of TEST
coverage_judge() {
	local dir=$LOGS/coverage status=0
	python3 "$ROOT/scripts/coverage.py" "$dir/counts.json" "$K_SRC" "$K_BUILD/.config" \
		"$COVERAGE_LIST" "mm/$1.c" "$3" > "$dir/branches.$1.txt" || status=$?
	((status <= 1)) || die "coverage.py failed; see $dir/branches.$1.txt"
	cat "$dir/branches.$1.txt"
	if ((status)); then
		verdict FAIL "$2" 0 "less than $3 % of the outcomes taken, or some that are listed"
	else
		verdict ok "$2" 0
	fi
}

# coverage_report: text, HTML and JSON with the logs; then the verdicts. Of migrate.c
# only a part is about devices, so that there is none of it.
coverage_report() {
	local dir=$LOGS/coverage name filters=()
	coverage_merge "$dir/counts"
	for name in $(coverage_files); do
		cp "$K_BUILD/mm/$name.gcno" "$dir/counts/mm/" ||
			die "$K_BUILD/mm has no $name.gcno; remove $CACHE/kernel and try again"
		filters+=(--filter ".*/mm/$name\\.c")
	done
	step 'gcovr'
	(cd "$dir" && gcovr --root "$K_SRC" "${filters[@]}" --branches --txt summary.txt \
		--json counts.json --json-pretty --html-details index.html counts) > "$dir/log" 2>&1 ||
		die "gcovr failed; see $dir/log"
	step_clear
	coverage_judge hmm coverage 100
	[ ! -e "$K_SRC/mm/migrate_device.c" ] ||
		coverage_judge migrate_device coverage.migrate_device 95
	say "source with counts: $dir/index.html"
}
