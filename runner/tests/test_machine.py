# SPDX-License-Identifier: GPL-2.0
"""What --check=machine does on this side."""
from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from runner.debian import copy_checkout
from runner.machine import sort_tap, user

# of run_kselftest.sh of 6.1
TAP = """\
TAP version 13
1..2
# selftests: hmmirror: abi
# TAP version 13
# 1..3
# # Starting 3 tests from 3 test cases.
# ok 1 abi.query.good
# # abi.c:356:bad_argument:Expected -EFAULT (-14) == hmm_ioctl() (0)
# not ok 2 abi.query.bad_argument
# ok 3 # SKIP the kernel was built without CONFIG_DEVICE_PRIVATE
not ok 1 selftests: hmmirror: abi # exit=1
# selftests: hmmirror: copy
#
not ok 2 selftests: hmmirror: copy # TIMEOUT 120 seconds
"""


class MachineTest(unittest.TestCase):
    """Functions that need no machine."""

    def test_clone(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            origin, clone = Path(name, "origin"), Path(name, "clone")
            for file in (".git/config", "build/here", "driver/main.c", "Makefile"):
                (origin / file).parent.mkdir(parents=True, exist_ok=True)
                (origin / file).write_text(file, encoding="utf-8")
            for file in ("build/there", "driver/old.c", "gone.c"):
                (clone / file).parent.mkdir(parents=True, exist_ok=True)
                (clone / file).write_text(file, encoding="utf-8")
            copy_checkout(origin, clone)
            self.assertEqual(sorted(str(path.relative_to(clone)) for path in clone.rglob("*")
                                    if path.is_file()),
                             ["Makefile", "build/there", "driver/main.c"])

    def test_tap(self) -> None:
        passed, failed, skipped = sort_tap(TAP.splitlines())
        self.assertEqual(passed, ["# ok 1 abi.query.good"])
        self.assertEqual([line[:8] for line in failed], ["# not ok", "not ok 1", "not ok 2"])
        self.assertEqual(len(skipped), 1)

    def test_user(self) -> None:
        self.assertEqual(user("make 'a b'"),
                         """runuser -l user -c 'cd hmmirror && make '"'"'a b'"'"''""")


if __name__ == "__main__":
    unittest.main()
