#!/usr/bin/env bats
# SPDX-License-Identifier: GPL-2.0
# What a user can get wrong: one clear line, status 2, nothing half-done.

load helper

setup_file() {
	default_kernel
}

# fake_tree DIR: looks like the top of a kernel tree
fake_tree() {
	mkdir -p "$1/mm" "$1/kernel" "$1/include/config"
	touch "$1/Kconfig" "$1/Kbuild" "$1/mm/hmm.c" "$1/kernel/fork.c"
	printf 'VERSION = 6\nPATCHLEVEL = 1\n' > "$1/Makefile"
}

@test "unknown option" {
	bad_input 'unknown option: --frobnicate' "$RUN" --frobnicate
	bad_input 'unknown option: -z' "$RUN" -z
}

@test "an option without its value" {
	bad_input '-k needs a value' "$RUN" -k
}

@test "--timeout that is no number" {
	bad_input '--timeout soon' "$RUN" --timeout soon
	bad_input '--timeout 0' "$RUN" --timeout=0
}

@test "two modes at once" {
	bad_input 'exclude each other' "$RUN" --shell --upstream
}

@test "--stress that is not one, or with what does not go with it" {
	bad_input '--stress banana: there is no such run' "$RUN" --stress banana
	bad_input '--stress needs a value' "$RUN" --stress
	bad_input '--minutes 0: minutes are wanted' "$RUN" --stress fuzz --minutes 0
	bad_input '--minutes soon: minutes are wanted' "$RUN" --stress fuzz --minutes=soon
	bad_input '--seed x: a number is wanted' "$RUN" --stress fuzz --seed x
	bad_input 'takes no test names; got abi' "$RUN" --stress fuzz abi
	bad_input '--minutes is for --stress' "$RUN" --minutes 5
	bad_input '--seed is for --stress and --shuffle' "$RUN" --seed 5 abi
	bad_input 'exclude each other' "$RUN" --stress fuzz --upstream
	bad_input '--repeat is for tests' "$RUN" --stress fuzz --repeat 3
}

@test "--shuffle with what does not go with it" {
	bad_input '--seed x: a number is wanted' "$RUN" --shuffle --seed x
	bad_input '--shuffle is for tests, and not for --shell' "$RUN" --shuffle --shell
	bad_input '--shuffle is for tests, and not for --stress' "$RUN" --stress fuzz --shuffle
}

@test "an architecture that is not known, or does not go with the rest" {
	[ "$(uname -m)" = x86_64 ] || skip "for a machine whose own architecture is x86_64"
	bad_input '-a needs a value' "$RUN" -a
	bad_input 'unknown architecture: banana; give one of: arm64 ppc64le x86_64' "$RUN" -a banana
	bad_input 'which is not arm64' "$RUN" -k native -a arm64
	bad_input 'give a release or a tree with -a arm64' "$RUN" -k linux-image-amd64 -a arm64
	bad_input '-c 64k is for arm64 and ppc64le only' "$RUN" -k 6.1 -c 64k abi
	bad_input '-c la57 is for x86_64 only' "$RUN" -k 6.1 -a arm64 -c la57 abi
	bad_input '--reintroduce takes one -a' "$RUN" --reintroduce all -a arm64 -a x86_64
	bad_input '--bisect takes one -a' "$RUN" --bisect a b abi -a arm64 -a x86_64
	bad_input '--mutate works on this machine' "$RUN" --mutate mm/hmm.c -a arm64
	bad_input 'give one -k, one -a and one -c' "$RUN" --shell -a arm64 -a x86_64
}

@test "unknown kernel" {
	bad_input 'unknown kernel: banana' "$RUN" -k banana
	bad_input 'unknown kernel: 6.1.2.3' "$RUN" -k 6.1.2.3
}

@test "a release that the sources do not have" {
	own_cache
	bad_input 'there is no linux-source-4.4' "$RUN" -k 4.4
}

@test "unknown config" {
	bad_input 'unknown config: banana' "$RUN" -k "$KERNEL_SOURCE" -c banana
}

@test "-c with a kernel that is built" {
	echo CONFIG_KSM=n > "$BATS_TEST_TMPDIR/x.config"
	bad_input 'built already' "$RUN" -k "$KERNEL_BUILD" -c "$BATS_TEST_TMPDIR/x.config"
}

