#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# --bisect, --bisect-step, --repeat, and programs of the user's own. In most of these a
# revision is one word that a test in the guest acts upon; the last one builds kernels.
# shellcheck disable=SC2154 # bats sets status, output and lines

load helper

setup_file() {
	default_kernel
	git_identity
}

setup() {
	own_repository
}

# worktrees: where --bisect has its
worktrees() {
	echo "$(cache)/bisect/$(sha1sum <<< "$REPO/.git" | cut -c1-16)"
}

# nothing_of_it: no worktree, nothing under way
nothing_of_it() {
	[ "$(git -C "$REPO" worktree list | wc -l)" = 1 ]
	[ -z "$(git -C "$REPO" for-each-ref refs/bisect)" ]
	if [ -d "$(worktrees)" ]; then
		[ -z "$(find "$(worktrees)" -mindepth 1 -type d)" ]
	fi
}

bisect() {
	run "$RUN" --bisect "$1" "$2" --tree "$REPO" "${@:3}"
	echo "$output"
}

@test "finds the first bad commit, beside what does not build and what the user does" {
	history pass pass pass pass pass broken pass fail splat fail fail fail
	# the user has a bisection of his own under way, and a change
	git -C "$REPO" bisect start c12 c1 > /dev/null
	echo mine > "$REPO/word"
	git -C "$REPO" status --porcelain > before
	git -C "$REPO" bisect log >> before
	git -C "$REPO" for-each-ref > refs
	bisect c1 c12 cell
	[ "$status" = 0 ]
	grep -q '^first bad commit: [0-9a-f]\{40\}$' <<< "$output"
	grep -qx '  commit 8: fail' <<< "$output"
	grep -q '^  A Developer <dev@example.org>, 20' <<< "$output"
	grep -q '^[0-9a-f]\{12\}  skip .* commit 6: broken (the kernel does not build)$' <<< "$output"
	# the one of the tests that differs
	grep -qx 'decided by: cell.fails ' <<< "$output"
	[[ ${lines[-1]} =~ ^[0-9]+' steps and the two ends in '[0-9]+' min '[0-9]+' s'(', in '[0-9]+' rounds')?$ ]]
	local logs=${lines[-2]#logs: }
	[ -s "$logs"/bad/console.1 ] && [ -s "$logs/bisect.log" ]
	git -C "$REPO" status --porcelain > after
	git -C "$REPO" bisect log >> after
	cmp before after
	git -C "$REPO" for-each-ref | cmp refs -
	[ "$(< "$REPO/word")" = mine ]
	[ "$(git -C "$REPO" worktree list | wc -l)" = 1 ]
}

@test "says so when commits that cannot be tested hide the first bad one" {
	history pass broken broken splat
	bisect c1 c4 cell.fails cell.skips
	[ "$status" = 1 ]
	grep -q 'the first bad commit is one of these' <<< "$output"
	[ "$(grep -c '^  [0-9a-f]\{7,\} commit [234]: ' <<< "$output")" = 3 ]
	nothing_of_it
}

@test "two commits, and nothing between them" {
	history pass fail
	bisect c1 c2 cell.fails
	[ "$status" = 0 ]
	grep -qx '  commit 2: fail' <<< "$output"
	[[ ${lines[-1]} =~ ^'0 steps and the two ends in '[0-9]+' min '[0-9]+' s'(', in '[0-9]+' rounds')?$ ]]
	nothing_of_it
}

@test "the two ends are checked first" {
	history pass fail skip pass
	bad_input 'BAD (c4) is not bad: the tests pass there' \
		"$RUN" --bisect c1 c4 --tree "$REPO" cell.fails
	bad_input 'BAD (c3) is not bad: cell.skips is skipped' \
		"$RUN" --bisect c1 c3 --tree "$REPO" cell.skips
	nothing_of_it
}

@test "a good end that is not good, or cannot be tested" {
	history fail broken fail
	bad_input 'GOOD (c1) is not good: cell.fails fails there' \
		"$RUN" --bisect c1 c3 --tree "$REPO" cell.fails
	bad_input 'GOOD cannot be tested: the kernel does not build' \
		"$RUN" --bisect c2 c3 --tree "$REPO" cell.fails
	nothing_of_it
}

@test "a flaky test, with --repeat" {
	history pass pass pass flaky flaky
	bisect c1 c5 --repeat 6 cell.fails
	[ "$status" = 0 ]
	grep -qx '  commit 4: flaky' <<< "$output"
	bad_input 'BAD (c5) is not bad' "$RUN" --bisect c1 c5 --tree "$REPO" cell.fails
}

@test "--repeat runs a test until it fails" {
	HMMIRROR_GUEST_APPEND=fake=flaky run "$RUN" --repeat 4 cell last.pass
	echo "$output"
	[ "$status" = 1 ]
	grep -q '^FAIL  cell.fails@3 ' <<< "$output"
	grep -q '^ok    last.pass@4 ' <<< "$output"
}

@test "interrupted, it goes on where it was" {
	history pass pass pass pass pass fail fail fail
	local pid
	env --default-signal=INT "$RUN" --bisect c1 c8 --at-once 2 --tree "$REPO" cell.fails > out 2>&1 &
	pid=$!
	# two ends and a step
	wait_for 240 eval '[ "$(grep -c "^  [a-z]*, [0-9]* s" out)" -ge 3 ]'
	kill -INT "$pid"
	status=0
	wait "$pid" || status=$?
	cat out
	[ "$status" = 130 ]
	grep -q 'the same command goes on from here' out
	nothing_left "$pid"
	if pgrep -f "bisect-step --tree $(worktrees)"; then false; fi
	bisect c1 c8 cell.fails
	[ "$status" = 0 ]
	grep -q '^going on with ' <<< "$output"
	grep -qx '  commit 6: fail' <<< "$output"
	# no revision twice
	[ "$(cat out - <<< "$output" | grep -c '^testing .*commit')" -le 6 ]
	local steps=${lines[-2]#logs: }/steps
	[ "$(cut -f 1 "$steps" | sort -u | wc -l)" = "$(wc -l < "$steps")" ]
	nothing_of_it
}

@test "--at-once: the same commit by the same steps, in fewer rounds" {
	history pass pass pass pass pass broken fail fail fail
	bisect c1 c9 --at-once 1 cell.fails
	[ "$status" = 1 ]
	[[ ${lines[-1]} =~ ^([0-9]+)' steps and the two ends in '[0-9]+' min '[0-9]+' s'$ ]]
	local one=$((BASH_REMATCH[1] + 2))
	cut -f 1,2 "${lines[-2]#logs: }/steps" > steps
	bisect c1 c9 --at-once 3 cell.fails
	[ "$status" = 1 ]
	[[ ${lines[-1]} =~ ', in '([0-9]+)' rounds'$ ]]
	((BASH_REMATCH[1] < one))
	cut -f 1,2 "${lines[-2]#logs: }/steps" | cmp steps -
	grep -qE '^  and [0-9a-f]{7,} commit [0-9]: [a-z]+, in case [0-9a-f]{7,} is (good|bad)$' \
		<<< "$output"
	# a folder for each step and end, and none for what was not needed
	[ "$(find "${lines[-2]#logs: }" -mindepth 1 -maxdepth 1 -type d | wc -l)" = "$one" ]
	nothing_of_it
}

@test "--bisect-step in the hands of git bisect run" {
	history pass pass broken crash fail
	git -C "$REPO" bisect start c5 c1 > /dev/null
	cd "$REPO" || return
	run git bisect run "$RUN" --bisect-step cell.fails
	echo "$output"
	[ "$status" = 2 ] || [[ $output == *'is the first bad commit'* ]]
	[[ $output == *'There are only '\''skip'\''ped commits left'* ]]
	git bisect log | grep -q '^# possible first bad commit: .*commit 4: crash'
}

@test "--bisect-step: 0, 1, 125, and 129 for what is not the revision's fault" {
	history pass fail skip broken
	local want=(x 0 1 125 125) i
	for i in 1 2 3 4; do
		git -C "$REPO" checkout -q "c$i"
		run "$RUN" --bisect-step --tree "$REPO" cell
		echo "$output"
		[ "$status" = "${want[i]}" ]
	done
	run "$RUN" --bisect-step --tree "$REPO" banana
	[ "$status" = 129 ]
	run "$RUN" --frobnicate --bisect-step cell
	[ "$status" = 129 ]
	run "$RUN" --bisect-step --tree "$BATS_TEST_TMPDIR" cell
	[ "$status" = 129 ]
	unset HMMIRROR_TEST_BUILT
	touch "$REPO/.config"
	run "$RUN" --bisect-step --tree "$REPO" cell
	[ "$status" = 129 ]
	[[ ${lines[-1]} == *'is not clean, .config is there'* ]]
}

@test "what a user can get wrong with --bisect" {
	history pass fail
	git -C "$REPO" checkout -q --orphan other
	git -C "$REPO" commit -q -m other
	bad_input '--bisect needs two revisions' "$RUN" --bisect c1
	bad_input '--bisect needs two revisions' "$RUN" --bisect c1 --tree "$REPO"
	bad_input 'needs the tests that decide' "$RUN" --bisect c1 c2 --tree "$REPO"
	bad_input 'no such folder' "$RUN" --bisect c1 c2 --tree /nowhere cell
	bad_input 'is no git checkout' "$RUN" --bisect c1 c2 --tree "$BATS_TEST_TMPDIR" cell
	bad_input 'unknown revision: c7' "$RUN" --bisect c1 c7 --tree "$REPO" cell
	bad_input 'unknown revision: c1:word' "$RUN" --bisect c1:word c2 --tree "$REPO" cell
	bad_input 'the same commit' "$RUN" --bisect c1 c1 --tree "$REPO" cell
	bad_input 'c2 comes after c1' "$RUN" --bisect c2 c1 --tree "$REPO" cell
	bad_input 'c1 and other have no commit in common' "$RUN" --bisect c1 other --tree "$REPO" cell
	bad_input '--bisect-build takes no tests' "$RUN" --bisect-build c1 c2 --tree "$REPO" cell
	bad_input '--bisect-build needs two revisions' "$RUN" --bisect-build c1
	bad_input '--patch none: no such file' "$RUN" --bisect c1 c2 --tree "$REPO" --patch none cell
	bad_input 'unknown revision: c9' "$RUN" --bisect c1 c2 --tree "$REPO" --cherry-pick c9 cell
	bad_input 'no merge' "$RUN" --bisect c1 c2 --tree "$REPO" --cherry-pick c1 cell
	bad_input '--first-parent is for --bisect' "$RUN" --first-parent cell
	bad_input '--path is for --bisect' "$RUN" --path mm/ cell
	bad_input '--at-once is for --bisect' "$RUN" --at-once 2 cell
	bad_input '--at-once 4: a number is wanted, 1 to 3' \
		"$RUN" --bisect c1 c2 --at-once 4 --tree "$REPO" cell
	bad_input "no test matches 'banana'" "$RUN" --bisect c1 c2 --tree "$REPO" banana
	bad_input 'not with -k' "$RUN" -k 6.1 --bisect c1 c2 --tree "$REPO" cell
	bad_input '--tree is for --bisect' "$RUN" --tree "$REPO" cell
	bad_input '--repeat often' "$RUN" --repeat often cell
	bad_input '--repeat is for tests' "$RUN" --repeat 2 --shell
	HMMIRROR_TEST_MISSING=ccache HMMIRROR_TEST_UID=1000 bad_input \
		'as root: apt-get install --no-install-recommends ccache' \
		"$RUN" --bisect c1 c2 --tree "$REPO" cell
	nothing_of_it
}

# branch FROM NAME WORD...: commits on a branch of their own; the checkout goes back
branch() {
	local from=$1 name=$2 word
	git -C "$REPO" checkout -q -b "$name" "$from"
	for word in "${@:3}"; do
		printf '%s\n' "$word" > "$REPO/word"
		echo "$name $word" >> "$REPO/other"
		git -C "$REPO" add -A
		git -C "$REPO" commit -q -m "$name: $word"
	done
	git -C "$REPO" checkout -q -
}

@test "two branches: their merge base is good, and the bug is on the bad one" {
	history pass pass pass fail fail
	branch c2 stable pass pass
	bisect stable c5 --at-once 2 cell.fails
	[ "$status" = 0 ]
	grep -qE '^[0-9a-f]{12}, from which stable and c5 both come, is good: ' <<< "$output"
	grep -qx '  commit 4: fail' <<< "$output"
	# the merge base is one of the steps
	grep -q '^[0-9a-f]\{12\}  good .* commit 2: pass' <<< "$output"
	nothing_of_it
}

@test "two branches: their merge base is bad, so the good one has a fix" {
	history pass fail fail fail
	branch c2 stable pass
	bad_input 'from which stable and c4 both come, is bad, too: c4 does not have the bug from a commit of its own, but stable has a fix' \
		"$RUN" --bisect stable c4 --tree "$REPO" cell.fails
	nothing_of_it
}

@test "--first-parent finds the merge, without it a commit of the branch" {
	history pass pass
	branch c1 topic pass fail
	git -C "$REPO" merge -q --no-ff -X theirs -m 'merge topic' topic
	printf 'fail\n' > "$REPO/word"
	git -C "$REPO" commit -q -a --amend --no-edit
	bisect c1 HEAD cell.fails --first-parent
	[ "$status" = 0 ]
	grep -qx '  merge topic' <<< "$output"
	bisect c1 HEAD cell.fails --at-once 3
	[ "$status" = 0 ]
	grep -qx '  topic: fail' <<< "$output"
	nothing_of_it
}

@test "--path: only commits that change it" {
	history pass pass pass pass fail fail fail
	bisect c1 c7 cell.fails --path word
	[ "$status" = 0 ]
	grep -qx '  commit 5: fail' <<< "$output"
	[[ ${lines[-1]} == '1 steps and the two ends in '* ]]
	nothing_of_it
}

@test "--cherry-pick and --patch: another bug is fixed at each step" {
	local rest=$'\n1\n2\n3\n4'
	history "pass$rest" "pass$rest"$'\nbroken' "pass$rest"$'\nbroken' "fail$rest"$'\nbroken'
	printf 'fail%s\n' "$rest" > "$REPO/word"
	git -C "$REPO" commit -q -a -m mend
	git -C "$REPO" tag c5
	# without it, the commits that do not build hide the first bad one
	bisect c1 c5 cell.fails
	[ "$status" = 1 ]
	bisect c1 c5 cell.fails --cherry-pick c5
	[ "$status" = 0 ]
	grep -qx "  commit 4: fail 1 2 3 4 broken" <<< "$output"
	[ "$(grep -c ' skip ' <<< "$output")" = 0 ]
	git -C "$REPO" diff c4 c5 -- word > mend.patch
	bisect c1 c5 cell.fails --patch mend.patch --at-once 2
	[ "$status" = 0 ]
	grep -qx "  commit 4: fail 1 2 3 4 broken" <<< "$output"
	# one that does not apply is the step's own fault
	sed -i 's/^ 4/ 5/' mend.patch
	bad_input 'BAD cannot be tested: mend.patch does not apply' \
		"$RUN" --bisect c1 c5 --tree "$REPO" cell.fails --patch mend.patch
	nothing_of_it
}

@test "--bisect-build finds the commit after which it does not build" {
	history pass fail pass broken broken
	run "$RUN" --bisect-build c1 c5 --at-once 3 --tree "$REPO"
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^GOOD builds and boots, and BAD does not: the kernel does not build$' <<< "$output"
	grep -qx '  commit 4: broken' <<< "$output"
	grep -qx 'decided by: does it build and boot' <<< "$output"
	bad_input 'BAD (c3) is not bad: it builds and boots' "$RUN" --bisect-build c1 c3 --tree "$REPO"
	bad_input 'GOOD (c4) is not good: the kernel does not build' "$RUN" --bisect-build c4 c5 --tree "$REPO"
	nothing_of_it
}

# hmm_history VALUE...: revisions with hmm-tests of their own, which want this to be 1
hmm_history() {
	local value n=0 tests=$REPO/tools/testing/selftests
	export HMMIRROR_TEST_BUILT=$KERNEL_BUILD
	mkdir -p "$tests/mm" "$REPO/lib"
	cp "$KERNEL_SOURCE"/tools/testing/selftests/kselftest*.h "$tests/"
	cp "$KERNEL_SOURCE/lib/test_hmm_uapi.h" "$REPO/lib/"
	echo pass > "$REPO/word"
	# built in place: its headers are not made
	touch "$REPO/.config"
	git init -q "$REPO"
	for value; do
		n=$((n + 1))
		cat > "$tests/mm/hmm-tests.c" <<-END
			#include "../kselftest_harness.h"
			FIXTURE(hmm) {};
			FIXTURE_SETUP(hmm) {}
			FIXTURE_TEARDOWN(hmm) {}
			TEST_F(hmm, migrate) { ASSERT_EQ(1, $value); }
			TEST_F(hmm, other) { ASSERT_EQ(1, 2); }
			TEST_HARNESS_MAIN
		END
		echo "$n" > "$REPO/n"
		git -C "$REPO" add -A -f
		git -C "$REPO" commit -q -m "commit $n: $value"
		git -C "$REPO" tag "c$n"
	done
}

@test "--bisect with --upstream: the hmm-tests of each revision decide, and have to build" {
	hmm_history 1 1 'does not compile' 1 2 2
	bisect c1 c6 --at-once 2 --upstream 'hmm.mig*'
	[ "$status" = 0 ]
	grep -qx '  commit 5: 2' <<< "$output"
	grep -qx 'decided by: hmm.migrate ' <<< "$output"
	git -C "$REPO" checkout -q c3
	run "$RUN" --bisect-step --tree "$REPO" --upstream hmm.migrate
	echo "$output"
	[ "$status" = 125 ]
	[[ $output == *'cannot be tested: building the hmm-tests of '* ]]
	git -C "$REPO" checkout -q c5
	run "$RUN" --bisect-step --tree "$REPO" --upstream hmm.migrate
	[ "$status" = 1 ]
	bad_input "no test matches 'banana'" "$RUN" --bisect c1 c6 --tree "$REPO" --upstream banana
}

@test "full disk under a bisection" {
	[ "$EUID" = 0 ] || skip 'needs root, to mount a small disk'
	history pass fail
	head -c 3000000 /dev/urandom > "$REPO/big"
	git -C "$REPO" add big && git -C "$REPO" commit -q -m big && git -C "$REPO" tag c3
	echo 'int main(void) { return 0; }' > own.c
	own_cache
	mount -t tmpfs -o size=2500k small "$XDG_CACHE_HOME" || skip 'cannot mount'
	mkdir -p "$(cache)"
	ln -s "$HOME/.cache/hmmirror/source" "$(cache)/source"
	bad_input 'full' "$RUN" --bisect c1 c3 --tree "$REPO" own.c || { umount "$XDG_CACHE_HOME"; false; }
	umount "$XDG_CACHE_HOME"
}

@test "--new makes a program that runs as it is, and as a test" {
	run "$RUN" --new 'a/b'
	[ "$status" = 2 ]
	run "$RUN" --new first
	[ "$status" = 0 ]
	bad_input 'first.c is there already' "$RUN" --new first.c
	echo 'int main(void) { return 4 }' > broken.c
	bad_input 'broken.c does not compile' "$RUN" --exec broken.c
	[[ $output == *"error: expected"* ]]
	bad_input 'no such C file' "$RUN" ./none.c
	unset HMMIRROR_TEST_DRIVER
	run "$RUN" --exec first.c
	echo "$output"
	[ "$status" = 0 ]
	[[ ${lines[-1]} == 'first: right' ]]
	echo 'int main(void) { return 4; }' > second.c
	echo 'int main(int argc, char **argv) { return !argv[argc - 1][0]; }' > third.c
	echo 'int main(void) { return 1; }' > fourth.c
	run "$RUN" first.c second.c third.c fourth.c
	echo "$output"
	[ "$status" = 1 ]
	[ "${lines[-1]}" = '2 passed, 1 failed, 1 skipped' ]
}

# small_history FROM: the packaged kernel as five commits, without what is not built
small_history() {
	mkdir -p "$REPO"
	(cd "$1" && {
		find . -path './arch/[!x]*' -prune -o -path ./Documentation -prune -o \
			-path ./sound -prune -o -path ./tools/testing -prune -o \
			-path ./drivers/gpu -prune -o -path './drivers/net/*/*' -prune -o \
			-path ./drivers/media -prune -o -path ./drivers/staging -prune -o \
			-path ./drivers/usb -prune -o -type f -print
		find . -name 'Kconfig*' -o -name 'Makefile*' -o -name Kbuild
	} | sort -u | tar -cf - -T -) | tar -xf - -C "$REPO"
	cd "$REPO" || return
	git init -q
	git config core.compression 0
	git config gc.auto 0
	git add -A -f
	git commit -q -m base
	echo '/* one */' >> mm/mremap.c
	git commit -q -a -m 'mm/mremap: a remark'
	sed -i 's/^static inline unsigned long pte_to_hmm_pfn_flags/static inline long long oops/' mm/hmm.c
	git commit -q -a -m 'mm/hmm: does not build'
	git checkout -q HEAD^ -- mm/hmm.c
	git commit -q -m 'mm/hmm: mend it'
	sed -i 's/return pte_write(pte) ? (HMM_PFN_VALID | HMM_PFN_WRITE) : HMM_PFN_VALID;/return HMM_PFN_VALID;/' mm/hmm.c
	if git diff --quiet; then return 1; fi
	git commit -q -a -m 'mm/hmm: simplify'
	echo '/* two */' >> mm/mprotect.c
	git commit -q -a -m 'mm/mprotect: a remark'
}

@test "a real history of a packaged kernel" {
	[ -n "${HMMIRROR_TEST_SLOW:-}" ] || skip 'it builds kernels; HMMIRROR_TEST_SLOW=1 does it'
	# always the same path, so that ccache knows it the next time
	REPO=$(cache)/tests/linux
	[ -e "$KERNEL_SOURCE/mm/hmm.c" ] || skip 'no kernel source'
	unset HMMIRROR_TEST_DRIVER HMMIRROR_TEST_SUITE HMMIRROR_TEST_BUILT
	rm -rf "$REPO"
	small_history "$KERNEL_SOURCE"
	cd "$BATS_TEST_TMPDIR" || return
	git -C "$REPO" tag one HEAD~5
	git -C "$REPO" tag two
	bisect one two -c "$ROOT/runner/tests/small.config" walk_anon.writable.snapshot
	rm -rf "$REPO"
	[ "$status" = 0 ]
	grep -qx '  mm/hmm: simplify' <<< "$output"
	grep -q ' skip .* mm/hmm: does not build (building linux .* failed; see ' <<< "$output"
}
