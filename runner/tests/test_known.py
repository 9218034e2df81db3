# SPDX-License-Identifier: GPL-2.0
"""--known FILE: what it says, what does not count because of it, and what is wrong with it."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from typing import List, Tuple

from runner.errors import Failure
from runner.known import KnownFailures, read_known
from runner.results import FAIL, FLAKY, OK, XFAIL, Ledger, Verdict

ENTRIES = ["migrate-mbind", "hmm-lock"]


class KnownTest(unittest.TestCase):
    """A file, and a ledger."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.shown: List[str] = []
        self.ledger = Ledger(self.folder, self.shown.append)

    def read(self, text: str) -> KnownFailures:
        """What a file says."""
        path = self.folder / "known"
        path.write_text(text, encoding="utf-8")
        return read_known(path, ENTRIES)

    def refused(self, text: str) -> str:
        """The message about a file."""
        with self.assertRaises(Failure) as caught:
            self.read(text).check_tests(["a.b", "a.c"])
        return str(caught.exception)

    def test_test_never_counts(self) -> None:
        self.ledger.expected = self.read("# why\n\na.b   on its way\n").of_test
        for name in ("a.b", "a.b@2", "a.c"):
            self.ledger.record(Verdict(name, FAIL, 1, "killed by signal 6"))
        self.assertEqual([verdict.result for verdict in self.ledger.verdicts.values()],
                         [XFAIL, XFAIL, FAIL])
        self.assertIn("XFAIL  a.b", self.shown[0])
        self.assertIn("on its way  killed by signal 6", self.shown[0])

    def test_test_that_passes(self) -> None:
        known = self.read("a.b on its way\na.c on its way, too\n")
        self.ledger.expected = known.of_test
        self.ledger.record(Verdict("a.b", OK, 1))
        self.ledger.record(Verdict("a.c", FAIL, 1))
        self.assertEqual(self.ledger.verdicts["a.b"].result, OK)
        self.assertEqual(known.unneeded(self.ledger),
                         [f"{self.folder}/known:1: a.b passes; the line can go"])

    def test_entry_takes_what_has_its_name(self) -> None:
        known = self.read("migrate-* the fix is in our next release\n")
        rows: List[Tuple[str, str, List[str]]] = [
            ("a.b", FAIL, ["migrate-mbind"]), ("a.c", FAIL, ["hmm-lock"]), ("a.d", FAIL, []),
            ("a.e", FAIL, ["migrate-mbind", "hmm-lock"]), ("a.f", OK, []),
            ("a.g", FLAKY, ["migrate-mbind"])]
        for name, result, bugs in rows:
            self.ledger.record(Verdict(name, result, 1, bugs=bugs))
        known.expect(self.ledger)
        self.assertEqual({name: verdict.result for name, verdict in self.ledger.verdicts.items()},
                         {"a.b": XFAIL, "a.c": FAIL, "a.d": FAIL, "a.e": FAIL, "a.f": OK,
                          "a.g": XFAIL})
        self.assertEqual(self.ledger.verdicts["a.b"].known, "the fix is in our next release")

    def test_bad_lines(self) -> None:
        self.assertIn("known:2: 'a.b' has no reason", self.refused("# x\na.b\n"))
        self.assertIn("known:3: 'banana*' is neither an entry of regressions/ nor a test",
                      self.refused("a.b x\nhmm-lock x\nbanana* x\n"))

    def test_good_lines(self) -> None:
        self.read("a x\na.* x\nmodule.unload x\nhmm-* x\n").check_tests(["a.b"])

    def test_no_file(self) -> None:
        with self.assertRaisesRegex(Failure, "cannot be read: No such file"):
            read_known(self.folder / "none", ENTRIES)
        (self.folder / "binary").write_bytes(b"\xff\xfe\x00")
        with self.assertRaisesRegex(Failure, "cannot be read: it is no text"):
            read_known(self.folder / "binary", ENTRIES)


if __name__ == "__main__":
    unittest.main()
