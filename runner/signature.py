# SPDX-License-Identifier: GPL-2.0
"""How a test fails, in words that stay the same, and what is recorded of a known bug.

A *symptom* is one way in which a test failed: an assertion, a report of the kernel, a hang, the
death of the guest. A *signature* says which tests fail with a bug of regressions/, and with which
symptoms on which kernels. --reintroduce records it; regressions/README.md has the format.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, List, Mapping, Optional, Set, Tuple

from runner.errors import Failure
from runner.results import OK, SKIP, Verdict
from runner.splats import STALL

ASSERTION, REPORT, HANG, DEATH, SIGNAL, OTHER = \
    "assertion", "report", "hang", "death", "signal", "other"
# these have words that tell one bug from another
TELLING = (ASSERTION, REPORT)

HEADER = "# Recorded by ./run_tests.sh --reintroduce; regressions/README.md says how to read it.\n"

# "# walk_anon.c:18:read_fault:Expected 0 (0) == ret (-14)"
ASSERTED = re.compile(r"^(?:# +)?([^\s:]+\.[ch]:\d+:(?:[\w.-]+:)?)\s*(.*)$")
# lines of one assertion that are kept: what was expected, and what the test says about it
ASSERTION_LINES = 3
NUMBER = re.compile(r"(?<![\w.])-?(?:0x[0-9a-fA-F]+|\d+)(?![\w.]*[A-Za-z_])")
# errors, flags, orders and counts of pages are as large; addresses and frames are larger
LARGEST = 4095
# pages of a huge page, where pages have 4 or 16 KiB; with 64 KiB they are more than LARGEST
HUGE = ("512", "2048")
ANY = "#"
# functions that two reports of one bug must have in common, of the first three of each
COMMON_FUNCTIONS = 2


@dataclass(frozen=True, order=True)
class Symptom:
    """One way in which a test failed."""

    kind: str
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind}  {self.text}".rstrip()

    @property
    def names_a_place(self) -> bool:
        """Is it a report that says where in the kernel, well enough to know it again?"""
        return self.kind == REPORT and len(split_report(self.text)[1]) >= COMMON_FUNCTIONS

    @property
    def can_be_once(self) -> bool:
        """A warning that the kernel may give only the first time: WARN_ON_ONCE()."""
        return self.kind == REPORT and self.text.startswith("WARNING: ")

    def is_like(self, other: Symptom) -> bool:
        """The same, as far as that can stay the same from one run and kernel to the next."""
        if self.kind != other.kind:
            return False
        if self.kind == HANG:
            return same_hang(self.text.split(), other.text.split())
        if self.kind != REPORT:
            return same_text(self.text, other.text)
        mine, theirs = split_report(self.text), split_report(other.text)
        return same_text(mine[0], theirs[0]) and same_functions(mine[1], theirs[1])


def plain(text: str) -> str:
    """A text without what differs from run to run: addresses, and other large numbers."""
    def shown(found: "re.Match[str]") -> str:
        word = found[0]
        return ANY if "0x" in word or abs(int(word)) > LARGEST else word
    return NUMBER.sub(shown, " ".join(text.split()))


def numbers_apart(text: str) -> List[str]:
    """The words of a text and its numbers."""
    return re.split(r"((?<![\w.])-?\d+(?![\w.]*[A-Za-z_])|#)", text)


def same_text(one: str, other: str) -> bool:
    """Equal, where "#" is any number, and a huge page has as many pages as it has."""
    if one == other:
        return True
    ours, theirs = numbers_apart(one), numbers_apart(other)
    return len(ours) == len(theirs) and all(
        a == b or (place % 2 == 1 and (ANY in (a, b) or (a in HUGE and b in HUGE)))
        for place, (a, b) in enumerate(zip(ours, theirs)))


def widened(one: str, other: str) -> Optional[str]:
    """A text that is both, if only numbers differ."""
    ours, theirs = numbers_apart(one), numbers_apart(other)
    if len(ours) != len(theirs):
        return None
    words = []
    for place, (a, b) in enumerate(zip(ours, theirs)):
        if a != b and place % 2 == 0:
            return None
        words.append(a if a == b else ANY)
    return "".join(words)


def split_report(text: str) -> Tuple[str, List[str]]:
    """The title of a report, and the functions in which it was made, innermost first."""
    title, _, functions = text.partition(" | ")
    return title, functions.split()


def same_functions(ours: List[str], theirs: List[str]) -> bool:
    """Compilers inline differently, so two of the three have to be the same, in order.

    One of the two innermost has to be among them: many functions have the same callers.
    """
    if ours == theirs:
        return True
    if not ours or not theirs or not (ours[0] in theirs or theirs[0] in ours):
        return False
    wanted = min(COMMON_FUNCTIONS, len(ours), len(theirs))
    return bool(wanted) and len(in_common(ours, theirs)) >= wanted


def same_hang(ours: List[str], theirs: List[str]) -> bool:
    """Where the kernel told where it was, most of the shorter stack is in the other, in order."""
    shorter = min(len(ours), len(theirs))
    return 2 * len(in_common(ours, theirs)) > shorter or not shorter


def in_common(ours: List[str], theirs: List[str]) -> List[str]:
    """The longest sequence of words that both have, with others between them."""
    best: List[List[str]] = [[] for _ in range(len(theirs) + 1)]
    for word in ours:
        row: List[List[str]] = [[]]
        for place, other in enumerate(theirs):
            row.append(best[place] + [word] if word == other
                       else max(best[place + 1], row[place], key=len))
        best = row
    return best[-1]


def symptoms_of(verdict: Verdict) -> FrozenSet[Symptom]:
    """In which ways a test failed."""
    if verdict.result in (OK, SKIP):
        return frozenset()
    found: Set[Symptom] = set()
    reason = verdict.reason
    if verdict.report:
        title, functions = split_report(verdict.report)
        found.add(Symptom(HANG, " ".join(functions)) if STALL.search(title)
                  else Symptom(REPORT, verdict.report))
    text = first_assertion(verdict.output)
    if text:
        found.add(Symptom(ASSERTION, text))
    if reason.startswith(("no end within", "the guest said nothing")):
        if not verdict.report:
            found.add(Symptom(HANG))
    elif reason.startswith("killed by signal"):
        found.add(Symptom(SIGNAL, reason.rsplit(" ", 1)[1]))
    elif reason == "the guest died":
        found.add(Symptom(DEATH))
    if not found:
        found.add(Symptom(OTHER, plain(reason)))
    return frozenset(found)


def first_assertion(output: Iterable[str]) -> str:
    """What the first assertion that failed says, without file and line."""
    place, lines = "", []
    for line in output:
        found = ASSERTED.match(line)
        if found and place in ("", found[1]):
            place = found[1]
            lines.append(found[2])
        elif place:
            break
    return plain(" / ".join(lines[:ASSERTION_LINES]))


def release_key(label: str) -> Tuple[List[int], str]:
    """Sorts 6.1 before 6.12."""
    return [int(number) for number in re.findall(r"\d+", label)], label


# of each symptom the kernels on which it was seen
Seen = Dict[Symptom, List[str]]


@dataclass
class Signature:
    """What fails with a bug, and how."""

    # kernels that it was recorded on
    kernels: List[str] = field(default_factory=list)
    tests: Dict[str, Seen] = field(default_factory=dict)

    def has(self, test: str, symptoms: FrozenSet[Symptom]) -> bool:
        """Does a test fail like this with the bug? Nothing else may be wrong with it."""
        seen = self.tests.get(test, {})
        return bool(symptoms) and all(any(symptom.is_like(one) for one in seen)
                                      for symptom in symptoms)

    def has_report(self, symptoms: FrozenSet[Symptom]) -> bool:
        """Does any test make the kernel say this in these functions, and nothing else happen?"""
        known = [one for seen in self.tests.values() for one in seen if one.names_a_place]
        return bool(symptoms) and all(
            symptom.names_a_place and any(symptom.is_like(one) for one in known)
            for symptom in symptoms)

    def expected(self, kernel: str) -> Set[str]:
        """The tests that fail on this kernel; on one that was not recorded, those of all.

        Under which test the kernel warns can depend on which of them runs first.
        """
        wanted = [kernel] if kernel in self.kernels else self.kernels
        return {test for test, seen in self.tests.items()
                if wanted and not all(symptom.can_be_once for symptom in seen) and
                all(any(one in where for where in seen.values()) for one in wanted)}

    def record(self, kernel: str, ran: Iterable[str],
               failed: Mapping[str, FrozenSet[Symptom]]) -> None:
        """What was seen on a kernel, in place of what was seen there of these tests before.

        Where only a number differs from before, any number will do from now on.
        """
        self.kernels = sorted({*self.kernels, kernel}, key=release_key)
        for test in ran:
            seen = self.tests.get(test, {})
            old = [symptom for symptom, where in seen.items() if kernel in where]
            new = {merged(symptom, old) for symptom in failed.get(test, ())}
            kept = {symptom: [one for one in where if one != kernel]
                    for symptom, where in seen.items()}
            for symptom in new:
                kept.setdefault(symptom, []).append(kernel)
            self.tests[test] = {symptom: sorted(where, key=release_key)
                                for symptom, where in kept.items() if where}
        self.tests = {test: seen for test, seen in self.tests.items() if seen}

    def without(self, kernel: str) -> Signature:
        """What was recorded on other kernels."""
        tests = {test: {symptom: [one for one in where if one != kernel]
                        for symptom, where in seen.items() if where != [kernel]}
                 for test, seen in self.tests.items()}
        return Signature([one for one in self.kernels if one != kernel],
                         {test: seen for test, seen in tests.items() if seen})

    def keep(self, names: Iterable[str]) -> None:
        """Forgets tests that the suite has no more."""
        self.tests = {name: self.tests[name] for name in names if name in self.tests}

    def text(self) -> str:
        """For the file."""
        lines = [HEADER, f"recorded: {' '.join(self.kernels)}\n"]
        for test, seen in sorted(self.tests.items()):
            lines.append(f"{test}\n")
            lines += [f"\t{' '.join(where)}  {symptom}\n" for symptom, where in
                      sorted(seen.items(), key=lambda item: (release_key(item[1][0]), item[0]))]
        return "".join(lines)


def merged(symptom: Symptom, old: Iterable[Symptom]) -> Symptom:
    """A symptom as it was recorded before, or one that is both."""
    for one in old:
        if one.kind == symptom.kind == HANG:
            functions = in_common(symptom.text.split(), one.text.split())
            return Symptom(HANG, " ".join(functions) or symptom.text or one.text)
        text = widened(symptom.text, one.text) if one.kind == symptom.kind else None
        if text is not None:
            return Symptom(symptom.kind, text)
    return symptom


def both(first: Mapping[str, FrozenSet[Symptom]],
         second: Mapping[str, FrozenSet[Symptom]]) -> Dict[str, FrozenSet[Symptom]]:
    """What two runs have in common: tests that failed in both, in the ways of either."""
    return {name: frozenset(merged(symptom, second[name]) for symptom in symptoms) |
            frozenset(merged(symptom, symptoms) for symptom in second[name])
            for name, symptoms in first.items() if name in second}


def parse(text: str, where: str) -> Signature:
    """Reads what text() has written."""
    signature = Signature()
    test = ""
    for number, line in enumerate(text.splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        if line.startswith("recorded: "):
            signature.kernels = line.split()[1:]
        elif line.startswith("\t") and test:
            found = re.match(rf"\t(\S+(?: \S+)*)  ({'|'.join((*TELLING, HANG, DEATH, SIGNAL, OTHER))})"
                             r"(?:  (.*))?$", line)
            if not found:
                raise Failure(f"{where}:{number}: a line is 'KERNEL...  KIND  TEXT'; --reintroduce "
                              "writes this file")
            signature.tests[test][Symptom(found[2], found[3] or "")] = found[1].split()
        elif not line.startswith("\t"):
            test = line
            signature.tests[test] = {}
    return signature


def read_signature(path: Path) -> Optional[Signature]:
    """Of an entry; None if nothing was recorded yet."""
    if not path.is_file():
        return None
    return parse(path.read_text(encoding="utf-8"), str(path))
