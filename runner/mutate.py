# SPDX-License-Identifier: GPL-2.0
"""--mutate: is each change of a file of the kernel noticed by a test?

All mutants of a file are in one kernel, and a file of sysfs chooses one. First the tests run
without any, and each tells which mutants it reaches. Then each mutant gets the tests that reach
it, one after another, until one fails. It has caught the mutant if it fails once more, and then
passes without it: guests go on from one mutant to the next, and what one leaves behind must not
count for another.
"""
from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable, Deque, Dict, FrozenSet, Iterable, List, Optional, Sequence, Set, Tuple

from runner import mutants as files
from runner.build import prepare, take_image
from runner.cache import hash_text
from runner.config import Config, read, read_config
from runner.errors import Failure, UnfitKernel
from runner.follow import Follower, Listener, Outcome, Queue, Test
from runner.guest import GuestPlan, start_guest
from runner.host import Host
from runner.kernel import Kernel, resolve
from runner.mutants import Listed, Mutant, Selection
from runner.programs import Driver, Suite, build_agent, build_driver, build_suite
from runner.regressions import Copy
from runner.request import Request
from runner.results import FAIL, OK, Ledger, Verdict
from runner.suite import Machine, Place, Run, no_guest, suite_tests
from runner.terminal import Terminal

LIST = "runner/equivalent.txt"
NUMBER = f"/sys/module/{files.PREFIX}/parameters/number"
REACHED = f"/sys/module/{files.PREFIX}/parameters/reached"
# What a variable has where its only assignment is left out must not be for the compiler to choose.
# The file behind the preprocessor tells which mutants this config compiles.
FLAGS = "$(call cc-option,-ftrivial-auto-var-init=zero) -save-temps=obj"
# for a test without a mutant
BASELINE_SECONDS = 60
# a test that hangs under a mutant is over its time after so many times what it takes without
SLOWER = 10
# for the agent, when such a test is over its time; most often the kernel loops and it never comes
PATIENCE = 5
# boots without a test before it counts as the machine's fault
MOST_BOOTS = 3
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


