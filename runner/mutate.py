# SPDX-License-Identifier: GPL-2.0
"""--mutate: is each change of a file of the kernel noticed by a test?

All mutants of a file are in one kernel, and a file of sysfs chooses one. First the tests run
without any, and each tells which mutants it reaches. Then each mutant gets the tests that reach
it, one after another, until one catches it; hunt.py says what that takes.
"""
from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import FrozenSet, Sequence, Tuple

from runner import mutants as files
from runner.build import prepare, take_image
from runner.cache import hash_text
from runner.config import Config, read, read_config
from runner.errors import Failure, UnfitKernel
from runner.follow import Follower, Listener
from runner.guest import GuestPlan, start_guest
from runner.host import Host
from runner.hunt import CAUGHT, EXPECTED, NUMBER, STALE, SURVIVED, UNREACHED, Baseline, Feed, \
    Found, Hunt, Trial, judge
from runner.kernel import Kernel, resolve
from runner.mutantlist import Listed, Selection, read_list
from runner.mutants import Mutant
from runner.programs import Driver, Suite, build_agent, build_driver, build_suite
from runner.regressions import Copy
from runner.request import Request
from runner.results import OK, Ledger
from runner.suite import Machine, Place, Run, no_guest, suite_tests
from runner.terminal import Terminal

LIST = "runner/equivalent.txt"
# What a variable has where its only assignment is left out must not be for the compiler to choose.
# The file behind the preprocessor tells which mutants this config compiles.
FLAGS = "$(call cc-option,-ftrivial-auto-var-init=zero) -save-temps=obj"
# for a test without a mutant
BASELINE_SECONDS = 60
# for the agent, when such a test is over its time; most often the kernel loops and it never comes
PATIENCE = 5
# boots without a test before it counts as the machine's fault
MOST_BOOTS = 3


class QuietTerminal(Terminal):
    """For guests that mutants end all the time."""

    def step(self, what: str, detail: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        pass


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
        listed = read_list(section(read(self.host.root / LIST), self.selection.file),
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
