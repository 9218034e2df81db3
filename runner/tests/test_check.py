# SPDX-License-Identifier: GPL-2.0
"""make check: whether a build with C=2 called sparse."""
from __future__ import annotations

import unittest

from runner.check import sparse_ran, sparse_refused

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


if __name__ == "__main__":
    unittest.main()
