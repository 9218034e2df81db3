# SPDX-License-Identifier: GPL-2.0
"""--bisect: git bisect in worktrees of its own, of which each revision is a step (step.py).

With --at-once, the revisions that git would take next are tested beside the one that it wants now.
git decides as it does without that: what it does not come to is thrown away.

The logs folder is the session. It holds

    session         what names it: repository, revisions, tests, config
    good/ bad/      the logs of the two ends, and of each step NN-REVISION/; result.json in each
    steps           a line a step that git wanted: revision, verdict, seconds, folder, subject,
                    reason
    tests           those that decide: they pass on GOOD and fail on BAD
    git.log         what git said

What "steps" has is not tested again, so a second call goes on where the first one was interrupted,
whatever has become of git's own state.
"""
from __future__ import annotations

import asyncio
import json
import re
import shutil
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from runner import packages
from runner.build import builds_that_fit
from runner.cache import Logs
from runner.config import read
from runner.errors import Failure, UnfitKernel
from runner.follow import Test
from runner.git import Done, git, last_line
from runner.host import Host
from runner.patches import Patch, apply_patches, read_patches
from runner.request import Environment, Request
from runner.results import FAIL, OK, SKIP
from runner.step import BAD, GOOD, SKIPPED, Laps, StepResult, chosen_tests, test_revision
from runner.suite import guests_that_fit
from runner.terminal import Terminal
from runner.worktrees import OVER, History, Worktrees, find_history, in_thread

# the revision that git wants, and the two of which it would take one next
MOST_AT_ONCE = 3
# seconds between two looks whether there is room for another build
LOOK_SECONDS = 0.2


class NothingToTell(Failure):
    """The two ends cannot be told apart; the same command would find the same."""


class Session:
    """One bisection, in its logs folder."""

    def __init__(self, host: Host, request: Request, history: History,
                 patches: Sequence[Patch] = ()) -> None:
        self.host = host
        self.history = history
        config = request.configs[0] if request.configs else ""
        if config and Path(config).is_file():
            config = str(Path(config).resolve())
        name = "\n".join([str(history.repository), history.good, history.bad, config,
                          str(request.timeout), str(request.repeat), *request.globs,
                          *([] if request.arch.is_native else [f"-a {request.arch.name}"]),
                          *([request.mode, str(request.worse)] if request.mode != "bisect" else []),
                          *(read(file) for file in request.own_files),
                          *([f"--upstream={request.tests_of}"] if request.upstream else []),
                          *(["--bisect-build"] if request.bisect_build else []),
                          *(["--first-parent"] if request.first_parent else []),
                          *(f"--path {path}" for path in request.paths),
                          *(f"--patch {patch.key}" for patch in patches)])
        self.patches = patches
        self.logs = self._find(name) or self._new(name)
        self.request = replace(request, configs=[config] if config else [])
        self.steps = self._read_steps()

    def _find(self, name: str) -> Optional[Logs]:
        """The session of the same arguments, if it did not come to its end."""
        for folder in sorted((self.host.cache.path / "logs").iterdir(), reverse=True):
            session = folder / "session"
            if session.is_file() and not (folder / "finished").exists() and read(session) == name:
                count = len(read(folder / "steps").splitlines())
                self.host.terminal.say(f"going on with {folder}, {count} steps are done")
                return Logs(folder)
        return None

    def _new(self, name: str) -> Logs:
        logs = self.host.cache.new_logs()
        logs.write("steps", "")
        # not to be removed before its end
        logs.keep()
        logs.write("session", name)
        return logs

    def _read_steps(self) -> Dict[str, str]:
        rows = [line.split("\t") for line in read(self.logs.path / "steps").splitlines()]
        return {row[0]: row[1] for row in rows}

    def add_step(self, revision: str, result: StepResult, folder: Path, subject: str) -> None:
        """Writes a step down."""
        self.steps[revision] = result.word
        row = [revision, result.word, str(result.seconds), str(folder), subject, result.why]
        with (self.logs.path / "steps").open("a", encoding="utf-8") as file:
            file.write("\t".join(row) + "\n")

    def git_log(self, done: "Done[str]") -> None:
        """Keeps what git said."""
        with (self.logs.path / "git.log").open("a", encoding="utf-8") as file:
            file.write(done.stdout + done.stderr)

    def finish(self, keep: bool) -> None:
        """It is over, and its logs may go in their time."""
        self.logs.write("finished", "")
        if not keep:
            (self.logs.path / "keep").unlink(missing_ok=True)


