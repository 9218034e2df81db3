# SPDX-License-Identifier: GPL-2.0
"""Recording how tests fail on a kernel that has a bug by itself."""
from __future__ import annotations

import json
import tempfile
import unittest
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import List

from runner.errors import Failure
from runner.record import kernel_of, main
from runner.results import FAIL, OK, Verdict, test_as_json as as_json


class RecordTest(unittest.TestCase):
    """The program, on an entry and a tree of a few lines."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = Path(folder.name)
        self.entry = root / "mm-wrong"
        self.entry.mkdir()
        (self.entry / "about").write_text("fix: mm: fix it\nfiles: mm/a.c\ntests: a.b\n")
        (self.entry / "check").write_text("file: mm/a.c\nfixed: right\nbug: wrong\n")
        (self.entry / "signature").write_text("recorded: 6.1\na.b\n\t6.1  hang\n")
        (root / "tree/mm").mkdir(parents=True)
        self.file = root / "tree/mm/a.c"
        self.file.write_text("wrong\n")
        verdicts = [Verdict("a.b", FAIL, 1, "", ["# a.c:1:t:Expected 0 (0) == x (2)"]),
                    Verdict("a.c", FAIL, 1, "killed by signal 11"), Verdict("a.d", OK, 1)]
        self.results = root / "results.json"
        self.results.write_text(json.dumps({"cells": [
            {"label": "5.15.135", "tests": [as_json(verdict) for verdict in verdicts]}]}))

    def record(self, *tests: str) -> List[str]:
        """The lines of the signature afterwards."""
        with redirect_stdout(StringIO()):
            main([str(self.file.parents[1]), str(self.results), str(self.entry), *tests])
        return (self.entry / "signature").read_text().splitlines()[1:]

    def test_tests_of_the_entry(self) -> None:
        self.assertEqual(self.record(), [
            "recorded: 5.15.135 6.1", "a.b", "\t5.15.135  assertion  Expected 0 (0) == x (2)",
            "\t6.1  hang"])

    def test_named_tests(self) -> None:
        self.assertEqual(self.record("a.c"), [
            "recorded: 5.15.135 6.1", "a.b", "\t6.1  hang", "a.c", "\t5.15.135  signal  11"])

    def test_nothing_failed(self) -> None:
        before = (self.entry / "signature").read_text()
        self.record("a.d")
        self.assertEqual((self.entry / "signature").read_text(), before)

    def test_packages_are_recorded_by_their_release(self) -> None:
        for label, kernel in (("6.1.192-3", "6.1"), ("7.3~rc7-1~exp1", "7.3"),
                              ("5.15.135", "5.15.135"), ("7.3.0-rc7", "7.3.0-rc7")):
            self.assertEqual(kernel_of(label), kernel)

    def test_config_is_in_the_name(self) -> None:
        cells = json.loads(self.results.read_text())
        cells["cells"][0]["config"] = "vm"
        self.results.write_text(json.dumps(cells))
        self.assertIn("5.15.135+vm", self.record("a.c")[0])

    def test_source_without_the_bug(self) -> None:
        self.file.write_text("right\n")
        with self.assertRaises(Failure):
            self.record()


if __name__ == "__main__":
    unittest.main()
