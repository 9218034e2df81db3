# SPDX-License-Identifier: GPL-2.0
"""--bisect with a real git and no kernel: a revision is a word in a file, which says its verdict."""
from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import List, Optional, Sequence, Tuple
from unittest import mock

from runner.bisect import Bisection, NothingToTell, Session, Trial, revisions_at_once, rounds_of, \
    search, time_taken
from runner.cache import Cache
from runner.errors import Failure, UnfitKernel
from runner.follow import Test
from runner.host import Host
from runner.request import Request
from runner.results import FAIL, OK, SKIP
from runner.step import BAD, GOOD, SKIPPED, Laps, StepResult
from runner.terminal import Terminal
from runner.worktrees import Worktrees, find_history

ROOT = Path(__file__).resolve().parents[2]
VERDICTS = {"pass": (GOOD, OK), "fail": (BAD, FAIL), "skip": (SKIPPED, SKIP)}


class QuietTerminal(Terminal):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__()
        self.said: List[str] = []

    def step(self, what: str, detail: str = "") -> None:
        pass

    def say(self, text: str) -> None:
        self.said.append(text)

    out = say


class WordBisection(Bisection):
    """A revision is what its word says. Nothing depends on how fast the machine is."""

    # revisions that were looked at, those that came to their end, and how many at once
    begun: List[str] = []
    ended: List[str] = []
    most = building = most_building = 0
    # a revision that may not be needed ends before the one beside it, or else goes on until it is
    hasty = True
    wait_for_another = False
    # the first one that is looked at beside another one fails so
    trouble: Optional[Failure] = None

    def __init__(self, host: Host, session: Session, worktree: Worktrees,
                 tests: Sequence[Test]) -> None:
        super().__init__(host, session, worktree, tests)
        self.looked: List[Trial] = []

    async def look_ahead(self, trial: Trial, number: int) -> None:
        await super().look_ahead(trial, number)
        self.looked.append(trial)

    def may_end(self, trial: Trial) -> bool:
        """Is it this one's turn?"""
        if trial.unsure:
            return self.hasty
        others = [other for other in self.trials if other.unsure]
        is_end = trial.folder.name in (GOOD, BAD)
        return (is_end or trial in self.looked) and \
            (not self.hasty or all(other.is_done for other in others))

    async def examine(self, host: Host, tree: Path, folder: Path, laps: Laps) -> StepResult:
        name = (tree / "n").read_text(encoding="utf-8").strip()
        word = (tree / "word").read_text(encoding="utf-8").split()[0]
        [trial] = [trial for trial in self.trials if trial.tree == tree]
        cls = WordBisection
        cls.begun.append(name)
        cls.most = max(cls.most, len(self.trials))
        if cls.trouble and trial.ahead:
            trouble, cls.trouble = cls.trouble, None
            raise trouble
        cls.building += 1
        cls.most_building = max(cls.most_building, cls.building)
        try:
            await asyncio.sleep(0.02)
            # until another one builds, too
            end = time.monotonic() + 60
            while cls.wait_for_another and cls.most_building < 2 and time.monotonic() < end:
                await asyncio.sleep(0.01)
            if word == "broken":
                while not self.may_end(trial):
                    await asyncio.sleep(0.01)
                raise UnfitKernel("the kernel does not build")
        finally:
            cls.building -= 1
        laps.doing = "guest"
        while not self.may_end(trial):
            await asyncio.sleep(0.01)
        cls.ended.append(name)
        verdict, result = VERDICTS[word]
        return StepResult(verdict, laps.seconds, "", "", {"test": [result, ""]})


