# SPDX-License-Identifier: GPL-2.0
"""The few calls of a run of stress.fuzz with --exact that it takes to fail in the same way.

Calls have numbers, and what a call is depends on its number and the seed only. So the same run is
tried without a half of the calls, then without a quarter, and so on, each time in a fresh guest:
what it does not take to fail goes.
"""
from __future__ import annotations

import asyncio
import re
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Awaitable, Callable, List, Sequence, Tuple

from runner.errors import Failure
from runner.follow import Listener, Test
from runner.host import behind
from runner.results import FAIL, Ledger, Verdict
from runner.signature import symptoms_of
from runner.stress import seconds_of
from runner.suite import Machine, Run

# so many guests take half an hour; with a failure that is a hang, the time is over first
MOST_GUESTS = 200
MOST_SECONDS = 3600
# the first and the last number
Calls = Tuple[int, int]
# what stress/fuzz.c says before it starts a process; of each call, if there are few
PROCESS = re.compile(r"# calls (\d+)-(\d+)$")
CALL = "# call "
LIST = re.compile(r"\d{1,12}(-\d{1,12})?(,\d{1,12}(-\d{1,12})?)*")
# as in stress/fuzz.c: a month of calls
MOST_CALLS = 1 << 36


def parse_calls(text: str) -> List[Calls]:
    """What --calls takes."""
    pairs = [part.split("-") for part in text.split(",")] if LIST.fullmatch(text) else []
    calls = [(int(pair[0]), int(pair[-1])) for pair in pairs]
    if not calls or any(first > last or last >= MOST_CALLS for first, last in calls):
        raise Failure(f"--calls {text}: numbers are wanted, as in 17,4100-4103")
    return merged(calls)


def merged(calls: Sequence[Calls]) -> List[Calls]:
    """In order; what touches or overlaps becomes one."""
    parts: List[Calls] = []
    for first, last in sorted(calls):
        if parts and parts[-1][1] + 1 >= first:
            first, before = parts.pop()
            last = max(last, before)
        parts.append((first, last))
    return parts


def as_text(calls: Sequence[Calls]) -> str:
    """As --calls takes them."""
    return ",".join(str(first) if first == last else f"{first}-{last}"
                    for first, last in merged(calls))


def count(calls: Sequence[Calls]) -> int:
    """How many there are."""
    return sum(last - first + 1 for first, last in calls)


def halves(calls: Calls) -> List[Calls]:
    """Both halves, or a single call."""
    first, last = calls
    middle = (first + last) // 2
    return [calls] if first == last else [(first, middle), (middle + 1, last)]


async def without_needless(calls: Sequence[Calls],
                           fails: Callable[[Sequence[Calls]], Awaitable[bool]]) -> List[Calls]:
    """Of calls that fail those that it takes: without any one of them it would not fail."""
    kept = list(calls)
    while True:
        is_single = all(first == last for first, last in kept)
        kept = [half for part in kept for half in halves(part)]
        before = len(kept)
        for part in list(kept):
            rest = [other for other in kept if other != part]
            if rest and await fails(rest):
                kept = rest
        if is_single and len(kept) == before:
            return kept


def calls_made(said: Sequence[str]) -> List[Calls]:
    """Those of all processes that were begun, from what the program said until it failed."""
    return [(int(found[1]), int(found[2])) for found in map(PROCESS.match, said) if found]


class Enough(Exception):
    """No more guests."""


@dataclass
class Shorter:
    """Looks for the calls."""

    machine: Machine
    test: Test
    # how the whole run failed
    verdict: Verdict
    logs: Path
    # of the whole run
    calls: List[Calls]
    guests: int = 0
    began: float = field(default_factory=time.monotonic)
    is_cut_short: bool = False
    best: List[Calls] = field(default_factory=list)
    # what the best run said of its calls
    said: List[str] = field(default_factory=list)

    async def look(self) -> None:
        """Looks until no call is needless, or it takes too long."""
        self.logs.mkdir(exist_ok=True)
        if await self.fails(self.calls):
            try:
                await without_needless(self.best, self.fails)
            except (Enough, Failure):
                self.is_cut_short = True

    async def fails(self, calls: Sequence[Calls]) -> bool:
        """Does a run of these calls alone fail as the whole run did?"""
        if self.guests == MOST_GUESTS or time.monotonic() > self.began + MOST_SECONDS:
            raise Enough
        self.guests += 1
        left = count(self.best or self.calls)
        self.machine.host.terminal.step("looking for the calls that it takes to fail",
                                        f"guest {self.guests}, {left:,} calls left")
        folder = self.logs / str(self.guests)
        folder.mkdir()
        ledger = Ledger(folder, lambda line: None)
        said: List[str] = []
        words = [*self.test.arguments[:2], as_text(calls)]
        silent = replace(self.machine, host=behind(self.machine.host))
        run = Run(silent, ledger, folder, Listener(on_output=said.append), every_run=True)
        # as the run that failed
        await run.run([replace(self.test, arguments=words)], one_cpu=False)
        verdict = ledger.verdicts.get(self.test.name)
        if not verdict or verdict.result != FAIL or not is_same(verdict, self.verdict):
            return False
        self.best = list(calls)
        self.said = [line[2:] for line in said if line.startswith(CALL)]
        return True

    def lines(self) -> List[str]:
        """What to tell of it."""
        if not self.best:
            return ["it did not fail with its calls chosen by number, so none could be left out"]
        more = "; fewer may do" if self.is_cut_short else ""
        return [f"{count(self.best):,} of {count(self.calls):,} calls are enough to fail so "
                f"({self.guests} guests tried{more}):",
                *(f"  {line}" for line in self.said),
                f"again, with the same kernel and config: {' '.join(self.options())}"]

    def options(self) -> List[str]:
        """Of this run with those calls only."""
        seed, seconds = self.test.arguments[:2]
        near = (f"{int(seconds) / 60 + more / 100:.2f}" for more in range(3))
        minutes = next(text for text in near if seconds_of(float(text), exact=True) == int(seconds))
        return ["--exact", str(seed), "--stress", "fuzz", "--minutes", minutes,
                "--calls", as_text(self.best)]


def is_same(one: Verdict, other: Verdict) -> bool:
    """Did both fail in the same way?"""
    return any(mine.is_like(theirs) for mine in symptoms_of(one) for theirs in symptoms_of(other))


async def shorten(machine: Machine, test: Test, verdict: Verdict, calls: List[Calls],
                  logs: Path) -> List[str]:
    """Which of these calls it takes, in lines."""
    shorter = Shorter(machine, test, verdict, logs, calls)
    try:
        await shorter.look()
    except asyncio.CancelledError:
        # an hour of work is not thrown away
        if shorter.best:
            shorter.is_cut_short = True
            for line in shorter.lines():
                machine.host.terminal.say(line)
        raise
    return shorter.lines()
