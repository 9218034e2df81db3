# SPDX-License-Identifier: GPL-2.0
"""--check: everything that can be said about this checkout. Ends with the totals of all of it.

Without a word it is about the default kernel; "ci" adds the cells that CI runs, "all" every
packaged kernel. "machine" is another check, of a machine with a whole Debian, and "noapt" one of a
distribution that has no apt.
"""
from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from runner import packages
from runner.arch import all_archs, native_arch
from runner.build import prepare
from runner.config import Config
from runner.errors import Failure
from runner.host import Host, make_flags
from runner.kernel import Kernel, resolve
from runner.machine import check_machine
from runner.noapt import check_noapt
from runner.source import all_releases, default_release

# checks of another machine than this one, whose steps are the only part
OTHERS = {"machine": check_machine, "noapt": check_noapt}
LEVELS = ("", "ci", "all", *OTHERS)
# failures that KNOWN names come behind these, and do not count
TOTALS = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped(?:, \d+ xfail)?$")
# bugs of the kernels that are checked; the file says which
KNOWN = ".ci/known"
C_FOLDERS = ("driver", "lib", "selftests", "stress", "bench", "guest", "runner/tests")
# BIT() and __printf() are the kernel's own; neither its exported headers nor programs have them
IGNORED = {"driver/uapi/": "BIT_MACRO", "driver/": ""}
IGNORED_IN_PROGRAMS = "BIT_MACRO,PREFER_DEFINED_ATTRIBUTE_MACRO"
# two minutes of tests, of all that the driver does
DEBUG_TESTS = ("fail_nth", "abi_hostile*", "device_capacity", "migrate_fail_tables",
               "migrate_huge_nomem_support", "migrate_held", "inject", "walk_retry",
               "walk_concurrent", "exclusive", "copy", "mirror", "fork", "walk_planted_abi")
# files of runner/tests that take about half of the time
HALF_OF_BATS = ("bisect",)
# of the default kernel
MUTATED = ("mm/hmm.c", "mm/migrate_device.c")
# lines of a check that failed
SHOWN = 40
# trees from 7.0 on try sparse, and leave it out if it does not know what their headers use
SPARSE_REFUSED = re.compile(r"C=2 specified, but .* is not available or not up to date")
SPARSE_SKIPPED = ("this kernel's headers need a sparse that knows __typeof_unqual__, which release "
                  "0.6.4 does not; build a newer one and put it into PATH before the other")


@dataclass
class Part:
    """A part of the check, and what came of it."""

    name: str
    start: float = field(default_factory=time.monotonic)
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return (f"{self.name:<12} {self.passed:>4} passed, {self.failed:>3} failed, "
                f"{self.skipped:>3} skipped  {time.monotonic() - self.start:>5.0f} s")


