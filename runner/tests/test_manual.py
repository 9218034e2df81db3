# SPDX-License-Identifier: GPL-2.0
"""The manual page and the completion have all that --help has."""
from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import List

from runner.cli import MODES, Parser, usage
from runner.manual import Place, candidates, completion, manual, parse_usage

USAGE = usage()
ROOT = Path(__file__).resolve().parents[2]
RUN = ROOT / "run_tests.sh"


class UsageTest(unittest.TestCase):
    """The usage text, which is the source of both."""

    def test_every_option_is_taken_apart(self) -> None:
        names = [name for option in parse_usage(USAGE).options for name in option.names]
        self.assertEqual(len(names), len(set(names)))
        parser = Parser([])
        known = {*parser.with_value, *parser.flags, *(f"--{mode}" for mode in MODES)}
        self.assertEqual(known - set(names), set())
        for option in parse_usage(USAGE).options:
            self.assertTrue(option.lines, option.head)

    def test_notes(self) -> None:
        notes = parse_usage(USAGE).notes
        self.assertEqual(list(notes), ["Exit status", "Environment"])
        self.assertIn("NO_COLOR", notes["Environment"])


class ManualTest(unittest.TestCase):
    """The page."""

    def test_page_has_all_words_of_the_usage(self) -> None:
        if not shutil.which("man"):
            self.skipTest("no man; it is in man-db")
        with tempfile.NamedTemporaryFile("w", suffix=".1") as file:
            file.write(manual(USAGE))
            file.flush()
            done = subprocess.run(["man", "--warnings", "-l", "-E", "ascii", file.name],
                                  capture_output=True, text=True, check=True,
                                  env={**os.environ, "MANWIDTH": "300", "MANROFFOPT": "-rHY=0"})
        self.assertEqual(done.stderr, "")
        page = re.sub(r".\x08", "", done.stdout)
        words = set(re.findall(r"[\w./@=-]{3,}", page))
        missing = [word for word in re.findall(r"[\w./@=-]{3,}", USAGE)
                   if word not in words and word not in ("Usage", "Exit", "Environment")]
        self.assertEqual(missing, [])


class CandidatesTest(unittest.TestCase):
    """What words can become."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        root = Path(folder.name)
        for name in ("cache/source/linux-6.1", "cache/source/linux-6.12", "cache/suite/x",
                     "configs", "regressions/some-bug"):
            (root / name).mkdir(parents=True)
        for name in ("configs/base.config", "configs/debug.config", "regressions/some-bug/about"):
            (root / name).touch()
        (root / "cache/suite/x/tests").write_text("walk\twalk_anon.ksm.snapshot\nwalk\twalk_a\n")
        self.place = Place(root, root / "cache")

    def complete(self, *words: str) -> List[str]:
        """Candidates."""
        return candidates(USAGE, self.place, words)

    def test_options(self) -> None:
        self.assertEqual(self.complete("--fo"), ["--format"])
        self.assertIn("--kernel", self.complete("-c", "x", "-"))

    def test_values(self) -> None:
        self.assertEqual(self.complete("-k", "6"), ["6.1", "6.12"])
        self.assertEqual(self.complete("-c", ""), ["debug"])
        self.assertEqual(self.complete("--format", "k"), ["kcidb", "ktap"])
        self.assertEqual(self.complete("--format=k"), ["--format=kcidb", "--format=ktap"])
        self.assertEqual(self.complete("--format", "=", "k"), ["kcidb", "ktap"])
        self.assertEqual(self.complete("--upstream=6"), ["--upstream=6.1", "--upstream=6.12"])
        self.assertEqual(self.complete("--reintroduce", "s"), ["some-bug"])

    def test_tests(self) -> None:
        self.assertEqual(self.complete("--upstream", "walk_an"),
                         ["walk_anon", "walk_anon.ksm.snapshot"])
        self.assertEqual(self.complete("walk_anon.k"), ["walk_anon.ksm.snapshot"])
        # a file, which the shell knows
        self.assertEqual(self.complete("--known", "w"), [])


class ShellTest(unittest.TestCase):
    """In the shells themselves."""

    def test_bash(self) -> None:
        script = f'{completion("bash")}\nCOMP_WORDS=({RUN} --format = kt); COMP_CWORD=3\n' \
                 '_hmmirror; echo "${COMPREPLY[*]}"; complete -p run_tests.sh'
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.splitlines(),
                         ["ktap", "complete -o default -F _hmmirror run_tests.sh"])

    def test_zsh(self) -> None:
        if not shutil.which("zsh"):
            self.skipTest("no zsh")
        process, terminal = pty.fork()
        if not process:
            os.execvpe("zsh", ["zsh", "-f", "-i"], {**os.environ, "TERM": "dumb", "PS1": "> "})
        try:
            with tempfile.NamedTemporaryFile("w") as file:
                file.write(completion("zsh"))
                file.flush()
                send(terminal, f"autoload -U compinit; compinit -D -u; source {file.name}; "
                     "echo rea''dy\r", "ready\r")
                said = send(terminal, f"{RUN} --format kta\t", "--format ktap")
                self.assertIn("--format ktap", said)
        finally:
            os.kill(process, 9)
            os.waitpid(process, 0)
            os.close(terminal)


def send(terminal: int, text: str, wanted: str) -> str:
    """Types into a terminal; what it shows until what is wanted, or for 20 s."""
    os.write(terminal, text.encode())
    said, end = "", time.monotonic() + 20
    while wanted not in said and time.monotonic() < end:
        if select.select([terminal], [], [], 0.2)[0]:
            said += os.read(terminal, 4096).decode(errors="replace")
    return said


if __name__ == "__main__":
    unittest.main()
