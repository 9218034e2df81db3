#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# -k DIR@REV, releases from a mirror, the compiler, --shuffle, and what -k native says. The
# kernel trees here are small ones, whose Makefile takes what it is to build from the default
# kernel's build.
# shellcheck disable=SC2154 # bats sets status, output and lines

load helper

setup_file() {
	default_kernel
	git_identity
}

setup() {
	local source
	source=$(cache)/source
	own_cache
	mkdir -p "$(cache)/source"
	# the suite takes its harness from there
	ln -s "$source"/linux-* "$(cache)/source/"
	REPO=$BATS_TEST_TMPDIR/linux
	BIN=$BATS_TEST_TMPDIR/bin
	mkdir "$BIN"
	cd "$BATS_TEST_TMPDIR" || return
}

# fake_kernel DIR SUBLEVEL: a tree that is "built" with the default kernel's vmlinux and modules
fake_kernel() {
	mkdir -p "$1/mm" "$1/kernel"
	touch "$1/Kconfig" "$1/Kbuild" "$1/mm/hmm.c" "$1/kernel/fork.c"
	cat > "$1/Makefile" <<-END
		VERSION = 6
		PATCHLEVEL = 0
		SUBLEVEL = $2
		EXTRAVERSION =
		CC = gcc
		HOSTCC = gcc
		B = $KERNEL_BUILD
	END
	# tabs are stripped here
	cat >> "$1/Makefile" <<-'END'
		.RECIPEPREFIX = >

		tinyconfig:
		> cp -asn $(B)/. $(O)/
		> rm -f $(O)/source
		> ln -s $(CURDIR) $(O)/source
		> cp --remove-destination $(B)/.config $(O)/.config

		olddefconfig:
		> cp --remove-destination $(B)/.config $(O)/.config
		> version=$$($(CC) --version | head -n 1); sed -i \
			"s/^CONFIG_CC_VERSION_TEXT=.*/CONFIG_CC_VERSION_TEXT=\"$$version\"/" $(O)/.config

		vmlinux:
		> echo "$(CC) $(HOSTCC)" >> $(O)/compilers
		> $(CC) -c -o $(O)/fork.o $(CURDIR)/kernel/fork.c

		modules:
	END
}

# repository COUNT: so many commits with the tags c1, c2, ...
repository() {
	local n
	git init -q -b main "$REPO"
	for ((n = 1; n <= $1; n++)); do
		fake_kernel "$REPO" "$n"
		git -C "$REPO" add -A
		git -C "$REPO" commit -q -m "commit $n"
		git -C "$REPO" tag "c$n"
	done
}

