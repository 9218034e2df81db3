# SPDX-License-Identifier: GPL-2.0
"""--reintroduce with --exact and --stress: a bug that is a race, looked for by seeds alone.

A seed decides where tasks take turns (guest/schedule.c), and with it how a race ends. One guest after
the other has the next seed, until one fails that does so in the same way once more, and not without
the bug.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import List, Optional, Sequence

from runner.request import Request
from runner.results import FAIL, OK, SKIP, Ledger, Verdict
from runner.stress import stress_tests
from runner.suite import Exact, Machine, Run

CONSOLE = "console.1"


# a program's last word
SAID = re.compile(r"# stress\.")


@dataclass(frozen=True)
class Found:
    """The first seed that finds the bug."""

    seed: int
    # how many it took
    tried: int
    verdict: Verdict

    def __str__(self) -> str:
        said = [line for line in self.verdict.output if SAID.match(line)]
        return f"seed {self.seed}, the {ordinal(self.tried)}: {(said or [self.verdict.reason])[-1]}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number % 100 in (11, 12, 13) else ending}"


class NothingToFind(Exception):
    """The program cannot run on this kernel; with the reason."""


@dataclass
class Search:
    """Seeds, tried on two kernels that differ in a bug."""

    request: Request
    machine: Machine
    logs: Path
    # of seeds that failed and found nothing
    notes: List[str] = field(default_factory=list)

    async def find(self, image: Path, seeds: Sequence[int]) -> Optional[Found]:
        """The first of these seeds with which the kernel with the bug fails, each time."""
        for tried, seed in enumerate(seeds, 1):
            verdict = await self._run(image, seed, f"seed-{seed}")
            if verdict.result == SKIP:
                raise NothingToFind(verdict.reason)
            if verdict.result != FAIL:
                continue
            again = await self._run(image, seed, f"seed-{seed}-again")
            if not self._is_same(seed, verdict, again):
                self.notes.append(f"seed {seed} failed and had another end when it was run again")
            elif (await self._run(self.machine.kernel.image, seed,
                                  f"seed-{seed}-without")).result == OK:
                return Found(seed, tried, verdict)
            else:
                self.notes.append(f"seed {seed} fails without the bug, too")
        return None

    def _is_same(self, seed: int, verdict: Verdict, again: Verdict) -> bool:
        """Two runs with the same seed: did they end alike, to the last line of the console?"""
        consoles = [(self.logs / name / CONSOLE).read_bytes()
                    for name in (f"seed-{seed}", f"seed-{seed}-again")]
        return consoles[0] == consoles[1] and \
            (verdict.reason, verdict.output) == (again.reason, again.output)

    async def _run(self, image: Path, seed: int, name: str) -> Verdict:
        """The first failure, or the verdict on the program."""
        folder = self.logs / name
        folder.mkdir(parents=True)
        machine = replace(self.machine, kernel=replace(self.machine.kernel, image=image),
                          exact=Exact(seed, one_cpu=False))
        machine.host.terminal.step(f"{self.logs.name}: seed {seed}")
        with (folder / "output").open("w", encoding="utf-8") as out:
            ledger = Ledger(folder, lambda line: print(line, file=out))
            tests, more = await stress_tests(machine.host, replace(self.request, seed=seed), machine)
            await Run(machine, ledger, folder, patient=True).run(tests, one_cpu=False,
                                                                 more_programs=more)
        failed = ledger.failed()
        return ledger.verdicts[failed[0] if failed else tests[0].name]
