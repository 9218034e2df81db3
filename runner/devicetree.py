# SPDX-License-Identifier: GPL-2.0
"""The device tree of a guest, with what QEMU's own lacks: regions of persistent memory.

QEMU has NVDIMMs for guests with ACPI. A guest without gets such memory by a node of the device tree,
over memory that the command line keeps from the kernel.
"""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import List

from runner.arch import Arch, GuestHardware
from runner.host import Host
from runner.packages import Need

NEED = Need("fdtput", "device-tree-compiler")


def commands(tree: Path, address: int, size_mb: int) -> List[List[str]]:
    """What adds a region: two cells for its address, and two for its size."""
    node = f"/pmem@{address:x}"
    cells = [f"{word:#x}" for number in (address, size_mb << 20)
             for word in (number >> 32, number & 0xffffffff)]
    return [["fdtput", "-c", str(tree), node],
            ["fdtput", "-t", "s", str(tree), node, "compatible", "pmem-region"],
            ["fdtput", "-t", "x", str(tree), node, "reg", *cells]]


async def describe(host: Host, arch: Arch, hardware: GuestHardware, folder: Path) -> GuestHardware:
    """The hardware with a device tree that has the architecture's persistent memory."""
    if not arch.pmem:
        return hardware
    tree = folder / "guest.dtb"
    await host.run_or_fail("asking QEMU for its device tree", [
        arch.qemu, "-nodefaults", "-display", "none", *arch.qemu_options(hardware),
        "-machine", f"dumpdtb={tree}"], folder / "log")
    for address, size_mb in arch.pmem:
        for command in commands(tree, address, size_mb):
            await host.capture(command, check=True)
    return replace(hardware, device_tree=tree)