@test "no match for a glob" {
	bad_input "no test matches 'banana.*'" "$RUN" --list 'fake' 'banana.*'
	bad_input "no test matches 'banana'" "$RUN" -k "$KERNEL_BUILD" banana
}

@test "a folder that is not a kernel tree" {
	bad_input 'is not a kernel tree' "$RUN" -k "$BATS_TEST_TMPDIR"
}

@test "a file that is not a bzImage" {
	bad_input 'is not a bzImage' "$RUN" -k "$RUN"
}

@test "a bzImage whose build folder is not there" {
	printf '%514sHdrS%1000s' '' '' > "$BATS_TEST_TMPDIR/bzImage"
	bad_input 'no build folder' "$RUN" -k "$BATS_TEST_TMPDIR/bzImage"
	bad_input "not a kernel's build folder" "$RUN" -k "$BATS_TEST_TMPDIR/bzImage:/tmp"
}

@test "a tree without mm/hmm.c" {
	fake_tree "$BATS_TEST_TMPDIR/tree"
	rm -r "$BATS_TEST_TMPDIR/tree/mm/hmm.c" "$BATS_TEST_TMPDIR/tree/include"
	bad_input 'has no mm/hmm.c' "$RUN" -k "$BATS_TEST_TMPDIR/tree"
}

@test "a tree that is configured and not built" {
	fake_tree "$BATS_TEST_TMPDIR/tree"
	touch "$BATS_TEST_TMPDIR/tree/.config"
	bad_input 'is not clean, .config is there' "$RUN" -k "$BATS_TEST_TMPDIR/tree"
}

@test "a tree built in place without the needed options" {
	local tree=$BATS_TEST_TMPDIR/tree
	fake_tree "$tree"
	grep -vE '^CONFIG_(HMM_MIRROR|TMPFS|PVH)=' "$KERNEL_BUILD/.config" > "$tree/.config"
	echo 6.1.0 > "$tree/include/config/kernel.release"
	mkdir -p "$tree/arch/x86/boot"
	touch "$tree/vmlinux" "$tree/arch/x86/boot/bzImage"
	bad_input 'needs CONFIG_TMPFS=y CONFIG_HMM_MIRROR=y' "$RUN" -k "$tree"
}

@test "--exec of what is not there, or is dynamic" {
	bad_input 'no such program' "$RUN" --exec /nowhere
	echo 'int main(void) { return 0; }' > "$BATS_TEST_TMPDIR/a.c"
	gcc -o "$BATS_TEST_TMPDIR/a" "$BATS_TEST_TMPDIR/a.c"
	bad_input 'linked dynamically' "$RUN" --exec "$BATS_TEST_TMPDIR/a"
}

@test "--check of what is not there, or not as root" {
	bad_input 'there is no such level; it is ci, all, machine, noapt, or none' "$RUN" --check=some
	HMMIRROR_TEST_UID=1000 bad_input 'only root can' "$RUN" --check=noapt
	HMMIRROR_TEST_UID=1000 bad_input 'only root can' "$RUN" --check=machine
}

@test "packages are missing and the user is not root" {
	HMMIRROR_TEST_MISSING='bc flex' HMMIRROR_TEST_UID=1000 bad_input \
		'as root: apt-get install --no-install-recommends bc flex' \
		"$RUN" -k "$KERNEL_SOURCE"
}

@test "packages are missing and there is no apt: the line of the machine's own package manager" {
	local rel=$BATS_TEST_TMPDIR/os-release
	export HMMIRROR_TEST_MISSING='bc /usr/include/numa.h apt-get' HMMIRROR_TEST_OS_RELEASE=$rel
	# the kernel is looked at first, and then the suite
	printf 'NAME="Fedora Linux"\nID=fedora\n' > "$rel"
	bad_input 'these are missing: bc; as root: dnf install /usr/bin/bc' "$RUN" -k "$KERNEL_SOURCE"
	printf 'ID="opensuse-tumbleweed"\nID_LIKE="opensuse suse"\n' > "$rel"
	bad_input 'as root: zypper install /usr/bin/bc' "$RUN" -k "$KERNEL_SOURCE"
	printf 'ID=alpine\n' > "$rel"
	bad_input 'as root: apk add cmd:bc' "$RUN" -k "$KERNEL_SOURCE"
	printf 'ID=manjaro\nID_LIKE=arch\n' > "$rel"
	bad_input 'pacman -F bc names the packages' "$RUN" -k "$KERNEL_SOURCE"
	printf 'ID=nixos\n' > "$rel"
	bad_input 'install what these packages of Debian hold: bc' "$RUN" -k "$KERNEL_SOURCE"
}

