# SPDX-License-Identifier: GPL-2.0
"""Failures get the name of a known bug only if they fail as with that bug."""
from __future__ import annotations

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from runner.catalogue import Bug
from runner.confusion import Record, confusion_table, seen
from runner.diagnosis import Known, Standing, diagnose, know, standing
from runner.errors import Failure
from runner.results import FAIL, FLAKY, OK, SKIP, XFAIL, Verdict
from runner.signature import ASSERTION, HANG, REPORT, Signature, Symptom
from runner.sourcecheck import BUG, FIXED, UNKNOWN, Answer

CRASH = "BUG: unable to handle page fault for address: # | "


def known(name: str, tests: Dict[str, Symptom], source: str = UNKNOWN,
          kernels: Sequence[str] = ("6.1",), recorded: bool = True) -> Known:
    """A bug with a signature."""
    bug = Bug(name, Path(name), f"mm: fix {name}", "0123456789abcdef", tests=tuple(tests))
    signature = Signature(list(kernels), {test: {symptom: list(kernels)}
                                          for test, symptom in tests.items()})
    return Known(bug, signature if recorded else None, Answer(source, "why"))


def wrong(text: str = "Expected 1 (1) == x (2)") -> Symptom:
    """An assertion."""
    return Symptom(ASSERTION, text)


def failed(name: str, text: str = "Expected 1 (1) == x (2)", report: str = "") -> Verdict:
    """A test that failed with an assertion, and perhaps a report."""
    return Verdict(name, FAIL, 1, "", [f"# a.c:1:t:{text}"] if text else [], report)


def passed(*names: str) -> List[Verdict]:
    """Tests that passed."""
    return [Verdict(name, OK, 1) for name in names]


def named(verdicts: Sequence[Verdict], *knowns: Known, kernel: str = "6.1") \
        -> List[Tuple[str, str, List[str]]]:
    """Entries, word and tests of each finding."""
    found = diagnose(verdicts, knowns, kernel)
    return [(" ".join(bug.name for bug in finding.bugs), finding.word, finding.tests)
            for finding in found.findings]


