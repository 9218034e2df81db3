# SPDX-License-Identifier: GPL-2.0
"""How a failure is put into words that stay the same, and what is kept of a bug."""
from __future__ import annotations

import unittest
from typing import FrozenSet, List

from runner.errors import Failure
from runner.results import FAIL, OK, Verdict
from runner.signature import ASSERTION, DEATH, HANG, OTHER, REPORT, SIGNAL, Signature, Symptom, \
    both, parse, symptoms_of

CRASH = "BUG: unable to handle page fault for address: # | "


def symptoms(reason: str = "", output: List[str] = [], report: str = "") -> FrozenSet[Symptom]:
    """Of a failed test."""
    return symptoms_of(Verdict("a.b", FAIL, 1, reason, list(output), report))


def assertion(text: str) -> FrozenSet[Symptom]:
    """One that failed."""
    return frozenset([Symptom(ASSERTION, text)])


class SymptomTest(unittest.TestCase):
    """Of a verdict."""

    def test_assertion_without_file_and_line(self) -> None:
        output = ["# common/walk_cases.c:18:read_fault:Expected 0 (0) == ret (-5)",
                  "# common/walk_cases.c:18:read_fault:page 503: got order 9 pfn 0x89f7",
                  "# read_fault: Test terminated by assertion", "not ok 1 a.b"]
        self.assertEqual(symptoms("", output),
                         assertion("Expected 0 (0) == ret (-5) / page 503: got order 9 pfn #"))

    def test_assertion_without_the_name_of_a_test(self) -> None:
        self.assertEqual(symptoms("", ["# a.c:1:page 0: got 1"]), assertion("page 0: got 1"))

    def test_first_assertion_decides(self) -> None:
        output = ["# a.c:1:b:Expected 1 (1) == x (2)", "# a.c:9:b:Expected 3 (3) == y (4)"]
        self.assertEqual(symptoms("", output), assertion("Expected 1 (1) == x (2)"))

    def test_large_numbers_are_addresses(self) -> None:
        self.assertEqual(symptoms("", ["# a.c:1:b:at 140234 not -4096, MM_16 order 9, 4095"]),
                         assertion("at # not #, MM_16 order 9, 4095"))

    def test_report_and_assertion(self) -> None:
        found = symptoms("", ["# a.c:1:b:Expected 1 (1) == x (2)"], "WARNING: mm/a.c | f g h")
        self.assertEqual(found, {Symptom(ASSERTION, "Expected 1 (1) == x (2)"),
                                 Symptom(REPORT, "WARNING: mm/a.c | f g h")})

    def test_other_ways(self) -> None:
        for reason, wanted in (("no end within 60 s", Symptom(HANG)),
                               ("the guest said nothing for 75 s", Symptom(HANG)),
                               ("the guest died", Symptom(DEATH)),
                               ("killed by signal 11", Symptom(SIGNAL, "11")),
                               ("it ran no test", Symptom(OTHER, "it ran no test"))):
            self.assertEqual(symptoms(reason), {wanted})

    def test_report_stays_one_if_the_guest_died_of_it(self) -> None:
        self.assertEqual(symptoms("the guest died: BUG: unable", [], f"{CRASH}f g h"),
                         {Symptom(REPORT, f"{CRASH}f g h")})

    def test_report_of_a_hang_is_a_hang(self) -> None:
        report = "INFO: task # blocked for more than # seconds. | f g h"
        self.assertEqual(symptoms("no end within 60 s", [], report), {Symptom(HANG, "f g h")})

    def test_passed(self) -> None:
        self.assertEqual(symptoms_of(Verdict("a.b", OK, 1)), frozenset())


class LikeTest(unittest.TestCase):
    """Which symptoms are the same."""

    def like(self, one: str, other: str, kind: str = ASSERTION) -> bool:
        """Are they?"""
        found = Symptom(kind, one).is_like(Symptom(kind, other))
        self.assertEqual(found, Symptom(kind, other).is_like(Symptom(kind, one)))
        return found

    def test_numbers(self) -> None:
        self.assertTrue(self.like("x (1) == y (#)", "x (1) == y (7)"))
        self.assertFalse(self.like("x (1) == y (6)", "x (1) == y (7)"))
        self.assertFalse(self.like("x (1) == y (#)", "x (2) == y (7)"))
        self.assertFalse(self.like("x (1) == y (#)", "x (1) == z (7)"))
        self.assertTrue(self.like("x (512) == y (0)", "x (2048) == y (0)"))
        self.assertFalse(self.like("x (512) == y (0)", "x (511) == y (0)"))

    def test_another_kind(self) -> None:
        self.assertFalse(Symptom(HANG).is_like(Symptom(DEATH)))

    def test_hangs(self) -> None:
        self.assertTrue(self.like("a b walk fault ioctl", "c walk fault ioctl", HANG))
        self.assertFalse(self.like("a b walk fault ioctl", "c d lock read ioctl", HANG))
        self.assertFalse(self.like("a b walk fault ioctl", "ioctl fault walk x y", HANG))
        # one that nobody told anything about
        self.assertTrue(self.like("a b walk", "", HANG))

    def test_functions_of_a_report(self) -> None:
        def like(ours: str, theirs: str) -> bool:
            return self.like(CRASH + ours, CRASH + theirs, REPORT)
        self.assertTrue(like("f g h", "f g h"))
        # one compiler inlines f or g
        self.assertTrue(like("f g h", "g h i"))
        self.assertTrue(like("f g h", "f h i"))
        # the same callers of something else
        self.assertFalse(like("f g h", "x g h"))
        # another caller
        self.assertFalse(like("f g h", "f x y"))
        self.assertFalse(like("f g h", "h g f"))
        self.assertFalse(like("f", "g"))
        self.assertTrue(like("f", "f"))
        self.assertFalse(self.like(f"{CRASH}f g h", "WARNING: mm/a.c | f g h", REPORT))


