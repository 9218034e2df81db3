# SPDX-License-Identifier: GPL-2.0
"""Looking for mutants: what counts as caught, with guests that are made up here."""
from __future__ import annotations

import tempfile
import unittest
from collections import deque
from pathlib import Path
from typing import Callable, Deque, Dict, FrozenSet, List, Sequence, Tuple

from runner.follow import Outcome, Test
from runner.hunt import CAUGHT, EXPECTED, STALE, SURVIVED, UNREACHED, Baseline, Feed, Found, \
    Hunt, Trial, judge
from runner.mutants import Mutant
from runner.mutate import section
from runner.results import FAIL, OK, Verdict

PASS, FAILS, DIES, LEAVES = "pass", "fails", "dies", "leaves"
# what a test does under a mutant, in a guest that has gone through these trials
Behaviour = Callable[[int, str, Sequence[Tuple[int, str]]], str]


def hunt_for(reach: Dict[int, Sequence[str]]) -> Hunt:
    """Mutants, and the tests that reach each."""
    names = sorted({name for tests in reach.values() for name in tests})
    reached: Dict[str, FrozenSet[int]] = {
        name: frozenset(number for number, tests in reach.items() if name in tests)
        for name in names}
    baseline = Baseline({name: Test(name, Path("program")) for name in names},
                        {name: 10 * at for at, name in enumerate(names)}, reached)
    return Hunt([Mutant(number, number, "f", f"not (c{number})") for number in reach], baseline, 5)


class Guests:
    """Runs a hunt in one guest after another, with a command always ahead."""

    def __init__(self, hunt: Hunt, behave: Behaviour) -> None:
        self.hunt = hunt
        self.behave = behave
        # of each guest the mutants and tests, 0 without a mutant
        self.logs: List[List[Tuple[int, str]]] = []
        with tempfile.TemporaryDirectory() as folder:
            while not hunt.is_over():
                self._boot(Feed(hunt, Path(folder)))
                if len(self.logs) > 50:
                    raise AssertionError(f"no end: {self.logs}")

    def _boot(self, feed: Feed) -> None:
        log: List[Tuple[int, str]] = []
        self.logs.append(log)
        sent: Deque[Test] = deque()

        def send() -> None:
            test = feed.take(0)
            if test:
                sent.append(test)

        send()
        outcome = Outcome(ready=True)
        while sent:
            trial = sent.popleft()
            assert isinstance(trial, Trial)
            send()
            what = self.behave(trial.mutant, trial.base, log)
            log.append((trial.mutant, trial.base))
            if what == DIES:
                outcome.lost, outcome.current = "the guest died", trial
                break
            feed.ledger.record(Verdict(trial.name, OK if what == PASS else FAIL, 1, what))
            outcome.ended += 1
            if what == LEAVES:
                break
            if not sent:
                send()
        feed.give_back(0, sent)
        if outcome.current:
            feed.is_lost = True
            feed.ledger.record(Verdict(outcome.current.name, FAIL, 1, outcome.lost))
        feed.close(outcome)