# mirror DIR RELEASE: DIR/v6.x as on kernel.org, with one release
mirror() {
	mkdir -p "$1/v6.x"
	fake_kernel "$BATS_TEST_TMPDIR/linux-$2" "${2##*.}"
	tar -C "$BATS_TEST_TMPDIR" -cJf "$1/v6.x/linux-$2.tar.xz" "linux-$2"
	(cd "$1/v6.x" && sha256sum ./*.xz | sed 's: \./: :' > sha256sums.asc)
}

# program NAME: a script in the place of a program, from standard input
program() {
	{ echo '#!/bin/sh'; cat; } > "$BIN/$1"
	chmod +x "$BIN/$1"
}

# new_gcc: a gcc 15 that refuses the kernel's only file
new_gcc() {
	program gcc <<-'END'
		case "$*" in
		--version) echo 'gcc (Example) 15.2.0'; exit ;;
		-dumpversion) echo 15; exit ;;
		*kernel/fork.c*)
			echo "stddef.h:11:9: error: cannot use keyword 'false' as enumeration constant" >&2
			exit 1 ;;
		esac
		exec /usr/bin/gcc "$@"
	END
	program gcc-12 <<-'END'
		case "$*" in
		--version) echo 'gcc-12 (Example) 12.3.0'; exit ;;
		esac
		exec /usr/bin/gcc "$@"
	END
}

results() {
	jq -r "$1" "${lines[-2]#logs: }/results.json"
}

@test "-k DIR@REV: commits of a repository whose checkout stays as it is" {
	repository 2
	echo mine > "$REPO/Kconfig"
	git -C "$REPO" status --porcelain > before
	git -C "$REPO" for-each-ref >> before
	run "$RUN" -k "$REPO@c1" -k "$REPO@$(git -C "$REPO" rev-parse main)" last.pass
	echo "$output"
	[ "$status" = 0 ]
	grep -q '^linux@c1 (6.0.1)  *1  *0  *0 .* done$' <<< "$output"
	grep -q '^linux@[0-9a-f]\{12\} (6.0.2)  *1  *0  *0 .* done$' <<< "$output"
	[ "$(results '.cells[0] | "\(.label) \(.kernel) \(.commit)"')" = \
		"linux@c1 6.0.1 (linux@c1) $(git -C "$REPO" rev-parse c1)" ]
	{ git -C "$REPO" status --porcelain; git -C "$REPO" for-each-ref; } | cmp before -
	# the second run of a commit takes what is there
	run "$RUN" -k "$REPO@main~1" last.pass
	echo "$output"
	[ "$status" = 0 ]
	[[ $output != *checking\ out* && $output != *building\ linux* ]]
	[ "$(results '.cells[0].kernel')" = '6.0.1 (linux@main~1)' ]
	[ "$(git -C "$REPO" worktree list | wc -l)" = 3 ]
}

@test "what a user can get wrong with -k DIR@REV" {
	repository 1
	git -C "$REPO" rm -q mm/hmm.c
	git -C "$REPO" commit -q -m 'no hmm'
	git -C "$REPO" tag old
	git -C "$REPO" rm -q kernel/fork.c
	git -C "$REPO" commit -q -m 'no kernel'
	mkdir "$BATS_TEST_TMPDIR/folder"
	bad_input "unknown revision: v9; it is not in $REPO" "$RUN" -k "$REPO@v9"
	bad_input 'unknown revision: --all' "$RUN" -k "$REPO@--all"
	bad_input 'linux@main is not a kernel tree' "$RUN" -k "$REPO@main"
	bad_input 'linux@old has no mm/hmm.c' "$RUN" -k "$REPO@old"
	bad_input 'is no git checkout: fatal: not a git repository' "$RUN" -k "$BATS_TEST_TMPDIR/folder@v9"
	bad_input 'unknown kernel: /nowhere@v9' "$RUN" -k /nowhere@v9
	HMMIRROR_TEST_MISSING=git HMMIRROR_TEST_UID=1000 bad_input \
		'as root: apt-get install --no-install-recommends git' "$RUN" -k "$REPO@c1"
	[ ! -e "$(cache)/worktree" ]
}

@test "full disk under -k DIR@REV" {
	[ "$EUID" = 0 ] || skip 'needs root, to mount a small disk'
	repository 1
	head -c 3000000 /dev/urandom > "$REPO/big"
	git -C "$REPO" add big && git -C "$REPO" commit -q -m big
	rm -r "$XDG_CACHE_HOME" && mkdir "$XDG_CACHE_HOME"
	mount -t tmpfs -o size=2500k small "$XDG_CACHE_HOME" || skip 'cannot mount'
	bad_input 'full' "$RUN" -k "$REPO@main" last.pass || { umount "$XDG_CACHE_HOME"; false; }
	run find "$(cache)/worktree" -mindepth 2
	umount "$XDG_CACHE_HOME"
	[ -z "$output" ]
	[ "$(git -C "$REPO" worktree list | wc -l)" = 1 ]
}

@test "a release from a mirror" {
	local port log=$BATS_TEST_TMPDIR/log agents
	mirror "$BATS_TEST_TMPDIR/mirror" 6.0.9
	python3 -u -m http.server --bind 127.0.0.1 -d "$BATS_TEST_TMPDIR/mirror" 0 > "$log" 2>&1 3>&- &
	wait_for 20 grep -q 'port [0-9]' "$log"
	port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$log")
	HMMIRROR_KERNEL_MIRROR=http://127.0.0.1:$port run "$RUN" -k 6.0.9 last.pass
	kill %1
	echo "$output"
	[ "$status" = 0 ]
	[[ $output == *'downloading linux-6.0.9.tar.xz'* ]]
	[ "$(results '.cells[0].kernel')" = 6.0.9 ]
	# it is in the cache now, and no mirror is needed
	agents=("$(cache)"/agent/*/agent)
	run "$RUN" -k 6.0.9 --exec "${agents[0]}" -t
	[ "$status" = 0 ]
}

