# SPDX-License-Identifier: GPL-2.0
"""What the user sees: results on standard output, progress and messages on standard error."""
from __future__ import annotations

import os
import sys
import time

# seconds between two lines about one step where there is no terminal
QUIET = 20


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
        print(text, file=sys.stderr if self.aside else sys.stdout, flush=True)