class HuntTest(unittest.TestCase):
    """What counts."""

    def words(self, hunt: Hunt) -> Dict[int, Tuple[str, str]]:
        return {number: (found.word, found.test) for number, found in sorted(hunt.found.items())}

    def test_caught_survived_and_not_reached(self) -> None:
        hunt = hunt_for({1: ["a", "b"], 2: ["a", "b"], 3: []})
        guests = Guests(hunt, lambda mutant, test, log: FAILS if (mutant, test) == (1, "b") else PASS)
        self.assertEqual({1: (CAUGHT, "b"), 2: (SURVIVED, ""), 3: (UNREACHED, "")},
                         self.words(hunt))
        self.assertEqual(1, len(guests.logs))
        # confirmed: it fails again, and passes without the mutant
        trials = [trial for trial in guests.logs[0] if trial[1] == "b" and trial[0] != 2]
        self.assertEqual([(1, "b"), (1, "b"), (0, "b")], trials)

    def test_what_caught_a_neighbour_comes_first(self) -> None:
        hunt = hunt_for({1: "abcdefgh", 2: "abcdefgh"})
        Guests(hunt, lambda mutant, test, log: FAILS if mutant and test == "h" else PASS)
        self.assertEqual({1: (CAUGHT, "h"), 2: (CAUGHT, "h")}, self.words(hunt))
        self.assertEqual(8, hunt.found[1].tried)
        # one was on its way before, and one is always ahead
        self.assertEqual(3, hunt.found[2].tried)

    def test_a_test_that_fails_once_has_caught_nothing(self) -> None:
        hunt = hunt_for({1: ["a", "b"]})
        Guests(hunt, lambda mutant, test, log: FAILS if mutant and test == "a" and
               (1, "a") not in log else PASS)
        self.assertEqual({1: (SURVIVED, "")}, self.words(hunt))

    def test_damage_of_another_mutant_does_not_count(self) -> None:
        hunt = hunt_for({1: ["a"], 2: ["a", "b"]})

        def behave(mutant: int, test: str, log: Sequence[Tuple[int, str]]) -> str:
            # the first mutant breaks what b needs, and a sees nothing of it
            return FAILS if test == "b" and (1, "a") in log else PASS

        guests = Guests(hunt, behave)
        self.assertEqual({1: (SURVIVED, ""), 2: (SURVIVED, "")}, self.words(hunt))
        self.assertEqual(2, len(guests.logs))

    def test_a_test_that_is_broken_for_good_is_left_out(self) -> None:
        hunt = hunt_for({1: ["a", "b"], 2: ["a", "b"]})
        Guests(hunt, lambda mutant, test, log: FAILS if test == "a" else PASS)
        self.assertEqual({1: (SURVIVED, ""), 2: (SURVIVED, "")}, self.words(hunt))
        self.assertEqual({"a"}, hunt.unfit)

    def test_a_guest_that_dies(self) -> None:
        hunt = hunt_for({1: ["a"], 2: ["a"], 3: ["a"]})
        guests = Guests(hunt, lambda mutant, test, log: DIES if mutant in (1, 3) else PASS)
        self.assertEqual({1: (CAUGHT, "a"), 2: (SURVIVED, ""), 3: (CAUGHT, "a")}, self.words(hunt))
        # where another mutant was before, it is repeated in a fresh guest
        self.assertEqual([(1, "a")], guests.logs[0])
        self.assertEqual([(2, "a"), (3, "a")], guests.logs[1])
        self.assertEqual([(0, "a"), (3, "a")], guests.logs[2])

    def test_a_guest_that_dies_after_a_test_has_passed_without_a_mutant(self) -> None:
        hunt = hunt_for({1: "abc", 2: "abc"})
        guests = Guests(hunt, lambda mutant, test, log: {0: PASS, 1: FAILS, 2: DIES}[mutant])
        self.assertEqual({1: (CAUGHT, "a"), 2: (CAUGHT, "a")}, self.words(hunt))
        self.assertEqual([[(1, "a"), (1, "b"), (1, "a"), (0, "a"), (2, "a")]], guests.logs)

    def test_a_guest_that_dies_of_what_another_mutant_did(self) -> None:
        hunt = hunt_for({1: ["a"], 2: ["a"]})
        Guests(hunt, lambda mutant, test, log: DIES if mutant == 2 and (1, "a") in log else PASS)
        self.assertEqual({1: (SURVIVED, ""), 2: (SURVIVED, "")}, self.words(hunt))

    def test_a_machine_that_is_not_as_it_was(self) -> None:
        hunt = hunt_for({1: ["a"], 2: ["a"], 3: ["a"]})
        guests = Guests(hunt, lambda mutant, test, log: LEAVES if mutant in (1, 3) else PASS)
        self.assertEqual({1: (CAUGHT, "a"), 2: (SURVIVED, ""), 3: (CAUGHT, "a")}, self.words(hunt))
        self.assertEqual([(0, "a"), (3, "a")], guests.logs[2])

    def test_a_report_that_comes_late(self) -> None:
        hunt = hunt_for({1: ["a", "b"]})
        with tempfile.TemporaryDirectory() as folder:
            feed = Feed(hunt, Path(folder))
            first, second = feed.take(0), feed.take(0)
            assert first and second
            feed.ledger.record(Verdict(first.name, OK, 1))
            feed.ledger.record(Verdict(second.name, OK, 1))
            self.assertEqual((SURVIVED, ""), self.words(hunt)[1])
            feed.ledger.record(Verdict(second.name, FAIL, 0, "the kernel, later"))
            self.assertEqual((CAUGHT, "b"), self.words(hunt)[1])

    def test_the_repetition_can_end_the_guest(self) -> None:
        hunt = hunt_for({1: ["a"], 2: ["a"]})
        Guests(hunt, lambda mutant, test, log: PASS if mutant != 2 else
               DIES if (2, "a") in log else FAILS)
        self.assertEqual((CAUGHT, "a"), self.words(hunt)[2])

    def test_a_long_test_has_more_time(self) -> None:
        hunt = hunt_for({1: ["a", "b"]})
        hunt.baseline.milliseconds["b"] = 2500
        self.assertEqual((5, 25), (hunt.limit("a"), hunt.limit("b")))


class TrialTest(unittest.TestCase):
    """The commands that the agent gets."""

    def test_command(self) -> None:
        trial = Trial("a@3", Path("/x/program"), ("a",), 5, True, mutant=12, asks=True)
        self.assertEqual(["write /sys/module/mutants/parameters/number\t12",
                          "fork 5\ta@3",
                          "read /sys/module/mutants/parameters/reached"],
                         trial.around("fork 5\ta@3").split("\n"))


class ReportTest(unittest.TestCase):
    """What is said of a mutant that is listed."""

    def test_listed(self) -> None:
        self.assertEqual([CAUGHT, STALE, SURVIVED, EXPECTED, EXPECTED],
                         [judge(Found(word), reason) for word, reason in (
                             (CAUGHT, ""), (CAUGHT, "why"), (SURVIVED, ""), (SURVIVED, "why"),
                             (UNREACHED, "why"))])
        self.assertEqual(EXPECTED, judge(Found(CAUGHT, "a", "no end within 3 s"), "why"))

    def test_sections(self) -> None:
        text = "# top\n[mm/a.c]\nf: x\n\twhy\n[mm/b.c]\ng: y\n"
        self.assertEqual(["", "", "f: x", "\twhy", "", ""], section(text, "mm/a.c").split("\n"))
        self.assertEqual("g: y", section(text, "mm/b.c").strip())


if __name__ == "__main__":
    unittest.main()
