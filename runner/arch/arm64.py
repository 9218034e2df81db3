# SPDX-License-Identifier: GPL-2.0
"""arm64: the machine virt of QEMU, which a kernel learns of by a device tree."""
from __future__ import annotations

from pathlib import Path
from typing import List

from runner.arch import Arch, GuestHardware, banner_release

# QEMU's memory begins at 1G. The command line gives the kernel the first 8G of it: with pages of 64K a
# huge page is 512M, and tests have up to six at a time. Only what the guest touches becomes
# memory of the host. The coherent devices have what is behind: a region that the device tree
# reserves has struct pages already. They lie apart by whole sections of the memory map, which have
# 512M with pages of 64K, and by more than hmm-tests ask of one.
MEMORY_MB = 8192
# the kernel's own data has the rest
MOVABLE_MB = 5120
COHERENT_ADDRESSES = (0x240000000, 0x2c0000000)
# with pages of 64K, as much memory as one page has struct pages for. The kernel frees that page when
# a controller goes whose memory lies nearer to the other one's (docs/findings/elsewhere.md).
FAR_CMB_MB = 64
# behind the coherent devices, for device-dax: the first has room for a header and a huge page
PMEM = ((0x340000000, 1024), (0x380000000, 128))
MEMORY_START, MEMORY_END = 0x40000000, 0x388000000
ALL_MB = (MEMORY_END - MEMORY_START) >> 20


def qemu_options(hardware: GuestHardware) -> List[str]:
    """Two nodes with half of the CPUs and of the kernel's memory each, and devices for the suite.

    A device that does DMA sits behind an IOMMU, and below one port with an NVMe controller whose
    memory it may reach. They are functions of one card: behind a bridge to PCI both would have
    one requester, which the kernel's driver of the IOMMU does not support. QEMU describes NVDIMMs
    in ACPI tables only, for which the guest would need firmware: memory that an edited device tree
    describes takes their place. The agent's line is a PCI card, since older QEMUs give the kernel
    only one of the machine's UARTs.
    """
    cpus = hardware.cpus
    first = f"0-{cpus // 2 - 1 if cpus > 1 else 0}"
    second = f"cpus={cpus // 2}-{cpus - 1}," if cpus > 1 else ""
    half = MEMORY_MB // 2
    # KVM offers the interrupt controller of the machine; memory for tags is there only for CPUs that
    # QEMU emulates
    board = "gic-version=host" if hardware.accelerator == "kvm" else "gic-version=3,mte=on"
    options = [
        "-M", f"virt,{board},iommu=smmuv3", "-smp", f"{cpus},sockets={cpus}",
        "-m", f"{ALL_MB}M",
        "-object", f"memory-backend-ram,id=m0,size={half}M",
        "-object", f"memory-backend-ram,id=m1,size={ALL_MB - half}M",
        "-numa", f"node,cpus={first},memdev=m0", "-numa", f"node,{second}memdev=m1",
        "-device", "pcie-root-port,id=b0", "-device", "edu,bus=b0,addr=0.0,multifunction=on",
        "-device", "nvme,serial=near,cmb_size_mb=2,bus=b0,addr=0.1",
        "-device", f"nvme,serial=far,cmb_size_mb={FAR_CMB_MB}",
    ]
    if hardware.device_tree:
        options += ["-dtb", str(hardware.device_tree)]
    if hardware.accelerator == "kvm":
        return options + ["-accel", "kvm", "-cpu", "host"]
    # QEMU computes the architecture's own pointer authentication slowly, and kernels before 5.12
    # do not come up on a CPU with FEAT_LPA2
    return options + ["-accel", "tcg,thread=multi", "-cpu", "max,pauth-impdef=on,lpa2=off"]


def kernel_words(hardware: GuestHardware) -> List[str]:
    """The kernel's command line, as far as it is about the machine."""
    # rodata=full: secret memory needs a direct map of single pages
    # disable_acs_redir: QEMU's root port is to let its devices reach each other
    # admin_timeout: in one boot of thirty an NVMe controller did not answer, for which the guest
    # waited a minute
    words = [f"mem={MEMORY_MB}M", "mitigations=off", "rodata=full",
             "pci=disable_acs_redir=pci:1b36:000c", "nvme_core.admin_timeout=10",
             # it would map all of the memory for device-dax at each boot
             "initcall_blacklist=nd_pmem_driver_init"]
    if hardware.movable:
        words.append(f"movablecore={MOVABLE_MB}M")
    if hardware.accelerator != "kvm":
        # timers and grace periods take time from the guest beside this one
        words += ["highres=off", "rcupdate.rcu_expedited=1",
                  "rcutree.jiffies_till_first_fqs=10", "rcutree.jiffies_till_next_fqs=10"]
    return words


def is_image(path: Path) -> bool:
    """Is it an Image?"""
    with path.open("rb") as file:
        file.seek(56)
        return file.read(4) == b"ARM\x64"


ARCH = Arch(
    name="arm64",
    mark="arm64",
    machine="aarch64",
    kbuild_name="arm64",
    srcarch="arm64",
    debian="arm64",
    triplet="aarch64-linux-gnu",
    qemu_package="qemu-system-arm",
    qemu="qemu-system-aarch64",
    direct_image_option="",
    image="arch/arm64/boot/Image",
    image_target="Image",
    # without these the guest does not come up, or there is nothing to test
    needed_options=("64BIT", "MODULES", "BLK_DEV_INITRD", "BINFMT_ELF", "BINFMT_SCRIPT",
                    "DEVTMPFS", "PROC_FS", "SYSFS", "TMPFS", "PRINTK", "PCI_HOST_GENERIC",
                    "SERIAL_AMBA_PL011_CONSOLE", "SERIAL_8250_PCI", "HMM_MIRROR"),
    console="ttyAMA0",
    agent_device="ttyS0",
    agent_line=("-device", "pci-serial,chardev=agent"),
    coherent_addresses=COHERENT_ADDRESSES,
    # with pages of 64K
    coherent_mb=512,
    pmem=PMEM,
    memory_mb=MEMORY_MB,
    qemu_options=qemu_options,
    kernel_words=kernel_words,
    is_image=is_image,
    image_release=banner_release,
    checked_config="64k",
    # Of 130 boots with 12 and 22 NVMe controllers, which came up side by side, QEMU 7.2 left one
    # without an answer in five; with 2 the kernel once took a machine check. On one CPU none of 180
    # boots had that.
    boots_on_one_cpu=True,
)
