# SPDX-License-Identifier: GPL-2.0
"""The files of docs/using/ci/: well-formed YAML, and commands that run_tests.sh takes.

What GitLab, GitHub and LAVA make of them is checked against their schemas when the files change;
docs/developing/runner.md says how.
"""
from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import unittest
from pathlib import Path
from typing import Iterator

from runner import cli

CI = Path(__file__).resolve().parents[2] / "docs/using/ci"
CONFIG = "{extends: default, rules: {line-length: {max: 100}}}"
COMMAND = re.compile(r"/hmmirror/run_tests\.sh( .*)")


def commands() -> Iterator[str]:
    """What the files give to run_tests.sh."""
    for path in sorted(CI.iterdir()):
        text = re.sub(r"^ *#.*", "", path.read_text(encoding="utf-8"), flags=re.M)
        common = re.search(r"^ +HMMIRROR: /hmmirror/run_tests\.sh(.*)", text, re.M)
        if common:
            text = text.replace("$HMMIRROR ", f"/hmmirror/run_tests.sh{common[1]} ")
        for found in COMMAND.findall(text):
            yield re.split(r" \||\)| \|\|", found)[0]


class CiFilesTest(unittest.TestCase):
    """All of them."""

    def test_commands(self) -> None:
        given = [shlex.split(command) for command in commands()]
        self.assertGreaterEqual(len(given), 7)
        for words in given:
            request = cli.parse([word if word != "$cell" else "cell" for word in words])
            self.assertIn(request.mode, ("suite", "merge"))

    @unittest.skipUnless(shutil.which("yamllint"), "no yamllint")
    def test_yaml(self) -> None:
        done = subprocess.run(["yamllint", "-d", CONFIG, str(CI)], capture_output=True, text=True,
                              check=False)
        self.assertEqual("", done.stdout)


if __name__ == "__main__":
    unittest.main()
