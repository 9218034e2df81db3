# SPDX-License-Identifier: GPL-2.0
"""Sources as they are before the whole driver is there: what names something missing is left out.

Only files above all layers name things of many of them: the table of calls, the parameters, the
answers to a query. There, a row of a table, a statement, a case and a declaration can each go by
itself.
"""
from __future__ import annotations

import re
from typing import Dict, Iterable, List, Set

from series.ctext import (blank, closing, comment_above, functions, line_end, line_start,
                          statement_end, words)


def declared(header: str) -> Set[str]:
    """Functions and variables that a header declares for others."""
    code = blank(header)
    names = set(re.findall(r"^(?!static|\t|#|typedef)[^\n(;{]*?\b(\w+)\((?=[^;{]*\);)", code, re.M | re.S))
    names |= set(re.findall(r"^extern [^;(]*?\b(\w+)(?:\[[^;]*\])?;", code, re.M))
    return names


def without(text: str, names: Iterable[str]) -> str:
    """A file without everything that needs one of these names."""
    wanted = sorted(names)
    while True:
        found = next((pos for name in wanted for pos in words(text, name)), None)
        if found is None:
            return text
        text = cut(text, found)


def cut(text: str, pos: int) -> str:
    """Removes what a position is in."""
    code = blank(text)
    begin = line_start(text, pos)
    line = text[begin:line_end(text, pos)]
    if re.match(r"\t&\w+,\n|\t\{ .* \},\n", line):
        return text[:begin] + text[begin + len(line):]
    row = re.search(r"\t\t[A-Z][^{}]*$", text[:pos])
    if row and re.match(r"[^{};]*\n\t\}, \{\n", text[pos:]):
        end = text.index("\t}, {\n", pos) + len("\t}, {\n")
        return text[:row.start()] + text[end:]
    if row and re.match(r"[^{};]*\n\t\},\n\};", text[pos:]):
        start = text.rindex("\t}, {\n", 0, pos)
        return text[:start] + text[text.index("\t},\n};", pos):]
    around = next(((start, end) for _, start, end in functions(text) if start <= pos < end), None)
    if not around or code.rfind("\n{\n", around[0], pos) < 0:
        return cut_outside(text, pos, around[1] if around else None)
    return cut_statement(text, pos)


def cut_outside(text: str, pos: int, end: "int | None") -> str:
    """Removes a declaration, a definition, or the call of a macro like module_param()."""
    code = blank(text)
    start = max(code.rfind(";\n", 0, pos), code.rfind("}\n", 0, pos))
    start = start + 2 if start >= 0 else 0
    hashes = [found.end() for found in re.finditer(r"^#.*\n", code[:pos], re.M)]
    start = max([start, *hashes])
    start += len(text[start:]) - len(text[start:].lstrip("\n"))
    stop = end or code.index(";", pos) + 1
    stop = line_end(text, stop) if not end else end
    # a description goes with its parameter
    described = re.match(r"MODULE_PARM_DESC\([^;]*;\n", code[stop:])
    if described:
        stop += described.end()
    return re.sub(r"\n{3,}", "\n\n", text[:start] + text[stop:])


def cut_statement(text: str, pos: int) -> str:
    """Removes a statement of a function."""
    code = blank(text)
    start, depth = pos, 0
    while True:
        char = code[start - 1]
        if char == ")":
            depth += 1
        elif char == "(":
            depth -= 1
        elif depth <= 0 and char in ";{}" and not is_initializer(code, start - 1):
            break
        elif depth <= 0 and char == ":" and re.search(r"\b(case\s+\w+|default|\w+)\s*:$", code[:start]) \
                and "?" not in code[line_start(code, start):start]:
            break
        start -= 1
    case = re.search(r"\n((\tcase \w+:\n)+)\Z", text[:line_start(text, start + 1)])
    begin = start + len(text[start:]) - len(text[start:].lstrip())
    begin = line_start(text, begin)
    end = line_end(text, statement_end(text, begin))
    if text[begin:].lstrip().startswith("case ") or case:
        if case:
            begin = case.start() + 1
        following = re.compile(r"^\t(case |default:|\})", re.M).search(text, end)
        end = following.start() if following else end
    return text[:comment_above(text, begin)] + text[end:]


def is_initializer(code: str, pos: int) -> bool:
    """Is this brace one of a table in a function?"""
    if code[pos] == "{":
        return bool(re.search(r"(=\s*|,\s*|\{\s*)$", code[:pos]))
    if code[pos] == "}":
        return bool(re.match(r"\s*[,}]", code[pos + 1:]))
    return False


def unused_macros(text: str) -> str:
    """Without constants that nothing uses yet."""
    while True:
        found = next((found for found in re.finditer(r"^#define (\w+)\t.*\n", text, re.M)
                      if len(words(text, found[1])) == 1), None)
        if not found:
            return text
        text = text[:found.start()] + text[found.end():]


def partial(files: Dict[str, str], present: Iterable[str], tops: Iterable[str]) -> Dict[str, str]:
    """These files, where those of tops do without what is missing."""
    here = set(present)
    missing: Set[str] = set()
    for name, text in files.items():
        if name not in here and name.endswith(".h") and not name.startswith("uapi/"):
            missing |= declared(text)
    for name, text in files.items():
        if name in here or not name.endswith(".c"):
            continue
        # handlers of calls have a header for all
        missing |= {function for function, _, _ in functions(text)
                    if not re.search(rf"^static .*\b{function}\(", text, re.M)}
    out: Dict[str, str] = {}
    for name in sorted(here):
        text = files[name]
        if name in tops:
            text = re.sub(r'^#include "([^"]*)"\n', lambda found: found[0]
                          if found[1] in here or found[1] not in files else "", text, flags=re.M)
            text = without(text, missing)
            if name == "main.c":
                text = unused_macros(text)
        out[name] = text
    return out


__all__: List[str] = ["partial", "without"]
