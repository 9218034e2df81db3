# SPDX-License-Identifier: GPL-2.0
"""C as text: where comments, parentheses, expressions and statements begin and end.

The sources are in kernel style and have passed checkpatch, so no more of C is known here than that
style needs.
"""
from __future__ import annotations

import re
from typing import Iterator, List, Tuple

from runner.errors import Failure

TAB = 8
NO_CODE = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
OPEN, CLOSE = "([{", ")]}"


def blank(text: str) -> str:
    """The text with comments and strings blanked, so that positions stay."""
    return NO_CODE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def words(text: str, name: str) -> List[int]:
    """Where an identifier is in the code."""
    return [found.start() for found in re.finditer(rf"\b{re.escape(name)}\b", blank(text))]


def closing(text: str, start: int) -> int:
    """The position of the parenthesis that closes the one at start."""
    code = blank(text)
    depth = 0
    for pos in range(start, len(code)):
        if code[pos] in OPEN:
            depth += 1
        elif code[pos] in CLOSE:
            depth -= 1
            if not depth:
                return pos
    raise Failure(f"unbalanced: {text[start:start + 60]!r}")


def arguments(text: str, start: int) -> Tuple[List[str], int]:
    """The arguments of a call whose parenthesis is at start, and the position behind it."""
    end = closing(text, start)
    inside = text[start + 1:end]
    parts = split(inside, ",")
    return ([part.strip() for part in parts] if inside.strip() else []), end + 1


def split(text: str, separator: str) -> List[str]:
    """Splits at a separator that is in no parenthesis."""
    code, parts, depth, begin, pos = blank(text), [], 0, 0, 0
    while pos < len(code):
        if code[pos] in OPEN:
            depth += 1
        elif code[pos] in CLOSE:
            depth -= 1
        elif not depth and code.startswith(separator, pos):
            parts.append(text[begin:pos])
            pos += len(separator)
            begin = pos
            continue
        pos += 1
    parts.append(text[begin:])
    return parts


def skip_space(text: str, pos: int) -> int:
    """The next position that is neither space nor comment."""
    code = blank(text)
    while pos < len(code) and code[pos].isspace():
        pos += 1
    return pos


def statement_end(text: str, pos: int) -> int:
    """The position behind the statement that begins at pos."""
    code = blank(text)
    pos = skip_space(text, pos)
    found = re.compile(r"(if|while|for|switch|list_for_each_\w+|for_each_\w+)\s*\(").match(code, pos)
    if found:
        end = statement_end(text, closing(text, found.end() - 1) + 1)
        after = skip_space(text, end)
        if found[1] == "if" and re.compile(r"else\b").match(code, after):
            return statement_end(text, after + 4)
        return end
    if code[pos] == "{":
        return closing(text, pos) + 1
    depth = 0
    while depth or code[pos] != ";":
        depth += (code[pos] in OPEN) - (code[pos] in CLOSE)
        pos += 1
    return pos + 1


def line_start(text: str, pos: int) -> int:
    """The position of the first character of its line."""
    return text.rfind("\n", 0, pos) + 1


def line_end(text: str, pos: int) -> int:
    """The position behind the line that the character before pos is in."""
    end = text.find("\n", pos)
    return len(text) if end < 0 else end + 1


def comment_above(text: str, start: int) -> int:
    """Where the comment begins that ends right above the line at start; start if there is none."""
    found = re.search(r"(?:^|\n)([ \t]*/\*(?:(?!\*/).)*\*/[ \t]*\n)$", text[:start], re.S)
    return found.start(1) if found else start


def column(text: str, pos: int) -> int:
    """The column of a position, with tabs."""
    return width(text[line_start(text, pos):pos])


def width(text: str) -> int:
    """How wide a part of a line is that begins at a tab stop."""
    columns = 0
    for char in text:
        columns += TAB - columns % TAB if char == "\t" else 1
    return columns


def indent(columns: int) -> str:
    """Tabs and spaces up to a column."""
    return "\t" * (columns // TAB) + " " * (columns % TAB)


def shift(text: str, start: int, end: int, by: int) -> str:
    """Moves the lines that begin between start and end."""
    out = text[start:end].split("\n")
    for number, line in enumerate(out[1:], 1):
        body = line.lstrip()
        out[number] = indent(max(0, width(line[:len(line) - len(body)]) + by)) + body
    return text[:start] + "\n".join(out) + text[end:]


def dedent(text: str) -> str:
    """Every line one tab to the left."""
    return re.sub(r"^\t", "", text, flags=re.M)


def functions(text: str) -> Iterator[Tuple[str, int, int]]:
    """The functions that a file defines: name, and where it begins and ends, with its comment."""
    code = blank(text)
    for found in re.finditer(r"^[A-Za-z_][^\n;{}#]*?\b(\w+)\([^;{}]*\)\n\{", code, re.M):
        end = closing(text, found.end() - 1) + 1
        yield found[1], comment_above(text, found.start()), line_end(text, end)