class Check:
    """All parts, one after another."""

    def __init__(self, host: Host, level: str) -> None:
        self.host = host
        self.level = level
        self.summary: List[str] = []
        self.parts: List[Part] = []

    def begin(self, name: str) -> Part:
        """A part begins."""
        print(f"\n== {name} ==", flush=True)
        self.parts.append(Part(name))
        return self.parts[-1]

    def end(self, part: Part) -> None:
        """A part has ended."""
        self.summary.append(str(part))

    async def try_command(self, part: Part, what: str, *argv: str, cwd: Optional[Path] = None,
                          env: Optional[Dict[str, str]] = None) -> None:
        """One test; what it prints is shown if it fails."""
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=cwd or self.host.root, env=dict(os.environ, **(env or {})))
        out, _ = await process.communicate()
        self.tell(part, what, process.returncode == 0, out.decode(errors="replace").splitlines())

    def tell(self, part: Part, what: str, good: bool, output: Sequence[str]) -> None:
        """Counts and shows one test."""
        part.passed += good
        part.failed += not good
        print(f"{'ok' if good else 'FAIL':<4}  {what}", flush=True)
        if not good:
            for line in output[-SHOWN:]:
                print(f"      {line}", flush=True)

    @staticmethod
    def skip(part: Part, what: str, reason: str) -> None:
        """Counts and shows a test that this machine cannot run."""
        part.skipped += 1
        print(f"skip  {what}: {reason}", flush=True)

    async def run_tests(self, name: str, *words: str, env: Optional[Dict[str, str]] = None) -> None:
        """A run of the runner, which closes with totals."""
        part = self.begin(name)
        status, lines = await self.show([str(self.host.root / "run_tests.sh"), *words], env)
        found = TOTALS.match(lines[-1]) if lines else None
        if found:
            part.passed, part.failed, part.skipped = (int(number) for number in found.groups())
        # a kernel on which nothing could be run has no failed test
        if not found or status > 1:
            part.failed += 1
            print(f"FAIL  {name}: it ended with status {status}", flush=True)
        self.end(part)

    async def show(self, argv: Sequence[str], env: Optional[Dict[str, str]] = None,
                   at_once: bool = True) -> Tuple[int, List[str]]:
        """Runs a command, shows what it prints, and returns that with its status.

        at_once: line by line; else at its end, which is for a command beside another.
        """
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            cwd=self.host.root, env=dict(os.environ, **(env or {})), start_new_session=True)
        assert process.stdout
        lines = []
        try:
            async for line in process.stdout:
                lines.append(line.decode(errors="replace").rstrip("\n"))
                if at_once:
                    print(lines[-1], flush=True)
            if not at_once:
                print("\n".join(lines), flush=True)
            return await process.wait(), lines
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()

    async def static(self, tree: Path) -> None:
        """What needs no kernel that runs."""
        root = self.host.root
        part = self.begin("shell")
        scripts = [root / "run_tests.sh", root / ".ci/run", root / "runner/tests/helper.bash",
                   *sorted(root.glob("packaging/**/*.sh")), *sorted(root.glob("runner/tests/*.bats"))]
        for path in scripts:
            # bats expands what shellcheck takes for quoted by mistake
            least = ["-S", "warning"] if path.suffix == ".bats" else []
            await self.try_command(part, str(path.relative_to(root)), "shellcheck", "-x", *least,
                                   str(path))
        await self.try_command(part, "guest/init", "shellcheck", "-s", "sh", "guest/init")
        self.end(part)
        part = self.begin("python")
        await self.try_command(part, "mypy --strict", mypy(), "--strict", "--cache-dir",
                               str(self.host.cache.path / "mypy"), "runner", "series")
        await self.try_command(part, "unit tests", sys.executable, "-m", "unittest", "discover",
                               "-s", "runner/tests", "-t", ".")
        self.end(part)
        part = self.begin("checkpatch")
        for folder in C_FOLDERS:
            for path in sorted((root / folder).rglob("*.[ch]")):
                await self.style(part, tree, str(path.relative_to(root)))
        self.end(part)

    async def style(self, part: Part, tree: Path, name: str) -> None:
        """checkpatch on a file. What it knows of a tree is of no use here."""
        ignored = next((words for start, words in IGNORED.items() if name.startswith(start)),
                       IGNORED_IN_PROGRAMS)
        words = ["--ignore", ignored] if ignored else []
        await self.try_command(part, name, "perl", str(tree / "scripts/checkpatch.pl"), "--strict",
                               "--no-tree", "--no-summary", "--terse", "--show-types", *words,
                               "-f", name)

    async def build(self, kernels: Sequence[str]) -> None:
        """Fresh builds of the driver that say nothing about it."""
        part = self.begin("build")
        for name in kernels:
            kernel = await prepare(self.host, await resolve(self.host, name), Config())
            for words in (["W=1"], ["C=2"]):
                await self.clean_build(part, kernel, words)
        self.end(part)

    async def clean_build(self, part: Part, kernel: Kernel, words: Sequence[str]) -> None:
        """One of them."""
        with self.host.cache.temporary("check") as folder:
            copy, log = folder / "driver", folder / "log"
            shutil.copytree(self.host.root / "driver", copy)
            status = await self.host.run(
                f"driver for {kernel.name}, {words[0]}",
                ["make", "-C", str(copy), f"KDIR={kernel.build}", *make_flags(self.host),
                 *kernel.config.make, *words], log)
            lines = [line for line in log.read_text(errors="replace").splitlines()
                     if not line.startswith("make")]
            bad = [line for line in lines if re.search("warning:|error:", line)]
            what = f"driver for {kernel.name}, {words[0]}"
            if "C=2" in words and not status and not sparse_ran(lines):
                if sparse_refused(lines):
                    self.skip(part, what, SPARSE_SKIPPED)
                    return
                bad.append("make did not call sparse")
            self.tell(part, what, not status and not bad, bad or lines)

    async def series(self, release: str) -> None:
        """A patch series for a kernel tree: it applies there, and its end builds."""
        part = self.begin("series")
        status, lines = await self.show([sys.executable, "-m", "series.trial", release])
        part.passed = sum(line.startswith("ok ") for line in lines)
        part.failed = sum(line.startswith("FAIL ") for line in lines)
        part.skipped = sum(line.startswith("skip ") for line in lines)
        if status and not part.failed:
            part.failed += 1
        self.end(part)

    async def runner(self) -> None:
        """The runner's own tests. They have one guest most of the time, so two halves share the
        cores."""
        part = self.begin("runner")
        files = sorted(str(path) for path in (self.host.root / "runner/tests").glob("*.bats"))
        first = [file for file in files if Path(file).stem in HALF_OF_BATS]
        halves = first, [file for file in files if file not in first]
        bats = "bats", "--formatter", "tap"
        for _, lines in await asyncio.gather(*(
                self.show([*bats, *half], at_once=half is first) for half in halves)):
            part.passed += sum(line.startswith("ok ") and "# skip" not in line for line in lines)
            part.skipped += sum(line.startswith("ok ") and "# skip" in line for line in lines)
            part.failed += sum(line.startswith("not ok") for line in lines)
            # bats that did not run at all must not count as green
            if not any(re.match(r"1\.\.[1-9]", line) for line in lines):
                part.failed += 1
        self.end(part)

    async def mutants(self) -> None:
        """No change of these files may go unnoticed that is not listed."""
        part = self.begin("mutants")
        for name in MUTATED:
            await self.try_command(part, name, str(self.host.root / "run_tests.sh"), "--mutate", name)
        self.end(part)

    async def bench(self) -> None:
        """The driver may not take more than before, nor a page more in a longer range."""
        part = self.begin("bench")
        await self.try_command(part, "--bench held", str(self.host.root / "run_tests.sh"),
                               "--bench", "held")
        self.end(part)


