# SPDX-License-Identifier: GPL-2.0
"""What results.json says of the source of a kernel."""
from __future__ import annotations

import asyncio
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Tuple

from runner.cache import Cache
from runner.host import Host
from runner.provenance import describe_tree
from runner.terminal import Terminal


class DescribeTest(unittest.TestCase):
    """A repository with a commit and a tag."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.tree = Path(folder.name) / "linux"
        (self.tree / "mm").mkdir(parents=True)
        (self.tree / "mm/hmm.c").write_text("one\n")
        self.git("init", "-q")
        self.git("add", ".")
        self.git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "one")
        terminal = Terminal()
        self.host = Host(Path(), Cache(Path(folder.name) / "cache", terminal), terminal)

    def git(self, *words: str) -> str:
        """git in it."""
        return subprocess.run(["git", *words], cwd=self.tree, check=True, text=True,
                              capture_output=True).stdout.strip()

    def describe(self, tree: Path) -> Tuple[str, str]:
        """What is said of a tree."""
        return asyncio.run(describe_tree(self.host, tree))

    def test_commit_and_change(self) -> None:
        commit = self.git("rev-parse", "HEAD")
        self.git("-c", "user.name=x", "-c", "user.email=x@y", "tag", "-a", "v6.1", "-m", "6.1")
        self.assertEqual(self.describe(self.tree), (commit, "v6.1"))
        (self.tree / "mm/hmm.c").write_text("two\n")
        self.assertEqual(self.describe(self.tree), (commit, "v6.1-dirty"))

    def test_folder_in_a_repository_is_not_it(self) -> None:
        self.assertEqual(self.describe(self.tree / "mm"), ("", ""))


if __name__ == "__main__":
    unittest.main()