@test "what a user can get wrong with a mirror" {
	local dir=$BATS_TEST_TMPDIR/mirror
	mirror "$dir" 6.0.9
	bad_input 'set HMMIRROR_KERNEL_MIRROR to a mirror' "$RUN" -k 6.0.9
	export HMMIRROR_KERNEL_MIRROR=$dir
	bad_input 'there is no linux 6.0.7 in' "$RUN" -k 6.0.7
	bad_input 'linux 4.19.1 is too old' "$RUN" -k 4.19.1
	sed -i 's/^..../0000/' "$dir/v6.x/sha256sums.asc"
	bad_input "linux-6.0.9.tar.xz of $dir is damaged: its sha256 is " "$RUN" -k 6.0.9
	HMMIRROR_KERNEL_MIRROR=http://127.0.0.1:9 bad_input \
		'cannot download http://127.0.0.1:9/v6.x/sha256sums.asc: ' "$RUN" -k 6.0.9
	[ ! -e "$(cache)/source/linux-6.0.9" ]
}

@test "gcc is too new for the kernel, and an older one builds it" {
	repository 1
	new_gcc
	# the newest of those that are installed; this machine's own must not decide
	HMMIRROR_TEST_MISSING='gcc-14 gcc-13' PATH=$BIN:$PATH run "$RUN" -k "$REPO@c1" last.pass
	echo "$output"
	[ "$status" = 0 ]
	grep -q "^gcc is too new for linux 6.0.1 (linux@c1) (cannot use keyword 'false' .*gcc-12 builds it$" \
		<<< "$output"
	[ "$(results '.cells[0].compiler')" = 'gcc-12 (Example) 12.3.0' ]
	[ "$(sort "$(cache)"/kernel/*/build/compilers)" = $'gcc gcc\ngcc-12 gcc-12' ]
	# known by now, so gcc is not tried
	HMMIRROR_TEST_MISSING='gcc-14 gcc-13' PATH=$BIN:$PATH run "$RUN" -k "$REPO@c1" last.pass
	echo "$output"
	[ "$status" = 0 ]
	[ "$(sort "$(cache)"/kernel/*/build/compilers)" = $'gcc gcc\ngcc-12 gcc-12' ]
}

@test "gcc is too new for the kernel, and there is no older one" {
	repository 1
	new_gcc
	local missing='gcc-14 gcc-13 gcc-12 gcc-11 gcc-10 gcc-9 gcc-8 gcc-7 gcc-6 gcc-5'
	HMMIRROR_TEST_MISSING=$missing PATH=$BIN:$PATH bad_input \
		'install an older gcc: apt-get install --no-install-recommends gcc-1' \
		"$RUN" -k "$REPO@c1" last.pass
	# what the user chose is not replaced
	CC=gcc PATH=$BIN:$PATH bad_input 'gcc (Example) 15.2.0 is too new for linux 6.0.1' \
		"$RUN" -k "$REPO@c1" last.pass
}

