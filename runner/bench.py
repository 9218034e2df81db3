# SPDX-License-Identifier: GPL-2.0
"""--bench: what the driver and the kernel under it cost.

    counts   instructions of every operation (bench/hmm_count.c); of several kernels, a comparison
    functions  in which functions of the kernel the instructions of an operation are
    growth   the same by the length of the range, up to 1 GiB, with a plot
    held     are the driver's counts within bench/held? For make check
    record   writes that table
    driver   hmmirror.ko and test_hmm.ko in turns in one guest, 64 MiB of 4K pages
    runner   ./run_tests.sh with a full cache: Enter to verdict, guest to first test
    fresh    the same with an empty cache, downloads included, step by step

Other words are names of operations, or globs. docs/records/performance.md has results.
"""
from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import statistics
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from runner.arch import native_arch
from runner.build import link_words
from runner.counting import KIB, Selection, count_operations
from runner.counts import Counts, Held, comparison, growth_faults, held_text, table
from runner.errors import Failure
from runner.exec import prepare_machine
from runner.follow import Follower, Listener, Queue, Test
from runner.functions import functions_table, symbols_of
from runner.guest import start_guest
from runner.host import Host, make_flags
from runner.kernel import Kernel
from runner.plot import plot_growth, write_page
from runner.request import Request
from runner.results import Ending, Ledger
from runner.suite import GUEST_FOLDER, Exact, Machine, add_commands

COUNTED = ("counts", "functions", "growth", "held", "record")
COMPARED = ("counts", "functions", "growth")
PARTS = (*COUNTED, "driver", "runner", "fresh")
MIB = 1024 * KIB
# of growth; 1 GiB costs minutes, so only what a device does all the time goes so far
GROWTH = Selection(("snapshot.anon", "read.absent", "read.anon", "write.anon", "write.swapped",
                    "map.anon", "copy_in.anon", "copy_out.anon", "to_device.anon",
                    "to_system.device", "cpu_fault.device", "exclusive.make"),
                   tuple(size * KIB for size in (4, 64)) +
                   tuple(size * MIB for size in (1, 16, 128, 1024)), 1)
# of held and record: what is in the table, and lengths between which it shows how counts grow
HELD = Selection((), (4 * KIB, 2 * MIB), 3)
LONG = Selection(("snapshot.anon", "read.absent", "read.anon", "read.file", "write.absent",
                  "write.shared", "copy_in.anon", "to_device.anon", "to_system.device",
                  "cpu_fault.device", "exclusive.make"), (2 * MIB, 32 * MIB), 1)
HELD_FILE = "bench/held"
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
# counts come out the same each time
COUNTED_TURNS = f"""\
set -e
rmmod hmmirror
insmod /tests/test_hmm.ko
/tests/hmm_bench test_hmm 64 1
rmmod test_hmm
{LOAD}/tests/hmm_bench hmmirror 64 1
"""


@dataclass(frozen=True)
class Measurement:
    """A line of hmm_bench."""

    driver: str
    operation: str
    size: int
    median_ns: int


async def bench(host: Host, request: Request, words: Sequence[str]) -> int:
    """Runs the parts that are named, or counts the operations that are; the exit status."""
    parts = [word for word in words if word in PARTS]
    operations = tuple(word for word in words if word not in PARTS)
    if not parts:
        parts = ["counts"]
    if "functions" in parts and not operations:
        raise Failure("--bench functions: name the operations that it is about")
    if operations and parts not in (["counts"], ["functions"]):
        raise Failure(f"--bench {operations[0]}: that is neither one of {' '.join(PARTS)}, nor does "
                      f"an operation go with {parts[0]}")
    kernels = request.kernels or [""]
    if len(kernels) > 1 and any(part not in COMPARED for part in parts):
        raise Failure("--bench compares kernels by counts; give one -k for the other parts")
    status = 0
    with host.cache.temporary("bench") as folder:
        for part in parts:
            if part in COMPARED:
                await bench_counts(host, request, part, operations, folder)
            elif part in ("held", "record"):
                status |= await bench_held(host, request, part == "record", folder)
            else:
                await bench_times(host, request, part, folder)
    return status


async def bench_times(host: Host, request: Request, part: str, folder: Path) -> None:
    """A part that takes the time, which another one beside it would change."""
    async with host.cache.lock("bench", "another benchmark", host.terminal):
        if part == "driver":
            await bench_driver(host, request, folder)
        else:
            await bench_runner(host, part == "fresh")


