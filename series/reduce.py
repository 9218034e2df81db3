# SPDX-License-Identifier: GPL-2.0
"""The driver as one kernel needs it: without driver/compat/.

The probes of that kernel decide, in this order:

1. unifdef resolves each HAVE_NAME.
2. compat/ is then a list of definitions. Those that only stand for something else (a
   macro, a function of one expression) are put in the place of their use.
3. Where that gives a constant, conditions are folded, and code that cannot be reached is removed.
4. Functions that are more than that move to the file that uses them, or into one header if there are
   several such files.

What is in the sources is not known here. That nothing of compat/ is left is checked.
"""
from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

from runner.errors import Failure
from series.ctext import (arguments, blank, closing, column, comment_above, dedent, functions,
                          line_end, line_start, shift, skip_space, split, statement_end, words)

COMPAT = "compat/"
# the one header for functions with several users
HELPERS = "helpers.h"
HELPERS_TOP = '''/* SPDX-License-Identifier: GPL-2.0 */
/* What several layers of the driver make of the kernel's interface. */
#ifndef TEST_HMMIRROR_HELPERS_H
#define TEST_HMMIRROR_HELPERS_H

'''
HELPERS_END = "#endif /* TEST_HMMIRROR_HELPERS_H */\n"
# a constant in the code, until it is folded
CONST = re.compile(r"__CONST_(\d+)__")


@dataclass
class Inline:
    """What a name stands for."""

    name: str
    # None: an object-like macro
    params: Optional[List[str]]
    body: str
    is_statement: bool = False
    is_macro: bool = False


@dataclass
class Function:
    """A function that stays one, with its comment; with its variants if options decide."""

    names: List[str]
    text: str
    users: List[str] = field(default_factory=list)


@dataclass
class Compat:
    """What compat/ has for a kernel."""

    inlines: Dict[str, Inline] = field(default_factory=dict)
    functions: List[Function] = field(default_factory=list)
    includes: Set[str] = field(default_factory=set)


@dataclass
class Constants:
    """Constants by their number in the code: how each is written."""

    known: List[str] = field(default_factory=list)

    def add(self, text: str) -> str:
        """The word for a constant."""
        if text not in self.known:
            self.known.append(text)
        return f"__CONST_{self.known.index(text)}__"

    def text(self, word: str) -> str:
        """How it is written."""
        return self.known[int(word[len("__CONST_"):-2])]

    def is_true(self, word: str) -> bool:
        """Does a condition hold?"""
        return self.text(word) not in ("false", "NULL", "0", "0UL")


def is_constant(expression: str) -> bool:
    """Is it one that conditions can be folded with?"""
    return bool(re.fullmatch(r'true|false|NULL|[01](UL)?|"(\\.|[^"\\])*"', expression))


