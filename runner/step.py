# SPDX-License-Identifier: GPL-2.0
"""One revision of a bisection: what is checked out in a tree is built, booted and tested."""
from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Sequence

from runner import packages
from runner.arch import Arch
from runner.build import build_kernel, prepare
from runner.config import read, read_config
from runner.errors import Failure, UnfitDriver, UnfitKernel
from runner.follow import Listener, Test
from runner.git import top_of
from runner.hmm_tests import choose_tests
from runner.host import Host
from runner.kernel import leftover, resolve, resolve_tree
from runner.programs import build_agent, build_driver, build_suite
from runner.request import Environment, Request
from runner.results import FAIL, OK, SKIP, Cell, Ledger, totals
from runner.suite import Machine, Run, guests_that_fit, own_tests, repeated, suite_tests

GOOD, BAD, SKIPPED = "good", "bad", "skip"
STATUS = {GOOD: 0, BAD: 1, SKIPPED: 125}
# to git bisect run, 2 would be a bad revision; from 128 on it stops
STOP = 129


@dataclass
class StepResult:
    """What came of a revision."""

    word: str
    seconds: int
    # where the time went
    laps: str = ""
    # why it cannot be told
    why: str = ""
    # of each test the result and the reason
    tests: Dict[str, List[str]] = field(default_factory=dict)
    # in seconds since 1970
    begun: float = 0
    ended: float = 0


class Laps:
    """Where a step's time goes."""

    def __init__(self) -> None:
        self.start = self._last = time.monotonic()
        self._laps: List[str] = []
        # what is under way: building the driver, for instance
        self.doing = "build"

    def end(self, name: str) -> None:
        """Ends a lap."""
        now = time.monotonic()
        self._laps.append(f"{name} {now - self._last:.0f} s")
        self._last = now

    def __str__(self) -> str:
        return ", ".join(self._laps)

    @property
    def seconds(self) -> int:
        """Since the start."""
        return int(time.monotonic() - self.start)


async def chosen_tests(host: Host, request: Request, tree: Path, folder: Path) -> List[Test]:
    """The tests that decide. It is not the revision's fault if there is none.

    The kernel's own are those of each revision, so they are chosen when it is built.
    """
    if request.upstream:
        return []
    suite = await build_suite(host, tree, request.arch) if request.wants_suite else None
    tests = await own_tests(host, request, suite, folder, request.arch)
    if suite:
        tests += suite_tests(suite, request)
    # any one of them shows that a guest comes up
    return tests[:1] if request.bisect_build else tests


async def test_revision(host: Host, request: Request, tree: Path, tests: Sequence[Test],
                        folder: Path, laps: Laps) -> StepResult:
    """Builds what is checked out, and runs these tests on it; their logs go into a folder."""
    refuse_unclean(host, tree, request.arch)
    host = replace(host, log_folder=folder)
    ledger = Ledger(folder, host.terminal.out)
    try:
        await run_step(host, request, tree, tests, folder, laps, ledger)
    except UnfitKernel as failure:
        # a driver of ours that does not build says nothing about the kernel
        its_own = not isinstance(failure, UnfitDriver) and laps.doing != "driver"
        word = BAD if request.bisect_build and its_own else SKIPPED
        return StepResult(word, laps.seconds, str(laps), str(failure), results_of(ledger))
    if request.bisect_build:
        return StepResult(GOOD, laps.seconds, str(laps), "", results_of(ledger))
    ledger.tell(totals([Cell("", ledger=ledger)]))
    word, why = GOOD, ""
    skipped = [verdict for verdict in ledger.verdicts.values() if verdict.result == SKIP]
    if ledger.failed():
        word = BAD
    elif skipped:
        word, why = SKIPPED, f"{skipped[0].name} is skipped: {skipped[0].reason}"
    return StepResult(word, laps.seconds, str(laps), why, results_of(ledger))


def refuse_unclean(host: Host, tree: Path, arch: Arch) -> None:
    """What was built in a tree gets in the way of a build elsewhere."""
    left = "" if host.testing.built else leftover(tree, arch)
    if left:
        raise Failure(f"{tree} is not clean, {left} is there; revisions are built in the cache, so "
                      "clean it (make mrproper)")


async def run_step(host: Host, request: Request, tree: Path, tests: Sequence[Test], folder: Path,
                   laps: Laps, ledger: Ledger) -> None:
    """The way from the checkout to the verdicts."""
    machine = await build_machine(host, request, tree, laps)
    run = Run(machine, ledger, folder, Listener(verbose=request.verbose), request.keep,
              patient=True)
    if request.upstream:
        tests = await choose_tests(host, request, run, tree, [test.name for test in tests])
    await run.run(repeated(tests, request.repeat), one_cpu=not request.upstream)
    laps.end("guest")


async def build_machine(host: Host, request: Request, tree: Path, laps: Laps) -> Machine:
    """The kernel that is checked out, with all that it needs to be tested."""
    environment = Environment.read()
    config = read_config(host.root, request.configs[0] if request.configs else "", request.arch)
    await packages.require(host, config.needs)
    if host.testing.built:
        words = read(tree / "word").split()
        environment = replace(environment, append=f"{environment.append} fake={words[0]}")
        if "broken" in words:
            raise UnfitKernel("the kernel does not build")
        kernel = await prepare(host, await resolve(host, str(host.testing.built), request.arch),
                               config)
    else:
        kernel = await build_kernel(host, replace(resolve_tree(tree, request.arch), config=config),
                                    shared=True)
    laps.end("build")
    laps.doing = "driver"
    driver = await build_driver(host, kernel)
    laps.end("driver")
    laps.doing = "guest"
    guests = None
    if request.at_once > 1:
        guests = max(1, guests_that_fit(host, environment, [kernel.arch]) // request.at_once)
    machine = Machine(host, kernel, driver, await build_agent(host, request.arch), environment,
                      guests=guests)
    await machine.require()
    return machine


def results_of(ledger: Ledger) -> Dict[str, List[str]]:
    """Of each test, whatever the number of its run, the worst result and its reason."""
    results: Dict[str, List[str]] = {}
    for verdict in ledger.verdicts.values():
        name = verdict.name.split("@")[0]
        if name not in results:
            results[name] = [OK, ""]
        if results[name][0] != FAIL and verdict.result != OK:
            results[name] = [verdict.result, verdict.reason]
    return results


async def bisect_step(host: Host, request: Request) -> int:
    """--bisect-step, for git bisect run in whoever's hands."""
    tree = top_of(request.tree or Path("."), "--tree names one")
    logs = host.cache.new_logs()
    with host.cache.temporary("own") as folder:
        tests = await chosen_tests(host, request, tree, folder)
        result = await test_revision(host, request, tree, tests, logs.path, Laps())
    host.terminal.out(f"logs: {logs.path}")
    counts = [sum(test[0] == word for test in result.tests.values()) for word in (OK, FAIL, SKIP)]
    host.terminal.out(f"{counts[0]} passed, {counts[1]} failed, {counts[2]} skipped")
    if result.word == SKIPPED:
        host.terminal.say(f"cannot be tested: {result.why}")
    return STATUS[result.word]
