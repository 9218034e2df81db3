# SPDX-License-Identifier: GPL-2.0
"""make check: whether a build with C=2 called sparse, and the cells of other architectures."""
from __future__ import annotations

import unittest
from pathlib import Path

from runner.arch import all_archs
from runner.check import foreign_cells, sparse_ran, sparse_refused
from runner.config import read_config

ROOT = Path(__file__).resolve().parents[2]
RAN = """\
make -C /linux/build M=/hmmirror/driver modules
  CC [M]  core/walk.o
  CHECK   core/walk.c
  LD [M]  hmmirror.ko
"""
REFUSED = """\
/linux/Makefile:1311: C=2 specified, but sparse is not available or not up to date
  CC [M]  core/walk.o
"""


class SparseTest(unittest.TestCase):
    """What make says of it."""

    def test_ran(self) -> None:
        self.assertTrue(sparse_ran(RAN.splitlines()))
        self.assertFalse(sparse_refused(RAN.splitlines()))

    def test_refused(self) -> None:
        self.assertFalse(sparse_ran(REFUSED.splitlines()))
        self.assertTrue(sparse_refused(REFUSED.splitlines()))

    def test_neither(self) -> None:
        self.assertFalse(sparse_ran(["  CC [M]  core/walk.o", ""]))
        self.assertFalse(sparse_refused([]))


class ForeignCellsTest(unittest.TestCase):
    """Runs on other architectures than this machine's."""

    def test_each_is_a_run_that_there_is(self) -> None:
        cells = foreign_cells("7.3")
        wanted = [arch for arch in all_archs().values()
                  if arch.checked_config and not arch.is_native]
        self.assertEqual([name for name, _ in cells], [arch.name for arch in wanted])
        for arch, (_, words) in zip(wanted, cells):
            self.assertEqual(words, ["-a", arch.name, "-k", "7.3", "-c", arch.checked_config])
            read_config(ROOT, arch.checked_config, arch)


if __name__ == "__main__":
    unittest.main()