class NameTest(unittest.TestCase):
    """Who gets which name."""

    def test_behaviour_and_source(self) -> None:
        self.assertEqual(named([failed("a.b")], known("one", {"a.b": wrong()}, BUG)),
                         [("one", "is", ["a.b"])])

    def test_behaviour_only(self) -> None:
        self.assertEqual(named([failed("a.b")], known("one", {"a.b": wrong()})),
                         [("one", "looks like", ["a.b"])])

    def test_source_only(self) -> None:
        one = known("one", {"a.b": wrong()}, BUG, recorded=False)
        self.assertEqual(named([failed("a.b")], one), [("one", "looks like", ["a.b"])])
        self.assertEqual(named([failed("c.d")], one), [])
        self.assertEqual(named([failed("a.b")],
                               known("one", {"a.b": wrong()}, recorded=False)), [])

    def test_other_assertion(self) -> None:
        for source in (BUG, UNKNOWN):
            self.assertEqual(named([failed("a.b", "Expected 1 (1) == x (3)")],
                                   known("one", {"a.b": wrong()}, source)), [])

    def test_other_report(self) -> None:
        one = known("one", {"a.b": Symptom(REPORT, f"{CRASH}f g h")}, BUG)
        self.assertEqual(named([failed("a.b", "", f"{CRASH}x y z")], one), [])
        self.assertEqual(named([failed("a.b", "", f"{CRASH}f g h")], one),
                         [("one", "is", ["a.b"])])

    def test_report_besides(self) -> None:
        self.assertEqual(named([failed("a.b", report=f"{CRASH}x y z")],
                               known("one", {"a.b": wrong()}, BUG)), [])

    def test_source_that_has_the_fix(self) -> None:
        one = known("one", {"a.b": wrong()}, FIXED)
        self.assertEqual(named([failed("a.b")], one), [])
        self.assertEqual(diagnose([failed("a.b")], [one], "6.1").notes,
                         {"a.b": "fails as with one, and the source has that fix"})

    def test_other_tests_of_the_bug_pass(self) -> None:
        both = {"a.b": wrong(), "a.c": wrong()}
        verdicts = [failed("a.b"), *passed("a.c")]
        self.assertEqual(named(verdicts, known("one", both)), [])
        # a race, that the source confirms
        self.assertEqual(named(verdicts, known("one", both, BUG)), [("one", "is", ["a.b"])])
        # skipped or not run is no contradiction
        self.assertEqual(len(named([failed("a.b"), Verdict("a.c", SKIP, 1)], known("one", both))), 1)

    def test_warning_that_comes_once(self) -> None:
        warning = Symptom(REPORT, "WARNING: mm/a.c | f g h")
        one = known("one", {"a.b": warning, "a.c": warning})
        self.assertEqual(named([failed("a.c", "", warning.text), *passed("a.b")], one),
                         [("one", "looks like", ["a.c"])])
        self.assertEqual(named([failed("a.d", "", warning.text), *passed("a.b", "a.c")], one),
                         [("one", "looks like", ["a.d"])])

    def test_repeated_test(self) -> None:
        verdicts = [*passed("a.b"), failed("a.b@2")]
        self.assertEqual(named(verdicts, known("one", {"a.b": wrong()})),
                         [("one", "looks like", ["a.b@2"])])

    def test_kernel_that_was_not_recorded(self) -> None:
        one = known("one", {"a.b": wrong()}, kernels=("6.1", "6.12"))
        assert one.signature
        one.signature.tests["a.c"] = {wrong(): ["6.12"]}
        verdicts = [failed("a.b"), *passed("a.c")]
        self.assertEqual(len(named(verdicts, one, kernel="5.15")), 1)
        self.assertEqual(named(verdicts, one, kernel="6.12"), [])

    def test_more_of_one_bug_explains_better(self) -> None:
        one = known("one", {"a.b": wrong(), "a.c": wrong()})
        two = known("two", {name: wrong() for name in ("a.b", "a.c", "a.d")})
        all_three = [failed(name) for name in ("a.b", "a.c", "a.d")]
        self.assertEqual(named(all_three, one, two),
                         [("two", "looks like", ["a.b", "a.c", "a.d"])])
        self.assertEqual(named([*all_three[:2], *passed("a.d")], one, two),
                         [("one", "looks like", ["a.b", "a.c"])])

    def test_source_explains_better(self) -> None:
        one = known("one", {"a.b": wrong()}, BUG)
        two = known("two", {"a.b": wrong(), "a.c": wrong()})
        self.assertEqual(named([failed("a.b"), failed("a.c")], one, two),
                         [("one", "is", ["a.b"]), ("two", "looks like", ["a.c"])])

    def test_bugs_that_cannot_be_told_apart(self) -> None:
        one, two = known("one", {"a.b": wrong()}), known("two", {"a.b": wrong()})
        self.assertEqual(named([failed("a.b")], one, two), [("one two", "looks like", ["a.b"])])

    def test_new_test_with_the_same_crash(self) -> None:
        one = known("one", {"a.b": Symptom(REPORT, f"{CRASH}f g h")})
        crash = failed("new.test", "", f"{CRASH}g h i")
        self.assertEqual(named([failed("a.b", "", f"{CRASH}f g h"), crash], one),
                         [("one", "looks like", ["a.b", "new.test"])])
        self.assertEqual(named([crash], one), [("one", "looks like", ["new.test"])])
        # an assertion besides, or a report that names one function only, is not enough
        self.assertEqual(named([failed("new.test", report=f"{CRASH}g h i")], one), [])
        self.assertEqual(named([failed("new.test", "", f"{CRASH}g")],
                               known("one", {"a.b": Symptom(REPORT, f"{CRASH}g")})), [])
        # neither is a hang
        hang = known("one", {"a.b": Symptom(HANG)})
        verdicts = [Verdict(name, FAIL, 1, "no end within 60 s") for name in ("a.b", "new.test")]
        self.assertEqual(named(verdicts, hang), [("one", "looks like", ["a.b"])])


