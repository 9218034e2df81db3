# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# QEMU: how it is started, and with which acceleration.

QEMU_PID=
ACCEL=
TSC_KHZ=		# of this machine

# A /dev/kvm that opens proves nothing: guests can hang in it for ever. So a guest
# is started with a watchdog, once for each kernel of this machine.
KVM_PATIENCE=8

choose_accel() {
	local memo answer
	[ -z "$ACCEL" ] || return 0
	ACCEL=${HMMIRROR_ACCEL:-}
	[ -z "$ACCEL" ] || return 0
	ACCEL=tcg
	[ -r /dev/kvm ] && [ -w /dev/kvm ] || return 0
	memo=$CACHE/kvm-$(cat /etc/machine-id /proc/version /proc/sys/kernel/hostname \
		2>/dev/null | hash_text)
	if [ ! -s "$memo" ]; then
		step 'trying KVM'
		answer=tcg
		ACCEL=kvm
		make_plan "$WORK/plan.cpio" probe < /dev/null
		start_guest "$WORK/kvm.log"
		if read -r -t "$KVM_PATIENCE" -u "$RESULT_FD" _; then answer=kvm; fi
		stop_guest
		echo "$answer" > "$memo"
		step_clear
		[ "$answer" = kvm ] ||
			say "KVM is there and no guest boots in it; software emulation is used"
	fi
	ACCEL=$(< "$memo")
}

# Two nodes with half of the memory each, and of the CPUs.
# Three NVDIMMs for device-dax, one of them with room for an aligned GiB. Their block
# driver stays out, as it would map all of them at each boot.
# A device that does DMA, behind an IOMMU and a bridge. Two NVMe controllers have memory
# that it may reach: one on its bus, the other through the host bridge, which the kernel
# believes of AMD's since family 23.
qemu_args() {
	local append node1=''
	((G_CPUS == 1)) || node1="cpus=$((G_CPUS / 2))-$((G_CPUS - 1)),"
	append="console=ttyS0 loglevel=5 panic=-1 oops=panic"
	append+=" tsc=reliable no_timer_check random.trust_cpu=on printk.devkmsg=on mitigations=off"
	append+=" initcall_blacklist=nd_pmem_driver_init"
	append+=" intel_iommu=on"
	# secret memory is off by default before 6.5
	append+=" secretmem.enable=1"
	append+=" memmap=${SPM_MB}M\$$SPM_ADDR0 memmap=${SPM_MB}M\$$SPM_ADDR1"
	QEMU=(qemu-system-x86_64 -nodefaults -no-reboot -display none
		-M "q35,nvdimm=on" -smp "$G_CPUS,sockets=$G_CPUS" -m "4G,slots=3,maxmem=8G"
		-object "memory-backend-ram,id=m0,size=2G"
		-object "memory-backend-ram,id=m1,size=2G"
		-numa "node,cpus=0-$((G_CPUS > 1 ? G_CPUS / 2 - 1 : 0)),memdev=m0"
		-numa "node,${node1}memdev=m1"
		-object "memory-backend-ram,id=p0,size=2G" -device "nvdimm,memdev=p0"
		-object "memory-backend-ram,id=p1,size=128M" -device "nvdimm,memdev=p1"
		-object "memory-backend-ram,id=p2,size=128M" -device "nvdimm,memdev=p2"
		-device "intel-iommu,intremap=off"
		-device "pcie-pci-bridge,id=b0" -device "edu,bus=b0,addr=1"
		-device "nvme,serial=near,cmb_size_mb=2,bus=b0,addr=2"
		-device "nvme,serial=far,cmb_size_mb=2"
		-kernel "$K_IMAGE" -initrd "$WORK/initramfs")
	if [ "$ACCEL" = kvm ]; then
		QEMU+=(-accel kvm -cpu host)
	else
		# Timers and grace periods take a fifth of an emulated guest's time, most of it
		# on the other CPU and so from the guest beside it.
		append+=" highres=off rcupdate.rcu_expedited=1"
		append+=" rcutree.jiffies_till_first_fqs=10 rcutree.jiffies_till_next_fqs=10"
		[ -n "$TSC_KHZ" ] || TSC_KHZ=$("$AGENT" -t) || :
		append+="${TSC_KHZ:+ tsc_early_khz=$TSC_KHZ}"
		# rep movsb and stosb are slow when emulated
		QEMU+=(-accel "tcg,thread=multi" -cpu "max,-erms,-fsrm,family=23,model=1,stepping=2")
	fi
	QEMU+=(-append "$append$G_APPEND ${HMMIRROR_GUEST_APPEND:-}")
}

# start_guest CONSOLE: the second serial line comes out of RESULT_FD. The image is
# base.cpio and plan.cpio of WORK.
start_guest() {
	local console=$1
	cat "$WORK/base.cpio" "$WORK/plan.cpio" > "$WORK/initramfs" ||
		die "cannot write to $CACHE; is the disk full?"
	: > "$console"
	qemu_args
	QEMU+=(-serial "file:$console" -chardev "stdio,id=results,signal=off"
		-serial chardev:results)
	printf '%q ' "${QEMU[@]}" > "$WORK/qemu.cmd"
	# dies with us, even if we are killed
	exec {RESULT_FD}< <(exec setpriv --pdeathsig KILL setsid "${QEMU[@]}" \
		< /dev/null 2> "$WORK/qemu.err")
	QEMU_PID=$!
}

stop_guest() {
	[ -n "$QEMU_PID" ] || return 0
	kill -KILL -- "-$QEMU_PID" "$QEMU_PID" 2>/dev/null
	wait "$QEMU_PID" 2>/dev/null
	QEMU_PID=
	exec {RESULT_FD}<&-
}

# guest_shell: the user's terminal is the first serial line
guest_shell() {
	qemu_args
	make_plan "$WORK/plan.cpio" shell < /dev/null
	cat "$WORK/base.cpio" "$WORK/plan.cpio" > "$WORK/initramfs"
	QEMU+=(-serial mon:stdio -serial null)
	say "a shell in the guest; exit ends it, Ctrl-A X kills it"
	# Ctrl-C is the guest's
	trap '' INT
	setpriv --pdeathsig KILL "${QEMU[@]}"
}
