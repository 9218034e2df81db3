# SPDX-License-Identifier: GPL-2.0
"""Follows one guest: hands tests to its agent, and makes verdicts of what agent and kernel say."""
from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Deque, Dict, Iterable, List, Optional, Sequence, Set

from runner.errors import Failure, UnfitDriver
from runner.guest import Agent
from runner.results import FAIL, OK, SHOWN_OUTPUT, SKIP, Ending, Ledger, Verdict, judge, \
    nested_verdicts, worth_showing
from runner.splats import Console, taint_letters
from runner.terminal import Terminal

BOOT_SECONDS = 60
# a guest that goes on talking while it boots is given so many times as long
BOOT_WAITS = 10
# but one that has said so much reports the same thing for ever; a boot takes a tenth
BOOT_BYTES = 1 << 20
# kmemleak's scans under emulation
LEAK_SECONDS = 1800
# the agent ends a test that is over its time; it gets so long for that
AGENT_SECONDS = 15
# what a slow guest is given more, at least and at most
LEAST_SLOW_SECONDS, MOST_SLOW_SECONDS = 300, 1800
TAIL = 15


@dataclass(frozen=True)
class Test:
    """A test as it is handed out. The second run of a test is NAME@2."""

    name: str
    program: Path
    arguments: Sequence[str] = ()
    seconds: int = 60
    # a program of the suite forks a process for it; others are started
    forked: bool = False
    # a program of the user's own
    own: bool = False
    # the kernel's run_kselftest.sh, whose output has that of a program in it
    nested: bool = False

    @property
    def base(self) -> str:
        """The name without the number of the run."""
        return self.name.split("@")[0]

    def command(self, folder: Optional[Path]) -> str:
        """The agent's command; folder is where the guest has its programs."""
        program = folder / self.program.name if folder else self.program
        if self.forked:
            return f"fork {self.seconds}\t{self.name}\t{program}"
        return "\t".join([f"run {self.seconds}", self.name, str(program), *self.arguments])

    def around(self, command: str) -> str:
        """The command with what the agent has to do before it and after it, a line each."""
        return command