class FileTerminal(Terminal):
    """Of a revision under test: progress if it is the one that is waited for, results in a file."""

    def __init__(self, terminal: Terminal, file: Path, shown: bool) -> None:
        super().__init__()
        self.terminal = terminal
        self.file = file
        self.shown = shown
        self.file.touch()

    def step(self, what: str, detail: str = "") -> None:
        if self.shown:
            self.terminal.step(what, detail)

    def clear(self) -> None:
        if self.shown:
            self.terminal.clear()

    def say(self, text: str) -> None:
        if self.shown:
            self.terminal.say(text)
        else:
            self.out(text)

    def out(self, text: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


class Trial:
    """A revision under test."""

    def __init__(self, revision: str, subject: str, folder: Path, tree: Path,
                 terminal: Terminal, ahead: bool) -> None:
        self.revision = revision
        # short, with the commit's subject
        self.subject = subject
        self.folder = folder
        self.tree = tree
        # begun before it is known whether its verdict is needed
        self.ahead = ahead
        # it still is not known
        self.unsure = ahead
        self.terminal = FileTerminal(terminal, folder / "output", not ahead)
        self.begun = time.monotonic()
        self.laps: Optional[Laps] = None
        self.task: Optional[asyncio.Task[StepResult]] = None

    @property
    def short(self) -> str:
        """The revision, for a sentence."""
        return self.subject.split()[0]

    @property
    def is_done(self) -> bool:
        """Has it a verdict?"""
        return bool(self.task and self.task.done())

    @property
    def is_building(self) -> bool:
        """Does it build the kernel, or is it about to?"""
        return not self.is_done and (self.laps is None or self.laps.doing == "build")


class Bisection:
    """The search."""

    def __init__(self, host: Host, session: Session, worktree: Worktrees,
                 tests: Sequence[Test]) -> None:
        self.host = host
        self.session = session
        self.worktree = worktree
        self.tests = list(tests)
        self.folder = session.logs.path
        self.at_once = session.request.at_once
        self.trials: List[Trial] = []

    async def run(self) -> int:
        """Finds the commit; the exit status."""
        try:
            await self.check_ends()
            done = self.worktree.start(self.session.request)
            self.session.git_log(done)
            if done.returncode:
                raise Failure(f"git cannot bisect: {last_line(done)}")
            await self.search()
        finally:
            await self.end(self.trials)
        lines = self.report()
        self.session.logs.write("summary", "".join(f"{line}\n" for line in lines))
        for line in lines:
            self.host.terminal.out(line)
        return 1 if self.candidates() else 0

    async def search(self) -> None:
        """Tells git of one revision after another, until it knows enough."""
        while not self.is_over():
            revision = self.worktree.wanted()
            word = self.session.steps.get(revision) or await self.step(revision)
            if revision in self.worktree.history.bases:
                self.tell_base(revision, word)
            done = await in_thread(lambda: self.worktree.git("bisect", word, revision))
            self.session.git_log(done)
            if done.returncode and not self.is_over():
                raise Failure(f"git cannot bisect: {last_line(done)}; see "
                              f"{self.folder / 'git.log'}")
        await self.drop(self.trials)

    def tell_base(self, revision: str, word: str) -> None:
        """What it means how a merge base of the two ends is."""
        good, bad = self.session.request.ends
        where = f"{revision[:12]}, from which {good} and {bad} both come,"
        if word == BAD:
            raise NothingToTell(
                f"{where} is bad, too: {bad} does not have the bug from a commit of its own, but "
                f"{good} has a fix. To find that, run git bisect with --term-old=broken "
                f"--term-new=fixed between {revision[:12]} and {good}")
        if word == SKIPPED:
            self.host.terminal.say(f"{where} cannot be tested. If it is bad, the commit that is "
                                   "found is not the first bad one")
        else:
            self.host.terminal.say(f"{where} is good: the first bad commit is between it and {bad}")

    def bisect_log(self) -> str:
        """git's, which goes into the session."""
        text = self.worktree.log()
        self.session.logs.write("bisect.log", text)
        return text

    def is_over(self) -> bool:
        """Does git know the commit, or that it cannot be told?"""
        return bool(OVER.search(self.bisect_log()))

    def candidates(self) -> List[str]:
        """Commits that cannot be tested and hide which of them it is."""
        return re.findall(r"^# possible first bad commit: \[(\w+)\]", self.bisect_log(), re.M)

    async def step(self, revision: str) -> str:
        """The verdict of a revision that git wants."""
        number = len(self.session.steps) + 1
        # what it would have wanted after another verdict
        await self.drop([trial for trial in self.trials if trial.revision != revision])
        trial = self.find(revision)
        if trial:
            self.go_on(trial)
        else:
            trial = self.begin(revision, self.step_folder(number, revision))
            self.host.terminal.say(f"testing {trial.subject}")
        await self.look_ahead(trial, number + 1)
        result = await self.result_of(trial)
        self.session.add_step(revision, result, trial.folder, self.worktree.subject(revision))
        return result.word

    def step_folder(self, number: int, revision: str) -> Path:
        """Where the logs of a step go."""
        return self.folder / f"{number:02}-{revision[:12]}"

    async def look_ahead(self, trial: Trial, number: int) -> None:
        """Begins with the revisions of which git will want one, whatever comes of this one."""
        for word in (GOOD, BAD)[:self.at_once - 1]:
            found = await in_thread(lambda: self.worktree.next_after(trial.revision, word))
            if trial.is_done:
                return
            if found and found not in self.session.steps and not self.find(found):
                other = self.begin(found, self.step_folder(number, found), ahead=True)
                self.host.terminal.say(f"  and {other.subject}, in case {trial.short} is {word}")

    def find(self, revision: str) -> Optional[Trial]:
        """A revision that is under test already."""
        return next((trial for trial in self.trials if trial.revision == revision), None)

    def begin(self, revision: str, folder: Path, ahead: bool = False) -> Trial:
        """Tests a revision, in a worktree that is free."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        used = [trial.tree for trial in self.trials]
        tree = next(tree for tree in map(self.worktree.tree, range(MOST_AT_ONCE))
                    if tree not in used)
        trial = Trial(revision, self.worktree.describe(revision), folder, tree,
                      self.host.terminal, ahead)
        trial.task = asyncio.ensure_future(self.test(trial, [*self.trials]))
        self.trials.append(trial)
        return trial

    def go_on(self, trial: Trial) -> None:
        """A revision that was begun in case it is needed, and is."""
        trial.unsure = False
        trial.terminal.shown = True
        self.host.terminal.say(f"going on with {trial.subject}, begun "
                               f"{time.monotonic() - trial.begun:.0f} s ago")

    async def test(self, trial: Trial, others: Sequence[Trial]) -> StepResult:
        """Tests a revision into its folder. The others were begun before, and build before."""
        while sum(other.is_building for other in others) >= builds_that_fit(self.host):
            await asyncio.sleep(LOOK_SECONDS)
        laps = trial.laps = Laps()
        begun = time.time()
        host = replace(self.host, terminal=trial.terminal)
        try:
            await self.worktree.check_out(host, trial.tree, trial.revision)
            laps.end("checkout")
            apply_patches(trial.tree, self.session.patches, trial.folder)
            result = await self.examine(host, trial.tree, trial.folder, laps)
        except UnfitKernel as failure:
            result = StepResult(SKIPPED, laps.seconds, str(laps), str(failure))
        if self.session.patches:
            git(trial.tree, "reset", "-q", "--hard")
        result = replace(result, begun=begun, ended=time.time())
        (trial.folder / "result.json").write_text(json.dumps(asdict(result)), encoding="utf-8")
        return result

    async def result_of(self, trial: Trial) -> StepResult:
        """Waits for the verdict of a revision, and tells of it."""
        assert trial.task
        try:
            result = await trial.task
        except Failure as failure:
            self.trials.remove(trial)
            if not trial.ahead:
                raise
            # it may have lacked the room for two
            self.at_once = 1
            self.host.terminal.say(f"  {failure}; once more, and from here on one revision at a "
                                   "time")
            await self.end(self.trials)
            return await self.result_of(self.begin(trial.revision, trial.folder))
        self.trials.remove(trial)
        took = f" ({result.laps})" if result.laps else ""
        why = f": {result.why}" if result.why else ""
        self.host.terminal.say(f"  {result.word}, {result.seconds} s{took}{why}")
        return result

    async def drop(self, trials: Sequence[Trial]) -> None:
        """Ends what turned out not to be needed."""
        for trial in trials:
            self.host.terminal.say(f"  {trial.short} is not needed")
        await self.end(trials)

    async def end(self, trials: Sequence[Trial]) -> None:
        """Ends these trials. Of those that nobody may need nothing stays."""
        trials = [*trials]
        tasks = [trial.task for trial in trials if trial.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for trial in trials:
            self.trials.remove(trial)
            if trial.unsure:
                shutil.rmtree(trial.folder, ignore_errors=True)

    async def examine(self, host: Host, tree: Path, folder: Path, laps: Laps) -> StepResult:
        """Is what is checked out good?"""
        return await test_revision(host, self.session.request, tree, self.tests, folder, laps)

    async def end_result(self, name: str, ahead: str = "") -> StepResult:
        """Of one end of the history, from before if it has been tested.

        ahead names the other one, which will be wanted if this one is what it is said to be.
        """
        revisions = {BAD: self.worktree.history.bad, GOOD: self.worktree.history.good}
        trial = self.find(revisions[name])
        if not trial and (self.folder / name / "result.json").exists():
            return self.result_in(self.folder / name)
        if trial:
            self.go_on(trial)
        else:
            trial = self.begin(revisions[name], self.folder / name)
            self.host.terminal.say(f"testing {name.upper()} {trial.subject}")
        if ahead and self.at_once > 1 and not (self.folder / ahead / "result.json").exists():
            other = self.begin(revisions[ahead], self.folder / ahead, ahead=True)
            self.host.terminal.say(f"  and {ahead.upper()} {other.subject}")
        return await self.result_of(trial)

    async def check_ends(self) -> None:
        """Is BAD bad and GOOD good? Keeps the tests that tell them apart."""
        good_name, bad_name = self.session.request.ends
        bad = await self.end_result(BAD, ahead=GOOD)
        if self.session.request.bisect_build:
            return await self.check_builds(bad)
        if not bad.tests:
            raise NothingToTell(f"BAD cannot be tested: {bad.why}; see {self.folder / BAD}")
        failing = [name for name, (result, _) in bad.tests.items() if result == FAIL]
        if not failing:
            raise NothingToTell(f"BAD ({bad_name}) is not bad: "
                                f"{skip_reason(bad) or 'the tests pass there'}")
        good = await self.end_result(GOOD)
        if not good.tests:
            raise NothingToTell(f"GOOD cannot be tested: {good.why}; see {self.folder / GOOD}")
        for name, (result, why) in good.tests.items():
            if result == FAIL:
                reason = f": {why}" if why else ""
                raise NothingToTell(f"GOOD ({good_name}) is not good: {name} fails there{reason}; "
                                    f"see {self.folder / GOOD}")
        passing = [name for name, (result, _) in good.tests.items() if result == OK]
        deciding = [name for name in failing if name in passing]
        if any(name.startswith("module.") for name in failing):
            # what the driver's unloading tells can be of any of them
            deciding = passing
        if not deciding:
            skipped = [f"{name} is skipped there: {why}" for name, (result, why)
                       in good.tests.items() if result == SKIP and name in failing]
            raise NothingToTell(f"nothing tells GOOD ({good_name}) from BAD: what fails on BAD does "
                                f"not pass there; {(skipped or [f'see {self.folder / GOOD}'])[0]}")
        self.session.logs.write("tests", "".join(f"{name}\n" for name in deciding))
        self.host.terminal.say("GOOD is good and BAD is bad; deciding: " + " ".join(deciding))
        self.tests = [test for test in self.tests if test.name in deciding] or \
            [Test(name, Path(name)) for name in deciding]

    async def check_builds(self, bad: StepResult) -> None:
        """--bisect-build: GOOD builds and boots, and BAD does not."""
        good_name, bad_name = self.session.request.ends
        if bad.word != BAD:
            raise NothingToTell(f"BAD ({bad_name}) is not bad: "
                                f"{bad.why or 'it builds and boots'}; see {self.folder / BAD}")
        good = await self.end_result(GOOD)
        if good.word != GOOD:
            raise NothingToTell(f"GOOD ({good_name}) is not good: {good.why}; see "
                                f"{self.folder / GOOD}")
        self.session.logs.write("tests", "")
        self.host.terminal.say(f"GOOD builds and boots, and BAD does not: {bad.why}")

    def report(self) -> List[str]:
        """The table of the steps, and the commit."""
        lines = ["", f"{'revision':<13} {'':<5} {'time':>7}  subject"]
        results = []
        history = self.worktree.history
        for word, revision in ((BAD, history.bad), (GOOD, history.good)):
            results.append(self.result_in(self.folder / word))
            lines.append(row(revision, word, results[-1].seconds, self.worktree.subject(revision),
                             ""))
        steps = [line.split("\t") for line in read(self.folder / "steps").splitlines()]
        for revision, word, seconds, folder, subject, why in steps:
            results.append(self.result_in(Path(folder)))
            lines.append(row(revision, word, int(seconds), subject, why))
        lines.append("")
        found = re.search(r"^# first bad commit: \[(\w+)\]", self.bisect_log(), re.M)
        if found:
            shown = "first bad commit: %H%n  %s%n  %an <%ae>, %ad"
            lines += self._log(found[1], shown)
        else:
            lines.append("the first bad commit is one of these; the others of them cannot be tested:")
            for revision in self.candidates():
                lines += self._log(revision, "  %h %s (%an, %ad)")
        tests = "".join(f"{name} " for name in read(self.folder / "tests").split())
        if self.session.request.bisect_build:
            tests = "does it build and boot"
        total = int(time_taken(results))
        rounds = rounds_of(results)
        beside = f", in {rounds} rounds" if rounds < len(results) else ""
        return [*lines, f"decided by: {tests}", f"logs: {self.folder}",
                f"{len(steps)} steps and the two ends in {total // 60} min {total % 60} s{beside}"]

    @staticmethod
    def result_in(folder: Path) -> StepResult:
        """What came of the revision that has this folder."""
        return StepResult(**json.loads(read(folder / "result.json")))

    def _log(self, revision: str, form: str) -> List[str]:
        return self.worktree.git("log", "-1", "--date=iso", f"--format={form}",
                                 revision).stdout.splitlines()


def time_taken(results: Sequence[StepResult]) -> float:
    """Seconds in which at least one of these was under way."""
    total = until = 0.0
    for result in sorted(results, key=lambda result: result.begun):
        total += max(0.0, result.ended - max(result.begun, until))
        until = max(until, result.ended)
    return total


def rounds_of(results: Sequence[StepResult]) -> int:
    """The most of these of which each began after the one before it had ended."""
    rounds = 0
    until = 0.0
    for result in sorted(results, key=lambda result: result.ended):
        if result.begun >= until:
            rounds += 1
            until = result.ended
    return rounds


def skip_reason(result: StepResult) -> str:
    """Why a test was skipped, if one was."""
    found = [f"{name} is skipped: {why}" for name, (word, why) in result.tests.items()
             if word == SKIP]
    return found[-1] if found else ""


def row(revision: str, word: str, seconds: int, subject: str, why: str) -> str:
    """A line of the table."""
    reason = f" ({why})" if why else ""
    return f"{revision[:12]:<13} {word:<5} {seconds:>5} s  {subject}{reason}"


async def bisect(host: Host, request: Request) -> int:
    """--bisect GOOD BAD."""
    await packages.require(host, packages.BISECT)
    history = find_history(request)
    with host.cache.temporary("own") as folder:
        tree = (request.tree or Path(".")).resolve()
        # once, and the same programs for all revisions
        tests = await chosen_tests(host, request, tree, folder)
        return await search(host, request, history, lambda session, worktree: Bisection(
            host, session, worktree, tests))


def revisions_at_once(host: Host, request: Request) -> int:
    """--at-once, or as many as this machine can build and boot at a time."""
    return request.at_once or min(MOST_AT_ONCE, builds_that_fit(host), guests_that_fit(
        host, Environment.read(), [request.arch]))


async def search(host: Host, request: Request, history: History,
                 make: Callable[[Session, Worktrees], Bisection]) -> int:
    """A bisection from its beginning, or where it was interrupted, to its end."""
    request = replace(request, at_once=revisions_at_once(host, request))
    tree = (request.tree or Path(".")).resolve()
    session = Session(host, request, history, read_patches(tree, request.picks, request.patches))
    worktree = Worktrees(host, history, session.logs.path)
    try:
        await worktree.make()
        status = await make(session, worktree).run()
    except NothingToTell:
        close(session, worktree, request.keep)
        raise
    except BaseException:
        host.terminal.say("the same command goes on from here")
        raise
    close(session, worktree, request.keep)
    return status


def close(session: Session, worktree: Worktrees, keep: bool) -> None:
    """The end of a bisection that need not be gone on with."""
    session.finish(keep)
    worktree.remove()
