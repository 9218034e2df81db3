# SPDX-License-Identifier: GPL-2.0
"""What a kernel reports on its console, and under which test."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Set

# What comes after this belongs to what it names, and if that is TESTS, to the test that the next
# mark of the other kind names: guest/log.c marks a test after the kernel said something.
BEGIN = "hmmirror-test: begin "
UNDER = "hmmirror-test: under "
TESTS = "tests"

# the words say why a test fails
REPORT = re.compile(
    r"BUG: |WARNING: |kernel BUG at|Oops: |general protection fault"
    r"|KASAN: |KCSAN: |UBSAN: |possible circular locking|possible recursive locking"
    r"|inconsistent lock state|suspicious RCU usage|INFO: task .* blocked for"
    r"|rcu.*(detected stalls|self-detected stall)|soft lockup|hard LOCKUP"
    r"|kmemleak: .*suspected|unreferenced object 0x|Bad page state|Bad rss-counter"
    r"|Bad page map|: bad p[g4um]d |refcount_t: |corruption|Kernel panic|unable to handle"
    # then nothing is reported any more
    r"|Kernel memory leak detector disabled|INFO: lockdep is turned off|turning off the locking")
# a report in words that nobody has seen yet has one of these
CUT_HERE = re.compile(r"-+\[ cut here \]-+")
STACK = re.compile(r"\bCall [Tt]race:")
# what prints a stack and is no report: memory that a test makes fail or run out; warn_alloc() in
# mm/page_alloc.c gives the mode of an allocation, whatever its caller says
HARMLESS = re.compile(r"Memory failure: |FAULT_INJECTION: |, mode:0x[0-9a-f]+\(|invoked oom-killer"
                      r"|sysrq: ")
# a test that has an allocation fail for which the kernel warns
EXCUSED = re.compile(r"WARNING: .* add_pages\+")

# bits of /proc/sys/kernel/tainted, by the kernel's letters
TAINT_LETTERS = "PFSRMBUDAWCIOELKXTNJ"


def taint_letters(old: int, new: int) -> str:
    """The letters of the flags that were added."""
    added = new & ~old
    return "".join(letter for bit, letter in enumerate(TAINT_LETTERS) if added >> bit & 1) or \
        f"{added:#x}"


@dataclass
class Race:
    """A report of KCSAN that is being read.

    The kernel has races of its own, also in what the driver calls, and reports those under
    whatever runs. A race is taken for the driver's if one of the two accesses is in the module, or
    up to two calls below it: in a list, an xarray, a copy to or from userspace.
    """

    title: str
    frames: int = 99

    def is_ours_by(self, line: str) -> bool:
        """Does this line of the report show that it is the driver's?"""
        if re.search(r" to 0x\S+ of \d+ bytes by ", line):
            self.frames = 0
        elif re.search(r"\+0x\w+/0x\w+", line):
            self.frames += 1
            return self.frames <= 3 and "[hmmirror]" in line
        return False


@dataclass
class Console:
    """Reads a console's log as it grows, and keeps the first line of a report under each test."""

    path: Path
    reports: Dict[str, str] = field(default_factory=dict)
    # tests under which the kernel warned of what they brought about
    excused: Set[str] = field(default_factory=set)
    # KCSAN's reports that are not the driver's
    races: int = 0
    _offset: int = 0
    # what the last mark of the first kind names
    _part: str = "boot"
    _waiting: List[str] = field(default_factory=list)
    _lines: Dict[str, List[str]] = field(default_factory=dict)
    # whose lines are read
    _test: str = "boot"
    _race: Optional[Race] = None
    # the stack that comes next belongs to what was said already
    _told: bool = False
    # the line that comes next begins a report
    _cut: bool = False

    def scan(self) -> None:
        """Reads what has come since the last time. A line that is not complete yet waits."""
        with self.path.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self._offset += end
        for line in text[:end].decode(errors="replace").splitlines():
            if UNDER in line:
                self._give(line.split(UNDER, 1)[1])
            elif BEGIN in line:
                self.settle("")
                self._part = line.split(BEGIN, 1)[1]
            else:
                self._waiting.append(line)
        if self._part != TESTS:
            self.settle("")

    def settle(self, test: str) -> None:
        """What waits for the name of a test belongs to this one."""
        self._give(test if self._part == TESTS else self._part)

    def _give(self, name: str) -> None:
        if name != self._test:
            self._test = name
            self._told = self._cut = False
        for line in self._waiting:
            self._read(line)
        self._lines.setdefault(name, []).extend(self._waiting)
        self._waiting.clear()

    def _read(self, line: str) -> None:
        if "BUG: KCSAN: " in line:
            self._race = Race(line)
            if "[hmmirror]" in line:
                self._report_race()
        elif self._race:
            if "====" in line:
                self.races += 1
                self._race = None
            elif self._race.is_ours_by(line):
                self._report_race()
        elif CUT_HERE.search(line):
            self._cut = True
        elif STACK.search(line):
            if not self._told:
                self._report(line)
            self._told = self._cut = False
        elif HARMLESS.search(line):
            self._told = True
        elif self._cut or REPORT.search(line):
            if self._test.startswith("fail_nth.") and EXCUSED.search(line):
                self.excused.add(self._test)
            else:
                self._report(line)
            self._told, self._cut = True, False

    def _report(self, line: str) -> None:
        if self._test and self._test not in self.reports:
            self.reports[self._test] = line.split("] ", 1)[-1]

    def _report_race(self) -> None:
        if self._race:
            self._report(self._race.title)
        self._race = None

    def lines_of(self, test: str, most: int = 25) -> List[str]:
        """The report under a test, from its first line on."""
        first, lines = self.reports[test], self._lines.get(test, [])
        begin = next((number for number, line in enumerate(lines) if first in line), len(lines))
        return lines[begin:begin + most]

    def tail(self, count: int) -> List[str]:
        """The last lines."""
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        return text.splitlines()[-count:]
