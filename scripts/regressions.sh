# shellcheck shell=bash
# shellcheck disable=SC2034 # variables of the other parts
# SPDX-License-Identifier: GPL-2.0
# --regressions and --reintroduce: the catalogue of bugs in regressions/, see its README.
#
# A bug is brought back into a copy of a kernel's tree and of its finished build, both
# made once for each kernel: the sources are hard links, and the paths that kbuild has
# noted are changed to those of the copy, so that only what is patched is built again.

CATALOGUE=${HMMIRROR_TEST_CATALOGUE:-$ROOT/regressions}
ENTRIES=()		# those that were asked for
REGRESSIONS=0		# the suite runs for them
STOP_AT_LOSS=0		# a guest that is lost ends the run

# about ENTRY KEY: the value from its header
about() {
	sed -n "/^\$/q; s/^$2: *//p" "$CATALOGUE/$1/about"
}

all_entries() {
	local file
	for file in "$CATALOGUE"/*/about; do
		file=${file%/about}
		[ ! -d "$file" ] || echo "${file##*/}"
	done
}

# choose_entries: what GLOBS name, all without one. Sets ENTRIES.
choose_entries() {
	local all name glob hit
	mapfile -t all < <(all_entries)
	[ "${#all[@]}" -gt 0 ] || die "$CATALOGUE has no entries"
	ENTRIES=()
	[ "${#GLOBS[@]}" -gt 0 ] || GLOBS=('*')
	for glob in "${GLOBS[@]}"; do
		hit=0
		[ "$glob" != all ] || glob='*'
		for name in "${all[@]}"; do
			# shellcheck disable=SC2053 # a pattern is meant
			[[ $name == $glob ]] || continue
			hit=1
			[[ " ${ENTRIES[*]} " == *" $name "* ]] || ENTRIES+=("$name")
		done
		((hit)) || die "no regression is called '$glob'; they are the folders of regressions/"
	done
}

# entry_tests ENTRY...: their globs, a line each
entry_tests() {
	local name glob
	for name; do
		for glob in $(about "$name" tests); do
			echo "$glob"
		done
	done | LC_ALL=C sort -u
}

# start_regressions: the suite, with the tests of the entries
start_regressions() {
	choose_entries
	mapfile -t GLOBS < <(entry_tests "${ENTRIES[@]}")
	MODE=suite
	REGRESSIONS=1
}

# entry_result ENTRY VERDICTS-FILE: ok, FAIL or SKIP, and the tests that say so
entry_result() {
	local name what glob globs ok=0 skipped=0 failed=()
	read -ra globs <<< "$(about "$1" tests | tr '\n' ' ')"
	while IFS=$'\t' read -r name what _; do
		for glob in "${globs[@]}"; do
			# shellcheck disable=SC2053
			[[ $name == $glob || $name == $glob.* ]] || continue
			case $what in
			ok) ok=$((ok + 1)) ;;
			SKIP) skipped=$((skipped + 1)) ;;
			FAIL) failed+=("$name") ;;
			esac
			break
		done
	done < <(last_verdicts "$2")
	if [ "${#failed[@]}" -gt 0 ]; then
		echo "FAIL ${failed[*]}"
	elif ((ok)); then
		echo "ok $ok passed, $skipped skipped"
	else
		echo "SKIP $skipped skipped"
	fi
}

# last_verdicts FILE: a later word about the same test replaces the earlier one
last_verdicts() {
	tac "$1" | awk -F '\t' '!seen[$1]++' | tac
}

# show_regressions VERDICTS-FILE: the entries by name
show_regressions() {
	local name what rest
	for name in "${ENTRIES[@]}"; do
		read -r what rest < <(entry_result "$name" "$1")
		printf '%-4s  %-40s %s\n' "$what" "$name" "$rest"
	done | tee -a "$LOGS/summary"
}

# release_of_kernel: 6.1 of 6.1.192-2
release_of_kernel() {
	tree_version "$K_SRC" | cut -d. -f1,2
}

# copy_kernel: K_SRC and K_BUILD into COPY. Sets COPY.
copy_kernel() {
	local log
	COPY=$CACHE/reintroduce/$K_ID
	lock "reintroduce-$K_ID" "with the copy of linux $K_NAME"
	# "patched" is there while a bug is; a run that was killed leaves it behind
	if entry_current "$COPY" "$K_STATE"; then
		[ ! -e "$COPY/patched" ] || mend_copy || die "cannot write to $CACHE; is the disk full?"
		return
	fi
	new_tmp copy
	log=$TMP/log
	rm -rf -- "$COPY"
	entry_begin "$COPY"
	long "copying linux $K_NAME" "$log" 0 \
		bash -c "$(declare -f copy_trees); copy_trees \"\$@\"" copy "$K_SRC" "$K_BUILD" "$COPY" ||
		build_failed "copying linux $K_NAME" "$log"
	entry_end "$COPY" "$K_STATE"
}

