# SPDX-License-Identifier: GPL-2.0
"""What a test's words and end mean, and what is written for programs."""
from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from typing import List, Tuple
from xml.etree import ElementTree

from runner.results import FAIL, FLAKY, OK, SKIP, XFAIL, About, Cell, Ending, Ledger, Verdict, \
    judge, nested_verdicts, standing_out, test_as_json as as_json, totals, verdict_from_json, \
    worth_showing, write_results


def verdict(output: List[str], end: str = "exit 0 5 ms", own: bool = False) -> Tuple[str, str]:
    """Result and reason."""
    judged = judge("a", Ending.parse(end), output, 60, own)
    return judged.result, judged.reason


class JudgeTest(unittest.TestCase):
    """One test's verdict."""

    def test_tap_and_status_agree(self) -> None:
        self.assertEqual(verdict(["ok 1 a"]), (OK, ""))
        self.assertEqual(verdict(["not ok 1 a"], "exit 1 5 ms"), (FAIL, ""))

    def test_not_ok_fails_whatever_the_status(self) -> None:
        self.assertEqual(verdict(["not ok 1 a"])[0], FAIL)
        self.assertEqual(verdict(["ok 1 a", "not ok 2 b"])[0], FAIL)

    def test_status_fails_whatever_was_said(self) -> None:
        self.assertEqual(verdict(["ok 1 a"], "exit 1 5 ms")[0], FAIL)

    def test_skip_has_its_reason(self) -> None:
        self.assertEqual(verdict(["ok 1 # SKIP no such thing"]), (SKIP, "no such thing"))
        self.assertEqual(verdict(["ok 1 # SKIP"], "exit 4 5 ms"), (SKIP, "no reason given"))
        self.assertEqual(verdict(["1..0 # SKIP nothing here"]), (SKIP, "nothing here"))

    def test_nothing_said_is_a_failure(self) -> None:
        self.assertEqual(verdict([]), (FAIL, "it ran no test"))

    def test_program_of_the_users_own_need_not_speak_tap(self) -> None:
        self.assertEqual(verdict([], own=True), (OK, ""))
        self.assertEqual(verdict([], "exit 4 5 ms", True), (SKIP, "it says that it cannot tell"))
        self.assertEqual(verdict(["not ok 1 a"], own=True)[0], FAIL)

    def test_other_ends(self) -> None:
        self.assertEqual(verdict(["ok 1 a"], "signal 6 5 ms"), (FAIL, "killed by signal 6"))
        self.assertEqual(verdict(["ok 1 a"], "timeout 60000 ms"), (FAIL, "no end within 60 s"))
        self.assertEqual(verdict(["ok 1 a"], "output 5 ms"), (FAIL, "more than 256 KiB of output"))

    def test_what_is_shown(self) -> None:
        self.assertEqual(worth_showing(["TAP version 13", "1..1", "# Starting", "#  RUN  a", "",
                                        "# a.c:1:Expected 1 == 2"]), ["# a.c:1:Expected 1 == 2"])


class NestedTest(unittest.TestCase):
    """What the kernel's run_kselftest.sh prints of a program."""

    def results(self, *lines: str) -> List[Tuple[str, str, str]]:
        """Name, result, and reason."""
        return [(one.name, one.result, one.reason or one.known)
                for one in nested_verdicts("mm.cow", lines)]

    def test_each_line_is_a_test(self) -> None:
        self.assertEqual(self.results(
            "TAP version 13", "1..1", "# timeout set to 180", "# selftests: mm: cow",
            "# TAP version 13", "# 1..4", "# ok 1 Basic COW after fork() with ... THP (2048 kB)",
            "# # a remark", "# not ok 2 - second", "# ok 3 third # SKIP no such thing",
            "# not ok 4 fourth # XFAIL on its way", "not ok 1 selftests: mm: cow # exit=1"),
            [("mm.cow.Basic_COW_after_fork_with_..._THP_2048_kB", OK, ""),
             ("mm.cow.second", FAIL, ""), ("mm.cow.third", SKIP, "no such thing"),
             ("mm.cow.fourth", XFAIL, "on its way")])

    def test_names_are_unique(self) -> None:
        self.assertEqual([name for name, _, _ in self.results("# ok 1 a", "# ok 2 a", "# ok 3")],
                         ["mm.cow.a", "mm.cow.a_2", "mm.cow.unnamed"])

    def test_output_of_a_failure(self) -> None:
        [_, failed] = nested_verdicts("mm.cow", ["# ok 1 a", "# # x.c:1: expected", "# not ok 2 b"])
        self.assertEqual(failed.output, ["# # x.c:1: expected"])


