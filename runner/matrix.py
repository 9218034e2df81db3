# SPDX-License-Identifier: GPL-2.0
"""Several kernels, architectures and configs in one run; each combination is a cell.

Kernels are built one after another, as a build takes all cores, and tested as many side by side as
cores and memory allow. A table shows how far the cells are.
"""
from __future__ import annotations

import asyncio
import re
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence

from runner import formats, packages
from runner.arch import find_arch
from runner.cache import Logs
from runner.cell import CellRun
from runner.cells import CellPlan, short_name
from runner.errors import Failure
from runner.host import Host
from runner.programs import Suite, build_suite
from runner.publish import publish
from runner.request import Environment, Request
from runner.results import FAIL, OK, SKIP, About, Cell, all_differences, standing_out, totals
from runner.source import all_releases, default_release
from runner.suite import guests_that_fit
from runner.terminal import Terminal

HEAD = f"{'kernel':<18} {'config':<10} {'passed':>6} {'failed':>6} {'skipped':>7} {'time':>7}"
LOOK_SECONDS = 0.5
# seconds between two lines about a cell where there is no terminal
QUIET = 30


class CellTerminal(Terminal):
    """Of a cell: its progress goes into the table, all else into a file with its logs."""

    def __init__(self, output: Path) -> None:
        super().__init__()
        self.output = output
        self.doing = "starting"
        self.output.touch()

    def step(self, what: str, detail: str = "") -> None:
        self.doing = f"{what}: {detail}" if detail else what

    def clear(self) -> None:
        pass

    def say(self, text: str) -> None:
        with self.output.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")

    out = say


class Row:
    """A cell, and its line of the table."""

    def __init__(self, run: CellRun, terminal: CellTerminal, arch: str = "") -> None:
        self.run = run
        # its name, if the table has several
        self.arch = arch
        self.terminal = terminal
        self.task: Optional[asyncio.Task[None]] = None
        self._told = "starting"
        self._told_at = time.monotonic()

    @property
    def cell(self) -> Cell:
        """What is known of it."""
        return self.run.cell

    @property
    def is_done(self) -> bool:
        """Has it come to its end?"""
        return bool(self.task and self.task.done())

    @property
    def state(self) -> str:
        """What it is doing."""
        if self.is_done:
            return "done" if self.cell.state == "done" else "cannot be run"
        doing = self.terminal.doing
        if self.run.planned:
            done = sum(self.cell.count(result) for result in (OK, FAIL, SKIP))
            return f"testing {done} of {self.run.planned}"
        # the table has the kernel's name in another column
        return doing.replace(f" linux {self.cell.kernel}", "") if self.cell.kernel else doing

    @property
    def name(self) -> str:
        """6.1.192-2 for 6.1, and my-tree (6.1.0) for my-tree."""
        label, version = short_name(self.run.kernel_name), self.cell.kernel
        if not version or version == label or version.startswith(tuple(label + sign for sign in ".-~")):
            return version or label
        # the version of a git revision ends with its name
        return f"{label} ({version.replace(f' ({label})', '')})"

    def line(self) -> str:
        """Its line of the table."""
        counts = [self.cell.count(result) for result in (OK, FAIL, SKIP)]
        words = [str(count) for count in counts] if any(counts) or self.state == "done" else [""] * 3
        seconds = self.cell.seconds if self.is_done else self.run.seconds
        config = " ".join(filter(None, [self.arch, short_name(self.run.config_name)]))
        return (f"{self.name:<18} {config:<10} {words[0]:>6} "
                f"{words[1]:>6} {words[2]:>7} {seconds:>5} s  {self.state}")

    def tell(self, terminal: Terminal) -> None:
        """Without a terminal: a line when it goes on to something else, and now and then."""
        word = re.split(r"[:\d]", self.state)[0].strip()
        now = time.monotonic()
        if word.startswith("waiting") or (word == self._told and
                                          (self.is_done or now - self._told_at < QUIET)):
            return
        self._told, self._told_at = word, now
        text = self.state
        if word == "done":
            counts = [self.cell.count(result) for result in (OK, FAIL, SKIP)]
            text = (f"{counts[0]} passed, {counts[1]} failed, {counts[2]} skipped, "
                    f"{self.cell.seconds} s")
        elif word == "cannot be run":
            text = f"{word}: {self.cell.reason}"
        terminal.say(f"{self.cell.label}: {text}")


async def expand(host: Host, kernels: Sequence[str]) -> List[str]:
    """ "all" is every release that the suites have now."""
    names: List[str] = []
    for name in kernels or [""]:
        if name == "all":
            names += await all_releases(host)
        else:
            names.append(name or await default_release(host))
    return names


class Guests:
    """Places for cells whose guests run."""

    def __init__(self, count: int) -> None:
        self._places = asyncio.Semaphore(count)

    async def take(self, run: CellRun) -> Callable[[], None]:
        """Waits for a place; what is returned gives it up."""
        start = time.monotonic()
        run.host.terminal.step("waiting for its turn")
        await self._places.acquire()
        run.waited += time.monotonic() - start
        return self._places.release


