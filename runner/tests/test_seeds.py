# SPDX-License-Identifier: GPL-2.0
"""Races that are looked for by seeds."""
import asyncio
import re
import tempfile
import unittest
from pathlib import Path
from typing import Dict, List, Optional, Tuple
from unittest import mock

from runner.cli import parse
from runner.errors import Failure
from runner.request import RACES
from runner.results import FAIL, OK, SKIP, Verdict
from runner.seeds import Found, NothingToFind, Search
from runner.stress import stress_tests

RACE_C = Path(__file__).parents[2] / "stress/race.c"
SEARCH = ("--reintroduce", "zap-migration-entry-kept", "-k", "6.1")


class OptionsTest(unittest.TestCase):
    """--reintroduce NAME --exact SEEDS --stress RACE."""

    def test_any_order(self) -> None:
        for words in ([*SEARCH, "--exact", "3-9", "--stress", "race.truncate"],
                      ["--stress", "race.truncate", "--exact", "3-9", *SEARCH]):
            request = parse(words)
            self.assertTrue(request.by_seeds)
            self.assertEqual(request.mode, "reintroduce")
            self.assertEqual(request.seeds, list(range(3, 10)))

    def test_what_is_left_out(self) -> None:
        for words, said in ((["--exact", "3-9"], "--stress"),
                            (["--stress", "race"], "--exact"),
                            (["--stress", "race.walks", "--exact", "3"], "race.walk "),
                            (["--stress", "all", "--exact", "3"], "give race"),
                            (["--stress", "race", "--stress", "kill", "--exact", "3"], "exclude"),
                            (["--stress", "race", "--exact", "3", "--confusion"], "--confusion")):
            with self.subTest(words), self.assertRaisesRegex(Failure, said):
                parse([*SEARCH, *words])

    def test_races_are_those_of_the_program(self) -> None:
        table = RACE_C.read_text(encoding="utf-8").partition("races[] = {")[2].partition("};")[0]
        self.assertEqual(tuple(re.findall(r'{ "(\w+)"', table)), RACES)


class FoundTest(unittest.TestCase):
    """The row of a bug that was found."""

    def test_words(self) -> None:
        verdict = Verdict("stress.race", FAIL, 3, "exit status 1",
                          ["# huge needs huge pages", "# stress.race: walk, round 7: wrong"])
        self.assertEqual(str(Found(12, 3, verdict)),
                         "seed 12, the 3rd: # stress.race: walk, round 7: wrong")
        self.assertIn("the 11th: killed", str(Found(11, 11, Verdict("a", FAIL, 3, "killed"))))


class FakeSearch(Search):
    """A search whose verdicts are given, for each kernel and seed, in the place of guests."""

    runs: Dict[Tuple[str, str], Verdict] = {}

    async def _run(self, image: Path, seed: int, name: str) -> Verdict:
        folder = self.logs / name
        folder.mkdir(parents=True)
        (folder / "console.1").write_text("the same", encoding="utf-8")
        return self.runs.get((image.name, name), Verdict("stress.race", OK, 1))


class SearchTest(unittest.TestCase):
    """Which seed counts."""

    def find(self, *runs: Tuple[str, str, Verdict]) -> Tuple[Optional[Found], List[str]]:
        """The first of three seeds, and what is said of the others."""
        with tempfile.TemporaryDirectory() as folder:
            machine = mock.Mock()
            machine.kernel.image = Path("sound")
            search = FakeSearch(mock.Mock(), machine, Path(folder))
            search.runs = {(image, name): verdict for image, name, verdict in runs}
            return asyncio.run(search.find(Path("bug"), [1, 2, 3])), search.notes

    def test_first_that_fails_twice_and_not_without_the_bug(self) -> None:
        wrong = Verdict("stress.race", FAIL, 1, "exit status 1", ["# stress.race: wrong"])
        other = Verdict("stress.race", FAIL, 1, "exit status 1", ["# stress.race: else"])
        third = [("bug", "seed-3", wrong), ("bug", "seed-3-again", wrong)]
        found, notes = self.find(*third)
        self.assertEqual((found and found.seed, found and found.tried, notes), (3, 3, []))
        found, notes = self.find(("bug", "seed-1", wrong), ("bug", "seed-1-again", other),
                                 ("bug", "seed-2", wrong), ("bug", "seed-2-again", wrong),
                                 ("sound", "seed-2-without", wrong), *third)
        self.assertEqual((found and found.seed, len(notes)), (3, 2))
        self.assertEqual(self.find(), (None, []))

    def test_what_cannot_run_is_no_answer(self) -> None:
        with self.assertRaisesRegex(NothingToFind, "needs device memory"):
            self.find(("bug", "seed-1", Verdict("stress.race", SKIP, 1, "needs device memory")))


class StressTest(unittest.TestCase):
    """The program's arguments."""

    def test_race_by_name(self) -> None:
        with mock.patch("runner.stress.build_stress", new=mock.AsyncMock(return_value=Path("x"))):
            request = parse(["--stress", "race.walk", "--exact", "5", "--minutes", "0.02"])
            tests, _ = asyncio.run(stress_tests(mock.Mock(), request, mock.Mock()))
        self.assertEqual([(test.name, *test.arguments) for test in tests],
                         [("stress.race", "5", "1", "walk")])