class QuietTerminal(Terminal):
    """For guests that mutants end all the time."""

    def step(self, what: str, detail: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass


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
        return files.order(tests, self.baseline.milliseconds, programs)

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


@dataclass
class Mutation:
    """The mutants of one file in one kernel."""

    host: Host
    request: Request
    logs: Path
    kernel: Kernel
    driver: Driver
    agent: Path
    suite: Suite
    selection: Selection

    def __post_init__(self) -> None:
        assert self.kernel.source
        self.label = f"{self.selection.file} on linux {self.kernel.release}"
        self.folder = self.logs / self.kernel.release
        self.folder.mkdir()
        try:
            self.mutated = files.mutate(read(self.kernel.source / self.selection.file))
        except Failure as failure:
            raise Failure(f"{self.label}: {failure}") from failure

    async def run(self) -> int:
        """Looks for each; returns how many survive that are not listed, or are listed by mistake."""
        if not any(self.selection.has(mutant) for mutant in self.mutated.mutants):
            raise Failure(f"--mutate {self.selection}: linux {self.kernel.name} has nothing there "
                          "that could be changed")
        image, compiled = await self._build()
        chosen = [mutant for mutant in self.mutated.mutants
                  if mutant.number in compiled and self.selection.has(mutant)]
        if not chosen:
            raise Failure(f"--mutate {self.selection}: nothing is compiled there that could be "
                          "changed")
        config = set(read(self.kernel.build / ".config").splitlines())
        listed = files.read_list(section(read(self.host.root / LIST), self.selection.file),
                                 LIST, config)
        machine = Machine(self.host, replace(self.kernel, image=image), self.driver, self.agent)
        baseline = await self._baseline(machine)
        with (self.folder / "mutants").open("w", encoding="utf-8") as out:
            hunt = Hunt(chosen, baseline, self.request.timeout,
                        lambda mutant, found: print(self._row(mutant, found, listed), file=out,
                                                    flush=True))
            await self._hunt(machine, hunt)
        return self._report(chosen, hunt, listed)

    async def _build(self) -> Tuple[Path, FrozenSet[int]]:
        """The kernel with all mutants, and the numbers of those in it."""
        host, kernel, name = self.host, self.kernel, self.selection.file
        entry = host.cache.entry("mutants", hash_text(f"{kernel.id} {name}\n"))
        image, numbers = entry.path / "image", entry.path / "compiled"
        state = hash_text(f"{kernel.state}\n{FLAGS}\n{self.mutated.text}")
        log = self.folder / "build.log"
        async with entry.make(state, f"building {self.label}", host.terminal) as fresh:
            if fresh:
                async with host.cache.lock(f"copy-{kernel.id}",
                                           f"with the copy of linux {kernel.name}", host.terminal):
                    copy = Copy(host, kernel, host.cache.entry("reintroduce", kernel.id))
                    await copy.make()
                    try:
                        await self._compile(copy, log)
                        await take_image(host, kernel, copy.build, image)
                        temporary = (copy.build / name).with_suffix(".i")
                        found = files.compiled(read(temporary))
                        for suffix in (".i", ".s"):
                            temporary.with_suffix(suffix).unlink()
                    finally:
                        copy.mend()
                numbers.write_text(" ".join(map(str, sorted(found))), encoding="utf-8")
        return image, frozenset(int(number) for number in read(numbers).split())

    async def _compile(self, copy: Copy, log: Path) -> None:
        name = self.selection.file
        copy.patched.touch()
        with self.host.cache.temporary("mutants") as folder:
            file = folder / Path(name).name
            file.write_text(self.mutated.text, encoding="utf-8")
            copy.replace(name, file)
        words = [f"CFLAGS_{Path(name).stem}.o={FLAGS}"]
        if await copy.compile(f"{self.label}: building", log, words):
            raise UnfitKernel(f"{self.label}: the kernel with mutants does not build; see {log}")

    async def _baseline(self, machine: Machine) -> Baseline:
        """The tests without a mutant. Only where they pass does a failure say something."""
        self.host.terminal.step(f"{self.label}: the tests without a mutant")
        folder = self.folder / "without-mutants"
        folder.mkdir()
        tests = suite_tests(self.suite, replace(self.request, timeout=BASELINE_SECONDS))
        baseline = Baseline()

        def on_text(name: str, digits: str) -> None:
            baseline.reach[name] = files.reached(digits)

        with (folder / "output").open("w", encoding="utf-8") as out:
            ledger = Ledger(folder, lambda line: print(line, file=out))
            trials = [Trial(test.name, test.program, test.arguments, test.seconds, test.forked,
                            asks=True) for test in tests]
            await Run(machine, ledger, folder, Listener(on_text=on_text)).run(trials)
        for test in tests:
            verdict = ledger.verdicts.get(test.name)
            if verdict and verdict.result == OK:
                baseline.tests[test.name] = test
                baseline.milliseconds[test.name] = verdict.ms
        failed = ledger.failed()
        if failed:
            self.host.terminal.say(f"note: {len(failed)} tests fail without a mutant, and are left "
                                   f"out: {' '.join(failed[:3])}{' ...' * (len(failed) > 3)}")
        if not baseline.tests:
            raise Failure(f"{self.label}: none of these tests passes without a mutant; see {folder}")
        return baseline

    async def _hunt(self, machine: Machine, hunt: Hunt) -> None:
        """In as many guests as fit."""
        count = machine.guests_for(hunt.trials)
        with self.host.cache.temporary("work") as folder:
            programs = dict.fromkeys(test.program for test in hunt.baseline.tests.values())
            plan = await machine.plan(folder, list(programs), one_cpu=True)
            tasks = [asyncio.ensure_future(self._work(machine, plan, Place(number, count), hunt,
                                                      folder))
                     for number in range(count)]
            try:
                await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, machine: Machine, plan: GuestPlan, place: Place, hunt: Hunt,
                    folder: Path) -> None:
        """One guest after another."""
        number = boots = 0
        while not hunt.is_over():
            number += 1
            console = self.folder / f"console.{place.console(number)}"
            errors = folder / f"qemu.{place.number}.err"
            feed = Feed(hunt, self.folder)
            agent = await start_guest(plan, console, errors)
            follower = Follower(agent, place.number, machine.folder, feed, feed.ledger,
                                QuietTerminal(), self.folder / f"results.{place.number}",
                                Listener(on_end=lambda _: self._show(hunt)),
                                slow=self.kernel.config.guest.slow, patience=PATIENCE,
                                last_words=f"write {NUMBER}\t0\nquit")
            try:
                outcome = await follower.follow()
            finally:
                await agent.stop()
            if outcome.lost and outcome.current:
                feed.is_lost = True
                follower.lost_test()
            feed.close(outcome)
            boots = 0 if follower.handed_out else boots + 1
            if boots > MOST_BOOTS:
                raise no_guest(machine, outcome, console, errors)
            if not outcome.lost:
                console.unlink()
            self._show(hunt)

    def _show(self, hunt: Hunt) -> None:
        words = Counter(found.word for found in hunt.found.values())
        self.host.terminal.step(f"{self.label}: looking for mutants",
                                f"{sum(words.values())} of {hunt.total}, "
                                f"{words[SURVIVED]} survived")

    def _where(self, mutant: Mutant) -> str:
        return f"{self.selection.file}:{mutant.line} {mutant}"

    def _row(self, mutant: Mutant, found: Found, listed: Listed) -> str:
        """Of the file that has all of them, fields with tabs between them."""
        reason = listed.reason(mutant)
        return "\t".join([judge(found, reason), str(mutant.number), self._where(mutant), found.test,
                          str(found.tried), f"{found.seconds:.1f} s", found.why or reason])

    def _report(self, chosen: Sequence[Mutant], hunt: Hunt, listed: Listed) -> int:
        """All in a file, and on the terminal those that want something done."""
        terminal = self.host.terminal
        terminal.clear()
        counts: "Counter[str]" = Counter()
        rows = []
        for mutant in chosen:
            found = hunt.found[mutant.number]
            word = judge(found, listed.reason(mutant))
            counts[word] += 1
            rows.append(self._row(mutant, found, listed))
            if self.request.verbose or word not in (CAUGHT, EXPECTED):
                more = f"  {found.test}" if found.test else ""
                terminal.out(f"{word:<11}  {self._where(mutant)}{more}")
        (self.folder / "mutants").write_text("\n".join([*rows, ""]), encoding="utf-8")
        survivors = counts[SURVIVED] + counts[UNREACHED]
        last = (f"{self.selection} on linux {self.kernel.name}: {len(chosen)} mutants, "
                f"{counts[CAUGHT] + counts[STALE]} caught, {counts[EXPECTED]} listed, "
                f"{survivors} survived")
        if counts[UNREACHED]:
            last += f" ({counts[UNREACHED]} that no test reaches)"
        if counts[STALE]:
            last += f"; {counts[STALE]} of those caught are listed"
        terminal.out(last)
        with (self.logs / "summary").open("a", encoding="utf-8") as file:
            file.write(f"{last}\n")
        return survivors + counts[STALE]


