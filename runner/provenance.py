# SPDX-License-Identifier: GPL-2.0
"""What results.json says about where the results come from: source, compiler, config, QEMU."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Tuple

from runner.git import command
from runner.guest import known_accelerator
from runner.host import Host
from runner.kernel import Kernel, Kind
from runner.results import Cell


async def describe_tree(host: Host, tree: Path) -> Tuple[str, str]:
    """Commit and git describe of a checkout; empty if it is none.

    A tree in the cache can be below somebody's repository and is not a part of it.
    """
    if not host.which("git") or not (tree / ".git").exists():
        return "", ""
    commit = (await git(host, tree, "rev-parse", "HEAD")).strip()
    return commit, (await git(host, tree, "describe", "--always", "--dirty")).strip()


async def git(host: Host, folder: Path, *words: str) -> str:
    """What git prints. It must not write to the user's repository."""
    return await host.capture(["env", "-u", "GIT_DIR", "GIT_OPTIONAL_LOCKS=0",
                               *command(folder, *words)])


async def describe_kernel(host: Host, kernel: Kernel, cell: Cell) -> None:
    """Notes in a cell from what its kernel was made."""
    cell.kernel, cell.compiler = kernel.name, kernel.compiler
    config = kernel.build / ".config"
    if config.is_file():
        cell.config_hash = hashlib.sha256(config.read_bytes()).hexdigest()
    if kernel.source:
        commit, cell.describe = await describe_tree(host, kernel.source)
        cell.commit = cell.commit or commit


async def describe_guest(host: Host, kernel: Kernel, cell: Cell) -> None:
    """Notes what its guests ran in; a kernel of this machine has none."""
    if kernel.kind is not Kind.NATIVE:
        said = await host.capture([kernel.arch.qemu, "--version"])
        cell.qemu = said.split("\n")[0].strip()
        cell.accelerator = known_accelerator(host) if kernel.arch.is_native else "tcg"


async def describe_project(host: Host) -> str:
    """git describe of this checkout of hmmirror; empty if it is none."""
    return (await describe_tree(host, host.root))[1]