# Every command that kbuild notes is compared with the one it would give now.
# shellcheck disable=SC2016 # it is perl
copy_trees() {
	cp -al "$1" "$3/source" 2>/dev/null ||
		{ rm -rf -- "$3/source"; cp -a "$1" "$3/source"; } || return
	cp -a "$2" "$3/build" || return
	ln -sfn "$3/source" "$3/build/source"
	find "$3/build" \( -name '*.cmd' -o -name '*.d' -o -name Makefile -o -name '*.mod' \
		-o -name Kconfig.hmmirror -o -name modules.order \) -type f -print0 |
		FROM_SRC=$1 FROM_BUILD=$2 TO=$3 xargs -0r perl -e '
			local $/;
			for my $name (@ARGV) {
				open(my $file, "+<", $name) or die "$name: $!";
				my ($seen, $changed) = (stat $file)[8, 9];
				my $text = <$file>;
				$text =~ s/\Q$ENV{FROM_BUILD}\E/$ENV{TO}\/build/g;
				$text =~ s/\Q$ENV{FROM_SRC}\E/$ENV{TO}\/source/g;
				seek($file, 0, 0);
				truncate($file, 0);
				print $file $text;
				close($file) or die "$name: $!";
				utime($seen, $changed, $name);
			}'
}

# patch_copy ENTRY: the bug goes into the copy. Sets WHY if it cannot.
patch_copy() {
	local name=$1 file obj changed=0 log=$LOGS/$1.$RELEASE
	WHY=
	: > "$COPY/patched"
	new_tmp patch
	for file in $(about "$name" files); do
		[ -e "$COPY/source/$file" ] || continue
		mkdir -p "$TMP/${file%/*}"
		cp "$COPY/source/$file" "$TMP/$file"
		spatch --very-quiet --no-includes --in-place \
			--sp-file "$CATALOGUE/$name/bug.cocci" "$TMP/$file" > "$log.spatch" 2>&1 ||
			{ WHY="spatch fails; see $log.spatch"; return 1; }
		cmp -s "$COPY/source/$file" "$TMP/$file" && continue
		diff -u --label "a/$file" --label "b/$file" "$COPY/source/$file" "$TMP/$file" >> "$log.diff"
		for obj in "${file%.c}.o" "$(dirname "$file")/.$(basename "$file" .c).o.cmd"; do
			[ -e "$COPY/build/$obj" ] || continue
			cp "$COPY/build/$obj" "$COPY/build/$obj.new" &&
				mv "$COPY/build/$obj.new" "$COPY/build/$obj.good" ||
				die "cannot write to $CACHE; is the disk full?"
		done
		# the original is a hard link to the tree's own
		echo "$file" >> "$COPY/patched" &&
			rm "$COPY/source/$file" && cp "$TMP/$file" "$COPY/source/$file" ||
			die "cannot write to $CACHE; is the disk full?"
		changed=1
	done
	((changed)) || { WHY='the semantic patch finds nothing to change'; return 1; }
}

# mend_copy: as it was. What is put back is new to make, which links it again.
mend_copy() {
	local file obj
	while read -r file; do
		ln -f "$K_SRC/$file" "$COPY/source/$file" 2>/dev/null ||
			cp -a "$K_SRC/$file" "$COPY/source/$file" || return
		for obj in "${file%.c}.o" "$(dirname "$file")/.$(basename "$file" .c).o.cmd"; do
			[ -e "$COPY/build/$obj.good" ] || continue
			mv "$COPY/build/$obj.good" "$COPY/build/$obj" && touch "$COPY/build/$obj" || return
		done
	done < "$COPY/patched"
	rm -f "$COPY/patched"
}

# bug_tests NAME IMAGE GLOB...: in a process of its own, as one run's state is global
bug_tests() {
	local name=$1
	K_IMAGE=$2
	shift 2
	trap stop_guest EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	GLOBS=("$@")
	LOGS=$LOGS/$name.$RELEASE
	mkdir "$LOGS" && : > "$LOGS/summary" || exit 2
	STOP_AT_LOSS=1
	MODE=suite
	HMMIRROR_GUESTS=1
	run_suite
	exit 0
}

# run_bug NAME IMAGE GLOB...: its verdicts are in LOGS/NAME.RELEASE
run_bug() {
	local status=0
	bug_tests "$@" > "$LOGS/$1.$RELEASE.out" 2>&1 < /dev/null &
	WORKERS+=($!)
	wait $! || status=$?
	WORKERS=()
	return "$status"
}

# row RESULT NAME SECONDS REST: a line of the table
row() {
	local line
	printf -v line '%-10s  %-36s %-6s %4s s  %s' "$1" "$2" "$RELEASE" "$3" "$4"
	step_clear
	printf '%s\n' "$line" | tee -a "$LOGS/summary"
	printf '%s\t%s\t%s\t%s\t%s\n' "$2" "$RELEASE" "$1" "$3" "$4" >> "$LOGS/bugs"
}

