# SPDX-License-Identifier: GPL-2.0
"""--bench: what the driver costs, beside the kernel's own test_hmm.ko, and how costs grow.

    driver   hmmirror.ko and test_hmm.ko in turns in one guest, 64 MiB of 4K pages
    growth   hmmirror.ko alone, 4 KiB to 1 GiB
    short    as growth, up to 64 MiB, once: does it still run?
    runner   ./run_tests.sh with a full cache: Enter to verdict, guest to first test
    fresh    the same with an empty cache, downloads included, step by step

docs/records/performance.md has results.
"""
from __future__ import annotations

import asyncio
import re
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from runner.errors import Failure
from runner.exec import prepare_machine
from runner.follow import Follower, Listener, Queue, Test
from runner.guest import start_guest
from runner.host import Host, make_flags
from runner.kernel import Kernel
from runner.request import Request
from runner.results import Ending, Ledger
from runner.suite import GUEST_FOLDER, Machine

PARTS = ("driver", "growth", "short", "runner", "fresh")
# all but the one that downloads everything
USUAL = ("driver", "growth", "runner")
OPERATIONS = ("memcpy", "snapshot", "read", "write", "to_device", "to_system")
PAGE = 4096
# the device holds what is migrated to it: more than its limit, a quarter of the guest's memory
LOAD = "insmod /modules/hmmirror.ko max_device_mb=2048\n"

TURNS = "set -e\nrmmod hmmirror\n" + 3 * f"""\
insmod /tests/test_hmm.ko
/tests/hmm_bench test_hmm 64 5
rmmod test_hmm
{LOAD}/tests/hmm_bench hmmirror 64 5
rmmod hmmirror
""" + LOAD
GROWTH = f"""\
set -e
rmmod hmmirror
{LOAD}for size in 4k 64k 1024k 16 64 256; do
	/tests/hmm_bench hmmirror $size 5
done
/tests/hmm_bench hmmirror 1024 1
"""
SHORT = f"""\
set -e
rmmod hmmirror
{LOAD}for size in 4k 1024k 64; do
	/tests/hmm_bench hmmirror $size 1
done
"""


@dataclass(frozen=True)
class Measurement:
    """A line of hmm_bench."""

    driver: str
    operation: str
    size: int
    median_ns: int


async def bench(host: Host, request: Request, parts: Sequence[str]) -> int:
    """Runs the parts that are named."""
    parts = parts or USUAL
    for part in parts:
        if part not in PARTS:
            raise Failure(f"--bench {part}: there is no such part; it is one of {' '.join(PARTS)}")
    async with host.cache.lock("bench", "another benchmark", host.terminal):
        with host.cache.temporary("bench") as folder:
            for part in parts:
                if part in ("runner", "fresh"):
                    await bench_runner(host, part == "fresh")
                else:
                    await bench_driver(host, request, part, folder)
    return 0


async def bench_driver(host: Host, request: Request, part: str, folder: Path) -> None:
    """One of the parts that run in a guest."""
    machine = await prepare_machine(host, request)
    commands = {"driver": TURNS, "growth": GROWTH, "short": SHORT}[part]
    programs = [folder / "commands", await build_bench(host, folder)]
    programs[0].write_text(commands, encoding="utf-8")
    if part == "driver":
        programs.append(await build_test_hmm(host, machine.kernel, folder))
    host.terminal.step(f"linux {machine.kernel.name}, {part}")
    lines, accelerator = await run_commands(machine, folder, programs)
    host.terminal.clear()
    found = re.findall(r"^(\w+) (\w+) (\d+) \d+ (\d+)$", "\n".join(lines), re.M)
    measured = [Measurement(name, operation, int(size), int(median))
                for name, operation, size, median in found]
    if not measured:
        raise Failure("the benchmark printed no figures; see the console in the logs")
    where = f"linux {machine.kernel.name}, {accelerator}, ns a page"
    shown = compare(measured, where) if part == "driver" else growth(measured, where)
    for line in shown:
        host.terminal.out(line)


async def build_bench(host: Host, folder: Path) -> Path:
    """The program."""
    program = folder / "hmm_bench"
    await host.run_or_fail("building hmm_bench", [
        "gcc", "-O2", "-Wall", "-Wextra", "-static", "-I", str(host.root / "driver/uapi"), "-o",
        str(program), str(host.root / "bench/hmm_bench.c")], folder / "log")
    return program


async def build_test_hmm(host: Host, kernel: Kernel, folder: Path) -> Path:
    """The kernel's own driver, a module of its tree; built beside, from a copy."""
    if not kernel.source or not (kernel.source / "lib/test_hmm.c").is_file():
        raise Failure(f"linux {kernel.name} has no lib/test_hmm.c to compare with")
    copy = folder / "test_hmm"
    if not copy.exists():
        copy.mkdir()
        for file in (kernel.source / "lib").glob("test_hmm*.[ch]"):
            shutil.copy(file, copy)
        (copy / "Kbuild").write_text("obj-m := test_hmm.o\n", encoding="utf-8")
        await host.run_or_fail("building test_hmm.ko", [
            "make", "-C", str(kernel.build), f"M={copy}", *make_flags(host),
            *kernel.config.make, "modules"], folder / "log")
    return copy / "test_hmm.ko"