def sparse_ran(lines: Sequence[str]) -> bool:
    """Did a make with C=2 call sparse?"""
    return any(line.split()[:1] == ["CHECK"] for line in lines)


def sparse_refused(lines: Sequence[str]) -> bool:
    """Did a make with C=2 find sparse too old for this kernel, and leave it out?"""
    return any(SPARSE_REFUSED.search(line) for line in lines)


def mypy() -> str:
    """Debian's: a Python of the user's own need not have it."""
    return shutil.which("mypy", path="/usr/bin") or "mypy"


async def check(host: Host, level: str) -> int:
    """Runs the parts of a level; the exit status."""
    if level not in LEVELS:
        raise Failure(f"--check={level}: there is no such level; it is ci, all, {', '.join(OTHERS)}, "
                      "or none")
    if level in OTHERS:
        done = Check(host, level)
        part = done.begin(level)
        await OTHERS[level](host, partial(done.tell, part))
        done.end(part)
        return close(done)
    await packages.require(host, [*packages.CHECK, *packages.KERNEL, *packages.SUITE])
    kernels, newest = await chosen_kernels(host, level)
    tree = (await resolve(host, "")).source
    assert tree
    done = Check(host, level)
    await done.static(tree)
    names = [word for name in kernels for word in ("-k", name)]
    await done.run_tests("suite", *names, "--known", KNOWN)
    await done.run_tests("upstream", *names, "--upstream")
    if level:
        # the newest tests, on kernels that are older
        await done.run_tests("newest", *names, f"--upstream={newest}")
        await done.run_tests("distribution", "-k", f"linux-image-{native_arch().debian}",
                             "--known", KNOWN)
        # the distribution's own kernel has most of its options; this one takes long to build
        if level == "all" and \
                (host.root / "configs" / native_arch().name / "distro.config").is_file():
            await done.run_tests("distro", "-c", "distro", "--known", KNOWN)
        for name, words in foreign_cells(newest):
            await done.run_tests(name, *words, "--known", KNOWN)
            if level == "all":
                await done.run_tests(f"{name} hmm", *words, "--upstream")
                for load in ("kill", "load", "fuzz"):
                    await done.run_tests(f"{name} {load}", *words, "--stress", load,
                                         "--minutes", "0.3")
    await done.run_tests("stress", "--stress", "all", "--minutes", "0.3")
    await done.run_tests("soak", "--stress", "soak", "--minutes", "0.3")
    if level:
        # each guest of this kernel takes long to look for leaks, so there is one
        await done.run_tests("debug", "-c", "debug", *DEBUG_TESTS, "--known", KNOWN,
                             env={"HMMIRROR_GUESTS": "1"})
    if level == "all":
        await done.mutants()
    await done.build(kernels)
    if level:
        await done.series(newest)
    if native_arch().module_addresses:
        await done.bench()
    await done.runner()
    return close(done)


async def chosen_kernels(host: Host, level: str) -> Tuple[List[str], str]:
    """The releases of a level, and the newest of all."""
    default = await default_release(host)
    if not level:
        return [default], default
    releases = await all_releases(host)
    if level == "all":
        return releases, releases[-1]
    return list(dict.fromkeys([releases[0], default, releases[-1]])), releases[-1]


def foreign_cells(release: str) -> List[Tuple[str, List[str]]]:
    """Names and words of the runs on other architectures than this machine's."""
    return [(arch.name, ["-a", arch.name, "-k", release, "-c", arch.checked_config])
            for arch in all_archs().values() if arch.checked_config and not arch.is_native]


def close(done: Check) -> int:
    """The summary and the last line."""
    print()
    for line in done.summary:
        print(line)
    counts = [sum(getattr(part, name) for part in done.parts)
              for name in ("passed", "failed", "skipped")]
    print(f"{counts[0]} passed, {counts[1]} failed, {counts[2]} skipped", flush=True)
    return 1 if counts[1] else 0
