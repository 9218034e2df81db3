# SPDX-License-Identifier: GPL-2.0
"""What a kernel reports on its console, and under which test."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set

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
# mm/page_alloc.c gives the mode of an allocation, whatever its caller says; with CONFIG_DEBUG_VM
# each fault of userfaultfd's memory that must not drop the mmap lock, as the walker's
HARMLESS = re.compile(r"Memory failure: |FAULT_INJECTION: |, mode:0x[0-9a-f]+\(|invoked oom-killer"
                      r"|sysrq: |FAULT_FLAG_ALLOW_RETRY missing")
# a test that has an allocation fail for which the kernel warns
EXCUSED = re.compile(r"WARNING: .* add_pages\+")

# bits of /proc/sys/kernel/tainted, by the kernel's letters
TAINT_LETTERS = "PFSRMBUDAWCIOELKXTNJ"

# functions of a report's stack that name it, and those that any report has
NAMED_BY = 3
# a loop is interrupted anywhere in it: of a stall as many are kept
STALL_NAMED_BY = 12
STALL = re.compile("blocked for more than|soft lockup|hard LOCKUP|stall")
# lines of a report in which they are looked for
WHOLE_REPORT = 80
FUNCTION = re.compile(r"^(?:RIP: 0010:)?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+( \[hmmirror\])?")
IN_TITLE = re.compile(r" (?:at )?([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
EVERYWHERE = re.compile(r"(dump_stack|show_stack|dump_page|bad_page|print_|kasan_|__asan_|__warn|"
                        r"report_bug|handle_bug|panic|asm_|exc_|die$|oops_|do_syscall|entry_SYSCALL|"
                        r"__x64_sys_|ret_from_fork)")
# what compilers put behind a name
SUFFIX = re.compile(r"\.(isra|constprop|part|cold)\b.*")


def taint_letters(old: int, new: int) -> str:
    """The letters of the flags that were added."""
    added = new & ~old
    return "".join(letter for bit, letter in enumerate(TAINT_LETTERS) if added >> bit & 1) or \
        f"{added:#x}"


def title_of(line: str) -> str:
    """The first line of a report, without what differs from one time to the next."""
    line = " ".join(line.split())
    # "WARNING: CPU: 0 PID: 88 at mm/a.c:1 f+0x1/0x2", or since 6.19 "WARNING: mm/a.c:1 at f+0x1/0x2"
    found = re.match(r"WARNING: (?:\[.*\] )?(?:CPU: \d+ PID: \d+ at )?(\S+\.[ch]):\d+\b", line)
    if found:
        return f"WARNING: {found[1]}"
    line = re.sub(r"(\.[ch]):\d+", r"\1", line)
    line = re.sub(r"\bin process .*?(?=  | pfn:| pte:|$)", "in process #", line)
    line = re.sub(r"\btask \S+:\d+", "task #", line)
    line = re.sub(r"CPU#?\d+", "CPU#", line)
    line = re.sub(r"(\w)\+0x[0-9a-f]+/0x[0-9a-f]+", r"\1", line)
    return re.sub(r"\b(0x[0-9a-f]+|[0-9a-f]{6,}|\d+)\b", "#", line)


def name_report(lines: Sequence[str]) -> str:
    """What a report is known by: its title, and behind a bar the innermost functions."""
    if not lines:
        return ""
    first = bare(lines[0])
    most = STALL_NAMED_BY if STALL.search(first) else NAMED_BY
    functions: List[str] = []
    for line in map(bare, lines[1:]):
        found = FUNCTION.match(line.strip())
        if found and not EVERYWHERE.match(found[1]):
            name = SUFFIX.sub("", found[1])
            # whatever the driver calls, the driver is called by the same functions
            if name not in functions and not (functions and found[2]):
                functions.append(name)
        if len(functions) == most or "end trace" in line:
            break
    inside = IN_TITLE.search(first)
    if inside and not functions:
        functions = [SUFFIX.sub("", inside[1])]
    return title_of(first) + (f" | {' '.join(functions)}" if functions else "")


def bare(line: str) -> str:
    """Without the time that stands before it."""
    return re.sub(r"^\[ *\d+\.\d+\](?:\[[^]]*\])? ?", "", line)


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

    def lines_by_test(self) -> Dict[str, List[str]]:
        """All lines under each test."""
        return self._lines

    def name_of(self, test: str) -> str:
        """What the report under a test is known by; empty without one."""
        return name_report(self.lines_of(test, WHOLE_REPORT)) if test in self.reports else ""

    def tail(self, count: int) -> List[str]:
        """The last lines."""
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        return text.splitlines()[-count:]
