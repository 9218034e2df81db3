# SPDX-License-Identifier: GPL-2.0
"""Whether a kernel's source has a bug: the file "check" of an entry of regressions/, see its README.

Run as a program it says what the checks of some entries say of a tree:

    python3 -m runner.sourcecheck TREE regressions/NAME...
"""
from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

from runner.errors import Failure

BUG, FIXED, UNKNOWN = "bug", "fixed", "unknown"

COMMENT = re.compile(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', re.S)

# the text of a file of the tree, without comments; None if the tree does not have it
Reader = Callable[[str], Optional[str]]


@dataclass(frozen=True)
class Given:
    """Something that a function has."""

    file: str
    function: str
    expression: "re.Pattern[str]"


@dataclass
class Block:
    """One place in the source, and what is found there with the bug and with the fix."""

    files: Tuple[str, ...] = ()
    # none: the whole file is searched
    functions: Tuple[str, ...] = ()
    # BUG or FIXED, and an expression
    expressions: List[Tuple[str, "re.Pattern[str]"]] = field(default_factory=list)
    # what has to be in the source for this place to say anything
    given: List[Given] = field(default_factory=list)

    def answer(self, read: Reader) -> Answer:
        """What this place says."""
        for given in self.given:
            if not any(given.expression.search(text)
                       for text in texts_of(read, (given.file,), (given.function,))):
                return Answer(UNKNOWN, f"{given.function}() of the source is without what the bug "
                              "needs")
        there = any(read(name) is not None for name in self.files)
        texts = texts_of(read, self.files, self.functions)
        words = [self._answer_on(text) for text in texts]
        word = next((word for word in (BUG, FIXED) if word in words), UNKNOWN)
        if word != UNKNOWN:
            return Answer(word)
        if not there:
            return Answer(UNKNOWN, f"the source has no {' or '.join(self.files)}")
        if not texts:
            return Answer(UNKNOWN, f"the source has no {'() or '.join(self.functions)}()")
        return Answer(UNKNOWN, "the source looks different")

    def _answer_on(self, text: str) -> str:
        for word, expression in self.expressions:
            if expression.search(text):
                return word
        return UNKNOWN


@dataclass(frozen=True)
class Answer:
    """BUG, FIXED or UNKNOWN, and why the last."""

    word: str
    reason: str = ""


NO_SOURCE = Answer(UNKNOWN, "the kernel's source is not there")
NO_CHECK = Answer(UNKNOWN, "the entry has no check of the source")


@dataclass(frozen=True)
class Check:
    """All places of an entry."""

    blocks: Tuple[Block, ...]

    @property
    def files(self) -> List[str]:
        """What it reads of a tree."""
        names = [name for block in self.blocks
                 for name in (*block.files, *(given.file for given in block.given))]
        return list(dict.fromkeys(names))

    def answer(self, read: Reader) -> Answer:
        """The bug is there if it is in one place."""
        answers = [block.answer(read) for block in self.blocks]
        for word in (BUG, FIXED):
            if any(answer.word == word for answer in answers):
                return Answer(word)
        return answers[0] if answers else NO_CHECK


def reader_of(tree: Path) -> Reader:
    """Reads each file of a tree once."""
    @lru_cache(maxsize=None)
    def read(name: str) -> Optional[str]:
        text = read_file(tree / name)
        return text if text is None else without_comments(text)
    return read


def read_check(path: Path) -> Optional[Check]:
    """The check of an entry; None if it has none."""
    text = read_file(path)
    return parse(text, str(path)) if text is not None else None


def parse(text: str, where: str) -> Check:
    """Blocks of "key: value" lines, with empty lines between them."""
    blocks: List[Block] = []
    fresh = True
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            fresh = True
            continue
        if fresh:
            blocks.append(Block())
            fresh = False
        key, colon, value = line.partition(":")
        value = value.strip()
        block = blocks[-1]
        place = f"{where}:{number}"
        if not colon or not value or key not in ("file", "function", "given", BUG, FIXED):
            raise Failure(f"{place}: a line is 'file: PATH...', 'function: NAME...', 'given: PATH "
                          "FUNCTION EXPRESSION', 'bug: EXPRESSION' or 'fixed: EXPRESSION'")
        if key == "file":
            block.files = tuple(value.split())
        elif key == "function":
            block.functions = tuple(value.split())
        elif key == "given":
            words = value.split(None, 2)
            if len(words) < 3:
                raise Failure(f"{place}: 'given:' needs a path, a function and an expression")
            block.given.append(Given(words[0], words[1], expression(words[2], place)))
        else:
            block.expressions.append((key, expression(value, place)))
    for block in blocks:
        if not block.files or not block.expressions:
            raise Failure(f"{where}: each block needs a line 'file:', and one 'bug:' or 'fixed:'")
    return Check(tuple(blocks))


def expression(text: str, place: str) -> "re.Pattern[str]":
    """One that is written right."""
    try:
        return re.compile(text)
    except re.error as error:
        raise Failure(f"{place}: not a regular expression: {error}") from error


def texts_of(read: Reader, files: Sequence[str], functions: Sequence[str]) -> List[str]:
    """What is searched: these functions of these files, each as one line without comments."""
    found: List[str] = []
    for name in files:
        text = read(name)
        if text is not None:
            found += bodies(text, functions)
    return [" ".join(text.split()) for text in found]


def without_comments(text: str) -> str:
    """C without comments; a string can look like one."""
    return COMMENT.sub(lambda found: found[0] if found[0].startswith('"') else " ", text)


def bodies(text: str, functions: Sequence[str]) -> List[str]:
    """The definitions of these functions, each from its name on; the whole text for none."""
    if not functions:
        return [text]
    found: List[str] = []
    names = "|".join(map(re.escape, functions))
    head = re.compile(rf"^(?:[A-Za-z_][^\n;{{}}()#]*[\s*])?(?:SYSCALL_DEFINE\d\()?(?:{names})\b[(,]", re.M)
    for match in head.finditer(text):
        stop = re.compile("[;{]").search(text, match.end())
        if not stop or stop[0] == ";":
            continue
        line_end = text.find("\n", stop.end())
        if text[stop.end():line_end].rstrip().endswith("}"):
            end = line_end
        else:
            end = text.find("\n}", stop.end())
        found.append(text[match.start():end if end >= 0 else len(text)])
    return found


def read_file(path: Path) -> Optional[str]:
    """A file that may not be there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def main(arguments: Sequence[str]) -> int:
    """Shows what the checks say; 1 if one cannot tell."""
    if len(arguments) < 2:
        print("Usage: python3 -m runner.sourcecheck TREE regressions/NAME...", file=sys.stderr)
        return 2
    read, status = reader_of(Path(arguments[0])), 0
    for name in arguments[1:]:
        check = read_check(Path(name) / "check")
        answer = check.answer(read) if check else NO_CHECK
        status |= answer.word == UNKNOWN
        print(f"{answer.word:<7}  {Path(name).name:<40}  {answer.reason}".rstrip())
    return int(status)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit(str(failure))