@test "no network" {
	own_cache
	cat > "$BATS_TEST_TMPDIR/apt.conf" <<-'END'
		Acquire::http::Proxy "http://127.0.0.1:9";
		Acquire::https::Proxy "http://127.0.0.1:9";
		Acquire::Retries "0";
	END
	APT_CONFIG=$BATS_TEST_TMPDIR/apt.conf bad_input 'no network' "$RUN"
	[ -z "$(find "$(cache)/source" -mindepth 1 2>/dev/null)" ]
}

@test "full disk" {
	[ "$EUID" = 0 ] || skip 'needs root, to mount a small disk'
	own_cache
	mount -t tmpfs -o size=100k small "$XDG_CACHE_HOME" || skip 'cannot mount'
	bad_input 'full' "$RUN" -k "$KERNEL_BUILD" fake.pass || { umount "$XDG_CACHE_HOME"; false; }
	# the disk can be full before there is a folder for the driver
	mkdir -p "$XDG_CACHE_HOME/hmmirror/driver"
	run find "$XDG_CACHE_HOME"/hmmirror/{tmp,driver} -mindepth 1
	umount "$XDG_CACHE_HOME"
	[ -z "$output" ]
}

@test "full disk while a source tree is fetched" {
	[ "$EUID" = 0 ] || skip 'needs root, to mount a small disk'
	own_cache
	mount -t tmpfs -o size=2m small "$XDG_CACHE_HOME" || skip 'cannot mount'
	bad_input 'full' "$RUN" fake.pass || { umount "$XDG_CACHE_HOME"; false; }
	run find "$XDG_CACHE_HOME"/hmmirror/tmp -mindepth 1
	umount "$XDG_CACHE_HOME"
	[ -z "$output" ]
}

@test "a fragment with a directive that is not known" {
	echo '# guest: banana=1' > "$BATS_TEST_TMPDIR/x.config"
	bad_input "'# guest: banana=1' is not understood" "$RUN" -k "$KERNEL_BUILD" -c "$BATS_TEST_TMPDIR/x.config"
}

@test "--upstream of what is not there" {
	bad_input 'names no release and no tree' "$RUN" --upstream=
	bad_input 'no such tree' "$RUN" -k "$KERNEL_BUILD" --upstream=banana
}

@test "a kernel package that is not there" {
	bad_input 'there is no package linux-image-banana' "$RUN" -k linux-image-banana
}

# abi_fields FILE: "struct: field bytes, ..." of C or of syzkaller's language. Parts of a
# union of calls (hmmirror_dma_map) are the one struct that the header has.
abi_fields() {
	awk '
		function bytes(type) {
			return type ~ /int8|char/ ? 80 : type ~ /int32|__[us]32/ ? 4 : 8
		}
		/^(struct )?hmm[a-z_]* \{$/ {
			name = $(NF - 1)
			if (FILENAME ~ /txt$/ && name != "hmmirror_dma_page")
				sub(/_(pages|atomic|arm|wait|release|put|take|alloc|map|unmap|free|end)$/, "", name)
			fields = ""
			next
		}
		/^}/ && name { print name ":" fields; name = "" }
		name && /^\t[a-z_]/ {
			if (FILENAME ~ /txt$/)
				{ field = $1; type = $0; if (type ~ /ptr64|vma64/) type = "int64" }
			else
				{ field = $2; type = $1; sub(/[;[].*/, "", field) }
			fields = fields " " field " " bytes(type) ","
		}' "$1" | sort -u
}

@test "the description for syzkaller has the structs and numbers of the headers" {
	local uapi=$ROOT/driver/uapi txt=$ROOT/stress/hmmirror.txt name number
	diff <(for file in "$uapi"/*.h; do abi_fields "$file"; done | sort) <(abi_fields "$txt") >&2
	while read -r name number; do
		grep -q "^ioctl\$${name}[A-Z_]*(.*const\[0xda$number\]" "$txt" || { echo "$name" >&2; false; }
	done < <(sed -n 's/^#define \(HMMIRROR_[A-Z]*\)[[:space:]]*_IO(.*0x\(..\))$/\1 \2/p' "$uapi/hmmirror.h")
}
