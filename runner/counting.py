# SPDX-License-Identifier: GPL-2.0
"""Runs what is counted: a guest with one CPU under QEMU's icount, where a nanosecond is one
instruction, and a plugin of QEMU that tells programs, kernel and modules apart (bench/plugin.c).

Nothing comes into the guest from outside, so that the counts are the same on any machine.
"""
from __future__ import annotations

import fnmatch
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

from runner import packages
from runner.arch import native_arch
from runner.build import optional_words
from runner.counts import Counts, marks_table, read_counts
from runner.errors import Failure
from runner.exec import prepare_machine, status_of
from runner.functions import symbols_of
from runner.follow import TAIL, Follower, Listener, Queue, Test
from runner.guest import qemu_release, start_guest
from runner.host import Host
from runner.programs import build_files, build_library, build_own
from runner.request import Request
from runner.results import Ending, Ledger
from runner.suite import GUEST_FOLDER, Exact, Machine, add_commands, no_guest
from runner.toolchain import Toolchain

# the device holds what is migrated to it: more than its limit, a quarter of the guest's memory
MODULE_WORDS = ("max_device_mb=2048",)
KIB = 1024


@dataclass(frozen=True)
class Selection:
    """Which operations, on which ranges, how often."""

    # as bench/hmm_count.c has them, or globs; all without one
    operations: Tuple[str, ...] = ()
    sizes: Tuple[int, ...] = (4 * KIB, 1024 * KIB, 64 * 1024 * KIB)
    repeats: int = 3
    # tell which functions of the kernel they are in
    by_function: bool = False


def plugin_api(release: Tuple[int, int]) -> int:
    """Which interface for plugins a release of QEMU has."""
    return 1 if release < (9, 0) else 2 if release < (9, 1) else 3


async def build_plugin(host: Host, qemu: str) -> Path:
    """The plugin for this QEMU."""
    api = plugin_api(await qemu_release(host, qemu))
    origin = [host.root / "bench/plugin.c", host.root / "bench/qemu_plugin.h"]

    def command(_: Toolchain, __: List[str], to: Path) -> List[str]:
        return ["gcc", "-O2", "-Wall", "-Wextra", "-fPIC", "-shared", "-fvisibility=hidden",
                f"-DQEMU_API={api}", "-o", str(to / "plugin.so"), str(origin[0])]
    built = await build_files(host, f"plugin-{api}", "the plugin for QEMU", origin, None, command)
    return built / "plugin.so"


async def build_counter(host: Host) -> Path:
    """The program with the operations of --bench."""
    if host.testing.counter:
        return host.testing.counter
    await packages.require(host, packages.HUGETLBFS)
    library = await build_library(host, native_arch())
    origin = [host.root / "bench/hmm_count.c", host.root / "lib", host.root / "driver/uapi"]

    threads = await optional_words(host, native_arch(), "pthread")

    def command(tools: Toolchain, link: List[str], to: Path) -> List[str]:
        return [*tools.gcc, "-std=gnu11", "-O2", "-Wall", "-Wextra", "-D_GNU_SOURCE=", *link,
                "-I", str(host.root / "lib"), "-I", str(host.root / "driver/uapi"), "-o",
                str(to / "hmm_count"), str(origin[0]), str(library), "-Wl,--whole-archive",
                "-lhugetlbfs", "-Wl,--no-whole-archive", "-lnuma", *threads]
    built = await build_files(host, "counter", "the program that is counted", origin, None, command)
    return built / "hmm_count"


async def choose_operations(host: Host, program: Path, globs: Sequence[str]) -> List[str]:
    """The names that match, all without a glob, in the program's order."""
    names = (await host.capture([str(program), "list"], check=True)).split()
    for glob in globs:
        if not fnmatch.filter(names, glob):
            raise Failure(f"there is no operation {glob}; there are {' '.join(names)}")
    return [name for name in names
            if not globs or any(fnmatch.fnmatchcase(name, glob) for glob in globs)]


async def run_counted(machine: Machine, test: Test, logs: Path, folder: Path,
                      on_output: Optional[Callable[[str], None]] = None, more: str = "") \
        -> Tuple[Ending, List[str], str]:
    """Runs a program in such a guest: how it ended, what it printed, and what the plugin wrote."""
    host = machine.host
    plugin = await build_plugin(host, machine.kernel.arch.qemu)
    marks = folder / "marks"
    start, end = machine.kernel.arch.module_addresses or (0, 0)
    machine = replace(machine, exact=Exact(
        plugin=f"{plugin},out={marks},modules={start:#x}-{end:#x}{more}"))
    base = await machine.plan(folder, [test.program])
    plan = await add_commands(machine, base, [test], folder / "image", folder)
    host.terminal.step(f"counting on linux {machine.kernel.name} (icount)")
    console, errors = logs / "console.1", folder / "qemu.err"
    lines: List[str] = []
    endings: List[Ending] = []

    def keep(line: str) -> None:
        lines.append(line)
        if on_output:
            on_output(line)
    agent = await start_guest(plan, console, errors)
    follower = Follower(agent, 0, GUEST_FOLDER, Queue([test], 1),
                        Ledger(logs, host.terminal.out), host.terminal, logs / "results",
                        Listener(on_output=keep, on_end=endings.append),
                        slow=machine.kernel.config.guest.slow, judged=False)
    try:
        outcome = await follower.follow()
    finally:
        await agent.stop()
    host.terminal.clear()
    if not endings:
        if not outcome.current:
            raise no_guest(machine, outcome, console, errors)
        for line in follower.console.tail(TAIL):
            host.terminal.say(line)
        raise Failure(f"{outcome.lost} while {test.program.name} ran; see {console}")
    return endings[0], lines, marks.read_text(encoding="utf-8") if marks.exists() else ""


async def count_operations(machine: Machine, selection: Selection, logs: Path,
                           folder: Path) -> Counts:
    """The counts of one kernel. logs and folder are this kernel's own."""
    program = await build_counter(machine.host)
    words = [str(selection.repeats), ",".join(str(size // KIB) for size in selection.sizes),
             *await choose_operations(machine.host, program, selection.operations)]
    machine = replace(machine, module_words=(*machine.module_words, *MODULE_WORDS))
    more = ""
    if selection.by_function:
        file = folder / "functions"
        file.write_text("".join(f"{symbol.address:x}\n" for symbol in symbols_of(machine.kernel)),
                        encoding="utf-8")
        more = f",functions={file}"
    ending, lines, marks = await run_counted(machine, Test("count", program, words, 0), logs,
                                             folder, more=more)
    if ending.how != "exit" or ending.number:
        for line in lines[-TAIL:]:
            machine.host.terminal.say(line)
        raise Failure(f"the program that is counted failed; see {logs / 'console.1'}")
    counts = read_counts(machine.kernel.name, machine.kernel.compiler, lines, marks)
    if not counts.counts and not counts.skipped:
        raise Failure("the program that is counted printed no figures")
    return counts


async def run_count(host: Host, request: Request) -> int:
    """--count PROG ...: its output, what lies between its marks, and its status."""
    machine = await prepare_machine(host, request)
    logs = host.cache.new_logs()
    with host.cache.temporary("count") as folder:
        program = Path(request.command[0])
        if request.own_files:
            program = await build_own(host, request.own_files[0], folder)
        test = Test("count", program, request.command[1:], request.timeout)
        ending, _, marks = await run_counted(machine, test, logs.path, folder, host.terminal.out)
    for line in marks_table(marks):
        host.terminal.out(line)
    return status_of(host, ending, program.name, request.timeout)
