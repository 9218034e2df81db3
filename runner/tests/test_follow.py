# SPDX-License-Identifier: GPL-2.0
"""Handing out tests to guests."""
from __future__ import annotations

import unittest
from pathlib import Path
from typing import List, Optional
from unittest import mock

from runner.errors import Failure
from runner.follow import Follower, Queue, Test
from runner.names import matches
from runner.suite import repeated, select


def tests_of(*counts: int) -> List[Test]:
    """So many tests of each of several programs."""
    return [Test(f"p{program}.t{number}", Path(f"p{program}"))
            for program, count in enumerate(counts) for number in range(count)]


class QueueTest(unittest.TestCase):
    """The queue."""

    def test_each_test_is_handed_out_once(self) -> None:
        tests = tests_of(30, 1, 50)
        queue = Queue(tests, 3)
        got = []
        guest = 0
        while True:
            test = queue.take(guest % 3)
            if not test:
                break
            got.append(test)
            guest += 1
        self.assertEqual(sorted(test.name for test in got), sorted(test.name for test in tests))

    def test_share_is_of_one_program_and_shrinks(self) -> None:
        queue = Queue(tests_of(40, 40), 2)
        first = [queue.take(0) for _ in range(10)]
        self.assertEqual({test.program for test in first if test}, {Path("p0")})
        # 70 are left, and the next share is smaller
        second = queue.take(1)
        self.assertEqual(second and second.name, "p0.t10")

    def test_last_tests_are_handed_out_one_by_one(self) -> None:
        queue = Queue(tests_of(4), 2)
        self.assertEqual([test and test.name for test in (queue.take(0), queue.take(1))],
                         ["p0.t0", "p0.t1"])

    def test_shuffled_tests_are_handed_out_one_by_one(self) -> None:
        queue = Queue(tests_of(40), 2, one_by_one=True)
        got = [queue.take(guest) for guest in (0, 1, 1, 0)]
        self.assertEqual([test and test.name for test in got], ["p0.t0", "p0.t1", "p0.t2", "p0.t3"])

    def test_what_a_lost_guest_had_not_begun_comes_again(self) -> None:
        queue = Queue(tests_of(3), 1)
        first = queue.take(0)
        assert first
        queue.give_back(0, [first])
        self.assertEqual(queue.take(0), first)

    def test_failed_test_is_not_repeated(self) -> None:
        queue = Queue(repeated(tests_of(2), 3), 1)
        queue.settled.add("p0.t1")
        names = []
        while True:
            test = queue.take(0)
            if not test:
                break
            names.append(test.name)
        self.assertEqual(names, ["p0.t0", "p0.t0@2", "p0.t0@3"])
        self.assertTrue(queue.is_empty(0))

    def test_every_run(self) -> None:
        queue = Queue(repeated(tests_of(1), 2), 1, every_run=True)
        queue.settled.add("p0.t0")
        self.assertFalse(queue.is_empty(0))
        test = queue.take(0)
        self.assertEqual(test and test.name, "p0.t0")

    def test_program_that_loses_guests_is_given_up(self) -> None:
        tests = [Test(f"p{program}.t{number}", Path(f"p{program}")) for program in range(2)
                 for number in range(3)]
        queue = Queue(tests, 1, give_up=2)
        for test in tests[:2]:
            self.assertEqual(queue.take(0), test)
            queue.lost(test)
        self.assertEqual(queue.take(0), tests[3])
        self.assertEqual(Queue(tests, 1).take(0), tests[0])

    def test_guest_that_counts_instructions_has_more_time(self) -> None:
        def limit(slowness: int, seconds: int) -> Optional[float]:
            test = Test("p.t", Path("p"), seconds=seconds)
            follower = Follower(mock.Mock(), 0, None, Queue([], 1), mock.Mock(), mock.Mock(),
                                Path("results"), mock.Mock(), slowness=slowness)
            follower._sent.append(test)  # pylint: disable=protected-access
            return follower._begin()  # pylint: disable=protected-access
        self.assertEqual(limit(1, 60), 75)
        self.assertEqual(limit(30, 2), 2 + 15 + 300)
        self.assertEqual(limit(30, 20), 20 + 15 + 580)
        self.assertEqual(limit(30, 3600), 3600 + 15 + 1800)
        self.assertIsNone(limit(30, 0))

    def test_many_lost_tests_end_the_run(self) -> None:
        tests = [Test(f"p{program}.t", Path(f"p{program}")) for program in range(10)]
        queue = Queue(tests, 1, give_up=2)
        for _ in range(8):
            test = queue.take(0)
            assert test
            queue.lost(test)
        self.assertIsNone(queue.take(0))


class SelectTest(unittest.TestCase):
    """Globs."""

    names = ["walk_anon.snapshot", "walk_anon2.snapshot", "abi.size"]

    def test_subject_means_all_of_it(self) -> None:
        self.assertTrue(matches("walk_anon.snapshot", ["walk_anon"]))
        self.assertFalse(matches("walk_anon2.snapshot", ["walk_anon"]))

    def test_excluded(self) -> None:
        self.assertEqual(select(self.names, [], ["walk*"]), ["abi.size"])
        self.assertEqual(select(self.names, ["*.snapshot"], ["walk_anon"]),
                         ["walk_anon2.snapshot"])

    def test_glob_without_a_match(self) -> None:
        banana: List[str] = ["banana"]
        none: List[str] = []
        for globs, excluded in ((banana, none), (none, banana)):
            with self.assertRaisesRegex(Failure, "no test matches 'banana'"):
                select(self.names, globs, excluded)

    def test_command(self) -> None:
        test = Test("a.b@2", Path("/x/a"), ("a.b",), 60, forked=True)
        self.assertEqual(test.command(Path("/tests")), "fork 60\ta.b@2\t/tests/a")
        self.assertEqual(test.command(None), "fork 60\ta.b@2\t/x/a")


if __name__ == "__main__":
    unittest.main()