class Matrix:
    """Cells that are run together."""

    def __init__(self, host: Host, request: Request, logs: Logs) -> None:
        self.host = host
        self.request = request
        self.logs = logs
        self.rows: List[Row] = []
        self._drawn = 0

    def add_cells(self, plans: Sequence[CellPlan], suites: Mapping[str, Suite],
                  guests: int) -> None:
        """One for each plan; suites are those of the architectures."""
        each = max(1, guests // len(plans))
        places = Guests(max(1, guests // each))
        several = len({plan.arch for plan in plans}) > 1
        for plan in plans:
            folder = self._add_folder(plan.label)
            terminal = CellTerminal(folder / "output")
            run = CellRun(replace(self.host, terminal=terminal),
                          replace(self.request, seed=plan.seed),
                          Cell(plan.label, plan.name, plan.kernel, seed=plan.seed), plan.kernel,
                          plan.config, find_arch(plan.arch), folder, suites.get(plan.arch), each)
            run.place = partial(places.take, run)
            self.rows.append(Row(run, terminal, plan.arch if several else ""))

    def _add_folder(self, label: str) -> Path:
        """For what a cell leaves."""
        folder = self.logs.path / re.sub(r"[^\w.+-]", "_", label)
        folder.mkdir()
        return folder

    async def run(self) -> None:
        """Until all cells have ended."""
        # newer kernels skip less, so they take longer: with them first, no core waits at the end
        for row in reversed(self.rows):
            row.task = asyncio.ensure_future(self._run_cell(row))
        tasks = [row.task for row in self.rows if row.task]
        try:
            pending = set(tasks)
            while pending:
                _, pending = await asyncio.wait(pending, timeout=LOOK_SECONDS)
                self._show()
            for task in tasks:
                # what is no Failure is a fault of ours
                if not task.cancelled():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._erase()

    async def _run_cell(self, row: Row) -> None:
        try:
            await row.run.run()
        except Failure as failure:
            row.terminal.say(str(failure))
        if self.request.fail_fast and row.cell.count(FAIL):
            for other in self.rows:
                if other is not row and other.task:
                    other.task.cancel()

    def _show(self) -> None:
        if self.host.terminal.interactive:
            self._draw()
        else:
            for row in self.rows:
                row.tell(self.host.terminal)

    def _draw(self) -> None:
        """The table over the one that stands there; cells that work, where there is little room."""
        columns, room = self.host.terminal.columns, self.host.terminal.lines - 3
        rows = self.rows
        if len(rows) > room:
            rows = [row for row in rows if not row.is_done and
                    not row.state.startswith("waiting")][:room]
        lines = [HEAD, *(row.line() for row in rows)]
        if len(rows) < len(self.rows):
            lines.append(f"{len(self.rows) - len(rows)} more wait or are done")
        self._erase()
        sys.stderr.write("".join(f"{line[:columns]}\n" for line in lines))
        sys.stderr.flush()
        self._drawn = len(lines)

    def _erase(self) -> None:
        if self._drawn:
            sys.stderr.write(f"\033[{self._drawn}A\033[J")
        self._drawn = 0

    def leave(self, about: About) -> Dict[str, Any]:
        """Writes what is for other programs."""
        results = publish(self.host.cache.path / "logs", self.logs.path, about,
                          [row.cell.as_json() for row in self.rows])
        self.logs.write("differences", "".join(f"{line}\n" for line in all_differences(results)))
        return results

    def remarks(self) -> List[str]:
        """What is known about the failures of each cell, and with --regressions each entry."""
        lines: List[str] = []
        for cell in (row.cell for row in self.rows):
            if cell.remarks:
                lines += [f"{cell.label}:", *(f"  {line}" for line in cell.remarks)]
        return lines

    def report(self, results: Dict[str, Any]) -> int:
        """The table, what stands out in it, and the totals; the exit status."""
        cells = [row.cell for row in self.rows]
        broken = [cell for cell in cells if cell.state != "done"]
        lines = [*filter(None, [self.request.seed_line]), HEAD,
                 *(row.line() for row in self.rows),
                 *(f"{cell.label} cannot be run: {cell.reason}" for cell in broken),
                 *standing_out(results), *self.remarks()]
        last = totals(cells)
        self.logs.write("summary", "".join(f"{line}\n" for line in [*lines, last]))
        for line in [*lines, f"logs: {self.logs.path}", last]:
            self.host.terminal.out(line)
        if broken:
            return 2
        return 1 if any(cell.count(FAIL) for cell in cells) else 0


async def common_suites(host: Host, request: Request, plans: Sequence[CellPlan],
                        archs: Sequence[str]) -> Dict[str, Suite]:
    """The test programs for each of these architectures, which are the same for all cells."""
    if request.mode != "suite" or not request.wants_suite:
        return {}
    trees = [Path(plan.kernel).resolve() for plan in plans
             if (Path(plan.kernel) / "tools/testing/selftests").is_dir()]
    return {arch: await build_suite(host, trees[-1] if trees else None, find_arch(arch))
            for arch in archs}


async def run_matrix(host: Host, request: Request, plans: Sequence[CellPlan], about: About) -> int:
    """All cells."""
    begun = time.monotonic()
    archs = list(dict.fromkeys(plan.arch for plan in plans))
    guests = guests_that_fit(host, Environment.read(), [find_arch(name) for name in archs])
    await packages.require(host, [*packages.KERNEL, *packages.SUITE, *packages.GUEST])
    logs = host.cache.new_logs()
    if request.keep:
        logs.keep()
    matrix = Matrix(host, request, logs)
    matrix.add_cells(plans, await common_suites(host, request, plans, archs), guests)
    try:
        await matrix.run()
    finally:
        about.seconds = int(time.monotonic() - begun)
        results = matrix.leave(about)
    status = matrix.report(results)
    formats.deliver(results, request.formats)
    return status
