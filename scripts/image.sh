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
SPM_ADDR1=0x170000000
HUGEPAGES=64
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
	cp "$ROOT/scripts/guest/init" "$root/init"
	chmod +x "$root/init"
	cp "$AGENT" "$root/bin/agent"
	cp "$MODULE" "$root/modules/hmmirror.ko"
	guest_modules "$root/modules"
	[ "$#" = 0 ] || cp -- "$@" "$root/tests/" || die "cannot write to $CACHE; is the disk full?"
	chmod -f +x "$root/tests"/* || true
	pack "$root" "$out"
	rm -rf -- "$root"
}

pack() {
	(cd "$1" && find . -mindepth 1 | cpio -o -H newc --quiet) > "$2" ||
		die "cannot write to $CACHE; is the disk full?"
}

# What a kernel that is not ours has as modules, in the order of loading.
guest_modules() {
	local to=$1 dir=$K_BUILD name file
	EXTRA_MODULES=
	[ "$K_KIND" = built ] || return 0
	[ ! -d "/lib/modules/$K_NAME/kernel" ] || dir=/lib/modules/$K_NAME/kernel
	for name in zsmalloc lzo_compress lzo lzo-rle zram; do
		file=$(find "$dir" -name "$name.ko" -o -name "$name.ko.xz" 2>/dev/null | head -n 1)
		case $file in
		*.xz) xz -dc "$file" > "$to/$name.ko" ;;
		?*) cp "$file" "$to/$name.ko" ;;
		*) continue ;;
		esac
		EXTRA_MODULES+="$name.ko "
	done
}

# make_plan OUT MODE < the plan
make_plan() {
	local out=$1 root=$WORK/plan
	mkdir -p "$root"
	cat > "$root/plan"
	cat > "$root/guest.conf" <<-END
		MODE=$2
		AGENT_ARGS=$([ "$MODE" != suite ] || echo -1)
		MODULES="$EXTRA_MODULES"
		MODULE_ARGS="spm_addr_dev0=$SPM_ADDR0 spm_addr_dev1=$SPM_ADDR1 spm_size_mb=$SPM_MB"
		HUGEPAGES=$HUGEPAGES
		ZRAM_MB=$ZRAM_MB
	END
	pack "$root" "$out"
	rm -rf -- "$root"
}
