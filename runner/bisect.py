# SPDX-License-Identifier: GPL-2.0
"""--bisect: git bisect in a worktree of its own, of which each revision is a step (step.py).

The logs folder is the session. It holds

    session         what names it: repository, revisions, tests, config
    good/ bad/      the logs of the two ends, and of each step NN-REVISION/; result.json in each
    steps           a line a step: revision, verdict, seconds, folder, subject, reason
    tests           those that decide: they pass on GOOD and fail on BAD
    git.log         what git said

What "steps" has is not tested again, so a second call goes on where the first one was interrupted,
whatever has become of git's own state.
"""
from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

from runner import packages
from runner.cache import Logs, hash_text, lock_folder
from runner.config import read
from runner.errors import Failure, UnfitKernel
from runner.follow import Test
from runner.git import Done, add_worktree, commit_of, git, last_line, remove_worktree, repository_of
from runner.host import Host
from runner.patches import Patch, apply_patches, read_patches
from runner.request import Request
from runner.results import FAIL, OK, SKIP
from runner.step import BAD, GOOD, SKIPPED, Laps, StepResult, chosen_tests, test_revision
from runner.terminal import Terminal


class NothingToTell(Failure):
    """The two ends cannot be told apart; the same command would find the same."""


class FileTerminal(Terminal):
    """Shows progress, and writes results into a file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.file.touch()

    def out(self, text: str) -> None:
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{text}\n")


@dataclass(frozen=True)
class History:
    """The repository and its two ends."""

    repository: Path
    good: str
    bad: str
    # where their branches part, if neither comes after the other; git tests these first
    bases: List[str] = field(default_factory=list)


def find_history(request: Request) -> History:
    """The two revisions, checked."""
    tree = request.tree or Path(".")
    good, bad = request.ends
    if not tree.is_dir():
        raise Failure(f"--tree {tree}: no such folder; give a git checkout of the kernel")
    repository = repository_of(tree, "--tree names one")
    commits = [commit_of(tree, name) for name in (good, bad)]
    if commits[0] == commits[1]:
        raise Failure(f"{good} and {bad} are the same commit")
    if git(tree, "merge-base", "--is-ancestor", *commits).returncode:
        if not git(tree, "merge-base", "--is-ancestor", *reversed(commits)).returncode:
            raise Failure(f"{good} comes after {bad}; the good revision is given first, and has to "
                          "be the older one")
        bases = git(tree, "merge-base", "--all", *commits).stdout.split()
        if not bases:
            raise Failure(f"{good} and {bad} have no commit in common")
        return History(repository, commits[0], commits[1], bases)
    return History(repository, commits[0], commits[1])


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


class Worktree:
    """The worktree: one for each repository, so that ccache knows its paths."""

    def __init__(self, host: Host, history: History, session: Path) -> None:
        self.host = host
        self.history = history
        self.home = host.cache.path / "bisect" / hash_text(f"{history.repository}\n")
        self.tree = self.home / "tree"
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._handle = lock_folder(self.home)
        except Failure as failure:
            raise Failure("another bisection of this repository is under way; wait for its end") \
                from failure
        self._session = session

    def git(self, *words: str) -> "Done[str]":
        """git in the worktree."""
        return git(self.tree, *words)

    async def make(self) -> None:
        """Checks it out, or cleans what a run that was killed has left."""
        owner = self.home / "session"
        if not self.tree.is_dir() or self.git("rev-parse", "-q", "--verify", "HEAD").returncode:
            owner.unlink(missing_ok=True)
            await add_worktree(self.host, self.history.repository, self.tree, self.history.bad,
                               "checking out a worktree")
        for name in ("index.lock", "HEAD.lock"):
            lock = self.git("rev-parse", "--path-format=absolute", "--git-path", name)
            Path(lock.stdout.strip()).unlink(missing_ok=True)
        self.git("reset", "-q", "--hard")
        # git's state in it is of another session, or nobody's
        if not owner.exists() or read(owner) != str(self._session):
            self.git("bisect", "reset", "HEAD")
            owner.write_text(str(self._session), encoding="utf-8")

    def remove(self) -> None:
        """Nothing of it stays in the user's repository."""
        remove_worktree(self.history.repository, self.tree)

    def subject(self, revision: str) -> str:
        """Of a commit."""
        return self.git("log", "-1", "--format=%s", revision).stdout.strip()