class ShowTest(unittest.TestCase):
    """What is said about it."""

    def test_lines(self) -> None:
        verdicts = [failed("device_policy.huge.mbind"), failed("device_policy.huge.migrate_pages"),
                    failed("a.b"), failed("c.d")]
        one = known("migrate-mbind", {"device_policy.huge.mbind": wrong(),
                                      "device_policy.huge.migrate_pages": wrong()}, BUG)
        two = known("two", {"a.b": wrong()})
        done = diagnose(verdicts, [one, two], "6.1")
        self.assertEqual(done.lines(), [
            "2 failures are known bugs of the kernel:",
            "  migrate-mbind   device_policy.huge.mbind, .migrate_pages",
            "    fix: mm: fix migrate-mbind (0123456789ab)",
            "1 failure looks like a known bug of the kernel:",
            "  two             a.b",
            "    fix: mm: fix two (0123456789ab)",
            "1 failure is not explained by any known bug"])
        self.assertEqual(done.as_json()["bugs"][1], {
            "entry": "two", "word": "looks like", "fix": "mm: fix two",
            "commit": "0123456789abcdef", "tests": ["a.b"]})
        self.assertEqual(done.as_json()["unexplained"], ["c.d"])

    def test_failures_that_do_not_count(self) -> None:
        verdicts = [Verdict("a.b", XFAIL, 1), Verdict("a.c", FLAKY, 1)]
        self.assertEqual(diagnose(verdicts, [], "6.1").unexplained, [])
        verdicts = [Verdict("a.b", XFAIL, 1, "", ["# a.c:1:t:Expected 1 (1) == x (2)"])]
        self.assertEqual(named(verdicts, known("one", {"a.b": wrong()}, BUG)),
                         [("one", "is", ["a.b"])])

    def test_nothing_failed(self) -> None:
        self.assertEqual(diagnose(passed("a.b"), [], "6.1").lines(), [])


class StandingTest(unittest.TestCase):
    """--regressions."""

    def answer(self, one: Known, verdicts: Sequence[Verdict],
               missing: Sequence[str] = ()) -> Standing:
        """Where the entry stands."""
        return standing(one, verdicts, diagnose(verdicts, [one], "6.1"), missing)

    def test_answers(self) -> None:
        skip = [Verdict("a.b", SKIP, 1, "no such call")]
        other = [failed("a.b", "something else")]
        for source, verdicts, word, reason in (
                (BUG, [failed("a.b")], "present", "a.b; the source has the bug"),
                (UNKNOWN, [failed("a.b")], "looks present", "a.b; why"),
                (BUG, passed("a.b"), "looks present",
                 "the source has the bug; 1 passed, 0 skipped"),
                (BUG, skip, "looks present", "the source has the bug; 1 skipped: no such call"),
                (FIXED, passed("a.b"), "fixed", "1 passed, 0 skipped; the source has the fix"),
                (UNKNOWN, passed("a.b"), "looks fixed", "1 passed, 0 skipped; why"),
                (FIXED, skip, "looks fixed", "the source has the fix; 1 skipped: no such call"),
                (UNKNOWN, skip, "cannot be told here", "1 skipped: no such call; why"),
                (UNKNOWN, other, "cannot be told here", "a.b fails in another way; why")):
            found = self.answer(known("one", {"a.b": wrong()}, source), verdicts)
            self.assertEqual((found.word, found.reason), (word, reason))

    def test_entry_without_signature(self) -> None:
        found = self.answer(known("one", {"a.b": wrong()}, BUG, recorded=False), [failed("a.b")])
        self.assertEqual(found.word, "looks present")
        found = self.answer(known("one", {"a.b": wrong()}, recorded=False), [failed("a.b")])
        self.assertEqual((found.word, found.reason), (
            "cannot be told here", "a.b fails and no signature is recorded; why"))

    def test_option_that_the_kernel_lacks(self) -> None:
        found = self.answer(known("one", {"a.b": wrong()}, FIXED), passed("a.b"), ["CONFIG_X"])
        self.assertEqual((found.word, found.reason), (
            "cannot be told here", "the kernel is built without CONFIG_X; the source has the fix"))


