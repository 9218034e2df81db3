# SPDX-License-Identifier: GPL-2.0
"""--reintroduce with --exact and --stress: a bug that is a race, looked for by seeds alone.

A seed decides where tasks take turns (guest/schedule.c), and with it how a race ends. One guest after
the other has the next seed, until one fails. That seed has to fail in the same way once more, and
must not without the bug.
"""
from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional, Sequence

from runner.request import Request
from runner.results import FAIL, OK, Ledger, Verdict
from runner.stress import stress_tests
from runner.suite import Exact, Machine, Run

CONSOLE = "console.1"


@dataclass(frozen=True)
class Found:
    """The first seed that fails."""

    seed: int
    # how many it took
    tried: int
    verdict: Verdict
    # the same run again was the same, line by line
    again: bool

    def __str__(self) -> str:
        said = next((line for line in self.verdict.output if line), self.verdict.reason)
        more = "so again, to the last line" if self.again else "ANOTHER END with that seed again"
        return f"seed {self.seed}, the {ordinal(self.tried)}: {said} ({more})"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


@dataclass
class Search:
    """Seeds, tried on kernels that differ in a bug."""

    request: Request
    machine: Machine
    logs: Path

    async def find(self, image: Path, seeds: Sequence[int]) -> Optional[Found]:
        """The first of these seeds with which this kernel fails."""
        for tried, seed in enumerate(seeds, 1):
            verdict = await self._run(image, seed, f"seed-{seed}")
            if verdict.result == FAIL:
                second = await self._run(image, seed, f"seed-{seed}-again")
                same = (verdict.reason, verdict.output) == (second.reason, second.output)
                return Found(seed, tried, verdict, same and self._console(f"seed-{seed}") ==
                             self._console(f"seed-{seed}-again"))
        return None

    async def passes(self, image: Path, seed: int) -> bool:
        """Does it with this kernel?"""
        return (await self._run(image, seed, f"seed-{seed}-without")).result == OK

    def _console(self, name: str) -> bytes:
        return (self.logs / name / CONSOLE).read_bytes()

    async def _run(self, image: Path, seed: int, name: str) -> Verdict:
        folder = self.logs / name
        folder.mkdir(parents=True)
        machine = replace(self.machine, kernel=replace(self.machine.kernel, image=image),
                          exact=Exact(seed, one_cpu=False))
        machine.host.terminal.step(f"{self.logs.name}: seed {seed}")
        with (folder / "output").open("w", encoding="utf-8") as out:
            ledger = Ledger(folder, lambda line: print(line, file=out))
            tests, more = await stress_tests(machine.host, replace(self.request, seed=seed), machine)
            await Run(machine, ledger, folder).run(tests, one_cpu=False, more_programs=more)
        return ledger.verdicts[tests[0].name]
