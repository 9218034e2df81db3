# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# The guest's initramfs: busybox, the module, the programs; and the plan, in a
# second archive that is appended, as it is the only part that changes when a
# guest is replaced.

# The reserved memory of the two coherent devices, one on each node: away from where
# QEMU puts tables and initramfs, and from the 1G page at 4G. A guest takes what it
# touches of its 4 GiB, and the suite touches less than half.
SPM_MB=64
SPM_ADDR0=0x38000000
SPM_ADDR1=0x168000000
MODULE_ARGS=		# of hmmirror.ko, beside those
ZRAM_MB=256

# make_image OUT PROGRAM...
make_image() {
	local out=$1 root=$WORK/root name
	shift
	mkdir -p "$root"/{bin,dev,proc,sys,tmp,modules,tests}
	have busybox || die "no static busybox; install busybox-static"
	cp "$BUSYBOX" "$root/bin/busybox"
	while read -r name; do
		ln -s busybox "$root/bin/$name"
	done < <("$BUSYBOX" --list | grep -vx busybox)
	cp "$ROOT/guest/init" "$root/init"
	chmod +x "$root/init"
	cp "$AGENT" "$root/bin/agent"
	cp "$MODULE" "$root/modules/hmmirror.ko"
	guest_modules "$root/modules"
	[ -z "$G_BESIDE" ] || guest_program "${G_BESIDE%% *}" "$root"
	[ "$#" = 0 ] || cp -- "$@" "$root/tests/" || die "cannot write to $CACHE; is the disk full?"
	chmod -f +x "$root/tests"/* || true
	pack "$root" "$out"
	rm -rf -- "$root"
}

# guest_program NAME ROOT: one of this machine's, with its libraries
guest_program() {
	local file
	file=$(command -v "$1") || die "there is no $1"
	# it can be one of busybox's, too
	cp --remove-destination "$file" "$2/bin/$1"
	# "NAME => FILE (0x...)", and the dynamic linker without an arrow
	while read -r file; do
		mkdir -p "$2${file%/*}"
		cp "$file" "$2$file"
	done < <(ldd "$file" 2> /dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) .*/\1/p')
}

pack() {
	(cd "$1" && find . -mindepth 1 | cpio -o -H newc --quiet) > "$2" ||
		die "cannot write to $CACHE; is the disk full?"
}

# What a kernel that is not ours can have as modules
GUEST_MODULES='zram lzo-rle lzo hwpoison-inject'

# guest_modules TO: copies them and what they need; EXTRA_MODULES is the order of loading
guest_modules() {
	local to=$1 file name
	EXTRA_MODULES=
	[ "$K_KIND" = built ] || return 0
	while read -r file; do
		name=${file##*/}
		name=${name%%.ko*}
		[[ " $EXTRA_MODULES" != *" $name.ko "* ]] || continue
		case $file in
		*.xz) xz -dc "$file" ;;
		*.zst) zstd -dcq "$file" ;;
		*.gz) gzip -dc "$file" ;;
		*) cat "$file" ;;
		esac > "$to/$name.ko" || die "cannot unpack $file"
		EXTRA_MODULES+="$name.ko "
	done < <(module_files)
}

# module_files: in the order of loading
module_files() {
	local name
	if [ -e "$K_MODULES/modules.dep" ]; then
		for name in $GUEST_MODULES; do
			PATH=$PATH:/sbin:/usr/sbin modprobe -d "${K_MODULES%lib/modules/*}" \
				-S "${K_MODULES##*/}" --show-depends "$name" 2>/dev/null
		done | sed -n 's/^insmod \([^ ]*\).*/\1/p'
		return
	fi
	for name in zsmalloc lzo_compress $GUEST_MODULES; do
		find "$K_BUILD" -name "$name.ko" -o -name "$name.ko.*z*" 2>/dev/null | head -n 1
	done
}

# module_args: of hmmirror.ko in the guest
module_args() {
	echo "spm_addr_dev0=$SPM_ADDR0 spm_addr_dev1=$SPM_ADDR1 spm_size_mb=$SPM_MB$G_MODULE$MODULE_ARGS"
}

# make_plan OUT MODE < the plan
make_plan() {
	local out=$1 root=$WORK/plan
	mkdir -p "$root"
	cat > "$root/plan"
	cat > "$root/guest.conf" <<-END
		MODE=$2
		AGENT_ARGS=$([ "$MODE" != suite ] || ((G_SPREAD)) || echo -1)
		BESIDE="$G_BESIDE"
		MODULES="$EXTRA_MODULES"
		MODULE_ARGS="$(module_args)"
		HUGEPAGES=$G_HUGEPAGES
		ZRAM_MB=$ZRAM_MB
	END
	pack "$root" "$out"
	rm -rf -- "$root"
}
