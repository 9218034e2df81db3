# SPDX-License-Identifier: GPL-2.0
"""What the user asked for."""
from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Optional, Tuple

from runner.arch import Arch, find_arch
from runner.known import KnownFailures
from runner.mutantlist import Selection

# --stress race.NAME restricts it to one of these: stress/race.c
RACES = ("walk", "truncate", "uffd_move", "exclusive", "huge")
STRESS_PROGRAMS = ("kill", "load", "fuzz", "pressure", "race")
# what runs at once in --stress soak
SOAK_PROGRAMS = ("kill", "fuzz", "pressure")


@dataclass
class Request:
    """The command line, checked."""

    # the command line as it was given
    words: List[str] = field(default_factory=list)
    # suite, upstream, collection, shell, exec, count, list, regressions, reintroduce, mutate, new,
    # new-test, stress, bisect, bisect-step, bench, bench-bisect, check, merge, open, man or
    # completion
    mode: str = "suite"
    kernels: List[str] = field(default_factory=list)
    configs: List[str] = field(default_factory=list)
    # names of architectures; none is that of this machine
    archs: List[str] = field(default_factory=list)
    globs: List[str] = field(default_factory=list)
    excluded: List[str] = field(default_factory=list)
    # C files of the user's own among the globs
    own_files: List[Path] = field(default_factory=list)
    command: List[str] = field(default_factory=list)
    # seconds for each test; 0 is no limit
    timeout: int = 60
    repeat: int = 1
    coverage: bool = False
    keep: bool = False
    verbose: bool = False
    fail_fast: bool = False
    rerun_failed: bool = False
    # the kernel's own hmm-tests; also with --bisect
    upstream: bool = False
    # of --collection: the folder of the kernel's selftests, and a glob for programs in it
    collection: List[Tuple[str, str]] = field(default_factory=list)
    # what --upstream= named
    tests_of: str = ""
    new_name: str = ""
    # of --completion
    shell: str = ""
    tree: Optional[Path] = None
    ends: Tuple[str, str] = ("", "")
    # of --bench --bisect, in percent; 0 is half of what lies between the ends
    worse: float = 0
    # of a bisection: look for the commit after which the kernel does not build or boot
    bisect_build: bool = False
    first_parent: bool = False
    # revisions under test side by side; 0: as many as the machine has room for
    at_once: int = 0
    # paths that the first bad commit changes
    paths: List[str] = field(default_factory=list)
    # what is applied at each step: commits, and patch files
    picks: List[str] = field(default_factory=list)
    patches: List[Path] = field(default_factory=list)
    stress: str = ""
    minutes: float = 1
    # which calls of stress.fuzz, by number; all without it
    calls: str = ""
    shuffle: bool = False
    # of --stress, --shuffle and --exact
    # with several of them, each has a cell of its own
    seed: Optional[int] = None
    seeds: List[int] = field(default_factory=list)
    # guests that count instructions, and that nothing differs in but the seed
    exact: bool = False
    # ends in gdb, where the first failed test fails
    replay: bool = False
    # of --check
    level: str = ""
    # failures that do not count, of --known FILE
    known_file: str = ""
    known: KnownFailures = field(default_factory=KnownFailures)
    # how often a failed test is run again
    flaky: int = 0
    # --reintroduce runs the whole suite, and makes the table
    confusion: bool = False
    # the file of --mutate, and which of its mutants
    mutate: Optional[Selection] = None
    # --cells; the name of --cell, and where it leaves its results; the folders of --merge
    list_cells: bool = False
    cell: str = ""
    results: Optional[Path] = None
    merged: List[Path] = field(default_factory=list)
    # of --format: the format, and the file or nothing for standard output
    formats: List[Tuple[str, str]] = field(default_factory=list)
    # entries of the catalogue, where --regressions or --reintroduce was given
    entries: List[str] = field(default_factory=list)

    @property
    def arch(self) -> Arch:
        """The one architecture of what works on one: that of -a, or this machine's."""
        return find_arch(self.archs[0] if self.archs else "")

    @property
    def by_seeds(self) -> bool:
        """Is a bug that is brought back looked for by seeds?"""
        return self.mode == "reintroduce" and bool(self.stress)

    @property
    def seed_line(self) -> str:
        """The line that tells the user the seed; empty without one."""
        if self.seed is None:
            return ""
        if self.exact:
            return f"seed {self.seed}: --exact {self.seed} makes the same run again"
        if self.shuffle:
            return f"seed {self.seed}: --shuffle --seed {self.seed} gives the same order again"
        return f"seed {self.seed}: --seed {self.seed} makes the same choices again"

    @property
    def wants_suite(self) -> bool:
        """Are tests of the suite asked for, or only programs of the user's own?"""
        return not self.upstream and (not self.own_files or bool(self.globs))


@dataclass(frozen=True)
class Environment:
    """The environment variables that the README promises."""

    guests: str = ""
    append: str = ""

    @staticmethod
    def read() -> Environment:
        """As they are now."""
        return Environment(os.environ.get("HMMIRROR_GUESTS", ""),
                           os.environ.get("HMMIRROR_GUEST_APPEND", ""))