class BisectTest(unittest.TestCase):
    """Histories of a word a commit."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.repository = self.folder / "repo"
        self.terminal = QuietTerminal()
        self.host = Host(ROOT, Cache(self.folder / "cache", self.terminal), self.terminal)
        self.host.jobs = 64
        author = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                  for what, value in (("NAME", "A Developer"), ("EMAIL", "dev@example.org"))}
        patcher = mock.patch.dict(os.environ, author)
        patcher.start()
        self.addCleanup(patcher.stop)
        WordBisection.trouble = None
        WordBisection.hasty = True
        WordBisection.wait_for_another = False
        self.runs = 0
        self.forget()

    @staticmethod
    def forget() -> None:
        """What was counted."""
        WordBisection.begun, WordBisection.ended = [], []
        WordBisection.most = WordBisection.building = WordBisection.most_building = 0

    def git(self, *words: str) -> str:
        """In the user's repository."""
        return subprocess.run(["git", "-C", str(self.repository), *words], check=True, text=True,
                              capture_output=True).stdout.strip()

    def commit(self, word: str, name: str) -> None:
        """A commit with a tag."""
        (self.repository / "word").write_text(f"{word}\n", encoding="utf-8")
        (self.repository / "n").write_text(f"{name}\n", encoding="utf-8")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", f"{name}: {word}")
        self.git("tag", name)

    def history(self, *words: str) -> None:
        """A commit a word, with the tags c1, c2, ..."""
        self.repository.mkdir()
        self.git("init", "-q")
        for number, word in enumerate(words, 1):
            self.commit(word, f"c{number}")

    def bisect(self, good: str, bad: str, at_once: int, fresh: bool = True,
               **more: object) -> Tuple[int, str]:
        """The exit status, and the commit that was found."""
        self.terminal.said = []
        self.forget()
        if fresh:
            # logs are named by the second
            self.runs += 1
            self.host.cache = Cache(self.folder / f"cache.{self.runs}", self.terminal)
        request = Request(mode="bisect", tree=self.repository, ends=(good, bad), globs=["test"],
                          at_once=at_once, **more)  # type: ignore[arg-type]
        status = asyncio.run(search(self.host, request, find_history(request),
                                    lambda session, worktree: WordBisection(
                                        self.host, session, worktree, ())))
        self.nothing_left()
        found = [line.split()[-1] for line in self.terminal.said
                 if line.startswith("first bad commit: ")]
        return status, self.git("log", "-1", "--format=%s", found[0]) if found else ""

    def nothing_left(self) -> None:
        """No worktree in the user's repository or in the cache, nothing of git bisect."""
        self.assertEqual(1, len(self.git("worktree", "list").splitlines()))
        self.assertEqual("", self.git("for-each-ref", "refs/bisect"))
        self.assertEqual([], [path for path in self.folder.glob("cache*/bisect/*/*")
                              if path.is_dir()])

    def steps(self) -> List[str]:
        """The revisions of the last run's table."""
        logs = [line for line in self.terminal.said if line.startswith("logs: ")][0][6:]
        text = (Path(logs) / "steps").read_text(encoding="utf-8")
        folders = [path for path in Path(logs).iterdir() if path.is_dir()]
        # nothing stays of what was not needed
        self.assertEqual(len(text.splitlines()) + 2, len(folders), folders)
        return [line.split("\t")[4].split(":")[0] for line in text.splitlines()]

    def rounds(self) -> int:
        """How many steps one after another the last run took."""
        last = self.terminal.said[-1]
        number = last.rpartition(", in ")[2].split()[0] if "rounds" in last else ""
        return int(number or int(last.split()[0]) + 2)

    def test_same_steps_in_fewer_rounds(self) -> None:
        self.history(*["pass"] * 8, *["fail"] * 8)
        rounds = {}
        for number in (1, 2, 3):
            self.assertEqual((0, "c9: fail"), self.bisect("c1", "c16", number))
            self.assertEqual(["c8", "c12", "c10", "c9"], self.steps())
            self.assertEqual(number, WordBisection.most)
            rounds[number] = self.rounds()
        # Both ends are a round. With two at once c12 is begun in case that c8 is good, and c11, which
        # is not needed, in case that c10 is good. With three, c9 is begun beside c10.
        self.assertEqual({1: 6, 2: 4, 3: 3}, rounds)

    def test_one_that_is_needed_is_not_begun_again(self) -> None:
        WordBisection.hasty = False
        self.history(*["pass"] * 8, *["fail"] * 8)
        self.assertEqual((0, "c9: fail"), self.bisect("c1", "c16", 3))
        self.assertEqual(["c8", "c12", "c10", "c9"], self.steps())
        self.assertEqual(len(WordBisection.begun), len(set(WordBisection.begun)))
        # nothing that was not needed came to its end
        self.assertEqual({"c1", "c16", "c8", "c12", "c10", "c9"}, set(WordBisection.ended))

    def test_what_is_said(self) -> None:
        self.history("pass", "pass", "pass", "fail", "fail")
        self.bisect("c1", "c5", 3)
        short = {f"c{number}": self.git("rev-parse", "--short", f"c{number}")
                 for number in range(1, 6)}
        lines = [re.sub(r"begun \d+ s", "begun 0 s", line) for line in self.terminal.said if not line.startswith(("  good,", "  bad,"))]
        self.assertEqual([
            f"testing BAD {short['c5']} c5: fail",
            f"  and GOOD {short['c1']} c1: pass",
            f"going on with {short['c1']} c1: pass, begun 0 s ago",
            "GOOD is good and BAD is bad; deciding: test",
            f"testing {short['c3']} c3: pass",
            f"  and {short['c4']} c4: fail, in case {short['c3']} is good",
            f"  and {short['c2']} c2: pass, in case {short['c3']} is bad",
            f"  {short['c2']} is not needed",
            f"going on with {short['c4']} c4: fail, begun 0 s ago"], lines[:9])

    def test_one_at_a_time_is_silent_about_it(self) -> None:
        self.history("pass", "pass", "fail", "fail")
        self.bisect("c1", "c4", 1)
        self.assertFalse([line for line in self.terminal.said
                          if line.startswith(("  and ", "going on")) or
                          line.endswith((" is not needed", " rounds"))])

    def test_revisions_that_do_not_build(self) -> None:
        # c5 is wanted first; it and what is begun beside others do not build
        self.history("pass", "pass", "pass", "pass", "broken", "pass", "broken", "fail", "fail")
        first = self.bisect("c1", "c9", 1)
        steps = self.steps()
        for number in (2, 3):
            self.assertEqual(first, self.bisect("c1", "c9", number))
            self.assertEqual(steps, self.steps())
        self.history_hidden()

    def history_hidden(self) -> None:
        """Commits that cannot be tested hide the first bad one, also of several at once."""
        for name, word in (("d1", "pass"), ("d2", "broken"), ("d3", "broken"), ("d4", "fail")):
            self.commit(word, name)
        for number in (1, 3):
            self.assertEqual((1, ""), self.bisect("d1", "d4", number))
            self.assertEqual(3, len([line for line in self.terminal.said
                                     if line[:2] == "  " and line.split()[1][:1] == "d"
                                     and "(A Developer" in line]))

    def test_trouble_of_one_that_is_not_needed_yet(self) -> None:
        # GOOD is begun beside BAD, and lacks something: it is done once more alone
        self.history("pass", "pass", "pass", "fail", "fail")
        WordBisection.trouble = Failure("the disk is full")
        self.assertEqual((0, "c4: fail"), self.bisect("c1", "c5", 2))
        self.assertIn("  the disk is full; once more, and from here on one revision at a time",
                      self.terminal.said)
        self.assertEqual(4, self.rounds())
        self.assertEqual(2, WordBisection.begun.count("c1"))

    def test_builds_one_after_another_on_few_cores(self) -> None:
        self.history("pass", "pass", "pass", "pass", "fail", "fail")
        self.host.jobs = 4
        self.assertEqual((0, "c5: fail"), self.bisect("c1", "c6", 3))
        self.assertEqual(1, WordBisection.most_building)
        self.host.jobs = 20
        WordBisection.wait_for_another = True
        self.bisect("c1", "c6", 3)
        self.assertEqual(2, WordBisection.most_building)

    def test_wrong_ends(self) -> None:
        self.history("pass", "fail", "pass")
        for number in (1, 3):
            with self.assertRaisesRegex(NothingToTell, r"BAD \(c3\) is not bad"):
                self.bisect("c1", "c3", number)
            self.nothing_left()
            with self.assertRaisesRegex(Failure, r"GOOD \(c2\) is not good"):
                self.commit("fail", f"c{number + 4}")
                self.bisect("c2", f"c{number + 4}", number)
            self.nothing_left()

    def test_goes_on_where_it_was_interrupted(self) -> None:
        self.history(*["pass"] * 6, *["fail"] * 6)
        request = Request(mode="bisect", tree=self.repository, ends=("c1", "c12"), globs=["test"],
                          at_once=3)

        async def interrupted() -> None:
            task = asyncio.ensure_future(search(
                self.host, request, find_history(request), lambda session, worktree: WordBisection(
                    self.host, session, worktree, ())))
            # both ends and a step have ended, and what follows has begun
            while len(WordBisection.ended) < 3 or len(WordBisection.begun) < 6:
                await asyncio.sleep(0.01)
            task.cancel()
            await task
        # in a process of its own, with which its locks end
        child = os.fork()
        if not child:
            try:
                WordBisection.hasty = False
                asyncio.run(interrupted())
            except asyncio.CancelledError:
                said = "the same command goes on from here" in self.terminal.said
                os._exit(7 if said else 1)
            finally:
                os._exit(2)
        self.assertEqual(7, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        self.assertEqual((0, "c7: fail"), self.bisect("c1", "c12", 2, fresh=False))
        self.assertTrue(self.terminal.said[0].startswith("going on with "))
        self.assertNotIn("c1", WordBisection.begun)
        self.assertNotIn("c12", WordBisection.begun)
        steps = self.steps()
        self.assertEqual(len(steps), len(set(steps)))

    def test_branches_paths_and_patches(self) -> None:
        self.history("pass", "pass", "pass", "fail", "fail")
        self.git("checkout", "-q", "-b", "stable", "c2")
        self.commit("pass", "s1")
        for number in (1, 3):
            self.assertEqual((0, "c4: fail"), self.bisect("s1", "c5", number))
            # the merge base is tested first
            self.assertEqual(["c2", "c4", "c3"], self.steps())
        # a merge whose branch has the bug
        self.git("checkout", "-q", "-b", "topic", "c1")
        self.commit("pass", "t1")
        self.commit("fail", "t2")
        self.git("checkout", "-q", "-b", "main", "c2")
        self.git("merge", "-q", "--no-ff", "-X", "theirs", "-m", "merge topic", "topic")
        for number in (1, 3):
            self.assertEqual((0, "merge topic"),
                             self.bisect("c1", "main", number, first_parent=True))
            self.assertEqual((0, "t2: fail"), self.bisect("c1", "main", number))
        # commits that change another file only
        self.git("checkout", "-q", "master")
        for number in (1, 3):
            self.assertEqual((0, "c4: fail"), self.bisect("c1", "c5", number, paths=["word"]))
            self.assertEqual(["c4"], self.steps())

    def test_patch_at_each_step(self) -> None:
        rest = "\n1\n2\n3\n4"
        self.history(*[f"{word}{rest}" for word in ("pass", "pass", "pass", "fail", "fail")])
        patch = self.folder / "mend.patch"
        patch.write_text("--- a/word\n+++ b/word\n@@ -2,4 +2,5 @@\n 1\n 2\n 3\n 4\n+mended\n",
                         encoding="utf-8")
        for number in (1, 3):
            self.assertEqual((0, "c4: fail 1 2 3 4"),
                             self.bisect("c1", "c5", number, patches=[patch]))


class TimeTest(unittest.TestCase):
    """What several at once take."""

    @staticmethod
    def results(*spans: Sequence[float]) -> List[StepResult]:
        return [StepResult(GOOD, 0, begun=begun, ended=ended) for begun, ended in spans]

    def test_time_taken(self) -> None:
        self.assertEqual(0, time_taken([]))
        # side by side, one within another, and a gap in which the run was interrupted
        self.assertEqual(14, time_taken(self.results((100, 110), (101, 112), (103, 104), (200, 202))))

    def test_rounds(self) -> None:
        self.assertEqual(3, rounds_of(self.results((0, 1), (1, 2), (2, 3))))
        self.assertEqual(1, rounds_of(self.results((0, 5), (1, 2), (1, 3))))
        # the third begins when the first has its verdict, and ends after the second
        self.assertEqual(2, rounds_of(self.results((0, 5), (1, 6), (5, 9))))

    def test_at_once(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            host = Host(ROOT, Cache(Path(folder) / "cache", QuietTerminal()), QuietTerminal())
            for jobs, guests, asked, wanted in ((2, 9, 0, 1), (16, 9, 0, 1), (17, 9, 0, 2),
                                                (64, 9, 0, 3), (64, 1, 0, 1), (2, 1, 2, 2)):
                host.jobs = jobs
                with mock.patch.dict(os.environ, HMMIRROR_GUESTS=str(guests)):
                    self.assertEqual(wanted, revisions_at_once(host, Request(at_once=asked)))


if __name__ == "__main__":
    unittest.main()