class WriteTest(unittest.TestCase):
    """results.json and junit.xml."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def cell(self, label: str, *verdicts: Verdict) -> Cell:
        """A cell with these verdicts."""
        shown: List[str] = []
        ledger = Ledger(self.folder, shown.append)
        for one in verdicts:
            ledger.record(one)
        return Cell(label, label, state="done", ledger=ledger)

    def test_later_word_counts(self) -> None:
        cell = self.cell("6.1", Verdict("a", OK, 1), Verdict("a", FAIL, 1, "later"))
        self.assertEqual(totals([cell]), "0 passed, 1 failed, 0 skipped")

    def test_control_characters_and_markup(self) -> None:
        cells = [self.cell("6.1", Verdict("a", FAIL, 1, "\x1b<&", ["\x00\x07]]>"]))]
        write_results(self.folder, About("suite", "now", 1), cells)
        ElementTree.parse(self.folder / "junit.xml")
        json.loads((self.folder / "results.json").read_text())

    def test_what_stands_out(self) -> None:
        cells = [self.cell("6.1", Verdict("a.x", OK, 1), Verdict("b.x", SKIP, 1, "no b")),
                 self.cell("7.3", Verdict("a.x", FAIL, 1, "wrong"), Verdict("b.x", OK, 1)),
                 Cell("7.4", reason="it does not build")]
        results = write_results(self.folder, About("suite", "now", 1), cells)
        self.assertEqual(standing_out(results), [
            "failed:", "  a.x  FAIL 7.3; ok 6.1", "      wrong",
            "passed on some and skipped on others:", "  1 test: SKIP 6.1; ok 7.3", "      b (1)"])
        tree = ElementTree.parse(self.folder / "junit.xml")
        self.assertEqual(len(tree.findall(".//testcase")), 5)
        self.assertEqual(len(tree.findall(".//error")), 1)

    def test_failures_that_do_not_count(self) -> None:
        known = Verdict("a.known", XFAIL, 1, "killed by signal 6", ["# a"], known="<soon>")
        flaky = Verdict("a.flaky", FLAKY, 1, "", ["# b"], again=3, passed_again=2)
        named = Verdict("a.named", FAIL, 1, "", ["# c"], bugs=["one"])
        cell = self.cell("6.1", Verdict("a.ok", OK, 1), known, flaky, named,
                         Verdict("a.skip", SKIP, 1, "no a"))
        cell.diagnosis["bugs"] = [{"entry": "one", "word": "is", "fix": "mm: <x>", "tests": []}]
        self.assertEqual(totals([cell]), "1 passed, 1 failed, 1 skipped, 1 xfail, 1 flaky")
        results = write_results(self.folder, About("suite", "now", 1), [cell])
        self.assertEqual((results["failed"], results["xfail"], results["cells"][0]["flaky"]),
                         (1, 1, 1))
        self.assertEqual([test["result"] for test in results["cells"][0]["tests"]],
                         ["passed", "xfail", "flaky", "failed", "skipped"])
        tree = ElementTree.parse(self.folder / "junit.xml")
        self.assertEqual(tree.getroot()[0].attrib["failures"], "1")
        self.assertEqual(tree.getroot()[0].attrib["skipped"], "2")
        for path in (".//skipped[@type='xfail'][@message='<soon>']", ".//failure[@type='one']",
                     ".//flakyFailure", ".//property[@name='is'][@value='one: mm: <x>']"):
            self.assertEqual(len(tree.findall(path)), 1, path)
        self.assertEqual((self.folder / "results.ktap").read_text(encoding="utf-8").splitlines(), [
            "KTAP version 1", "1..1", "  KTAP version 1", "  # Subtest: 6.1", "  1..5",
            "  ok 1 a.ok", "  # killed by signal 6", "  # # a", "  ok 2 a.known # XFAIL <soon>",
            "  # # b", "  ok 3 a.flaky", "  # # c", "  not ok 4 a.named",
            "  ok 5 a.skip # SKIP no a", "not ok 1 6.1"])
        self.assertEqual(str(flaky).split("ms  ")[1], "passed 2 of 3 times when run again")

    def test_verdict_comes_back_from_its_file(self) -> None:
        for one in (Verdict("a", FAIL, 1, "died", ["x"], "BUG | f", bugs=["one"]),
                    Verdict("b", XFAIL, 2, known="soon"), Verdict("c", OK, 3)):
            self.assertEqual(verdict_from_json(as_json(one)), one)


if __name__ == "__main__":
    unittest.main()
