# SPDX-License-Identifier: GPL-2.0
"""Which mutants of a file are looked for, in which order, and which are known to change no answer."""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Dict, List, Optional, Sequence, Set, Tuple

from runner.errors import Failure
from runner.mutants import Mutant


@dataclass(frozen=True)
class Selection:
    """Which mutants of which file: FILE, FILE:LINE, FILE:LINE-LINE or FILE:FUNCTION-GLOB."""

    file: str
    lines: Optional[Tuple[int, int]] = None
    function: str = "*"

    @staticmethod
    def parse(word: str) -> Selection:
        """Reads what --mutate was given."""
        file, colon, rest = word.partition(":")
        if not re.fullmatch(r"[a-z0-9_-]+(/[\w-]+)+\.c", file):
            raise Failure(f"--mutate {word}: a C file of the kernel is wanted, such as mm/hmm.c")
        if not colon:
            return Selection(file)
        found = re.fullmatch(r"(\d+)(?:-(\d+))?", rest)
        if found:
            first, last = int(found[1]), int(found[2] or found[1])
            if first > last:
                raise Failure(f"--mutate {word}: the last line stands before the first")
            return Selection(file, (first, last))
        if not re.fullmatch(r"[\w*?\[\]]+", rest):
            raise Failure(f"--mutate {word}: behind the file come lines, as in mm/hmm.c:100-140, or "
                          "a function")
        return Selection(file, None, rest)

    def has(self, mutant: Mutant) -> bool:
        """Is this mutant meant?"""
        if self.lines and not self.lines[0] <= mutant.line <= self.lines[1]:
            return False
        return fnmatchcase(mutant.function, self.function)

    def __str__(self) -> str:
        if self.lines:
            return f"{self.file}:{self.lines[0]}-{self.lines[1]}"
        return self.file if self.function == "*" else f"{self.file}:{self.function}"


@dataclass
class Listed:
    """The list of mutants that change no answer, for one file in one config."""

    reasons: Dict[Tuple[str, str], str] = field(default_factory=dict)

    def reason(self, mutant: Mutant) -> str:
        """Why no test can see it; empty if it is not listed."""
        change = mutant.change.split(" #")[0]
        return self.reasons.get((mutant.function, mutant.change), "") or \
            self.reasons.get(("*", change), "")


def read_list(text: str, name: str, config: Set[str]) -> Listed:
    """Reads the list: "function: change", or "*: change" for all of the file, and below it why.

    [CONFIG_X] or [no CONFIG_X] in front of a reason says where it holds.
    """
    listed = Listed()
    key: Optional[Tuple[str, str]] = None
    words: List[str] = []

    def close() -> None:
        nonlocal key
        if not key:
            return
        found = re.fullmatch(r"(?:\[(no )?(CONFIG_\w+)\]\s*)?(.*)", " ".join(words), re.S)
        assert found
        if not found[3]:
            raise Failure(f"{name}: '{key[0]}: {key[1]}' has no reason")
        if not found[2] or (f"{found[2]}=y" in config) != bool(found[1]):
            listed.reasons[key] = found[3]
        key = None

    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            if not key:
                raise Failure(f"{name}:{number}: a reason without a mutant")
            words.append(line.strip())
            continue
        close()
        function, colon, change = line.strip().partition(": ")
        if not colon:
            raise Failure(f"{name}:{number}: a line is 'function: change'")
        key, words = (function, change), []
    close()
    return listed


def order(tests: Sequence[str], milliseconds: Dict[str, int], program: Dict[str, str],
          share: int = 3) -> List[str]:
    """The order in which tests look for a mutant: some short ones of each program by turns.

    Tests of one program see much the same.
    """
    groups: Dict[str, List[str]] = {}
    for test in sorted(tests, key=lambda test: (milliseconds.get(test, 0), test)):
        groups.setdefault(program.get(test, ""), []).append(test)
    queues = list(groups.values())
    ordered: List[str] = []
    while queues:
        for queue in queues:
            ordered += queue[:share]
            del queue[:share]
        queues = [queue for queue in queues if queue]
    return ordered