class Queue:
    """Tests that have not been handed out.

    A guest gets several of one program at a time, as they run the same code, which an emulated
    guest has to translate only once. They become fewer towards the end, so that guests end
    together. With one_by_one it gets one, whatever the next ones are. After give_up tests of one
    program that hung or took the guest with them, the others of it are left out, and after four
    times as many of all programs, all others; 0 is never.
    """

    def __init__(self, tests: Iterable[Test], guests: int, one_by_one: bool = False,
                 give_up: int = 0, every_run: bool = False) -> None:
        self._tests: Deque[Test] = deque(tests)
        self._shares: Dict[int, Deque[Test]] = {}
        self._guests = guests
        self._one_by_one = one_by_one
        # a test that has failed need not be repeated
        self.settled: Set[str] = set()
        self._give_up = give_up
        # repeat it anyway
        self._every_run = every_run
        self._losses: Dict[Path, int] = {}

    def lost(self, test: Test) -> None:
        """This one hung, or took the guest with it."""
        self._losses[test.program] = self._losses.get(test.program, 0) + 1

    def is_wanted(self, test: Test) -> bool:
        """Has it still to be run?"""
        given_up = self._give_up and (self._losses.get(test.program, 0) >= self._give_up or
                                      sum(self._losses.values()) >= 4 * self._give_up)
        settled = test.base in self.settled and not self._every_run
        return not settled and not given_up

    def take(self, guest: int) -> Optional[Test]:
        """The next test for this guest."""
        share = self._shares.setdefault(guest, deque())
        while True:
            if not share:
                share.extend(self._next_share())
            if not share:
                return None
            test = share.popleft()
            if self.is_wanted(test):
                return test

    def _next_share(self) -> List[Test]:
        size = 1 if self._one_by_one else max(1, len(self._tests) // (4 * self._guests))
        share: List[Test] = []
        while self._tests and len(share) < size and \
                (not share or self._tests[0].program == share[0].program):
            share.append(self._tests.popleft())
        return share

    def give_back(self, guest: int, tests: Iterable[Test]) -> None:
        """A guest that ended has not begun these."""
        self._shares.setdefault(guest, deque()).extendleft(reversed(list(tests)))

    def is_empty(self, guest: int) -> bool:
        """Is there nothing left for this guest?"""
        return not self.left(guest)

    def left(self, guest: int) -> List[Test]:
        """What this guest would be given, in that order, if it took all."""
        waiting = [*self._shares.get(guest, ()), *self._tests]
        return [test for test in waiting if self.is_wanted(test)]

    def clear(self) -> None:
        """Nothing more is handed out."""
        self._tests.clear()
        self._shares.clear()


@dataclass
class Listener:
    """What the user sees besides verdicts. Each call is optional."""

    verbose: bool = False
    on_output: Optional[Callable[[str], None]] = None
    on_end: Optional[Callable[[Ending], None]] = None
    on_first_test: Optional[Callable[[int], None]] = None
    on_counts: Optional[Callable[[str], None]] = None
    # the name of the last test, and what the agent has read for us
    on_text: Optional[Callable[[str, str], None]] = None


@dataclass
class Outcome:
    """How a guest ended."""

    # why it was lost, empty if it came to its end
    lost: str = ""
    # the test in which it was lost
    current: Optional[Test] = None
    ended: int = 0
    ready: bool = False


@dataclass
class Follower:
    """Follows one guest."""

    agent: Agent
    guest: int
    # where the guest has its programs; None if it is this machine
    folder: Optional[Path]
    queue: Queue
    ledger: Ledger
    terminal: Terminal
    stream: Path
    listener: Listener
    # a guest that is slow to come up
    slow: bool = False
    judged: bool = True
    # how long the agent may take to end a test that is over its time
    patience: int = AGENT_SECONDS
    # our seconds that one of the guest's can take
    slowness: int = 1
    # to the agent, when there are no more tests
    last_words: str = "quit"
    # what the kernel lacks of what a test takes for granted, empty if nothing
    excuse: Callable[[str], str] = lambda name: ""
    outcome: Outcome = field(default_factory=Outcome)

    def __post_init__(self) -> None:
        self.console = Console(self.agent.console)
        self._sent: Deque[Test] = deque()
        self._quit = False
        self._begun = time.monotonic()
        self._output: List[str] = []
        self._taint = self._old_taint = 0
        self._given: List[Test] = []
        # the agent knows the program of the last fork
        self._program: Optional[Path] = None

    @property
    def handed_out(self) -> Sequence[Test]:
        """All tests that this guest has begun."""
        return self._given

    async def follow(self) -> Outcome:
        """Until the guest has done all, or is lost."""
        limit: Optional[float] = BOOT_SECONDS * (3 if self.slow else 1)
        waits, size = 0, 0
        with self.stream.open("a", encoding="utf-8") as stream:
            while True:
                try:
                    line = await self.agent.read(limit)
                except asyncio.TimeoutError:
                    grown = self.agent.console.stat().st_size
                    if not self.outcome.ready and size < grown < BOOT_BYTES and waits < BOOT_WAITS:
                        waits, size = waits + 1, grown
                        continue
                    self.outcome.lost = f"the guest said nothing for {limit:.0f} s"
                    break
                if line is None:
                    if not self._quit or self.folder or self.outcome.current:
                        self.outcome.lost = "the guest died"
                    break
                limit = self._read(line, limit)
                if self.judged and not line.startswith("gcda "):
                    name = f" {self._last_name()}" if line == "begin" else ""
                    stream.write(f"{line}{name}\n")
                if line == "done" or line.startswith("left "):
                    break
        await self.agent.stop()
        self.console.scan()
        if self._given:
            self.console.settle(self._given[-1].name)
        if self.judged:
            self.ledger.consoles.update(self.console.lines_by_test())
        self._late_reports()
        self.queue.give_back(self.guest, self._sent)
        return self.outcome

    def _read(self, line: str, limit: Optional[float]) -> Optional[float]:
        """Acts upon a line; returns how long the next one may take."""
        word, _, rest = line.partition(" ")
        if word == "|":
            self._output.append(rest)
            if self.listener.verbose:
                self.terminal.out(f"      {rest}")
            if self.listener.on_output:
                self.listener.on_output(rest)
        elif word == "ready":
            self.outcome.ready = True
            self._old_taint = self._taint = int(rest) if rest.isdigit() else 0
            self._send_next()
        elif word == "begin":
            return self._begin()
        elif word == "taint":
            self._taint = int(rest)
        elif word == "end":
            self._end(Ending.parse(rest))
        elif word == "left":
            self.terminal.say(f"{self._last_name()} left something behind: {rest}; what is left "
                              "runs in a fresh guest")
        elif word == "leaks":
            return LEAK_SECONDS
        elif word == "gcda" and self.listener.on_counts:
            self.listener.on_counts(rest)
        elif word == "text" and self.listener.on_text:
            self.listener.on_text(self._last_name(), rest)
        elif word == "no":
            raise Failure(f"the guest cannot open {rest}; see {self.agent.console}")
        elif word == "broken":
            for tail in self.console.tail(10):
                self.terminal.say(tail)
            raise UnfitDriver(f"the driver does not load: {rest}; see {self.agent.console}")
        elif word == "busy":
            self.ledger.record(Verdict("module.unload", FAIL, 0, rest))
        elif word == "lockdep":
            self.terminal.say("lockdep has reported and is off; what is left runs in a fresh guest")
        elif word == "beside":
            self.ledger.tell(f"      beside the tests: {rest}")
        elif word == "gone":
            self.ledger.record(Verdict("guest.beside", FAIL, 0,
                                       f"it ended before the tests did: {rest}"))
        return limit

    def _last_name(self) -> str:
        return self._given[-1].name if self._given else "the boot"

    def _send_next(self) -> None:
        """One command is always ahead, so that the agent need not wait for us."""
        test = self.queue.take(self.guest)
        if test:
            self._sent.append(test)
            self.agent.send(self._command(test))
        elif not self._quit:
            self._quit = True
            self.agent.send(self.last_words)

    def _command(self, test: Test) -> str:
        """A line takes time on an emulated guest, so it is short where it can be."""
        same = test.forked and test.program == self._program
        if test.forked:
            self._program = test.program
        return test.around(f"fork {test.seconds}\t{test.name}" if same
                           else test.command(self.folder))

    def _begin(self) -> Optional[float]:
        test = self._sent.popleft()
        if not self._given and self.listener.on_first_test:
            self.listener.on_first_test(int((time.monotonic() - self._begun) * 1000))
        self._given.append(test)
        self.outcome.current = test
        self._begun = time.monotonic()
        self._output = []
        self._send_next()
        return test.seconds + self.patience + self._more_time(test) if test.seconds else None

    def _more_time(self, test: Test) -> int:
        if self.slowness == 1:
            return 0
        more = test.seconds * (self.slowness - 1)
        return max(LEAST_SLOW_SECONDS, min(more, MOST_SLOW_SECONDS))

    def _end(self, ending: Ending) -> None:
        test = self.outcome.current
        assert test
        self.outcome.ended += 1
        self.outcome.current = None
        if ending.how == "timeout":
            self.queue.lost(test)
        if self.judged:
            verdict = self._verdict(test, ending)
            parts = nested_verdicts(test.name, self._output) if test.nested else []
            for part in parts:
                self._record(part)
            failed = any(part.result == FAIL for part in parts)
            # what its lines do not say has to be said
            if not parts or (verdict.result == FAIL and (verdict.reason or not failed)):
                self._record(verdict)
        if self.listener.on_end:
            self.listener.on_end(ending)

    def _verdict(self, test: Test, ending: Ending) -> Verdict:
        """The verdict of the test, and of the kernel under it."""
        verdict = judge(test.name, ending, self._output, test.seconds, test.own)
        self.console.scan()
        excuse = self.excuse(test.name) if verdict.result == FAIL else ""
        report = self.console.reports.get(test.name)
        if excuse and (not report or report.startswith("WARNING:")):
            # what a test asks for instead can be refused with a warning
            self.console.reports.pop(test.name, None)
            self._old_taint = self._taint
            return Verdict(test.name, SKIP, ending.ms, excuse)
        if report and verdict.result != FAIL:
            verdict = Verdict(test.name, FAIL, ending.ms, f"the kernel: {report}")
        if self._taint != self._old_taint:
            if verdict.result != FAIL and test.name not in self.console.excused:
                letters = taint_letters(self._old_taint, self._taint)
                verdict = Verdict(test.name, FAIL, ending.ms, f"the kernel's taint changed: {letters}")
            self._old_taint = self._taint
        if verdict.result == FAIL:
            verdict.output = worth_showing(self._output)
            verdict.report = self.console.name_of(test.name)
            if report:
                verdict.output += self.console.lines_of(test.name)
        return verdict

    def _record(self, verdict: Verdict) -> None:
        if verdict.result == FAIL:
            self.queue.settled.add(verdict.name.split("@")[0])
        self.ledger.record(verdict)

    def lost_test(self) -> None:
        """The verdict of the test in which the guest was lost."""
        test = self.outcome.current
        if test:
            self.queue.lost(test)
        name = test.name if test else "module.unload"
        report = self.console.reports.get(name)
        reason = self.outcome.lost + (f": {report}" if report else "")
        output = self._output[:SHOWN_OUTPUT]
        output += self.console.lines_of(name) if report else self.console.tail(TAIL)
        ms = int((time.monotonic() - self._begun) * 1000) if test and not self.agent.deaf else 0
        self._record(Verdict(name, FAIL, ms, reason, output, self.console.name_of(name)))

    def _late_reports(self) -> None:
        """What the kernel said under a test after that had been counted."""
        boot = self.console.reports.pop("boot", "")
        if boot:
            self.terminal.say(f"note: while it booted the kernel said: {boot}")
        if self.console.races:
            self.terminal.say(f"note: the kernel reported {self.console.races} data races of its "
                              f"own; see {self.agent.console}")
        if not self.judged:
            return
        for name, report in self.console.reports.items():
            verdict = self.ledger.verdicts.get(name)
            # lost_test() has the verdict of a test in which the guest died; module.* are no tests
            if (verdict and verdict.result in (OK, SKIP)) or \
                    (not verdict and name.startswith("module.")):
                self._record(Verdict(name, FAIL, 0, f"the kernel, later: {report}",
                                     self.console.lines_of(name), self.console.name_of(name)))
