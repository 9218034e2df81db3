# SPDX-License-Identifier: GPL-2.0
"""What the user sees: colour, and a line of progress."""
from __future__ import annotations

import contextlib
import io
import os
import unittest
from unittest import mock

from runner.terminal import Terminal, paint, wants_colour


class FakeTerminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class ColourTest(unittest.TestCase):
    """Lines of the results."""

    def test_words_are_painted(self) -> None:
        self.assertEqual(paint("FAIL  a.b  1 ms"), "\033[1;31mFAIL\033[m  a.b  1 ms")
        self.assertEqual(paint("ok    a.b"), "\033[32mok\033[m    a.b")
        self.assertEqual(paint("5 passed, 2 failed, 1 skipped"),
                         "5 passed, \033[1;31m2 failed\033[m, 1 skipped")

    def test_other_lines_are_not(self) -> None:
        for line in ("5 passed, 0 failed, 1 skipped", "okay", "failed:", "logs: /ok  x"):
            self.assertEqual(paint(line), line)

    def test_where_it_is_wanted(self) -> None:
        for environment, wanted in (({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({}, False),
                                    ({"TERM": "xterm", "NO_COLOR": "1"}, False),
                                    # as no-color.org has it, empty is not set
                                    ({"TERM": "xterm", "NO_COLOR": ""}, True)):
            with mock.patch.dict(os.environ, environment, clear=True):
                self.assertEqual(wants_colour(FakeTerminal()), wanted, environment)
                self.assertFalse(wants_colour(io.StringIO()))


class ProgressTest(unittest.TestCase):
    """The line that is rewritten."""

    def shown(self, interactive: bool, *values: float) -> str:
        """What progress() writes."""
        terminal, stream = Terminal(), io.StringIO()
        terminal.interactive = interactive
        done, planned, failed, seconds = values
        with contextlib.redirect_stderr(stream):
            terminal.progress(int(done), int(planned), int(failed), seconds)
        return stream.getvalue()

    def test_time_left(self) -> None:
        self.assertEqual(self.shown(True, 10, 40, 2, 5),
                         "\r\033[K10 of 40 tests, 2 failed, about 15 s left")
        self.assertEqual(self.shown(True, 10, 40, 0, 100), "\r\033[K10 of 40 tests, about 5 min left")

    def test_only_on_a_terminal(self) -> None:
        self.assertEqual(self.shown(False, 10, 40, 2, 5), "")
        self.assertEqual(self.shown(True, 0, 40, 0, 0), "")
        self.assertEqual(self.shown(True, 40, 40, 0, 9), "")


if __name__ == "__main__":
    unittest.main()
