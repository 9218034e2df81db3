# SPDX-License-Identifier: GPL-2.0
"""What an architecture is to the runner. Each has one file here; nothing else names one."""
from __future__ import annotations

import importlib
import os
import pkgutil
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Dict, List, Optional, Tuple

from runner.errors import Failure

BANNER = re.compile(rb"Linux version (\S+) ")


@dataclass(frozen=True)
class GuestHardware:
    """What a guest's hardware depends on."""

    cpus: int
    accelerator: str
    # of each of the two coherent devices, which reserved memory is set aside for
    coherent_mb: int
    # most of the memory holds only what the kernel can move, so that it can make large huge pages
    # again
    movable: bool = False
    # of this machine's time stamp counter; None if it is not known
    tsc_khz: Optional[int] = None
    # with the accelerator "icount": what the guest's random numbers are made from
    seed: int = 0
    # in the place of QEMU's own
    device_tree: Optional[Path] = None
    # a plugin of QEMU, with its arguments
    plugin: str = ""


@dataclass(frozen=True)
class Arch:
    """An architecture."""

    # as -a and Debian's kernels of it call it
    name: str
    # a part of the names of its kernels in signatures of bugs; empty where most were recorded
    mark: str
    # as uname calls it
    machine: str
    # as kbuild calls it, and the folder in arch/ that it has
    kbuild_name: str
    srcarch: str
    # as Debian calls it, and the prefix of the cross compiler without the last dash
    debian: str
    triplet: str
    qemu_package: str
    qemu: str
    # which needs no unpacking in the guest, if the kernel has the option; "" for none
    direct_image_option: str
    # the other one, in the build folder and as a target of make
    image: str
    image_target: str
    needed_options: Tuple[str, ...]
    # the device of the console, and of the line on which the agent speaks
    console: str
    agent_device: str
    # options of QEMU that make a serial line of the character device "agent"
    agent_line: Tuple[str, ...]
    # physical addresses of the coherent devices, one on each node where the guest can have that
    coherent_addresses: Tuple[int, int]
    # the least that each must have: the driver adds memory in whole huge pages
    coherent_mb: int
    # memory that a guest may come to use
    memory_mb: int
    # options of QEMU, and words for the kernel's command line
    qemu_options: Callable[[GuestHardware], List[str]]
    kernel_words: Callable[[GuestHardware], List[str]]
    is_image: Callable[[Path], bool]
    image_release: Callable[[Path], str]
    # the -c of the cell that --check=ci has on machines of another architecture; "": no such cell
    checked_config: str = ""
    # address and MiB of each region of persistent memory that an edited device tree describes
    pmem: Tuple[Tuple[int, int], ...] = ()
    # under emulation the guest's init starts the other CPUs, when all devices are there
    boots_on_one_cpu: bool = False
    # does an emulated guest have the time stamp counter of this machine?
    has_tsc: bool = False
    # where modules are, if the kernel is not moved; None: an emulated guest of this architecture
    # cannot count instructions
    module_addresses: Optional[Tuple[int, int]] = None

    @property
    def is_native(self) -> bool:
        """Is it that of the machine that the runner runs on?"""
        return os.uname().machine == self.machine

    @property
    def prefix(self) -> str:
        """Of the compiler and the programs around it."""
        return "" if self.is_native else f"{self.triplet}-"

    @property
    def make_words(self) -> Tuple[str, ...]:
        """The variables for each make of a kernel or a driver."""
        if self.is_native:
            return ()
        return (f"ARCH={self.kbuild_name}", f"CROSS_COMPILE={self.prefix}")


def banner_release(path: Path) -> str:
    """The release of an image that nothing packs: the kernel's banner is there to be read."""
    found = BANNER.search(path.read_bytes())
    return found[1].decode(errors="replace") if found else ""


def all_archs() -> Dict[str, Arch]:
    """Every architecture that has a file here, by its name."""
    found: Dict[str, Arch] = {}
    for module in pkgutil.iter_modules(__path__):
        arch = importlib.import_module(f"{__name__}.{module.name}").ARCH
        assert isinstance(arch, Arch)
        found[arch.name] = arch
    return found


def find_arch(name: str) -> Arch:
    """The architecture that -a names; that of this machine for an empty name."""
    archs = all_archs()
    if not name:
        return native_arch()
    if name not in archs:
        raise Failure(f"unknown architecture: {name}; give one of: {' '.join(sorted(archs))}")
    return archs[name]


def native_arch() -> Arch:
    """That of the machine that the runner runs on."""
    for arch in all_archs().values():
        if arch.is_native:
            return arch
    raise Failure(f"the runner does not know the architecture of this machine, {os.uname().machine}; "
                  "docs/developing/architectures.md says how to add one")
