# SPDX-License-Identifier: GPL-2.0
"""What the user sees: results on standard output, progress and messages on standard error."""
from __future__ import annotations

import os
import re
import sys
import time
from typing import TextIO

# seconds between two lines about one step where there is no terminal
QUIET = 20

RED, GREEN, YELLOW = "1;31", "32", "33"
# how a line of a test begins, and the totals
COLOURS = {"ok": GREEN, "FAIL": RED, "SKIP": YELLOW, "XFAIL": YELLOW, "FLAKY": YELLOW}
VERDICT = re.compile(r"(ok|FAIL|SKIP|XFAIL|FLAKY)(?=  )")
FAILED = re.compile(r"(?<=passed, )[1-9]\d* failed")


def wants_colour(stream: TextIO) -> bool:
    """A terminal whose user has not set NO_COLOR (https://no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and \
        os.environ.get("TERM", "dumb") != "dumb"


def paint(line: str) -> str:
    """A line of the results in colour. The words say the same without."""
    found = VERDICT.match(line)
    if found:
        return f"\033[{COLOURS[found[1]]}m{found[1]}\033[m{line[found.end():]}"
    return FAILED.sub(lambda counts: f"\033[{RED}m{counts[0]}\033[m", line)


def about(seconds: float) -> str:
    """A length of time, for people who wait."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


class Terminal:
    """One progress line, which is rewritten on a terminal. Elsewhere each new step has a line."""

    def __init__(self) -> None:
        self.interactive = sys.stderr.isatty()
        self.columns, self.lines = 80, 24
        if self.interactive:
            try:
                self.columns, self.lines = os.get_terminal_size(sys.stderr.fileno())
            except OSError:
                pass
            self.columns = self.columns or 80
            self.lines = self.lines or 24
        # results on standard error, because standard output is for a program
        self.aside = False
        self._open = False
        self._last = ""
        self._shown = 0.0

    def step(self, what: str, detail: str = "") -> None:
        """Shows what is going on now."""
        text = f"{what}: {detail}" if detail else what
        now = time.monotonic()
        if self.interactive:
            sys.stderr.write(f"\r\033[K{text[:self.columns - 1]}")
            sys.stderr.flush()
            self._open = True
        elif what != self._last or now - self._shown >= QUIET:
            print(text, file=sys.stderr, flush=True)
            self._shown = now
        self._last = what

    def clear(self) -> None:
        """Removes the progress line."""
        if self._open:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
        self._open = False

    def say(self, text: str) -> None:
        """A message beside the results."""
        self.clear()
        print(text, file=sys.stderr, flush=True)

    def out(self, text: str) -> None:
        """A line of the results."""
        self.clear()
        stream = sys.stderr if self.aside else sys.stdout
        print(paint(text) if wants_colour(stream) else text, file=stream, flush=True)

    def progress(self, done: int, planned: int, failed: int, seconds: float) -> None:
        """How far the tests are, where that can be shown on a line that is rewritten."""
        if not self.interactive or not 0 < done < planned:
            return
        left = about(seconds / done * (planned - done))
        bad = f", {failed} failed" if failed else ""
        self.step(f"{done} of {planned} tests{bad}, about {left} left")


class SilentTerminal(Terminal):
    """For work that goes on behind another that is shown; messages still are."""

    def step(self, what: str, detail: str = "") -> None:
        pass

    def clear(self) -> None:
        pass
