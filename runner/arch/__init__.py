# SPDX-License-Identifier: GPL-2.0
"""What an architecture is to the runner. Each has one file here; nothing else names one."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, List, Optional, Tuple


@dataclass(frozen=True)
class GuestHardware:
    """What a guest's hardware depends on."""

    cpus: int
    accelerator: str
    # of each of the two coherent devices, which reserved memory is set aside for
    coherent_mb: int
    # of this machine's time stamp counter; None if it is not known
    tsc_khz: Optional[int] = None


@dataclass(frozen=True)
class Arch:
    """An architecture."""

    name: str
    # as kbuild calls the folder in arch/
    srcarch: str
    qemu_package: str
    qemu: str
    # which needs no unpacking in the guest, if the kernel has the option
    direct_image_option: str
    # the other one, in the build folder and as a target of make
    image: str
    image_target: str
    needed_options: Tuple[str, ...]
    # physical addresses of the coherent devices, one on each node
    coherent_addresses: Tuple[int, int]
    # options of QEMU, and words for the kernel's command line
    qemu_options: Callable[[GuestHardware], List[str]]
    kernel_words: Callable[[GuestHardware], List[str]]
    is_image: Callable[[Path], bool]
    image_release: Callable[[Path], str]
