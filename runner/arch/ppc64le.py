# SPDX-License-Identifier: GPL-2.0
"""ppc64le: the machine pseries of QEMU, a partition under a hypervisor that QEMU plays."""
from __future__ import annotations

import struct
from pathlib import Path
from typing import List

from runner.arch import Arch, GuestHardware, banner_release

# The command line gives the kernel the first 4G. The coherent devices have what is behind: the
# kernel has no words for a hole in the middle.
MEMORY_MB = 4096
COHERENT_ADDRESSES = (0x100000000, 0x120000000)
COHERENT_STEP_MB = (COHERENT_ADDRESSES[1] - COHERENT_ADDRESSES[0]) >> 20
# QEMU takes nodes in multiples of this
UNIT_MB = 256
# against speculation: TCG has none of those that the machine offers by default
CAPABILITIES = ",cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off"
ELF_LITTLE_64 = b"\x7fELF\x02\x01"
EM_PPC64 = 21


def qemu_options(hardware: GuestHardware) -> List[str]:
    """Two nodes with half of the CPUs and of the kernel's memory each, and devices for the suite.

    The small firmware starts in no time, and leaves it to the kernel to place PCI devices.
    """
    cpus = hardware.cpus
    first = f"0-{cpus // 2 - 1 if cpus > 1 else 0}"
    second = f"cpus={cpus // 2}-{cpus - 1}," if cpus > 1 else ""
    half = MEMORY_MB // 2
    behind = COHERENT_STEP_MB + -(-hardware.coherent_mb // UNIT_MB) * UNIT_MB
    options = [
        "-M", "pseries,x-vof=on" + (CAPABILITIES if hardware.accelerator != "kvm" else ""),
        "-smp", f"{cpus},sockets={cpus}",
        "-m", f"{MEMORY_MB + behind}M",
        "-object", f"memory-backend-ram,id=m0,size={half}M",
        "-object", f"memory-backend-ram,id=m1,size={half + behind}M",
        "-numa", f"node,cpus={first},memdev=m0", "-numa", f"node,{second}memdev=m1",
        # a variable of the firmware: QEMU then formats its memory, which the small one does not
        "-prom-env", "auto-boot?=true",
        "-device", "edu",
        "-device", "nvme,serial=near,cmb_size_mb=2",
    ]
    if hardware.accelerator == "kvm":
        return options + ["-accel", "kvm", "-cpu", "host"]
    return options + ["-accel", "tcg,thread=multi", "-cpu", "power9"]


def kernel_words(hardware: GuestHardware) -> List[str]:
    """The kernel's command line, as far as it is about the machine."""
    words = [f"mem={MEMORY_MB}M", "mitigations=off"]
    if hardware.accelerator != "kvm":
        # grace periods take time from the guest beside this one; without high resolution the timer's
        # interrupt would come without end
        words += ["rcupdate.rcu_expedited=1",
                  "rcutree.jiffies_till_first_fqs=10", "rcutree.jiffies_till_next_fqs=10"]
    return words


def is_image(path: Path) -> bool:
    """Is it a vmlinux?"""
    with path.open("rb") as file:
        header = file.read(20)
    return header[:6] == ELF_LITTLE_64 and struct.unpack("<H", header[18:20])[0] == EM_PPC64


ARCH = Arch(
    name="ppc64le",
    mark="ppc64le",
    machine="ppc64le",
    kbuild_name="powerpc",
    srcarch="powerpc",
    debian="ppc64el",
    triplet="powerpc64le-linux-gnu",
    qemu_package="qemu-system-ppc",
    qemu="qemu-system-ppc64",
    direct_image_option="",
    image="vmlinux",
    image_target="vmlinux",
    # without these the guest does not come up, or there is nothing to test
    needed_options=("64BIT", "MODULES", "BLK_DEV_INITRD", "BINFMT_ELF", "BINFMT_SCRIPT",
                    "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "PRINTK", "CPU_LITTLE_ENDIAN",
                    "PPC_PSERIES", "PPC_OF_BOOT_TRAMPOLINE", "PPC_RADIX_MMU", "VSX", "HVC_CONSOLE",
                    "HMM_MIRROR"),
    console="hvc0",
    agent_device="hvc1",
    agent_line=("-serial", "chardev:agent"),
    coherent_addresses=COHERENT_ADDRESSES,
    coherent_mb=2,
    memory_mb=MEMORY_MB,
    qemu_options=qemu_options,
    kernel_words=kernel_words,
    is_image=is_image,
    image_release=banner_release,
)
