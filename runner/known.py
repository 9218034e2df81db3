# SPDX-License-Identifier: GPL-2.0
"""--known FILE: failures that are known, and do not count.

Each line has the name of an entry of regressions/ or of a test, or a glob of either, and then the
reason, for people:

    migrate-mbind-huge-device   the fix is in our next release
    device_policy.huge.*        reported on 12 November

An entry takes the failures that the diagnosis puts under it, a test takes any failure of that test.
Empty lines and those that begin with # are left out.
"""
from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import List, Sequence, Tuple

from runner.errors import Failure
from runner.names import OWN_NAMES, base_name, matches
from runner.results import FAIL, FLAKY, OK, XFAIL, Ledger


@dataclass(frozen=True)
class Line:
    """One line."""

    number: int
    name: str
    reason: str


@dataclass(frozen=True)
class KnownFailures:
    """What a file says."""

    entries: Tuple[Line, ...] = ()
    tests: Tuple[Line, ...] = ()
    path: str = ""

    def of_test(self, name: str) -> str:
        """The reason why this test may fail; empty if it may not."""
        return next((line.reason for line in self.tests
                     if matches(base_name(name), [line.name])), "")

    def of_entry(self, name: str) -> str:
        """The reason why this bug is expected; empty if it is not."""
        return next((line.reason for line in self.entries if fnmatchcase(name, line.name)), "")

    def check_tests(self, names: Sequence[str]) -> None:
        """Each line has to mean something."""
        for line in self.tests:
            if not any(matches(name, [line.name]) for name in (*names, *OWN_NAMES)):
                raise Failure(f"--known {self.path}:{line.number}: '{line.name}' is neither an entry "
                              "of regressions/ nor a test; --list shows the tests")

    def expect(self, ledger: Ledger) -> None:
        """Failures that have a name which is expected do not count from now on."""
        for verdict in list(ledger.verdicts.values()):
            reasons = [self.of_entry(name) for name in verdict.bugs]
            if verdict.result in (FAIL, FLAKY) and reasons and all(reasons):
                verdict.result, verdict.known = XFAIL, reasons[0]
                ledger.tell(str(verdict))

    def unneeded(self, ledger: Ledger) -> List[str]:
        """Lines for the user about tests that were expected to fail, and pass."""
        lines = []
        for line in self.tests:
            found = [verdict for verdict in ledger.verdicts.values()
                     if matches(base_name(verdict.name), [line.name])]
            if any(verdict.result == OK for verdict in found) and \
                    not any(verdict.result in (FAIL, FLAKY, XFAIL) for verdict in found):
                lines.append(f"{self.path}:{line.number}: {line.name} passes; the line can go")
        return lines


def read_known(path: Path, entries: Sequence[str]) -> KnownFailures:
    """Reads the file; the names of tests are checked once they are known."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise Failure(f"--known {path}: it cannot be read: {reason}") from error
    found: List[Line] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(None, 1)
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2:
            raise Failure(f"--known {path}:{number}: '{words[0]}' has no reason; a line is the name of "
                          "an entry of regressions/ or of a test, and why it may fail")
        found.append(Line(number, words[0], words[1].strip()))
    are_entries = [line for line in found if any(fnmatchcase(name, line.name) for name in entries)]
    return KnownFailures(tuple(are_entries),
                         tuple(line for line in found if line not in are_entries), str(path))