def unifdef(text: str, program: str, known: Sequence[str]) -> str:
    """The text with these -DNAME and -UNAME resolved."""
    # it leaves a condition alone that goes on in another line
    text = re.sub(r"^(#\s*(?:el)?if\b.*)\\\n\s*(.*)", r"\1\2", text, flags=re.M)
    done = subprocess.run([program, *known], input=text, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise Failure(f"unifdef: {done.stderr.strip()}")
    out = re.sub(r"^#if +(!?)defined\((\w+)\)$",
                 lambda found: f"#if{'n' if found[1] else ''}def {found[2]}", done.stdout, flags=re.M)
    return re.sub(r"\n{3,}", "\n\n", out)


def parse(text: str, into: Compat) -> None:
    """Reads a header of compat/."""
    text = re.sub(r"\A.*?#define HMMIRROR_COMPAT_\w+\n", "", text, flags=re.S)
    text = re.sub(r"#endif /\* HMMIRROR_COMPAT_\w+ \*/\n\Z", "", text)
    pos = 0
    while True:
        begin = pos
        found = re.compile(r"\s*(/\*.*?\*/\s*)*", re.S).match(text, pos)
        assert found
        pos = found.end()
        if pos >= len(text):
            return
        comment = text[begin:pos].lstrip("\n")
        # one above an empty line belongs to nothing that is left
        comment = comment.rpartition("\n\n")[2]
        line = text[pos:line_end(text, pos)]
        if line.startswith("#include"):
            into.includes.update(re.findall(r"<(.*)>", line))
            pos += len(line)
        elif line.startswith("#define"):
            while line.endswith("\\\n"):
                line += text[pos + len(line):line_end(text, pos + len(line))]
            pos += len(line)
            add_macro(line, into)
        elif line.startswith("#undef"):
            pos += len(line)
        elif line.startswith("#if"):
            end = group_end(text, pos)
            group = text[pos:end]
            names = list(dict.fromkeys(name for name, _, _ in functions(group)))
            if not names:
                raise Failure(f"compat: no function in {group!r}")
            into.functions.append(Function(names, comment + group))
            pos = end
        else:
            found_function = next(functions(text[pos:]), None)
            end = statement_or_function_end(text, pos)
            if found_function and "{" in text[pos:end]:
                into.functions.append(Function([found_function[0]], comment + text[pos:end]))
            pos = end


def group_end(text: str, pos: int) -> int:
    """The position behind the #endif of the #if at pos."""
    depth = 0
    for found in re.compile(r"^#\s*(if|endif).*\n", re.M).finditer(text, pos):
        depth += 1 if found[1] == "if" else -1
        if not depth:
            return found.end()
    raise Failure("compat: an #if without its #endif")


def statement_or_function_end(text: str, pos: int) -> int:
    """The position behind a declaration or a function."""
    brace, semicolon = (blank(text).find(char, pos) for char in "{;")
    if 0 <= brace < semicolon:
        return line_end(text, closing(text, brace))
    return line_end(text, semicolon)


def add_macro(line: str, into: Compat) -> None:
    """Reads a #define."""
    flat = re.sub(r"[ \t]*\\\n", "\n", line)
    found = re.match(r"#define\s+(\w+)(\(([^)]*)\))?[ \t]*(.*)", flat, re.S)
    assert found
    params = [word.strip() for word in found[3].split(",") if word.strip()] if found[2] else None
    body = found[4].strip()
    if params is not None and not body.startswith(("static", "do ")):
        # macros put each argument into parentheses, and themselves
        body = re.sub(r"\((_?\w+)\)", lambda word: word[1] if params and word[1] in params else word[0],
                      body)
        if body.startswith("(") and closing(body, 0) == len(body) - 1:
            body = body[1:-1]
    into.inlines[found[1]] = Inline(found[1], params, body, is_macro="##" in body)


def as_inline(function: Function) -> Optional[Inline]:
    """A function of one expression or one statement, as that."""
    if len(function.names) != 1 or "#if" in function.text:
        return None
    code = re.sub(r"/\*.*?\*/", "", function.text, flags=re.S)
    found = re.search(r"\b(\w+)\(([^{]*)\)\n\{\n\t(return )?([^{}]*?);\n\}\n\Z", code, re.S)
    if not found or ";" in found[4] or "?" in found[4] or re.match(r"\w+ \**\w+( =|$)", found[4]):
        return None
    params = [] if found[2].strip() == "void" else \
        [re.sub(r".*?(\w+)$", r"\1", word.strip(), flags=re.S) for word in split(found[2], ",")]
    return Inline(found[1], params, re.sub(r"\n\s*", " ", found[4]), is_statement=not found[3])


def put_in(inline: Inline, text: str, constants: Constants) -> str:
    """The text with what a name stands for in the place of each use."""
    while True:
        found = words(text, inline.name)
        if not found:
            return text
        start = found[-1]
        end = start + len(inline.name)
        body = inline.body
        if inline.params is not None:
            if text[end:end + 1] != "(":
                raise Failure(f"compat: {inline.name} is used without being called")
            given, end = arguments(text, end)
            if len(given) != len(inline.params):
                raise Failure(f"compat: {inline.name}: {len(given)} arguments")
            body = fill(inline, body, given)
        if is_constant(body):
            body = constants.add(body)
        text = tidy(text[:start] + body + text[end:])


def fill(inline: Inline, body: str, given: Sequence[str]) -> str:
    """A body with the arguments in it."""
    values = dict(zip(inline.params or [], given))
    if not values:
        return body

    def value_of(found: "re.Match[str]") -> str:
        value = values[found[1]]
        if not found[2] or re.fullmatch(r"[\w.>\[\]-]+|\w+\(.*\)", value):
            return value
        return f"({value})"
    names = "|".join(values)
    if inline.is_macro:
        return re.sub(rf"\b({names})\b()(?:##)?", value_of, body)
    # with parentheses before what binds tighter
    return re.sub(rf"\b({names})\b(?=(->|\.|\[)?)", value_of, body)


def tidy(text: str) -> str:
    """Expressions as somebody would write them."""
    # not the argument of a call
    text = re.sub(r"(?<!\w)\(&([\w.>-]+)\)->", r"\1.", text)
    text = re.sub(r"\*&([\w.>-]+(?:->|\.)\w+)", r"\1", text)
    return re.sub(r" \| 0UL\b", "", text)


class Folder:
    """Folds conditions with constants in them, and removes what cannot be reached."""

    def __init__(self, constants: Constants) -> None:
        self.constants = constants

    def fold(self, text: str) -> str:
        """The text without words for constants."""
        while True:
            found = CONST.search(blank(text))
            if not found:
                return text
            text = self.fold_around(text, found.start())

    def fold_around(self, text: str, pos: int) -> str:
        """Folds the expression around a position."""
        start, end = self.bounds(text, pos)
        inside = text[start:end]
        is_condition = self.opens_if(text, start)
        new = self.expression(inside, is_condition)
        if CONST.fullmatch(new) and text[start - 1:start] == "(" and text[end:end + 1] == ")":
            if is_condition:
                return self.settle(text, start - 1, end, self.constants.is_true(new))
            if not re.search(r"\w\s*$", text[:start - 1]):
                return text[:start - 1] + new + text[end + 1:]
        new = CONST.sub(lambda word: self.constants.text(word[0]), new)
        lead = re.match(r"\s*", inside)
        assert lead
        return text[:start] + lead[0] + new + text[end:]

    @staticmethod
    def opens_if(text: str, start: int) -> bool:
        """Is the expression at start all of an if's condition?"""
        return bool(re.search(r"\b(if|while) \($", text[:start]))

    @staticmethod
    def bounds(text: str, pos: int) -> Tuple[int, int]:
        """The innermost expression around a position that is one by itself."""
        code, depth, start = blank(text), 0, pos
        while start:
            char = code[start - 1]
            if char in CLOSERS:
                depth += 1
            elif char in OPENERS:
                if not depth:
                    break
                depth -= 1
            elif not depth and (char in ";," or (
                    char == "=" and code[start - 2] not in "=!<>" and code[start] != "=")):
                break
            elif not depth and re.search(r"\breturn\s$", code[:start]):
                break
            start -= 1
        depth, end = 0, pos
        while True:
            char = code[end]
            if char in OPENERS:
                depth += 1
            elif char in CLOSERS:
                if not depth:
                    break
                depth -= 1
            elif not depth and char in ";,":
                break
            end += 1
        return start, end

    def expression(self, text: str, is_condition: bool) -> str:
        """An expression, folded."""
        text = text.strip()
        parts = split(text, "?")
        if len(parts) == 2:
            yes, no = split(parts[1], ":")
            return self.choice(parts[0], yes, no, is_condition)
        for operator, decides in (("||", True), ("&&", False)):
            parts = split(text, operator)
            if len(parts) > 1:
                return self.chain(parts, operator, decides)
        if text.startswith("!"):
            inner = self.expression(text[1:], True)
            if CONST.fullmatch(inner):
                return self.constants.add("false" if self.constants.is_true(inner) else "true")
            return f"!{inner}"
        if text.startswith("(") and closing(text, 0) == len(text) - 1:
            inner = self.expression(text[1:-1], is_condition)
            return inner if CONST.fullmatch(inner) else f"({inner})"
        return text

    def choice(self, test: str, yes: str, no: str, is_condition: bool) -> str:
        """test ? yes : no."""
        test, yes, no = (self.expression(part, is_condition) for part in (test, yes, no))
        if CONST.fullmatch(test):
            return yes if self.constants.is_true(test) else no
        if is_condition and CONST.fullmatch(no) and not self.constants.is_true(no):
            return f"{test} && {yes}"
        return f"{test} ? {yes} : {no}"

    def chain(self, parts: Sequence[str], operator: str, decides: bool) -> str:
        """A chain of && or ||; decides is what ends it."""
        left = []
        for part in parts:
            part = self.expression(part, True)
            if not CONST.fullmatch(part):
                left.append(part)
            elif self.constants.is_true(part) == decides:
                return part
        return f" {operator} ".join(left) if left else self.constants.add("false" if decides else "true")

    @staticmethod
    def settle(text: str, opening: int, end: int, is_true: bool) -> str:
        """An if whose condition is between opening and end, and known."""
        begin = text.rfind("if", 0, opening)
        after = end + 1
        yes_end = statement_end(text, after)
        no_start = skip_space(text, yes_end)
        has_else = text.startswith("else", no_start) and not text[no_start + 4].isalnum()
        no_end = statement_end(text, no_start + 4) if has_else else yes_end
        behind_else = text[:begin].endswith("else ")
        if is_true:
            kept = text[after:yes_end]
        elif has_else:
            kept = text[no_start + 4:no_end]
        elif behind_else:
            # the else goes, too
            start = text.rfind("else", 0, begin)
            return text[:start].rstrip() + text[no_end:]
        else:
            start = line_start(text, begin)
            stop = line_end(text, no_end)
            return text[:comment_above(text, start)] + text[stop:]
        if behind_else:
            if kept.startswith(" if"):
                return text[:begin] + kept.lstrip() + text[no_end:]
            return text[:begin].rstrip() + kept + text[no_end:]
        kept = kept.strip("\n")
        if kept.lstrip().startswith("{"):
            kept = kept.strip()[1:-1].strip("\n").rstrip("\t")
        start = line_start(text, begin)
        return text[:start] + dedent(kept).rstrip() + "\n" + text[line_end(text, no_end):]


OPENERS, CLOSERS = "([{", ")]}"


def prune(text: str) -> str:
    """Without static functions and constants that nothing uses any more."""
    while True:
        for name, start, end in list(functions(text)):
            if re.search(r"\bstatic\b", text[start:end]) and "__init" not in text[start:end] and \
                    "__exit" not in text[start:end] and len(words(text, name)) == 1:
                text = text[:start].rstrip("\n") + "\n" + text[end:]
                break
        else:
            found = next((found for found in re.finditer(
                r"^static const char (\w+)\[\] = [^;]*;\n\n?", text, re.M)
                if len(words(text, found[1])) == 1), None)
            if not found:
                return text
            text = text[:found.start()] + text[found.end():]


def drop_forwarders(text: str) -> str:
    """Without functions that do nothing but call another one with the same arguments."""
    for name, start, end in list(functions(text)):
        found = re.fullmatch(
            r"static void (?:__maybe_unused )?\w+\(([^)]*)\)\n\{\n\t(\w+)\(([^)]*)\);\n\}\n\n?",
            text[start:end])
        if found and [re.sub(r".*?(\w+)$", r"\1", word) for word in found[1].split(", ")] == \
                found[3].split(", "):
            return drop_forwarders(re.sub(rf"\b{name}\b", found[2], text[:start] + text[end:]))
    return text


def narrow(text: str) -> str:
    """Functions that are not inline any more, with their parameters below each other."""
    for found in reversed(list(re.finditer(r"^static inline [^(]*\(", text, re.M))):
        text = shift(text, found.end(), closing(text, found.end() - 1), -len("inline "))
    return text.replace("static inline ", "static ")


def without_reasons(text: str) -> str:
    """A function without the comments inside: in compat/ they are about other kernels."""
    begin = text.find("\n{\n")
    text = text[:begin] + re.sub(r"\n\t+/\*.*?\*/(?=\n)", "", text[begin:], flags=re.S)
    text = re.sub(r"^(\t+)(\w+) = 0;\n((?:\1\2 \|= \w+;\n)+)\1return \2;", r"\3", text, flags=re.M)
    found = re.search(r"^\tu64 (\w+) = 0;\n\n((?:\t\1 \|= \w+;\n)+)\treturn \1;\n", text, re.M)
    if found:
        bits = re.findall(r"\|= (\w+);", found[2])
        text = text[:found.start()] + "\treturn " + " |\n\t       ".join(bits) + ";\n" + \
            text[found.end():]
    return text


def finish(text: str) -> str:
    """The little things that reading finds."""
    text = re.sub(r"\t\treturn NULL;\n(?=\tcase \w+:\n\t\treturn NULL;)", "", text)
    text = re.sub(r"(?:^#include \"[^\n]*\n)+", lambda found: "".join(
        sorted(found[0].splitlines(keepends=True))), text, flags=re.M)
    for name in re.findall(r"\b__maybe_unused (\w+)\(", text):
        if len(words(text, name)) > 1:
            text = text.replace(f"__maybe_unused {name}(", f"{name}(")
    return tidy(re.sub(r"\n{3,}", "\n\n", text)).replace(" > compat.", ".")


def rename(text: str, old: str, new: str) -> str:
    """A function by another name; lines of its arguments stay below each other."""
    code = words(text, old)
    for found in reversed(list(re.finditer(rf"\b{old}\b", text))):
        start, end = found.span()
        if start in code and text[end:end + 1] == "(":
            text = shift(text, end, closing(text, end), len(new) - len(old))
        text = text[:start] + new + text[end:]
    return text


class Reducer:
    """Makes the sources for one kernel."""

    def __init__(self, have: Set[str], lacks: Set[str], options: Sequence[str],
                 off: Sequence[str] = (), program: str = "unifdef") -> None:
        self.program = program
        self.options = options
        self.off = off
        self.known = [*(f"-DHAVE_{name}=1" for name in sorted(have)),
                      *(f"-UHAVE_{name}" for name in sorted(lacks)),
                      *(f"-D{name}=1" for name in options), *(f"-U{name}" for name in off)]
        self.constants = Constants()
        self.folder = Folder(self.constants)

    def reduce(self, driver: Path) -> Dict[str, str]:
        """The files of the driver, by their names."""
        files: Dict[str, str] = {}
        compat = Compat()
        sources = sorted([*driver.rglob("*.c"), *driver.rglob("*.h")])
        # what a C file of compat/ defines for itself
        own = {word for path in sources for word in re.findall(
            r"\bCOMPAT_\w+_C\b", path.read_text(encoding="utf-8"))}
        self.known += [f"-U{word}" for word in sorted(own)]
        for path in sources:
            name = str(path.relative_to(driver))
            if name.startswith(f"{COMPAT}probes/") or name == f"{COMPAT}features.h":
                continue
            text = unifdef(path.read_text(encoding="utf-8"), self.program, self.known)
            if not name.startswith(COMPAT):
                files[name] = text
            elif name.endswith(".h"):
                parse(text, compat)
            elif next(functions(text), None):
                raise Failure(f"{name} still has code for this kernel")
        self.resolve(compat)
        for name, text in files.items():
            files[name] = self.resolve_text(compat, text)
        self.place(compat, files)
        for name, text in files.items():
            text = drop_forwarders(text)
            files[name] = finish(prune(text) if name.endswith(".c") else text)
            left = re.search(r"\bcompat_\w*|\bCOMPAT_\w*|\bHAVE_\w*|compat/", files[name])
            if left:
                raise Failure(f"series: {left[0]} is left in {name}")
        return files

    def resolve(self, compat: Compat) -> None:
        """Definitions of compat/ in terms of the kernel only."""
        while True:
            found = next((function for function in compat.functions if as_inline(function)), None)
            if found:
                compat.functions.remove(found)
                inline = as_inline(found)
                assert inline
                compat.inlines[inline.name] = inline
            changed = False
            for function in compat.functions:
                text = self.resolve_text(compat, function.text)
                changed |= text != function.text
                function.text = text
            for inline in compat.inlines.values():
                body = inline.body
                for other in compat.inlines.values():
                    if other is not inline:
                        body = put_in(other, body, self.constants)
                body = CONST.sub(lambda word: self.constants.text(word[0]), body)
                changed |= body != inline.body
                inline.body = body
            if not found and not changed:
                return

    def resolve_text(self, compat: Compat, text: str) -> str:
        """A text in terms of the kernel only, but for functions that stay."""
        for option in self.options:
            text = text.replace(f"IS_ENABLED({option})", self.constants.add("true"))
        for option in self.off:
            text = text.replace(f"IS_ENABLED({option})", self.constants.add("false"))
        before = ""
        while before != text:
            before = text
            for inline in compat.inlines.values():
                text = put_in(inline, text, self.constants)
        return self.folder.fold(text)

    def place(self, compat: Compat, files: Dict[str, str]) -> None:
        """Moves the functions that are left to those who use them."""
        helpers: List[str] = []
        pending = list(compat.functions)
        for function in pending:
            function.text = without_reasons(function.text)
        while pending:
            progress = False
            for function in list(pending):
                if any(words(other.text, name) for other in pending if other is not function
                       for name in function.names):
                    # its user is placed first
                    continue
                pending.remove(function)
                progress = True
                users = [name for name, text in files.items()
                         if any(words(text, word) for word in function.names)]
                in_helpers = any(words(text, word) for text in helpers for word in function.names)
                if len(users) == 1 and not in_helpers and users[0].endswith(".c"):
                    self.move(function, users[0], files)
                elif users or in_helpers:
                    for word in function.names:
                        new = f"hmmirror_{word[len('compat_'):]}"
                        function.text = rename(function.text, word, new)
                        helpers = [rename(text, word, new) for text in helpers]
                        for name in files:
                            files[name] = rename(files[name], word, new)
                    helpers.insert(0, function.text.strip("\n") + "\n\n")
            if not progress:
                raise Failure("compat: functions that call each other")
        includes = "".join(f"#include <{name}>\n" for name in sorted(compat.includes))
        files[HELPERS] = HELPERS_TOP + includes + "\n" + "".join(helpers) + HELPERS_END
        for name, text in files.items():
            files[name] = text.replace('#include "compat/compat.h"\n', f'#include "{HELPERS}"\n')

    @staticmethod
    def move(function: Function, name: str, files: Dict[str, str]) -> None:
        """Makes it a static function of the file that uses it, before its first user."""
        body = narrow(function.text)
        text = files[name]
        new_names = []
        for word in function.names:
            new = word[len("compat_"):]
            if words(text, new):
                new = f"kernel_{new}"
            body, text = rename(body, word, new), rename(text, word, new)
            new_names.append(new)
        for _, start, end in functions(text):
            if any(words(text[start:end], word) for word in new_names):
                files[name] = text[:start] + body.strip("\n") + "\n\n" + text[start:]
                # comments elsewhere
                for other in files:
                    for word, new in zip(function.names, new_names):
                        files[other] = rename(files[other], word, new)
                return
        raise Failure(f"compat: {name} uses {new_names[0]} in no function")