async def run_commands(machine: Machine, folder: Path, programs: Sequence[Path]) \
        -> Tuple[List[str], str]:
    """Runs the first program, a shell script, in a guest that has the others."""
    logs = machine.host.cache.new_logs()
    work = folder / f"work.{time.monotonic_ns()}"
    work.mkdir()
    plan = await machine.plan(work, programs)
    lines: List[str] = []
    endings: List[Ending] = []
    console = logs.path / "console.1"
    agent = await start_guest(plan, console, work / "qemu.err")
    test = Test("exec", Path("/bin/sh"), [str(GUEST_FOLDER / programs[0].name)], 0)
    follower = Follower(agent, 0, None, Queue([test], 1), Ledger(logs.path, lines.append),
                        machine.host.terminal, logs.path / "results",
                        Listener(on_output=lines.append, on_end=endings.append), judged=False)
    try:
        await follower.follow()
    finally:
        await agent.stop()
    if not endings or endings[0].how != "exit" or endings[0].number:
        for line in lines:
            machine.host.terminal.say(line)
        raise Failure(f"the benchmark failed; see {console}")
    return lines, plan.hardware.accelerator


def compare(measured: Sequence[Measurement], where: str) -> List[str]:
    """Taken in turns, so that what the machine does meanwhile hits both drivers."""
    median: Dict[str, Dict[str, float]] = {}
    for name in ("test_hmm", "hmmirror"):
        median[name] = {operation: statistics.median_low(
            one.median_ns / (one.size / PAGE) for one in measured
            if (one.driver, one.operation) == (name, operation)) for operation in OPERATIONS}
    copy = min(values["memcpy"] for values in median.values())
    lines = [f"64 MiB of 4K pages, {where} (median of 15):",
             f"  {'':<10} {'test_hmm':>10} {'hmmirror':>10} {'ratio':>7} {'/ memcpy':>12}"]
    for operation in OPERATIONS:
        theirs, ours = median["test_hmm"][operation], median["hmmirror"][operation]
        lines.append(f"  {operation:<10} {theirs:>10.0f} {ours:>10.0f} {ours / theirs:>7.2f} "
                     f"{ours / copy:>12.2f}")
    theirs, ours = (round_trip(median[name]) for name in ("test_hmm", "hmmirror"))
    return [*lines, f"  {'round trip':<10} {theirs:>10.0f} {ours:>10.0f} {ours / theirs:>7.2f}"]


def round_trip(median: Mapping[str, float]) -> float:
    """To the device and back."""
    return median["to_device"] + median["to_system"]


def growth(measured: Sequence[Measurement], where: str) -> List[str]:
    """A row a size."""
    lines = [f"hmmirror.ko, {where} (median of 5; 1 GiB: of 1):",
             f"  {'KiB':<10}" + "".join(f" {operation:>10}" for operation in OPERATIONS)]
    for size in dict.fromkeys(one.size for one in measured):
        values = {one.operation: one.median_ns / (one.size / PAGE) for one in measured
                  if one.size == size}
        lines.append(f"  {size // 1024:<10}" + "".join(f" {values[operation]:>10.0f}"
                                                       for operation in OPERATIONS))
    return lines


async def bench_runner(host: Host, fresh: bool) -> None:
    """How long ./run_tests.sh takes, line by line."""
    if not fresh:
        host.terminal.step("a first run of ./run_tests.sh, for the cache")
        await timed(host, [], None)
        host.terminal.step("the second run of ./run_tests.sh")
        lines = await timed(host, ["-v"], None)
        kept = [line for line in lines if re.search(r"booting|first test|passed, ", line)]
        host.terminal.out("second run of ./run_tests.sh:")
    else:
        host.terminal.step("a run of ./run_tests.sh with an empty cache")
        with host.cache.temporary("fresh") as folder:
            lines = await timed(host, [], folder)
        kept = [line for line in lines if not re.search(r" s  (ok|SKIP) ", line)]
        host.terminal.out("first run of ./run_tests.sh, empty cache:")
    for line in kept:
        host.terminal.out(f"  {line}")


async def timed(host: Host, words: Sequence[str], cache: Optional[Path]) -> List[str]:
    """Each line that it prints, with the seconds since the start."""
    start = time.monotonic()
    command = [str(host.root / "run_tests.sh"), *words]
    if cache:
        command = ["env", f"XDG_CACHE_HOME={cache}", *command]
    process = await asyncio.create_subprocess_exec(
        *command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout
    lines = []
    async for line in process.stdout:
        text = line.decode(errors="replace").rstrip()
        lines.append(f"{time.monotonic() - start:6.1f} s  {text}")
    await process.wait()
    return lines
