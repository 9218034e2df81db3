# SPDX-License-Identifier: GPL-2.0
"""One kernel with one config on one architecture.

From its name to verdicts, and what is left for other programs.
"""
from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Awaitable, Callable, List, Optional, Sequence, Tuple

from runner import collection, coverage, hmm_tests, packages, source
from runner.arch import Arch
from runner.build import prepare
from runner.catalogue import all_bugs, catalogue, choose
from runner.config import read_config
from runner.diagnosis import diagnose, know, standing, summary
from runner.errors import Failure, UnfitKernel
from runner.follow import Listener, Test
from runner.guest import check_native
from runner.host import Host, behind
from runner.kernel import Kernel, Kind, resolve
from runner.names import base_name
from runner.programs import Suite, build_agent, build_driver, build_suite
from runner.provenance import describe_guest, describe_kernel
from runner.replay import Replay
from runner.request import Request
from runner.results import FAIL, FLAKY, OK, SKIP, Cell, Ledger, Verdict
from runner.shorten import PROCESS, calls_made, parse_calls, shorten
from runner.stress import FUZZ, stress_tests
from runner.suite import Machine, Run, exact_of, own_tests, repeated, suite_tests


async def together(*work: Awaitable[Any]) -> List[Any]:
    """Does several things at once; if one fails, the others are ended."""
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass
class CellRun:
    """A cell under way. What goes wrong is an exception, and in the cell as its reason."""

    host: Host
    request: Request
    cell: Cell
    kernel_name: str
    config_name: str
    arch: Arch
    logs: Path
    # the programs, if all cells have the same
    suite: Optional[Suite] = None
    guests: Optional[int] = None
    place: Optional[Callable[[], Awaitable[Callable[[], None]]]] = None
    # of --replay
    replay: Optional[Replay] = None
    # the number of tests, once the first one has begun
    planned: int = 0
    # seconds that were spent waiting for others
    waited: float = 0
    _start: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> int:
        """That it has worked so far."""
        return int(time.monotonic() - self._start - self.waited)

    async def run(self) -> None:
        """Runs it."""
        self.logs.mkdir(exist_ok=True)
        self.cell.logs = str(self.logs)
        self.cell.config, self.cell.arch = self.config_name, self.arch.name
        (self.logs / "summary").touch()
        self.cell.ledger = Ledger(self.logs, self.host.terminal.out)
        self.cell.ledger.expected = self.request.known.of_test
        try:
            await self._run(self.cell.ledger)
            self.cell.state = "done"
        except asyncio.CancelledError:
            self.cell.reason = "interrupted"
            raise
        except Failure as failure:
            self.cell.reason = str(failure)
            self.cell.unfit = isinstance(failure, UnfitKernel)
            raise
        finally:
            self.cell.seconds = self.seconds

    async def _run(self, ledger: Ledger) -> None:
        host, request = self.host, self.request
        # a name that is wrong is refused before anything is fetched
        read_config(host.root, self.config_name, self.arch)
        kernel = await self._resolve()
        self.cell.kernel, self.cell.commit = kernel.name, kernel.commit
        name = coverage.config_name(kernel, self.config_name) if request.coverage \
            else self.config_name
        config = read_config(host.root, name, self.arch)
        if kernel.kind is Kind.NATIVE:
            check_native(host, kernel)
        kernel, suite, agent = await together(
            prepare(host, kernel, config), self._suite(kernel), self._agent())
        await describe_kernel(host, kernel, self.cell)
        machine = Machine(host, kernel, await build_driver(host, kernel), agent,
                          guests=self.guests, exact=exact_of(request))
        await machine.require()
        run = Run(machine, ledger, self.logs, Listener(verbose=request.verbose), request.keep,
                  request.fail_fast, one_by_one=request.shuffle, place=self.place)
        if request.replay:
            await packages.require(host, packages.REPLAY)
            self.replay = Replay(machine, ledger, self.logs)
            run.on_guest = self.replay.on_guest
        with host.cache.temporary("own") as folder:
            if request.seed_line:
                ledger.tell(request.seed_line)
            tests, more = await self._tests(run, suite, folder)
            if request.shuffle:
                random.Random(request.seed).shuffle(tests)

            begun: List[float] = []

            def on_first_test(ms: int) -> None:
                self.planned = len(tests)
                begun.append(time.monotonic())
                if request.verbose:
                    host.terminal.say(f"first test {ms} ms after QEMU's start")
            run.listener.on_first_test = on_first_test
            run.listener.on_end = lambda _: host.terminal.progress(
                len(ledger.verdicts), len(tests), ledger.count(FAIL), time.monotonic() - begun[0])
            if request.coverage:
                run.on_counts = partial(coverage.save_counts, self.logs / "coverage")
            said: List[str] = []
            if request.mode == "stress":
                run.listener.on_output = partial(self._stress_says, ledger, said)
            try:
                await run.run(tests, one_cpu=request.mode == "suite", more_programs=more)
            finally:
                await describe_guest(host, kernel, self.cell)
            if request.flaky:
                await self._run_again(run, tests, more)
            if request.mode == "stress" and request.exact:
                await self._shorten(run, tests, said)
        if request.coverage:
            await coverage.report(host, kernel, self.logs, ledger)
        self._name_failures(kernel, ledger)

    async def _run_again(self, run: Run, tests: Sequence[Test], more: Sequence[Path]) -> None:
        """--flaky: failed tests once more, in fresh guests."""
        ledger, times = run.ledger, self.request.flaky
        failed = [test for test in tests if test.name in ledger.verdicts and
                  can_be_flaky(ledger.verdicts[test.name])]
        if not failed:
            return
        folder = self.logs / "again"
        folder.mkdir()
        self.host.terminal.step(f"running {len(failed)} failed test{'s' if len(failed) > 1 else ''} "
                                f"again, {times} time{'s' if times > 1 else ''}")
        again = Ledger(folder, lambda line: None)
        rounds = [replace(test, name=f"{test.name}@{number}") for number in range(1, times + 1)
                  for test in failed]
        await replace(run, ledger=again, logs=folder, fail_fast=False, every_run=True,
                      on_counts=None).run(rounds, self.request.mode == "suite", more)
        for test in failed:
            verdict = ledger.verdicts[test.name]
            verdict.again = times
            verdict.passed_again = sum(one.result == OK for one in again.verdicts.values()
                                       if base_name(one.name) == test.name)
            if verdict.passed_again:
                verdict.result = FLAKY
            ledger.tell(str(verdict))

    @staticmethod
    def _stress_says(ledger: Ledger, said: List[str], line: str) -> None:
        said.append(line)
        if line.startswith("# ") and not PROCESS.match(line):
            ledger.tell(f"      {line[2:]}")

    async def _shorten(self, run: Run, tests: Sequence[Test], said: Sequence[str]) -> None:
        """Which calls does a failure of stress.fuzz take?"""
        calls = parse_calls(self.request.calls) if self.request.calls else calls_made(said)
        for test in tests:
            verdict = run.ledger.verdicts.get(test.name)
            if calls and test.program.name == FUZZ and verdict and verdict.result == FAIL:
                self.cell.remarks += await shorten(run.machine, test, verdict, calls,
                                                   self.logs / "shorter")

    def _name_failures(self, kernel: Kernel, ledger: Ledger) -> None:
        """Which known bugs are the failures, and how do the entries stand that were asked for?"""
        request, cell = self.request, self.cell
        verdicts = list(ledger.verdicts.values())
        failed = any(verdict.result not in (OK, SKIP) for verdict in verdicts)
        if request.mode == "suite" and (failed or request.entries):
            self._diagnose(kernel, ledger, verdicts)
        cell.remarks += request.known.unneeded(ledger)
        for line in cell.remarks:
            ledger.tell(line)

    def _diagnose(self, kernel: Kernel, ledger: Ledger, verdicts: Sequence[Verdict]) -> None:
        host, request, cell = self.host, self.request, self.cell
        knowns = know(all_bugs(catalogue(host)), kernel.source)
        diagnosis = diagnose(verdicts, knowns, kernel.label)
        for finding in diagnosis.findings:
            for name in finding.tests:
                ledger.verdicts[name].bugs = [bug.name for bug in finding.bugs]
        cell.diagnosis = diagnosis.as_json()
        request.known.expect(ledger)
        if request.entries:
            asked = choose(host, request.entries)
            standings = [standing(known, verdicts, diagnosis, kernel.lacks(known.bug.needs))
                         for known in knowns if known.bug in asked]
            cell.regressions = [one.as_json() for one in standings]
            cell.remarks += [*map(str, standings), summary(standings)]
        cell.remarks += diagnosis.lines()

    async def _resolve(self) -> Kernel:
        """The kernel; a release is downloaded while what builds it is installed."""
        if self.kernel_name and not source.is_release(self.kernel_name):
            return await resolve(self.host, self.kernel_name, self.arch)
        kernel, _ = await together(resolve(self.host, self.kernel_name, self.arch),
                                   packages.require(behind(self.host), packages.KERNEL))
        assert isinstance(kernel, Kernel)
        return kernel

    async def _suite(self, kernel: Kernel) -> Optional[Suite]:
        """The programs are built while the kernel is."""
        if self.suite or self.request.mode != "suite" or not self.request.wants_suite:
            return self.suite
        return await build_suite(behind(self.host), kernel.source, self.arch)

    async def _agent(self) -> Path:
        """So is the agent, and what a guest needs is installed meanwhile."""
        if self.kernel_name != "native":
            await packages.require(behind(self.host), packages.GUEST)
        return await build_agent(behind(self.host), self.arch)

    async def _tests(self, run: Run, suite: Optional[Suite], folder: Path) \
            -> Tuple[List[Test], Sequence[Path]]:
        """What is to be run, and programs that have to be there besides."""
        host, request = self.host, self.request
        if request.mode == "stress":
            return await stress_tests(host, request, run.machine)
        if request.mode == "collection":
            chosen, more, unbuilt = await collection.tests_of(
                host, run.machine.kernel, request.collection, request.timeout, folder)
            for name, why in unbuilt.items():
                run.ledger.record(Verdict(name, SKIP, 0, why))
            return chosen, more
        if request.mode == "upstream":
            return await hmm_tests.choose_tests(host, request, run), ()
        tests = await own_tests(host, request, suite, folder, self.arch)
        request.known.check_tests([*(test.name for test in tests), *(suite.tests if suite else ())])
        if suite:
            tests += suite_tests(suite, request)
        return repeated(tests, request.repeat), ()


def can_be_flaky(verdict: Verdict) -> bool:
    """A failed assertion or a hang may pass another time. What the kernel reported has happened."""
    return verdict.result == FAIL and not verdict.report and \
        not verdict.reason.startswith(("the guest died", "the kernel"))
