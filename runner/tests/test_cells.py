# SPDX-License-Identifier: GPL-2.0
"""Cells that several machines share: their names, and what is made of their results."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import Any, Dict, List, Sequence

from runner.cells import find_plan, finished, leave, plan_cells, status_of, without_cell
from runner.errors import Failure
from runner.merge import MISSING, Merged, find_parts
from runner.results import FAIL, OK, About, Cell, Ledger, Verdict, write_results


def names(kernels: Sequence[str], configs: Sequence[str] = ("",), seeds: Sequence[Any] = (None,)) \
        -> List[str]:
    """The names of the cells."""
    return [plan.name for plan in plan_cells(kernels, [""], configs, seeds)]


class NameTest(unittest.TestCase):
    """Names of cells."""

    def test_names_are_words_of_a_shell(self) -> None:
        self.assertEqual(names(["6.1", "~/my linux"], ["", "a+b", "dir/x.config"]),
                         ["6.1", "6.1+a+b", "6.1+x.config",
                          "my_linux", "my_linux+a+b", "my_linux+x.config"])

    def test_a_name_does_not_depend_on_the_others(self) -> None:
        self.assertEqual(names(["7.3", "6.1"], ["debug"])[1], names(["6.1"], ["debug"])[0])

    def test_trees_of_one_name(self) -> None:
        here, there = names(["/a/linux", "/b/linux"])
        self.assertRegex(here, "^linux-[0-9a-f]{6}$")
        self.assertNotEqual(here, there)
        self.assertEqual([here, there], names(["/b/linux", "/a/linux"])[::-1])

    def test_twice_the_same(self) -> None:
        self.assertEqual(len(set(names(["6.1", "6.1"]))), 2)
        plans = plan_cells(["6.1", "6.1"], [""], [""])
        self.assertEqual([plan.label for plan in plans], ["6.1", "6.1 (2)"])

    def test_seeds(self) -> None:
        plans = plan_cells(["6.1"], [""], [""], [7, 8])
        self.assertEqual([(plan.name, plan.label, plan.seed) for plan in plans],
                         [("6.1+seed7", "6.1 seed 7", 7), ("6.1+seed8", "6.1 seed 8", 8)])
        self.assertEqual(names(["6.1"], [""], [7]), ["6.1"])

    def test_architectures(self) -> None:
        plans = plan_cells(["6.1"], ["x86_64", "arm64"], ["", "vm"])
        self.assertEqual([(plan.name, plan.label) for plan in plans],
                         [("6.1+x86_64", "6.1 x86_64"), ("6.1+x86_64+vm", "6.1 x86_64 vm"),
                          ("6.1+arm64", "6.1 arm64"), ("6.1+arm64+vm", "6.1 arm64 vm")])

    def test_find(self) -> None:
        plans = plan_cells(["6.1"], [""], [""])
        self.assertEqual(find_plan(plans, "6.1").kernel, "6.1")
        with self.assertRaises(Failure):
            find_plan(plans, "7.3")


class MergeTest(unittest.TestCase):
    """Folders with results."""

    PLANNED = ["6.1", "7.3", "7.3+debug"]

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def run_cell(self, name: str, result: str = OK, command: str = "", unfit: bool = False,
                 state: str = "done", started: str = "2026-11-21T07:22:11Z",
                 to: str = "") -> Path:
        """What --cell NAME leaves."""
        logs = self.folder / f"logs-{name}{started[11:13]}{to}"
        logs.mkdir()
        ledger = Ledger(logs, lambda line: None)
        ledger.record(Verdict("a.b", result, 5, output=["# x.c:1:b:Expected"]))
        cell = Cell(name.replace("+", " "), name, "7.3", "7.3.1", state=state, ledger=ledger,
                    logs="/elsewhere/1", unfit=unfit, seconds=3)
        about = About("suite", started, 4, planned=self.PLANNED,
                      command=f"./run_tests.sh -k 6.1 {command}--cell {name} --results=x")
        write_results(logs, about, [cell])
        into = self.folder / f"results{to}" / name
        leave(logs, into)
        return into

    def merge(self, *folders: str) -> Dict[str, Any]:
        """Merges; what results.json would have."""
        merged = Merged()
        for part in find_parts([self.folder / name for name in folders or ["results"]]):
            merged.add(part)
        cells = merged.all_cells()
        results = write_results(self.folder, merged.about(), [])
        return {**results,
                "cells": cells, "failed": sum(cell["failed"] for cell in cells)}

    def test_all_are_there(self) -> None:
        for name in reversed(self.PLANNED):
            self.run_cell(name)
        results = self.merge()
        self.assertEqual([cell["name"] for cell in results["cells"]], self.PLANNED)
        self.assertEqual(status_of(results), 0)
        self.assertEqual(results["command"], "./run_tests.sh -k 6.1")
        self.assertEqual(results["cells"][1]["logs"],
                         str((self.folder / "results/7.3").resolve()))

    def test_one_failed(self) -> None:
        for name in self.PLANNED:
            self.run_cell(name, FAIL if name == "7.3" else OK)
        self.assertEqual(status_of(self.merge()), 1)

    def test_missing_is_named(self) -> None:
        self.run_cell("6.1")
        self.run_cell("7.3+debug", FAIL)
        results = self.merge()
        self.assertEqual(status_of(results), 2)
        self.assertEqual([cell["name"] for cell in results["cells"] if cell["reason"] == MISSING],
                         ["7.3"])

    def test_the_later_run_counts(self) -> None:
        for to, result, hour in (("a", FAIL, "08"), ("b", OK, "09")):
            self.run_cell("6.1", result, started=f"2026-11-21T{hour}:00:00Z", to=to)
        for order in (["resultsa", "resultsb"], ["resultsb", "resultsa"]):
            self.assertEqual(self.merge(*order)["cells"][0]["passed"], 1)

    def test_one_that_ended_counts_more(self) -> None:
        self.run_cell("6.1", to="a")
        self.run_cell("6.1", state="failed", started="2026-11-21T09:00:00Z", to="b")
        for order in (["resultsa", "resultsb"], ["resultsb", "resultsa"]):
            self.assertEqual(self.merge(*order)["cells"][0]["state"], "done")

    def test_two_command_lines(self) -> None:
        self.run_cell("6.1", to="a")
        self.run_cell("6.1", command="walk_anon ", to="b")
        with self.assertRaises(Failure):
            self.merge("resultsa", "resultsb")

    def test_half_a_file_is_no_result(self) -> None:
        folder = self.run_cell("6.1")
        text = (folder / "results.json").read_text()
        self.assertIsNotNone(finished(folder, "./run_tests.sh -k 6.1"))
        (folder / "results.json").write_text(text[:100])
        self.assertIsNone(finished(folder, "./run_tests.sh -k 6.1"))
        with self.assertRaises(Failure):
            self.merge()

    def test_what_is_run_again(self) -> None:
        command = "./run_tests.sh -k 6.1 --cells"
        self.assertIsNone(finished(self.folder / "results/6.1", command))
        self.assertIsNotNone(finished(self.run_cell("6.1", FAIL), command))
        # a disk that was full is not, another time
        self.assertIsNone(finished(self.run_cell("7.3", state="failed"), command))
        self.assertIsNotNone(finished(self.run_cell("7.3+debug", state="failed", unfit=True),
                                      command))
        with self.assertRaises(Failure):
            finished(self.folder / "results/6.1", "./run_tests.sh -k 6.2 --cells")

    def test_words_that_do_not_matter(self) -> None:
        self.assertEqual(without_cell("./run_tests.sh -k 6.1 --cell=6.1 --results 'a b' -v x "
                                      "--format ktap --cells"), ["-k", "6.1", "x"])


if __name__ == "__main__":
    unittest.main()