def judge(found: Found, reason: str) -> str:
    """What to say of a mutant, with the reason for which it is listed."""
    if not reason:
        return found.word
    # that it takes longer depends on the machine, and can be the reason itself
    return STALE if found.word == CAUGHT and not found.why.startswith(TOO_LONG) else EXPECTED


def section(text: str, name: str) -> str:
    """The part of the list that is about a file: below its name in brackets."""
    lines, inside = [], False
    for line in text.splitlines():
        if line.startswith("["):
            inside = line.strip() == f"[{name}]"
            line = ""
        # the numbers of the lines stay
        lines.append(line if inside else "")
    return "\n".join(lines)


async def mutate(host: Host, request: Request, kernels: Sequence[str]) -> int:
    """--mutate: the mutants of a file, on each kernel."""
    assert request.mutate
    logs = host.cache.new_logs()
    config = read_config(host.root, request.configs[0] if request.configs else "")
    wrong = 0
    for name in kernels:
        wrong += await mutate_on(host, request, logs.path, name, config)
    host.terminal.out(f"logs: {logs.path}")
    return 1 if wrong else 0


async def mutate_on(host: Host, request: Request, logs: Path, name: str, config: Config) -> int:
    """On one kernel."""
    assert request.mutate
    file = request.mutate.file
    kernel = await resolve(host, name)
    if not kernel.is_ours:
        raise Failure("--mutate builds kernels; -k takes a source tree or a release, not "
                      f"{name}")
    assert kernel.source
    if not (kernel.source / file).is_file():
        raise Failure(f"--mutate {file}: linux {kernel.name} has no such file")
    kernel = await prepare(host, kernel, config)
    if not (kernel.build / file).with_suffix(".o").exists():
        raise Failure(f"--mutate {file}: linux {kernel.name} is built without it")
    driver = await build_driver(host, kernel)
    agent = await build_agent(host)
    await Machine(host, kernel, driver, agent).require()
    suite = await build_suite(host, kernel.source)
    work = Mutation(host, request, logs, kernel, driver, agent, suite, request.mutate)
    return await work.run()
