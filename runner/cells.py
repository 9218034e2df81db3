# SPDX-License-Identifier: GPL-2.0
"""The cells that a command line stands for, each with a name that stays the same.

So that several machines can share them: --cells lists the names, --cell NAME runs one and leaves
its results in a folder, and merge.py makes one run of such folders.
"""
from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from runner import revision
from runner.arch import find_arch
from runner.cache import hash_text
from runner.errors import Failure

# options that do not change what a cell is, and whether a value follows
BESIDE = {"--cell": True, "--results": True, "--format": True, "--cells": False, "--open": False,
          "--keep": False, "--verbose": False, "-v": False}


@dataclass(frozen=True)
class CellPlan:
    """A kernel with an architecture, a config, and a seed if there are several."""

    name: str
    label: str
    kernel: str
    # the name of an architecture
    arch: str
    config: str
    seed: Optional[int] = None


def short_name(name: str) -> str:
    """Of a kernel or a config, as the user named it."""
    at = revision.split(name)
    if at:
        return revision.short_name(*at)
    return Path(name.split(":")[0]).name if "/" in name else name


def plan_cells(kernels: Sequence[str], archs: Sequence[str], configs: Sequence[str],
               seeds: Sequence[Optional[int]] = (None,)) -> List[CellPlan]:
    """One for each combination. An architecture that -a names is a part of the name."""
    plans = []
    for kernel, arch, config, seed in product(kernels, archs, configs, seeds):
        found = find_arch(arch).name
        words = [short_name(kernel), found if len(archs) > 1 else "",
                 short_name(config) if config else ""]
        label = " ".join(filter(None, words))
        words[1] = arch
        if len(seeds) > 1:
            label += f" seed {seed}"
            words.append(f"seed{seed}")
        name = re.sub(r"[^\w.+@-]", "_", "+".join(filter(None, words)))
        plans.append(CellPlan(name, label, kernel, found, config, seed))
    return unique(plans)


def unique(plans: Sequence[CellPlan]) -> List[CellPlan]:
    """Two trees can have the same last folder; then the whole path is in the name, as a hash."""
    names = [plan.name for plan in plans]
    done: List[CellPlan] = []
    for plan in plans:
        if names.count(plan.name) > 1:
            mark = hash_text(f"{plan.kernel}\n{plan.arch}\n{plan.config}")[:6]
            plan = replace(plan, name=f"{plan.name}-{mark}")
        copies = sum(other.label == plan.label for other in done)
        if copies:
            plan = replace(plan, label=f"{plan.label} ({copies + 1})")
        # the same kernel and config, given twice
        again = sum(other.name == plan.name for other in done)
        done.append(replace(plan, name=f"{plan.name}-{again + 1}") if again else plan)
    return done


def find_plan(plans: Sequence[CellPlan], name: str) -> CellPlan:
    """The cell that --cell names."""
    for plan in plans:
        if plan.name == name:
            return plan
    raise Failure(f"--cell {name}: the command line has no such cell; --cells in its place lists "
                  "them")


def without_cell(command: str) -> List[str]:
    """The words of a command line that say what its cells are."""
    words = shlex.split(command)[1:]
    kept: List[str] = []
    while words:
        word = words.pop(0)
        option, equals, _ = word.partition("=")
        if option not in BESIDE:
            kept.append(word)
        elif BESIDE[option] and not equals and words:
            words.pop(0)
    return kept


def read_results(folder: Path) -> Optional[Dict[str, Any]]:
    """What a run has left in a folder; None if it came to no end."""
    try:
        results: Dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return results


def finished(folder: Path, command: str) -> Optional[Dict[str, Any]]:
    """The results of a cell that need not be run again.

    A kernel that cannot be tested stays so. What the machine was the reason of is tried again.
    """
    results = read_results(folder)
    if not results:
        return None
    if without_cell(results["command"]) != without_cell(command):
        raise Failure(f"{folder} has the results of another command line: {results['command']}; "
                      "give another folder with --results")
    if all(cell["state"] == "done" or cell["unfit"] for cell in results["cells"]):
        return results
    return None


def status_of(results: Dict[str, Any]) -> int:
    """The exit status of a run."""
    if any(cell["state"] != "done" for cell in results["cells"]):
        return 2
    return 1 if results["failed"] else 0


def leave(logs: Path, folder: Path) -> None:
    """Copies the logs of a cell to where the user wants them, all or nothing."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = folder.parent / f".{folder.name}.{socket.gethostname()}.{os.getpid()}"
        try:
            shutil.copytree(logs, scratch)
            shutil.rmtree(folder, ignore_errors=True)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise Failure(f"--results: cannot write {folder}: {error.strerror or error}") from error
