# SPDX-License-Identifier: GPL-2.0
"""Which calls of a run it takes to fail, without guests."""
import asyncio
import unittest
from pathlib import Path
from typing import List, Sequence, Set, Tuple, cast

from runner.errors import Failure
from runner.follow import Test
from runner.results import FAIL, OK, Verdict
from runner.shorten import Calls, Shorter, as_text, calls_made, count, halves, is_same, \
    parse_calls, without_needless
from runner.stress import seconds_of
from runner.suite import Machine


class CallsTest(unittest.TestCase):
    """Numbers of calls."""

    def test_text(self) -> None:
        self.assertEqual(as_text([(17, 17)]), "17")
        self.assertEqual(as_text([(8, 9), (0, 3), (4, 4), (12, 12)]), "0-4,8-9,12")

    def test_count_and_halves(self) -> None:
        self.assertEqual(count([(0, 3999), (4100, 4100)]), 4001)
        self.assertEqual(halves((0, 4)), [(0, 2), (3, 4)])
        self.assertEqual(halves((7, 7)), [(7, 7)])

    def test_made(self) -> None:
        said = ["# calls 0-3999", "# call 17: device 0", "# calls 8000-11999", "not ok"]
        self.assertEqual(calls_made(said), [(0, 3999), (8000, 11999)])

    def test_input(self) -> None:
        self.assertEqual(parse_calls("17,4100-4103"), [(17, 17), (4100, 4103)])
        self.assertEqual(parse_calls("3-3"), [(3, 3)])
        self.assertEqual(parse_calls("17,10-20,15-24,17,25"), [(10, 25)])
        for text in "", "all", "3-2", "1,,2", "-1", "1-", "1-2-3", "1 2", "1" * 13, str(1 << 36):
            with self.subTest(text), self.assertRaises(Failure):
                parse_calls(text)


class TimeTest(unittest.TestCase):
    """What is offered to be run again lasts as long as the run that failed."""

    def test_minutes(self) -> None:
        for seconds in range(1, 40_000):
            test = Test("stress.fuzz", Path(), ("7", str(seconds)))
            shorter = Shorter(cast(Machine, None), test, Verdict(test.name, FAIL, 1), Path(),
                              [(0, 3)], best=[(2, 3)])
            words = shorter.options()
            minutes = float(words[words.index("--minutes") + 1])
            self.assertEqual(seconds_of(minutes, exact=True), seconds)
            self.assertEqual(words[-1], "2-3")


class NeedlessTest(unittest.TestCase):
    """The search."""

    def search(self, calls: Calls, wanted: Set[int]) -> Tuple[List[Calls], int]:
        """What is found when a run fails if all that are wanted are made, and with how many runs."""
        tried = 0

        async def fails(chosen: Sequence[Calls]) -> bool:
            nonlocal tried
            tried += 1
            return all(any(first <= one <= last for first, last in chosen) for one in wanted)
        return asyncio.run(without_needless([calls], fails)), tried

    def test_finds_what_it_takes(self) -> None:
        for wanted in {0}, {99}, {41}, {0, 99}, {3, 4, 77}, {50, 51, 52, 53}:
            with self.subTest(wanted):
                found, _ = self.search((0, 99), wanted)
                self.assertEqual(found, [(one, one) for one in sorted(wanted)])

    def test_one_of_many_takes_few_runs(self) -> None:
        found, tried = self.search((0, 159_999), {118_210})
        self.assertEqual(found, [(118_210, 118_210)])
        self.assertLess(tried, 40)

    def test_either_of_two(self) -> None:
        async def fails(chosen: Sequence[Calls]) -> bool:
            return any(first <= one <= last for first, last in chosen for one in (5, 60))
        self.assertEqual(count(asyncio.run(without_needless([(0, 63)], fails))), 1)


class SameTest(unittest.TestCase):
    """Failures that are the same."""

    def verdict(self, report: str = "", reason: str = "", result: str = FAIL) -> Verdict:
        return Verdict("stress.fuzz", result, 1, reason, [], report)

    def test_reports(self) -> None:
        one = self.verdict("WARNING: | hmmirror_query hmmirror_ioctl ksys_ioctl")
        other = self.verdict("WARNING: | hmmirror_range hmmirror_walk ksys_ioctl")
        self.assertTrue(is_same(one, one))
        self.assertFalse(is_same(one, other))
        self.assertFalse(is_same(one, self.verdict(reason="the guest died")))
        self.assertFalse(is_same(self.verdict(result=OK), one))


class ProgramTest(unittest.TestCase):
    """The runner and stress/fuzz.c agree."""

    def test_words(self) -> None:
        text = (Path(__file__).parents[2] / "stress/fuzz.c").read_text(encoding="utf-8")
        self.assertIn('"# calls %lu-%lu\\n"', text)
        self.assertIn('"# call %lu: ', text)
        self.assertIn('#define ALL		"all"', text)


if __name__ == "__main__":
    unittest.main()
