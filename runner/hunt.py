# SPDX-License-Identifier: GPL-2.0
"""Looks for mutants in guests: which test is tried on which, and what its failure proves.

A guest goes on from one mutant to the next, and what one leaves behind must not count for
another. So a test has caught a mutant if it fails once more, and then passes without it.
"""
from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Deque, Dict, FrozenSet, Iterable, List, Optional, Sequence, Set

from runner.follow import Outcome, Queue, Test
from runner.mutantlist import order
from runner.mutants import PREFIX, Mutant
from runner.results import FAIL, Ledger, Verdict

NUMBER = f"/sys/module/{PREFIX}/parameters/number"
REACHED = f"/sys/module/{PREFIX}/parameters/reached"
# a test that hangs under a mutant is over its time after so many times what it takes without
SLOWER = 10
# tests that caught mutants nearby, which are tried first
NEIGHBOURS = 6
# guests that a mutant can end between two tests
MOST_LOSSES = 2

CAUGHT, SURVIVED, UNREACHED = "caught", "survived", "not reached"
# how judge() of the results begins the reason of a test that is over its time
TOO_LONG = "no end within"
# of a mutant that is listed
EXPECTED, STALE = "listed", "listed, but caught"


@dataclass(frozen=True)
class Trial(Test):
    """A test while a mutant is chosen, or without any."""

    mutant: int = 0
    # wants to know which mutants it reaches
    asks: bool = False

    def around(self, command: str) -> str:
        lines = [f"write {NUMBER}\t{self.mutant}", command]
        if self.asks:
            lines.append(f"read {REACHED}")
        return "\n".join(lines)


@dataclass
class Baseline:
    """What the tests do without a mutant; only those that pass are there."""

    tests: Dict[str, Test] = field(default_factory=dict)
    milliseconds: Dict[str, int] = field(default_factory=dict)
    reach: Dict[str, FrozenSet[int]] = field(default_factory=dict)

    def reaching(self, number: int) -> List[str]:
        """The tests that reach a mutant."""
        return [name for name in self.tests if number in self.reach.get(name, ())]


@dataclass
class Found:
    """What came of a mutant."""

    word: str
    test: str = ""
    why: str = ""
    tried: int = 0
    seconds: float = 0


@dataclass
class Work:
    """A mutant that is looked for."""

    mutant: Mutant
    left: Deque[str]
    # the test that failed in a guest that others had used before
    suspect: str = ""
    # what failed, until that is confirmed
    failed: Optional[Verdict] = None
    # trials that have not ended
    flying: int = 0
    tried: int = 0
    # guests that died between two tests
    losses: int = 0
    done: bool = False
    started: float = field(default_factory=time.monotonic)