# reintroduce NAME: brings the bug back and looks whether the tests see it
reintroduce() {
	local name=$1 start=$SECONDS log=$LOGS/$1.$RELEASE.log what rest globs tree status=0
	mapfile -t globs < <(entry_tests "$name")
	mapfile -t tree < <(tree_args "$K_SRC")
	# as build_kernel did, or all is built again
	[ "$K_KIND" = tree ] && command -v ccache > /dev/null && tree+=(CC='ccache gcc')
	step "$name on linux $K_NAME"
	if ! patch_copy "$name"; then
		row 'NOT CAUGHT' "$name" "$((SECONDS - start))" "$WHY"
		MISSED=$((MISSED + 1))
	elif ! long "$name on linux $K_NAME: building" "$log" 0 \
		make -C "$COPY/source" O="$COPY/build" KBUILD_KCONFIG="$COPY/build/Kconfig.hmmirror" \
		-j"$JOBS" "${MAKE_ARGS[@]}" "${tree[@]}" "$(kernel_target "$COPY/build")"; then
		row 'NOT CAUGHT' "$name" "$((SECONDS - start))" "it does not build; see $log"
		MISSED=$((MISSED + 1))
	else
		boot_image "$COPY/build" "$COPY/image" || die "cannot write to $CACHE; is the disk full?"
		step "$name on linux $K_NAME: testing"
		run_bug "$name" "$COPY/image" "${globs[@]}" || status=$?
		read -r what rest < <(awk -F '\t' '$2 == "FAIL" { n++; list = list " " $1 }
			END { if (n) print "FAIL" list; else print "none" }' \
			<(last_verdicts "$LOGS/$name.$RELEASE/verdicts" 2>/dev/null))
		if [ "$what" = FAIL ]; then
			read -ra globs <<< "$rest"
			((${#globs[@]} <= 3)) || rest="${globs[*]:0:3} and $((${#globs[@]} - 3)) more"
			row caught "$name" "$((SECONDS - start))" "$rest"
			CAUGHT=$((CAUGHT + 1))
		else
			# a guest that does not come up is no verdict: the machine can be too busy
			row 'NOT CAUGHT' "$name" "$((SECONDS - start))" "see $LOGS/$name.$RELEASE.out"
			MISSED=$((MISSED + 1))
		fi
	fi
	mend_copy || die "cannot write to $CACHE; is the disk full?"
}

# sound NAME...: the tests pass where the bug is not; only then a failure says something.
# Sets SOUND.
sound() {
	local name what rest globs
	SOUND=()
	mapfile -t globs < <(entry_tests "$@")
	step "the tests on linux $K_NAME as it is"
	run_bug without-bugs "$K_IMAGE" "${globs[@]}" ||
		die "the tests cannot be run; see $LOGS/without-bugs.$RELEASE.out"
	for name; do
		read -r what rest < <(entry_result "$name" "$LOGS/without-bugs.$RELEASE/verdicts")
		if [ "$what" = ok ]; then
			SOUND+=("$name")
		else
			row 'NOT CAUGHT' "$name" 0 "without the bug: $what $rest"
			MISSED=$((MISSED + 1))
		fi
	done
}

# run_reintroduce: each entry on each kernel that it goes with
run_reintroduce() {
	local kernel name here ran=0
	choose_entries
	need "$NEEDS_REINTRODUCE"
	expand_all
	new_logs
	for kernel in "${KERNELS[@]}"; do
		resolve_kernel "$kernel"
		case $K_KIND in
		package | tree) ;;
		*) die "--reintroduce builds kernels; -k takes a source tree or a release, not $kernel" ;;
		esac
		RELEASE=$(release_of_kernel)
		here=()
		for name in "${ENTRIES[@]}"; do
			[[ " $(about "$name" kernels) " == *" $RELEASE "* ]] || continue
			here+=("$name")
		done
		[ "${#here[@]}" -gt 0 ] || continue
		prepare_kernel "${CONFIGS[0]}"
		build_driver
		build_agent
		need "$NEEDS_GUEST"
		build_suite
		sound "${here[@]}"
		[ "${#SOUND[@]}" -gt 0 ] || continue
		copy_kernel
		for name in "${SOUND[@]}"; do
			reintroduce "$name"
		done
		unlock
	done
	step_clear
	((CAUGHT + MISSED)) ||
		die "none of these can be reintroduced into ${KERNELS[*]}; the line kernels: in regressions/*/about has where"
	printf 'logs: %s\n' "$LOGS"
	printf '%s caught, %s not caught\n' "$CAUGHT" "$MISSED" | tee -a "$LOGS/summary"
	((MISSED == 0))
}

CAUGHT=0
MISSED=0