class SourceTest(unittest.TestCase):
    """Entries and trees on disk."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        (self.folder / "entry").mkdir()
        (self.folder / "entry/about").write_text("fix: x\ncommit: unverified\ntests: a.b\n",
                                                 encoding="utf-8")

    def word(self, tree: Optional[Path]) -> Answer:
        """What the source says."""
        return know([Bug.read(self.folder / "entry")], tree)[0].source

    def test_what_is_not_there(self) -> None:
        self.assertEqual(self.word(None).reason, "the kernel's source is not there")
        # headers for modules are no source
        self.assertEqual(self.word(self.folder).reason, "the kernel's source is not there")
        (self.folder / "mm").mkdir()
        (self.folder / "mm/memory.c").write_text("int f(void)\n{\n\treturn 1;\n}\n",
                                                 encoding="utf-8")
        self.assertEqual(self.word(self.folder).reason, "the entry has no check of the source")
        (self.folder / "entry/check").write_text("file: mm/memory.c\nbug: return 1\n",
                                                 encoding="utf-8")
        self.assertEqual(self.word(self.folder).word, BUG)

    def test_id_that_is_not_known_is_not_shown(self) -> None:
        self.assertEqual(Bug.read(self.folder / "entry").fix_line, "x")


class ConfusionTest(unittest.TestCase):
    """The table."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.one = known("one", {"a.b": wrong()}, BUG, ("6.1", "6.12"))
        self.two = known("two", {"a.c": wrong()}, FIXED)
        self.bugs = []
        for entry in (self.one, self.two):
            (self.folder / entry.bug.name).mkdir()
            (self.folder / entry.bug.name / "bug.cocci").write_text("@@\n", encoding="utf-8")
            self.bugs.append(replace(entry.bug, folder=self.folder / entry.bug.name))
        self.row = seen(self.bugs[0], "6.1", [failed("a.b"), failed("a.c"), failed("own.bug"), *passed("a.d")],
                        ["a.b", "a.c"], [self.one, self.two])

    def record(self) -> Record:
        """As another run reads it."""
        return Record(self.folder / "seen/6.1.json", "6.1")

    def test_rows(self) -> None:
        table = confusion_table([self.row], self.bugs,
                                {"one": self.one.signature or Signature(),
                                 "two": self.two.signature or Signature()})
        self.assertIn("| `one` | 2 | `one` 1, **`two`** 1 | `one` 1 | `one` 1 | 0, 1, 1 |", table)
        self.assertIn("| named rightly | 1 | 1 | 1 |", table)
        self.assertIn("| wrong names | 1 | 0 | 0 |", table)

    def test_record_is_gone_on_with(self) -> None:
        self.assertEqual(self.record().rows(self.bugs), [])
        self.record().add(self.row)
        second = seen(self.bugs[1], "6.1", [failed("a.d"), *passed("a.b", "a.e")], ["a.d"],
                      [self.one])
        self.record().add(second)
        # not every entry can be brought back
        bare = known("bare", {"a.b": wrong()}).bug
        self.assertEqual(self.record().rows([*self.bugs, bare]), [self.row, second])
        # a row of another patch is none
        (self.bugs[0].folder / "bug.cocci").write_text("@@ @@\n", encoding="utf-8")
        self.assertFalse(self.record().has(self.bugs[0]))
        self.assertEqual(self.record().rows(self.bugs), [second])

    def test_record_that_is_broken(self) -> None:
        (self.folder / "seen").mkdir()
        (self.folder / "seen/6.1.json").write_text("{", encoding="utf-8")
        with self.assertRaisesRegex(Failure, "6.1.json is not what --confusion has written"):
            self.record()


if __name__ == "__main__":
    unittest.main()
