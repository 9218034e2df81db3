# SPDX-License-Identifier: GPL-2.0
"""x86-64: a q35 machine of QEMU."""
from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import List

from runner.arch import Arch, GuestHardware

# The reserved memory of the coherent devices stays away from where QEMU puts tables and the
# initramfs, and from the 1G page at 4G.
COHERENT_ADDRESSES = (0x38000000, 0x168000000)
# the type and machine in an ELF file's head: an executable, or one that can be moved
ELF_KINDS = ((2, 62), (3, 62))
VERSION = re.compile(rb"Linux version (\d\S+) ")


def qemu_options(hardware: GuestHardware) -> List[str]:
    """Two nodes with half of the memory and of the CPUs each, and devices for the suite.

    Three NVDIMMs are for device-dax, one of them with room for an aligned GiB. A device that does
    DMA sits behind an IOMMU and a bridge. Two NVMe controllers have memory that it may reach: one
    on its bus, the other through the host bridge, which the kernel trusts with peer-to-peer
    traffic on AMD's CPUs since family 23.
    """
    cpus = hardware.cpus
    first = f"0-{cpus // 2 - 1 if cpus > 1 else 0}"
    second = f"cpus={cpus // 2}-{cpus - 1}," if cpus > 1 else ""
    options = [
        "-M", "q35,nvdimm=on", "-smp", f"{cpus},sockets={cpus}", "-m", "4G,slots=3,maxmem=8G",
        "-object", "memory-backend-ram,id=m0,size=2G",
        "-object", "memory-backend-ram,id=m1,size=2G",
        "-numa", f"node,cpus={first},memdev=m0", "-numa", f"node,{second}memdev=m1",
        "-object", "memory-backend-ram,id=p0,size=2G", "-device", "nvdimm,memdev=p0",
        "-object", "memory-backend-ram,id=p1,size=128M", "-device", "nvdimm,memdev=p1",
        "-object", "memory-backend-ram,id=p2,size=128M", "-device", "nvdimm,memdev=p2",
        "-device", "intel-iommu,intremap=off",
        "-device", "pcie-pci-bridge,id=b0", "-device", "edu,bus=b0,addr=1",
    ]
    if hardware.accelerator != "icount":
        # QEMU lets them work beside the CPU, for as long as the host takes
        options += ["-device", "nvme,serial=near,cmb_size_mb=2,bus=b0,addr=2",
                    "-device", "nvme,serial=far,cmb_size_mb=2"]
    if hardware.accelerator == "kvm":
        return options + ["-accel", "kvm", "-cpu", "host"]
    # rep movsb and stosb are slow when emulated
    options += ["-cpu", "max,-erms,-fsrm,family=23,model=1,stepping=2"]
    if hardware.accelerator == "icount":
        return options + exact_options(hardware)
    return options + ["-accel", "tcg,thread=multi"]


def exact_options(hardware: GuestHardware) -> List[str]:
    """An instruction is a nanosecond, and the host's clock and random numbers stay outside."""
    options = ["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
               "-rtc", "base=2026-01-01T00:00:00,clock=vm", "-seed", str(hardware.seed)]
    return options + (["-plugin", hardware.plugin] if hardware.plugin else [])


def kernel_words(hardware: GuestHardware) -> List[str]:
    """The kernel's command line, as far as it is about the machine."""
    words = ["no_timer_check", "mitigations=off", "intel_iommu=on",
             # their driver would map all of the NVDIMMs at each boot
             "initcall_blacklist=nd_pmem_driver_init"]
    if hardware.accelerator == "icount":
        # the kernel measures the TSC itself, and finds 1 GHz
        words += ["nokaslr", "norandmaps"]
    else:
        words.append("tsc=reliable")
    words += [f"memmap={hardware.coherent_mb}M${address:#x}" for address in COHERENT_ADDRESSES]
    if hardware.accelerator != "kvm":
        # Timers and grace periods take a fifth of an emulated guest's time, most of it on the
        # other CPU and so from the guest beside it.
        words += ["highres=off", "rcupdate.rcu_expedited=1",
                  "rcutree.jiffies_till_first_fqs=10", "rcutree.jiffies_till_next_fqs=10"]
        if hardware.tsc_khz:
            words.append(f"tsc_early_khz={hardware.tsc_khz}")
    return words


def is_elf(path: Path) -> bool:
    """Is it a vmlinux of this architecture? QEMU starts it if it has an entry for PVH guests."""
    with path.open("rb") as file:
        head = file.read(20)
    return len(head) == 20 and head[:4] == b"\x7fELF" and \
        struct.unpack("<HH", head[16:]) in ELF_KINDS


def is_image(path: Path) -> bool:
    """Is it a bzImage, or a vmlinux?"""
    with path.open("rb") as file:
        file.seek(514)
        return file.read(4) == b"HdrS" or is_elf(path)


def image_release(path: Path) -> str:
    """The release of a bzImage. The boot protocol keeps a pointer to the version at 0x20e.

    Nothing packs a vmlinux: its banner is there to be read.
    """
    if is_elf(path):
        found = VERSION.search(path.read_bytes())
        return found[1].decode(errors="replace") if found else ""
    with path.open("rb") as file:
        file.seek(0x20e)
        file.seek(struct.unpack("<H", file.read(2))[0] + 0x200)
        version = file.read(128).split(b"\0")[0].decode(errors="replace")
    return (version.split() or [""])[0]


ARCH = Arch(
    name="x86_64",
    mark="",
    machine="x86_64",
    kbuild_name="x86_64",
    srcarch="x86",
    debian="amd64",
    triplet="x86_64-linux-gnu",
    qemu_package="qemu-system-x86",
    qemu="qemu-system-x86_64",
    direct_image_option="CONFIG_PVH",
    image="arch/x86/boot/bzImage",
    image_target="bzImage",
    # without these the guest does not come up, or there is nothing to test
    needed_options=("64BIT", "MODULES", "BLK_DEV_INITRD", "BINFMT_ELF", "BINFMT_SCRIPT",
                    "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "PRINTK", "SERIAL_8250_CONSOLE",
                    "HMM_MIRROR"),
    console="ttyS0",
    agent_device="ttyS1",
    agent_line=("-serial", "chardev:agent"),
    coherent_addresses=COHERENT_ADDRESSES,
    coherent_mb=2,
    memory_mb=4096,
    qemu_options=qemu_options,
    kernel_words=kernel_words,
    is_image=is_image,
    image_release=image_release,
    # behind the kernel's image, for which 512 MiB or 1 GiB are left
    module_addresses=(0xffffffffa0000000, 0xffffffffff000000),
    has_tsc=True,
)