class Hunt:
    """All mutants that are to be looked for, shared by the guests side by side."""

    def __init__(self, chosen: Sequence[Mutant], baseline: Baseline, seconds: int,
                 tell: Callable[[Mutant, Found], None] = lambda mutant, found: None) -> None:
        self.baseline = baseline
        self.seconds = seconds
        self._tell = tell
        self.found: Dict[int, Found] = {}
        self.unfit: Set[str] = set()
        self.total = len(chosen)
        self._queue: Deque[Work] = deque()
        self._suspects: Deque[Work] = deque()
        self._catchers: Dict[str, Deque[str]] = {}
        self._all_catchers: "Counter[str]" = Counter()
        for mutant in chosen:
            if baseline.reaching(mutant.number):
                self._queue.append(Work(mutant, deque()))
            else:
                self.found[mutant.number] = Found(UNREACHED)

    @property
    def trials(self) -> int:
        """How many there are at most."""
        return sum(len(self.baseline.reaching(work.mutant.number)) for work in self._queue)

    def is_over(self) -> bool:
        """Is nothing left to be begun?"""
        return not any(not work.done for work in [*self._queue, *self._suspects])

    def begin(self, fresh: bool) -> Optional[Work]:
        """The next mutant for a guest; fresh: no mutant was chosen in it yet."""
        while fresh and self._suspects:
            work = self._suspects.popleft()
            if not work.done:
                return work
        while self._queue and self._queue[0].done:
            self._queue.popleft()
        if not self._queue:
            return None
        work = self._queue.popleft()
        if not work.tried:
            work.left = deque(self._order(work.mutant))
            work.started = time.monotonic()
        return work

    def _order(self, mutant: Mutant) -> List[str]:
        tests = [test for test in self.baseline.reaching(mutant.number) if test not in self.unfit]
        programs = {test: str(self.baseline.tests[test].program) for test in tests}
        return order(tests, self.baseline.milliseconds, programs)

    def pick(self, work: Work) -> str:
        """The next test for a mutant; one that failed for a neighbour, if there is one."""
        near = reversed(self._catchers.get(work.mutant.function, deque()))
        often = [test for test, _ in self._all_catchers.most_common(NEIGHBOURS)]
        for test in [*near, *often]:
            if test in work.left:
                work.left.remove(test)
                return test
        return work.left.popleft()

    def again(self, work: Work, suspect: str = "") -> None:
        """A guest has ended before this mutant was done, or it was not fit for it any more."""
        work.failed, work.flying, work.suspect = None, 0, suspect
        (self._suspects if suspect else self._queue).appendleft(work)

    def remember(self, work: Work, test: str) -> None:
        """A test has failed, so it is likely to see mutants nearby."""
        near = self._catchers.setdefault(work.mutant.function, deque(maxlen=NEIGHBOURS))
        if test in near:
            near.remove(test)
        near.append(test)
        self._all_catchers[test] += 1

    def caught(self, work: Work, test: str, why: str) -> None:
        """A test has caught it."""
        self._close(work, Found(CAUGHT, test, why))

    def is_caught(self, work: Work) -> bool:
        """Has a test caught it already?"""
        found = self.found.get(work.mutant.number)
        return bool(found and found.word == CAUGHT)

    def survived(self, work: Work) -> None:
        """No test has."""
        self._close(work, Found(SURVIVED))

    def _close(self, work: Work, found: Found) -> None:
        work.done = True
        found.tried, found.seconds = work.tried, time.monotonic() - work.started
        self.found[work.mutant.number] = found
        self._tell(work.mutant, found)

    def limit(self, test: str) -> int:
        """Seconds for a test under a mutant."""
        return max(self.seconds, SLOWER * self.baseline.milliseconds.get(test, 0) // 1000)


SEARCH, CONTROL, REPEAT = "search", "control", "repeat"


@dataclass
class Flight:
    """A trial on its way, and what it is for."""

    work: Work
    test: str
    purpose: str
    # a failure decides: the test has just passed here without the mutant
    decisive: bool = False


class Feed(Queue):
    """Hands out the trials of one guest, and takes their verdicts."""

    def __init__(self, hunt: Hunt, folder: Path) -> None:
        super().__init__((), 1)
        self.hunt = hunt
        self.ledger = FeedLedger(folder, self)
        # the guest was lost in the trial whose verdict comes now
        self.is_lost = False
        # the guest is not as it was; it gets nothing more
        self.is_spoiled = False
        # mutants that were chosen here since a test passed without one
        self._used: Set[int] = set()
        self._current: Optional[Work] = None
        self._open: Dict[int, Work] = {}
        self._waiting: Deque[Flight] = deque()
        self._flights: Dict[str, Flight] = {}
        self._past: Dict[str, Flight] = {}
        self._serial = 0

    def take(self, guest: int) -> Optional[Test]:
        if self.is_spoiled:
            return None
        flight = self._next()
        if not flight:
            return None
        work = flight.work
        if flight.purpose == SEARCH:
            work.flying += 1
            work.tried += 1
        self._serial += 1
        test = self.hunt.baseline.tests[flight.test]
        name = f"{flight.test}@{self._serial}"
        self._flights[name] = flight
        number = 0 if flight.purpose == CONTROL else work.mutant.number
        return Trial(name, test.program, test.arguments, self.hunt.limit(flight.test), test.forked,
                     mutant=number)

    def _next(self) -> Optional[Flight]:
        while True:
            if self._waiting:
                return self._waiting.popleft()
            work = self._current
            if work and not work.done and not work.failed and work.left:
                return Flight(work, self.hunt.pick(work), SEARCH)
            work = self._current = self.hunt.begin(fresh=not self._serial)
            if not work:
                return None
            self._open[work.mutant.number] = work
            if work.suspect:
                self._waiting.append(Flight(work, work.suspect, CONTROL))
                self._waiting.append(Flight(work, work.suspect, SEARCH, decisive=True))

    def give_back(self, guest: int, tests: Iterable[Test]) -> None:
        for test in tests:
            flight = self._flights.pop(test.name, None)
            if flight and flight.purpose == SEARCH and not flight.decisive:
                flight.work.flying -= 1
                flight.work.tried -= 1
                flight.work.left.appendleft(flight.test)

    def judged(self, verdict: Verdict) -> None:
        """The verdict of a trial. What follows in a guest that is spoiled says nothing."""
        if self.is_spoiled:
            return
        flight = self._flights.pop(verdict.name, None)
        if not flight:
            self._late(verdict)
            return
        self._past[verdict.name] = flight
        work, failed = flight.work, verdict.result == FAIL
        if flight.purpose == CONTROL:
            if failed:
                self._unsound(flight)
                return
            self._used.clear()
            if work.failed and not work.done:
                self.hunt.caught(work, flight.test, why(work.failed))
            return
        self._used.add(work.mutant.number)
        if flight.purpose == SEARCH:
            self._searched(flight, verdict)
        elif not failed:
            # it fails now and then, for whatever reason
            work.failed = None
            self._put_back(work)

    def _late(self, verdict: Verdict) -> None:
        """The kernel has reported a bug under a trial that had passed."""
        flight = self._past.get(verdict.name)
        if flight and verdict.result == FAIL and flight.purpose != CONTROL and \
                not self.hunt.is_caught(flight.work):
            self.hunt.caught(flight.work, flight.test, why(verdict))

    def _searched(self, flight: Flight, verdict: Verdict) -> None:
        work = flight.work
        work.flying -= 1
        if work.failed or work.done:
            return
        if verdict.result != FAIL:
            if not work.left and not work.flying:
                self.hunt.survived(work)
            return
        self.hunt.remember(work, flight.test)
        if flight.decisive:
            self.hunt.caught(work, flight.test, why(verdict))
            return
        work.failed = verdict
        if not self.is_lost:
            self._waiting.append(Flight(work, flight.test, REPEAT))
            self._waiting.append(Flight(work, flight.test, CONTROL))

    def _unsound(self, flight: Flight) -> None:
        """A test fails without the mutant, too."""
        work = flight.work
        self._waiting.clear()
        self.is_spoiled = True
        if work.suspect == flight.test and not work.failed:
            # in a fresh guest: it is the test
            self.hunt.unfit.add(flight.test)
            work.left = deque(test for test in work.left if test != flight.test)
            self.hunt.again(work)
        else:
            self.hunt.again(work, flight.test)
        self._open.pop(work.mutant.number)

    def _put_back(self, work: Work) -> None:
        """Goes on with a mutant whose failure was none."""
        if work is not self._current:
            self._open.pop(work.mutant.number)
            if work.left:
                self.hunt.again(work)
            else:
                self.hunt.survived(work)
        elif not work.left and not work.flying:
            self.hunt.survived(work)

    def close(self, outcome: Outcome) -> None:
        """The guest has ended; mutants that are not done go to another one."""
        self.give_back(0, [Test(name, Path()) for name in list(self._flights)])
        for number, work in sorted(self._open.items(), reverse=True):
            if work.done:
                continue
            if work.failed:
                test = work.failed.name.split("@")[0]
                if self._used == {number}:
                    # the guest died, or something was left behind, and it is no other's fault
                    self.hunt.caught(work, test, why(work.failed))
                else:
                    self.hunt.again(work, test)
                continue
            if outcome.lost and not outcome.current:
                work.losses += 1
            if work.losses > MOST_LOSSES:
                self.hunt.caught(work, "", f"between two tests {outcome.lost}")
            elif work.left or work.suspect:
                self.hunt.again(work, work.suspect)
            else:
                self.hunt.survived(work)


class FeedLedger(Ledger):
    """Verdicts that go to the feed, and are shown nowhere."""

    def __init__(self, folder: Path, feed: Feed) -> None:
        super().__init__(folder, lambda line: None)
        self._feed = feed

    def record(self, verdict: Verdict) -> None:
        self.verdicts[verdict.name] = verdict
        self._feed.judged(verdict)

    def tell(self, line: str) -> None:
        pass


def why(verdict: Verdict) -> str:
    """Why a test failed, in a line."""
    return verdict.reason or (verdict.output[0].strip() if verdict.output else "")


def judge(found: Found, reason: str) -> str:
    """What to say of a mutant, with the reason for which it is listed."""
    if not reason:
        return found.word
    # that it takes longer depends on the machine, and can be the reason itself
    return STALE if found.word == CAUGHT and not found.why.startswith(TOO_LONG) else EXPECTED
