# SPDX-License-Identifier: GPL-2.0
"""Races that are looked for by seeds."""
import re
import unittest
from pathlib import Path

from runner.cli import parse
from runner.errors import Failure
from runner.request import RACES
from runner.results import FAIL, Verdict
from runner.seeds import Found

RACE_C = Path(__file__).parents[2] / "stress/race.c"
SEARCH = ("--reintroduce", "zap-migration-entry-kept", "-k", "6.1")


class OptionsTest(unittest.TestCase):
    """--reintroduce NAME --exact SEEDS --stress RACE."""

    def test_any_order(self) -> None:
        for words in ([*SEARCH, "--exact", "3-9", "--stress", "race:truncate"],
                      ["--stress", "race:truncate", "--exact", "3-9", *SEARCH]):
            request = parse(words)
            self.assertTrue(request.by_seeds)
            self.assertEqual(request.mode, "reintroduce")
            self.assertEqual(request.seeds, list(range(3, 10)))

    def test_what_is_left_out(self) -> None:
        for words, said in ((["--exact", "3-9"], "--stress"),
                            (["--stress", "race"], "--exact"),
                            (["--stress", "race:walks", "--exact", "3"], "race:walk "),
                            (["--stress", "race", "--exact", "3", "--confusion"], "--confusion")):
            with self.subTest(words), self.assertRaisesRegex(Failure, said):
                parse([*SEARCH, *words])

    def test_races_are_those_of_the_program(self) -> None:
        table = RACE_C.read_text(encoding="utf-8").partition("races[] = {")[2].partition("};")[0]
        self.assertEqual(tuple(re.findall(r'{ "(\w+)"', table)), RACES)


class FoundTest(unittest.TestCase):
    """The row of a bug that was found."""

    def test_words(self) -> None:
        verdict = Verdict("stress.race", FAIL, 3, "exit status 1", ["# walk, round 7: wrong"])
        self.assertEqual(str(Found(12, 3, verdict, True)),
                         "seed 12, the 3rd: # walk, round 7: wrong (so again, to the last line)")
        self.assertIn("the 11th: killed", str(Found(11, 11, Verdict("a", FAIL, 3, "killed"), True)))
        self.assertIn("ANOTHER END", str(Found(1, 1, verdict, False)))
