# SPDX-License-Identifier: GPL-2.0
"""This machine: its cores, its programs, and running one of them for as long as it takes."""
from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import struct
import subprocess
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence

from runner.cache import Cache
from runner.errors import Failure, UnfitKernel
from runner.terminal import SilentTerminal, Terminal

# a user's PATH has no sbin
SBIN = ":/usr/local/sbin:/usr/sbin:/sbin"

# the kind of an ELF header that names a dynamic linker
PT_INTERP = 3
COMPILER_LINE = re.compile(r"error:|Error|\*\*\*|undefined reference")


@dataclass(frozen=True)
class Testing:
    """What the runner's own tests put in the place of real things; see runner/tests/helper.bash."""

    driver: Optional[Path] = None
    suite: Optional[Path] = None
    catalogue: Optional[Path] = None
    built: Optional[Path] = None
    native: Optional[Path] = None
    os_release: Optional[Path] = None
    counter: Optional[Path] = None
    missing: Sequence[str] = ()
    uid: Optional[int] = None

    @staticmethod
    def from_environment(environment: Mapping[str, str]) -> Testing:
        """Reads HMMIRROR_TEST_*."""
        def path(name: str) -> Optional[Path]:
            value = environment.get(f"HMMIRROR_TEST_{name}")
            return Path(value) if value else None
        uid = environment.get("HMMIRROR_TEST_UID")
        return Testing(path("DRIVER"), path("SUITE"), path("CATALOGUE"), path("BUILT"),
                       path("NATIVE"), path("OS_RELEASE"), path("COUNTER"),
                       environment.get("HMMIRROR_TEST_MISSING", "").split(), int(uid) if uid else None)


@dataclass
class Host:
    """What every part needs of the machine that the runner runs on."""

    root: Path
    cache: Cache
    terminal: Terminal
    testing: Testing = field(default_factory=Testing)
    jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    # where the logs of failed builds go; None: beside the logs of all runs
    log_folder: Optional[Path] = None

    def is_root(self) -> bool:
        """May this run install packages and load modules?"""
        uid = os.geteuid() if self.testing.uid is None else self.testing.uid
        return uid == 0

    def which(self, program: str) -> Optional[str]:
        """Where a program is, sbin included."""
        return shutil.which(program, path=os.environ.get("PATH", "") + SBIN)

    async def capture(self, argv: Sequence[str], cwd: Optional[Path] = None,
                      check: bool = False) -> str:
        """Standard output of a short command; nothing if it fails, unless check is set."""
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=cwd, env=dict(os.environ, PATH=os.environ.get("PATH", "") + SBIN))
        out, err = await process.communicate()
        if process.returncode and check:
            last = err.decode(errors="replace").strip().splitlines()[-1:] or ["no reason given"]
            raise Failure(f"{argv[0]} failed: {last[0]}")
        return out.decode(errors="replace") if process.returncode == 0 else ""

    async def run(self, label: str, argv: Sequence[str], log: Path, *,
                  cwd: Optional[Path] = None, env: Optional[Dict[str, str]] = None,
                  counts_files: bool = False) -> int:
        """Runs a command that takes long into a log, shows how it goes, returns its status.

        It gets a process group of its own, all of which ends when this run is interrupted.
        counts_files: kbuild prints a line for each file, so their number is shown.
        """
        self.terminal.step(label)
        start = time.monotonic()
        with log.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                start_new_session=True,
                env=dict(os.environ, PATH=os.environ.get("PATH", "") + SBIN, **(env or {})))
        try:
            while True:
                try:
                    return await asyncio.wait_for(asyncio.shield(process.wait()), 1)
                except asyncio.TimeoutError:
                    done = f"{built_files(log)} files, " if counts_files else ""
                    self.terminal.step(label, f"{done}{int(time.monotonic() - start)} s")
        finally:
            await end_group(process)
            self.terminal.clear()

    async def run_or_fail(self, label: str, argv: Sequence[str], log: Path, *,
                          cwd: Optional[Path] = None, env: Optional[Dict[str, str]] = None,
                          counts_files: bool = False) -> None:
        """As run(); a command that fails ends the run."""
        if await self.run(label, argv, log, cwd=cwd, env=env, counts_files=counts_files):
            raise self.failed(label, log)

    def failed(self, label: str, log: Path) -> Failure:
        """The failure of a build step; its log is kept, and what the compiler said is shown."""
        text = log.read_text(errors="replace")
        if "No space left on device" in text or self.cache.is_full():
            return self.cache.disk_full(label)
        kept = self.keep_log(log, "failed")
        for line in [line for line in text.splitlines() if COMPILER_LINE.search(line)][:5]:
            self.terminal.say(line)
        return UnfitKernel(f"{label} failed; see {kept}")

    def keep_log(self, log: Path, name: str) -> Path:
        """Copies a log out of a temporary folder."""
        kept = (self.log_folder or self.cache.path / "logs") / f"{name}.log"
        try:
            shutil.copyfile(log, kept)
        except OSError:
            return log
        return kept


def built_files(log: Path) -> int:
    """The number of lines of kbuild's, such as "  CC  mm/hmm.o"."""
    return len(re.findall(rb"^  [A-Z]", log.read_bytes(), re.MULTILINE))


async def end_group(process: asyncio.subprocess.Process) -> None:
    """Ends a command with all that it has started; make then removes what it had half done."""
    if process.returncode is None:
        signal_group(process, signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), 2)
        except asyncio.TimeoutError:
            pass
        signal_group(process, signal.SIGKILL)
        await process.wait()


def signal_group(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Sends a signal to a process and its group, where they still are."""
    for kill in (os.killpg, os.kill):
        try:
            kill(process.pid, number)
        except ProcessLookupError:
            pass


def behind(host: Host) -> Host:
    """The same machine, for work whose progress is not shown."""
    return replace(host, terminal=SilentTerminal())


def is_static(program: Path) -> bool:
    """Does it run without a dynamic linker? A program that needs one names it in a header."""
    with program.open("rb") as file:
        start = file.read(4096)
    if start[:4] != b"\x7fELF" or len(start) < 64:
        return True
    order = "<" if start[5] == 1 else ">"
    # of 64 bits, or of 32: the headers, and the size and number of them
    word, offset_at, size_at = ("Q", 32, 54) if start[4] == 2 else ("I", 28, 42)
    first, = struct.unpack_from(order + word, start, offset_at)
    size, number = struct.unpack_from(f"{order}HH", start, size_at)
    kinds = [struct.unpack_from(f"{order}I", start, first + i * size)[0]
             for i in range(number) if first + i * size + 4 <= len(start)]
    return PT_INTERP not in kinds


def make_flags(host: Host) -> List[str]:
    """How many jobs a make of ours has."""
    return [f"-j{host.jobs}"]
