# SPDX-License-Identifier: GPL-2.0
"""The guest's archive."""
from __future__ import annotations

import io
import os
import tempfile
import unittest
from pathlib import Path

from runner.image import write_archive


class ArchiveTest(unittest.TestCase):
    """The same files give the same bytes."""

    def archive(self, order: str, date: int) -> bytes:
        """Of files that were made in this order, on this date."""
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "bin").mkdir()
            for letter in order:
                (folder / "bin" / letter).write_text(f"program {letter}\n", encoding="utf-8")
                os.utime(folder / "bin" / letter, (date, date))
            (folder / "bin/a").chmod(0o700)
            (folder / "bin/link").symlink_to("a")
            out = io.BytesIO()
            write_archive(folder, out, {"bin/sh": "busybox"})
            return out.getvalue()

    def test_same(self) -> None:
        self.assertEqual(self.archive("ab", 1), self.archive("ba", 1000000))

    def test_content(self) -> None:
        archive = self.archive("ab", 1)
        self.assertEqual(0, len(archive) % 512)
        # bin, a, b, link, sh, and the end
        self.assertEqual(6, archive.count(b"070701"))
        # a is executable, b is not
        self.assertIn(b"07070100000002000081ed", archive)
        self.assertIn(b"07070100000003000081a4", archive)
        self.assertIn(b"program a\n", archive)
        # a link that is in no folder
        self.assertIn(b"070701000000050000a1ff", archive)
        self.assertIn(b"bin/sh\0", archive)
        self.assertIn(b"busybox", archive)


if __name__ == "__main__":
    unittest.main()