async def bench_counts(host: Host, request: Request, part: str, operations: Tuple[str, ...],
                       folder: Path) -> None:
    """Counts with each kernel."""
    logs = host.cache.new_logs()
    selection = GROWTH if part == "growth" else Selection(operations)
    if part == "functions":
        selection = replace(selection, sizes=(MIB,), by_function=True)
    results, symbols = [], []
    for number, name in enumerate(request.kernels or [""]):
        machine = await prepare_machine(host, replace(request, kernels=[name]))
        results.append(await counts_of(machine, selection, logs.path / f"kernel.{number + 1}",
                                       folder / f"{part}.{number}"))
        symbols.append(symbols_of(machine.kernel) if part == "functions" else [])
    if part == "functions":
        lines = functions_table(results, symbols)
    elif len(results) > 1:
        lines = comparison(results)
    else:
        lines = table(results[0])
        if part == "growth":
            lines += [f"  GROWS {fault}" for fault in growth_faults(results[0])]
    for line in lines:
        host.terminal.out(line)
    logs.write("counts.json", json.dumps({"kernels": [one.as_json() for one in results]}, indent=1))
    if part == "growth":
        await plot_growth(host, results, logs.path)
    write_page(logs.path, [one.kernel for one in results],
               shlex.join(["./run_tests.sh", *request.words]), lines)
    host.terminal.out(f"logs: {logs.path}")


async def counts_of(machine: Machine, selection: Selection, logs: Path, folder: Path) -> Counts:
    """The counts of one kernel, in folders of its own."""
    logs.mkdir()
    folder.mkdir()
    return await count_operations(machine, selection, logs, folder)


async def bench_held(host: Host, request: Request, record: bool, folder: Path) -> int:
    """Compares with the table, or writes it; the exit status."""
    file = host.root / HELD_FILE
    machine = await prepare_machine(host, request)
    logs = host.cache.new_logs()
    counts = await counts_of(machine, HELD, logs.path / "kernel.1", folder / "held")
    logs.write("counts.json", json.dumps({"kernels": [counts.as_json()]}, indent=1))
    if record:
        file.write_text(held_text(counts), encoding="utf-8")
        host.terminal.out(f"wrote the counts of linux {counts.kernel} into {HELD_FILE}")
        return 0
    longer = await counts_of(machine, LONG, logs.path / "kernel.1.long", folder / "long")
    faults = [f"GROWS {fault}" for fault in growth_faults(longer)]
    held = Held.read(file)
    other = held.why_other(counts)
    if other:
        host.terminal.out(f"SKIP  {HELD_FILE}: {other}")
    else:
        faults += [f"OVER  {fault}" for fault in held.faults(counts)]
    for fault in faults:
        host.terminal.out(fault)
    if faults:
        host.terminal.out(f"if that is wanted, ./run_tests.sh --bench record writes {HELD_FILE}; "
                          "commit it with the change")
    host.terminal.out(f"{len(counts.counts)} counts, {len(faults)} over; logs: {logs.path}")
    return 1 if faults else 0


async def bench_driver(host: Host, request: Request, folder: Path) -> None:
    """hmmirror.ko beside test_hmm.ko, in instructions and in time."""
    machine = await prepare_machine(host, request)
    programs = [folder / "commands", await build_bench(host, folder),
                await build_test_hmm(host, machine.kernel, folder)]
    for exact, commands, unit in ((Exact(), COUNTED_TURNS, "instructions a page"),
                                  (None, TURNS, "ns a page, median of 15")):
        programs[0].write_text(commands, encoding="utf-8")
        host.terminal.step(f"linux {machine.kernel.name}, {unit}")
        lines, accelerator = await run_commands(replace(machine, exact=exact), folder, programs)
        host.terminal.clear()
        found = re.findall(r"^(\w+) (\w+) (\d+) \d+ (\d+)$", "\n".join(lines), re.M)
        measured = [Measurement(name, operation, int(size), int(median))
                    for name, operation, size, median in found]
        if not measured:
            raise Failure("the benchmark printed no figures; see the console in the logs")
        for line in compare(measured, f"linux {machine.kernel.name}, {accelerator}, {unit}"):
            host.terminal.out(line)


async def build_bench(host: Host, folder: Path) -> Path:
    """The program."""
    program = folder / "hmm_bench"
    await host.run_or_fail("building hmm_bench", [
        "gcc", "-O2", "-Wall", "-Wextra", *await link_words(host, native_arch()), "-I", str(host.root / "driver/uapi"), "-o",
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
    test = Test("exec", Path("/bin/sh"), [str(GUEST_FOLDER / programs[0].name)], 0)
    if machine.exact:
        # /bin/sh is not among the programs
        plan = await add_commands(machine, plan, [test], work / "image", work, None)
    lines: List[str] = []
    endings: List[Ending] = []
    console = logs.path / "console.1"
    agent = await start_guest(plan, console, work / "qemu.err")
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
    lines = [f"64 MiB of 4K pages, {where}:",
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
