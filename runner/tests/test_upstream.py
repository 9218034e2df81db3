# SPDX-License-Identifier: GPL-2.0
"""Which failures of the kernel's hmm-tests are skips, because kernel and tests do not match."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from runner.programs import Driver
from runner.upstream import UpstreamTests, excuse, read_lacks

ROOT = Path(__file__).resolve().parents[2]


class ExcuseTest(unittest.TestCase):
    """A kernel's features, and the source of tests."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def excuse(self, features: str, source: str, name: str) -> str:
        """Why a failure is none."""
        (self.folder / "features.h").write_text(features)
        (self.folder / "hmm-tests.c").write_text(source)
        return excuse(Driver(self.folder / "x.ko", self.folder / "features.h"),
                      UpstreamTests("6.1", self.folder, self.folder), read_lacks(ROOT), name)

    def test_flag_of_gup(self) -> None:
        old, new = "#define FOLL_LONGTERM   0x10000 /* x */\n", "#define FOLL_LONGTERM   0x100\n"
        has = "#define HAVE_FOLL_LONGTERM_BIT8 1\n"
        name = "hmm.hmm_device_private.hmm_gup_test"
        self.assertIn("since 6.3", self.excuse(has, old, name))
        self.assertIn("before 6.3", self.excuse("", new, name))
        # tests and kernel match: a failure is the kernel's
        self.assertEqual(self.excuse(has, new, name), "")
        self.assertEqual(self.excuse("", old, name), "")

    def test_others(self) -> None:
        self.assertIn("before 7.3", self.excuse("", "", "hmm.x.userfaultfd_read"))
        self.assertEqual(self.excuse("#define HAVE_HMM_RANGE_FAULT_UNLOCKED 1\n", "",
                                     "hmm.x.userfaultfd_read"), "")
        self.assertEqual(self.excuse("", "", "hmm.x.anything"), "")


if __name__ == "__main__":
    unittest.main()
