# SPDX-License-Identifier: GPL-2.0
"""What is said about this machine's own kernel."""
from __future__ import annotations

import unittest
from pathlib import Path

from runner.guest import refused, taint_note

MODULE = Path("/cache/hmmirror.ko")


class NativeTest(unittest.TestCase):
    """Words of insmod, and of the kernel."""

    def test_signature(self) -> None:
        for words in ("insmod: ERROR: could not insert module x.ko: Key was rejected by service\n",
                      "insmod: can't insert 'x.ko': Required key not available"):
            text = str(refused(words, MODULE))
            self.assertIn(f"sign {MODULE} with such a key", text)
            self.assertIn(f"({words.strip().rpartition(': ')[2]})", text)
            self.assertNotIn("\n", text)

    def test_lockdown(self) -> None:
        text = str(refused("insmod: ERROR: could not insert module: Operation not permitted\n", MODULE))
        self.assertIn("this kernel is locked down", text)
        self.assertNotIn("\n", text)

    def test_another_reason(self) -> None:
        self.assertEqual(str(refused("insmod: Invalid module format\n", MODULE)),
                         "the driver does not load: insmod: Invalid module format; see dmesg")

    def test_taint(self) -> None:
        self.assertEqual(taint_note("0"), "")
        self.assertEqual(taint_note(""), "")
        self.assertIn("tainted already (WOE)", taint_note(str(1 << 9 | 1 << 12 | 1 << 13)))


if __name__ == "__main__":
    unittest.main()