class Bisection:
    """The search."""

    def __init__(self, host: Host, session: Session, worktree: Worktree,
                 tests: Sequence[Test]) -> None:
        self.host = host
        self.session = session
        self.worktree = worktree
        self.tests = list(tests)
        self.folder = session.logs.path

    async def run(self) -> int:
        """Finds the commit; the exit status."""
        await self.check_ends()
        if self.worktree.git("bisect", "log").returncode:
            request = self.session.request
            words = ["--first-parent"] if request.first_parent else []
            done = self.worktree.git("bisect", "start", *words, self.worktree.history.bad,
                                     self.worktree.history.good, "--", *request.paths)
            self.session.git_log(done)
            if done.returncode:
                raise Failure(f"git cannot bisect: {last_line(done)}")
        while not self.is_over():
            revision = self.worktree.git("rev-parse", "HEAD").stdout.strip()
            word = self.session.steps.get(revision) or await self.step(revision)
            if revision in self.worktree.history.bases:
                self.tell_base(revision, word)
            done = self.worktree.git("bisect", word)
            self.session.git_log(done)
            if done.returncode and not self.is_over():
                raise Failure(f"git cannot bisect: {last_line(done)}; see "
                              f"{self.folder / 'git.log'}")
        lines = self.report()
        self.session.logs.write("summary", "".join(f"{line}\n" for line in lines))
        for line in lines:
            self.host.terminal.out(line)
        return 1 if self.candidates() else 0

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
        text = self.worktree.git("bisect", "log").stdout
        self.session.logs.write("bisect.log", text)
        return text

    def is_over(self) -> bool:
        """Does git know the commit, or that it cannot be told?"""
        return bool(re.search(r"^# (possible )?first bad commit", self.bisect_log(), re.M))

    def candidates(self) -> List[str]:
        """Commits that cannot be tested and hide which of them it is."""
        return re.findall(r"^# possible first bad commit: \[(\w+)\]", self.bisect_log(), re.M)

    async def step(self, revision: str) -> str:
        """Tests a revision that is checked out."""
        number = len(self.session.steps) + 1
        folder = self.folder / f"{number:02}-{revision[:12]}"
        result = await self.test(folder, "")
        self.session.add_step(revision, result, folder, self.worktree.subject(revision))
        return result.word

    async def test(self, folder: Path, end: str) -> StepResult:
        """Tests what is checked out into a folder, and tells of it."""
        laps = Laps()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        name = f"{end} " if end else ""
        self.host.terminal.say(
            f"testing {name}{self.worktree.git('log', '-1', '--format=%h %s').stdout.strip()}")
        host = replace(self.host, terminal=FileTerminal(folder / "output"))
        try:
            apply_patches(self.worktree.tree, self.session.patches, folder)
            result = await self.examine(host, folder, laps)
        except UnfitKernel as failure:
            result = StepResult(SKIPPED, laps.seconds, str(laps), str(failure))
        if self.session.patches:
            self.worktree.git("reset", "-q", "--hard")
        (folder / "result.json").write_text(json.dumps(asdict(result)), encoding="utf-8")
        took = f" ({result.laps})" if result.laps else ""
        why = f": {result.why}" if result.why else ""
        self.host.terminal.say(f"  {result.word}, {result.seconds} s{took}{why}")
        return result

    async def examine(self, host: Host, folder: Path, laps: Laps) -> StepResult:
        """Is what is checked out good?"""
        return await test_revision(host, self.session.request, self.worktree.tree, self.tests,
                                   folder, laps)

    async def end_result(self, name: str, revision: str) -> StepResult:
        """Of one end of the history, from before if it has been tested."""
        folder = self.folder / name
        file = folder / "result.json"
        if file.exists():
            return StepResult(**json.loads(read(file)))
        done = self.worktree.git("checkout", "-q", "--detach", revision)
        self.session.git_log(done)
        if done.returncode:
            raise Failure(f"git cannot check out {revision}: {last_line(done)}")
        return await self.test(folder, name.upper())

    async def check_ends(self) -> None:
        """Is BAD bad and GOOD good? Keeps the tests that tell them apart."""
        good_name, bad_name = self.session.request.ends
        bad = await self.end_result(BAD, self.worktree.history.bad)
        if self.session.request.bisect_build:
            return await self.check_builds(bad)
        if not bad.tests:
            raise NothingToTell(f"BAD cannot be tested: {bad.why}; see {self.folder / BAD}")
        failing = [name for name, (result, _) in bad.tests.items() if result == FAIL]
        if not failing:
            raise NothingToTell(f"BAD ({bad_name}) is not bad: "
                                f"{skip_reason(bad) or 'the tests pass there'}")
        good = await self.end_result(GOOD, self.worktree.history.good)
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
        good = await self.end_result(GOOD, self.worktree.history.good)
        if good.word != GOOD:
            raise NothingToTell(f"GOOD ({good_name}) is not good: {good.why}; see "
                                f"{self.folder / GOOD}")
        self.session.logs.write("tests", "")
        self.host.terminal.say(f"GOOD builds and boots, and BAD does not: {bad.why}")

    def report(self) -> List[str]:
        """The table of the steps, and the commit."""
        lines = ["", f"{'revision':<13} {'':<5} {'time':>7}  subject"]
        total = 0
        for word, revision in ((BAD, self.worktree.history.bad), (GOOD, self.worktree.history.good)):
            result = StepResult(**json.loads(read(self.folder / word / "result.json")))
            total += result.seconds
            lines.append(row(revision, word, result.seconds, self.worktree.subject(revision), ""))
        steps = [line.split("\t") for line in read(self.folder / "steps").splitlines()]
        for revision, word, seconds, _, subject, why in steps:
            total += int(seconds)
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
        return [*lines, f"decided by: {tests}", f"logs: {self.folder}",
                f"{len(steps)} steps and the two ends in {total // 60} min {total % 60} s"]

    def _log(self, revision: str, form: str) -> List[str]:
        return self.worktree.git("log", "-1", "--date=iso", f"--format={form}",
                                 revision).stdout.splitlines()


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


async def search(host: Host, request: Request, history: History,
                 make: Callable[[Session, Worktree], Bisection]) -> int:
    """A bisection from its beginning, or where it was interrupted, to its end."""
    tree = (request.tree or Path(".")).resolve()
    session = Session(host, request, history, read_patches(tree, request.picks, request.patches))
    worktree = Worktree(host, history, session.logs.path)
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


def close(session: Session, worktree: Worktree, keep: bool) -> None:
    """The end of a bisection that need not be gone on with."""
    session.finish(keep)
    worktree.remove()