@test "CC builds kernel and driver" {
	repository 1
	new_gcc
	CC=gcc-12 PATH=$BIN:$PATH run "$RUN" -k "$REPO@c1" last.pass
	echo "$output"
	[ "$status" = 0 ]
	[[ $output != *'too new'* ]]
	[ "$(results '.cells[0].compiler')" = 'gcc-12 (Example) 12.3.0' ]
	[ "$(cat "$(cache)"/kernel/*/build/compilers)" = 'gcc-12 gcc-12' ]
	grep -q '^savedcmd.*:= gcc-12 \|^cmd.*:= gcc-12 ' "$(cache)"/driver/*/src/.hmmirror.o.cmd
	CC=gcc-99 bad_input 'CC=gcc-99: there is no gcc-99' "$RUN" -k "$REPO@c1" last.pass
}

@test "--shuffle: the seed gives the same order again" {
	local order
	order() { sed -n 's/^begin //p' "${lines[-2]#logs: }/results" | tr '\n' ' '; }
	HMMIRROR_GUESTS=1 run "$RUN" -k "$KERNEL_BUILD" --shuffle --repeat 6 fake.pass last.pass
	echo "$output"
	[ "$status" = 0 ]
	[[ $output =~ seed\ ([0-9]+):\ --shuffle ]]
	local seed=${BASH_REMATCH[1]}
	order=$(order)
	[ "$(results .seed)" = "$seed" ]
	[ "$order" != "fake.pass last.pass $(printf 'fake.pass@%d last.pass@%d ' 2 2 3 3 4 4 5 5 6 6)" ]
	HMMIRROR_GUESTS=1 run "$RUN" -k "$KERNEL_BUILD" --shuffle --seed "$seed" --repeat 6 \
		fake.pass last.pass
	[ "$status" = 0 ]
	[ "$(order)" = "$order" ]
	# each once, in two guests
	HMMIRROR_GUESTS=2 run "$RUN" -k "$KERNEL_BUILD" --shuffle --seed "$seed" --repeat 6 \
		fake.pass last.pass
	echo "$output"
	[ "${lines[-1]}" = '12 passed, 0 failed, 0 skipped' ]
	[ "$(order | tr ' ' '\n' | sort)" = "$(printf '%s' "$order" | tr ' ' '\n' | sort)" ]
}

# native [COMMAND]: -k native in a mount namespace of its own, after a command
native() {
	[ "$EUID" = 0 ] || skip 'needs root'
	unshare -m true || skip 'cannot unshare'
	[ -e "$BIN/insmod" ] || program insmod < /dev/null
	program rmmod < /dev/null
	program dmesg <<< 'exec sleep 60'
	HMMIRROR_TEST_NATIVE=$KERNEL_BUILD PATH=$BIN:$PATH \
		unshare -m sh -c "${1:-true} && exec \"\$RUN\" -k native last.pass"
}

@test "-k native where test_hmm is loaded" {
	bad_input 'test_hmm is loaded' native \
		'mount -t tmpfs none /sys/module && mkdir /sys/module/test_hmm && touch /sys/module/test_hmm/initstate'
	bad_input 'test_hmm is built into this kernel' native \
		'mount -t tmpfs none /sys/module && mkdir /sys/module/test_hmm'
}

@test "-k native where the kernel refuses the module" {
	program insmod <<-'END'
		echo "insmod: ERROR: could not insert module $1: Key was rejected by service" >&2
		exit 1
	END
	bad_input 'this kernel loads only modules with a signature that it trusts' native
	program insmod <<-'END'
		echo "insmod: ERROR: could not insert module $1: Operation not permitted" >&2
		exit 1
	END
	bad_input 'this kernel is locked down' native
	bad_input 'kernel.modules_disabled is 1' native \
		'mount -t tmpfs none /proc/sys/kernel && echo 1 > /proc/sys/kernel/modules_disabled'
}

@test "-k native where the taint is set already" {
	echo 12288 > "$BATS_TEST_TMPDIR/tainted"
	run native "mount --bind $BATS_TEST_TMPDIR/tainted /proc/sys/kernel/tainted"
	echo "$output"
	[ "$status" = 0 ]
	[ "$(grep -c '^note: this kernel is tainted already (OE)' <<< "$output")" = 1 ]
	[ "${lines[-1]}" = '1 passed, 0 failed, 0 skipped' ]
}