class SignatureTest(unittest.TestCase):
    """What is kept."""

    def setUp(self) -> None:
        self.signature = Signature()
        self.signature.record("6.12", ["a", "b", "c"], {
            "a": assertion("x (1)"), "b": frozenset([Symptom(REPORT, f"{CRASH}f g h")])})
        self.signature.record("6.1", ["a", "b"], {"a": assertion("x (1)"),
                                                  "b": frozenset([Symptom(HANG)])})

    def test_file(self) -> None:
        text = ("# Recorded by ./run_tests.sh --reintroduce; regressions/README.md says how to read "
                "it.\nrecorded: 6.1 6.12\na\n\t6.1 6.12  assertion  x (1)\nb\n\t6.1  hang\n"
                f"\t6.12  report  {CRASH}f g h\n")
        self.assertEqual(self.signature.text(), text)
        self.assertEqual(parse(text, "file"), self.signature)

    def test_bad_file(self) -> None:
        with self.assertRaisesRegex(Failure, "file:3: a line is"):
            parse("recorded: 6.1\na\n\tnonsense\n", "file")

    def test_what_fails_in_another_way(self) -> None:
        self.assertTrue(self.signature.has("a", assertion("x (1)")))
        self.assertFalse(self.signature.has("a", assertion("x (2)")))
        self.assertFalse(self.signature.has("c", assertion("x (1)")))
        self.assertFalse(self.signature.has("a", frozenset()))
        # the kernel said something besides
        self.assertFalse(self.signature.has("a", assertion("x (1)") |
                                            {Symptom(REPORT, f"{CRASH}f g h")}))

    def test_expected(self) -> None:
        self.signature.record("6.1", ["b"], {})
        self.assertEqual(self.signature.expected("6.1"), {"a"})
        self.assertEqual(self.signature.expected("6.12"), {"a", "b"})
        # a kernel that was not recorded: what failed on all
        self.assertEqual(self.signature.expected("5.15"), {"a"})
        self.assertEqual(Signature().expected("5.15"), set())

    def test_recording_again_replaces_what_ran(self) -> None:
        self.signature.record("6.1", ["a"], {"a": assertion("y")})
        self.assertEqual(self.signature.tests["a"], {Symptom(ASSERTION, "x (1)"): ["6.12"],
                                                     Symptom(ASSERTION, "y"): ["6.1"]})
        self.assertIn("b", self.signature.tests)
        self.signature.record("6.1", ["b"], {})
        self.assertNotIn(Symptom(HANG), self.signature.tests["b"])

    def test_number_that_changes_may_be_any(self) -> None:
        self.signature.record("6.1", ["a"], {"a": assertion("x (7)")})
        self.assertIn(Symptom(ASSERTION, "x (#)"), self.signature.tests["a"])
        self.assertTrue(self.signature.has("a", assertion("x (99)")))

    def test_two_runs(self) -> None:
        first = {"a": assertion("x (1)"), "b": assertion("y")}
        second = {"a": assertion("x (2)") | {Symptom(REPORT, "r")}}
        self.assertEqual(both(first, second),
                         {"a": assertion("x (#)") | {Symptom(REPORT, "r")}})

    def test_two_stacks_of_a_hang(self) -> None:
        first = {"a": frozenset([Symptom(HANG, "x walk fault ioctl")])}
        second = {"a": frozenset([Symptom(HANG, "y z walk fault ioctl")])}
        self.assertEqual(both(first, second), {"a": {Symptom(HANG, "walk fault ioctl")}})
        second = {"a": frozenset([Symptom(HANG)])}
        self.assertEqual(both(first, second), {"a": {Symptom(HANG, "x walk fault ioctl")}})

    def test_tests_that_are_gone(self) -> None:
        self.signature.keep(["b"])
        self.assertEqual(list(self.signature.tests), ["b"])

    def test_without_a_kernel(self) -> None:
        other = self.signature.without("6.1")
        self.assertEqual(other.kernels, ["6.12"])
        self.assertFalse(other.has("b", frozenset([Symptom(HANG)])))
        self.assertTrue(self.signature.has("b", frozenset([Symptom(HANG)])))


if __name__ == "__main__":
    unittest.main()
