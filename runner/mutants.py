# SPDX-License-Identifier: GPL-2.0
"""Mutants of a C file: what is changed where, and the file with all of them in it.

Pure functions of the file's text. The C that they understand is that of the kernel: statements,
declarations with initialisers, and expressions as far as it takes to find conditions in them.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Callable, Dict, FrozenSet, List, Optional, Set, Tuple

from runner.errors import Failure

TOKEN = re.compile(r"""
    (?P<space>\s+|/\*.*?\*/|//[^\n]*) |
    (?P<word>[A-Za-z_]\w*) |
    (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*) |
    (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*') |
    (?P<sign>\.\.\.|<<=|>>=|->|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|[-+*/%&|^~!<>=?:;,.(){}\[\]])
    """, re.X | re.S)
DIRECTIVE = re.compile(r"^[ \t]*#(?:[^\n\\]|\\\n|\\.)*", re.M)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
PAIRS = {"(": ")", "[": "]", "{": "}"}
ASSIGNS = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
COMPARES = {"==", "!=", "<", ">", "<=", ">="}
BINARY = COMPARES | {"+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>"}
TYPES = {"struct", "union", "enum", "const", "static", "unsigned", "signed", "int", "long", "short",
         "char", "bool", "void", "volatile", "register", "extern", "typedef"}
HINTS = {"likely", "unlikely"}
# that only look at an operand's type
UNEVALUATED = {"sizeof", "typeof", "__typeof__", "alignof", "offsetof"}
# A statement that only asserts or reports does nothing in a kernel that is right.
ASSERTS = re.compile(r"(VM_)?(WARN|BUG)(_ON\w*|_ONCE)?$|VM_(WARN|BUG)_ON_\w+$|BUILD_BUG\w*$|"
                     r"\w*_assert_\w+$|lockdep_\w+$|might_\w+$|barrier$|pr_\w+$")
ERROR = re.compile(r"E[A-Z][A-Z0-9]+$")
OTHER_ERROR = {"EINVAL": "EFAULT"}

NEGATE, OMIT, OMIT_SET, OMIT_STEP, SWAP = "negate", "omit", "omit set", "omit step", "swap"
BEFORE = {NEGATE: "({name}({n}) == !(", OMIT: "do {{ if (!{name}({n})) {{ ",
          OMIT_SET: "do {{ if (!{name}({n})) {{ ",
          OMIT_STEP: "({name}({n}) ? (void)0 : (void)(", SWAP: "({name}({n}) ? {other} : "}
# If the variable is set nowhere else, the compiler may assume the value of the assignment even
# where the mutant leaves that out. The empty asm() makes it expect another value.
AFTER = {NEGATE: "))", OMIT: " } } while (0);",
         OMIT_SET: " } else { __asm__ volatile (\"\" : \"+m\" (%s)); } } while (0);",
         OMIT_STEP: "))", SWAP: ")"}

# In the file: is this mutant the one that was chosen?
NAME = "hmmirror_mutated"
# of /sys/module/, and in front of a parameter on the kernel's command line
PREFIX = "mutants"
PREAMBLE = """
#include <linux/moduleparam.h>
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "@PREFIX@."
static unsigned int @NAME@_number;
static unsigned char @NAME@_reached[@COUNT@ + 4];

static __always_inline bool @NAME@(unsigned int number)
{
	@NAME@_reached[number] = 1;
	return READ_ONCE(@NAME@_number) == number;
}

/* Choosing a mutant forgets what was reached. */
static int @NAME@_set(const char *text, const struct kernel_param *param)
{
	memset(@NAME@_reached, 0, sizeof(@NAME@_reached));
	return param_set_uint(text, param);
}

/* A digit for four mutants; the lowest bit of the first one is that of number 0. */
static int @NAME@_get(char *text, const struct kernel_param *param)
{
	unsigned int i;
	int len = 0;

	for (i = 0; i < @COUNT@ + 1; i += 4)
		text[len++] = "0123456789abcdef"[@NAME@_reached[i] | @NAME@_reached[i + 1] << 1 |
						 @NAME@_reached[i + 2] << 2 |
						 @NAME@_reached[i + 3] << 3];
	text[len++] = '\\n';
	return len;
}

static const struct kernel_param_ops @NAME@_number_ops = {
	.set = @NAME@_set,
	.get = param_get_uint,
};

static const struct kernel_param_ops @NAME@_reached_ops = {
	.set = @NAME@_set,
	.get = @NAME@_get,
};

module_param_cb(number, &@NAME@_number_ops, &@NAME@_number, 0644);
module_param_cb(reached, &@NAME@_reached_ops, NULL, 0444);
#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX KBUILD_MODNAME "."
"""
# that the page of a parameter has room for
MOST = 4 * 4000


@dataclass(frozen=True)
class Token:
    """A word, a number, a text or a sign of C."""

    kind: str
    text: str
    start: int

    @property
    def end(self) -> int:
        """Where the next one can begin."""
        return self.start + len(self.text)


@dataclass(frozen=True)
class Mutant:
    """One change. Function and change name it, whatever its line is in a kernel."""

    number: int
    line: int
    function: str
    # with " #2" if it is the second of its words in the function
    change: str

    def __str__(self) -> str:
        return f"{self.function}: {self.change}"


@dataclass
class Place:
    """A mutant before it has a number."""

    kind: str
    function: str
    start: int
    end: int
    change: str
    other: str = ""


@dataclass
class Mutated:
    """A file with all of its mutants."""

    text: str
    mutants: List[Mutant]


def tokenize(text: str) -> List[Token]:
    """The tokens of a C file, without comments and directives."""
    # a directive is blanked out, so that places stay
    text = DIRECTIVE.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), hide_comments(text))
    tokens: List[Token] = []
    place = 0
    while place < len(text):
        found = TOKEN.match(text, place)
        if not found:
            raise Failure(f"line {line_of(text, place)}: this is not C: {text[place:place + 20]!r}")
        if found.lastgroup != "space":
            tokens.append(Token(str(found.lastgroup), found[0], place))
        place = found.end()
    return tokens


def hide_comments(text: str) -> str:
    """Blanks instead of comments: one can begin on the line of a directive."""
    pattern = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|//[^\n]*', re.S)
    return pattern.sub(lambda found: found[0] if found[0][0] in "\"'"
                       else re.sub(r"[^\n]", " ", found[0]), text)


def line_of(text: str, place: int) -> int:
    """The number of the line at a place."""
    return text.count("\n", 0, place) + 1


class Finder:
    """Finds the places of mutants in one file."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = tokenize(text)
        self.pair = self._match_brackets()
        self.places: List[Place] = []
        self._function = ""

    def _match_brackets(self) -> Dict[int, int]:
        pair: Dict[int, int] = {}
        stack: List[int] = []
        for at, token in enumerate(self.tokens):
            if token.kind != "sign":
                continue
            if token.text in PAIRS:
                stack.append(at)
            elif token.text in PAIRS.values():
                if not stack or PAIRS[self.tokens[stack[-1]].text] != token.text:
                    raise self.wrong(at, "a bracket without its other half")
                pair[stack.pop()] = at
        if stack:
            raise self.wrong(stack[-1], "a bracket without its other half")
        return pair

    def wrong(self, at: int, what: str) -> Failure:
        """The failure to understand a file."""
        place = self.tokens[min(at, len(self.tokens) - 1)].start
        return Failure(f"line {line_of(self.text, place)}: {what}")

    def word(self, at: int) -> str:
        """The text of a token; empty behind the end."""
        return self.tokens[at].text if 0 <= at < len(self.tokens) else ""

    def find(self) -> List[Place]:
        """All places, in the order of the file."""
        at = 0
        while at < len(self.tokens):
            word = self.word(at)
            if word == "{" and self.word(at - 1) == ")":
                opening = next(start for start, end in self.pair.items() if end == at - 1)
                self._function = self.word(opening - 1)
                self.block(at + 1, self.pair[at])
            at = self.pair.get(at, at) + 1
        self.places.sort(key=lambda place: (place.start, -place.end))
        return self.places

    def block(self, at: int, end: int) -> None:
        """Statements."""
        while at < end:
            at = self.statement(at, end)

    def statement(self, at: int, end: int) -> int:
        """One statement; returns where the next one begins."""
        word = self.word(at)
        if word == "{":
            self.block(at + 1, self.pair[at])
            return self.pair[at] + 1
        if word == ";":
            return at + 1
        if word == "else":
            raise self.wrong(at, "an 'else' without its 'if'")
        handler: Optional[Callable[[int, int], int]] = {
            "if": self.if_statement, "while": self.while_statement, "for": self.for_statement,
            "do": self.do_statement, "switch": self.switch_statement, "case": self.label,
            "default": self.label}.get(word)
        if handler:
            return handler(at, end)
        if self.tokens[at].kind == "word" and self.word(at + 1) == ":":
            return at + 2
        stop = self.semicolon(at, end)
        if word == "return":
            self.errors(at, stop)
            self.expression(at + 1, stop, False)
        elif word in ("goto", "break", "continue", "asm", "__asm__"):
            pass
        elif self.is_declaration(at, stop):
            self.errors(at, stop)
            self.declaration(at, stop)
        else:
            self.errors(at, stop)
            self.simple(at, stop)
        return stop + 1

    def semicolon(self, at: int, end: int) -> int:
        """The end of a statement that has no statements in it."""
        while at < end and self.word(at) != ";":
            at = self.pair.get(at, at) + 1
        if at >= end:
            raise self.wrong(at, "a statement without its semicolon")
        return at

    def head(self, at: int) -> Tuple[int, int]:
        """The parenthesis behind a word: from its first token to the bracket that closes it."""
        if self.word(at + 1) != "(":
            raise self.wrong(at, f"'{self.word(at)}' without a parenthesis")
        self.errors(at + 2, self.pair[at + 1])
        return at + 2, self.pair[at + 1]

    def if_statement(self, at: int, end: int) -> int:
        """if (...) ... else ..."""
        start, stop = self.head(at)
        self.expression(start, stop, True)
        at = self.statement(stop + 1, end)
        return self.statement(at + 1, end) if self.word(at) == "else" and at < end else at

    def while_statement(self, at: int, end: int) -> int:
        """while (...) ..."""
        start, stop = self.head(at)
        self.expression(start, stop, True)
        return self.statement(stop + 1, end)

    def do_statement(self, at: int, end: int) -> int:
        """do ... while (...);"""
        at = self.statement(at + 1, end)
        start, stop = self.head(at)
        self.expression(start, stop, True)
        return self.semicolon(stop, end) + 1

    def switch_statement(self, at: int, end: int) -> int:
        """switch (...) ..."""
        start, stop = self.head(at)
        self.expression(start, stop, False)
        return self.statement(stop + 1, end)

    def label(self, at: int, end: int) -> int:
        """case ...: and default:"""
        while at < end and self.word(at) != ":":
            at = self.pair.get(at, at) + 1
        return at + 1

    def for_statement(self, at: int, end: int) -> int:
        """for (...; ...; ...) ...

        Without its start, or the step of what its condition looks at, a loop only runs wild.
        """
        start, stop = self.head(at)
        first = self.semicolon(start, stop)
        second = self.semicolon(first + 1, stop)
        if first + 1 < second:
            self.expression(first + 1, second, True)
        tested = {token.text for token in self.tokens[first + 1:second] if token.kind == "word"}
        for part, part_end in self.split(second + 1, stop, {","}):
            changed = [token.text for token in self.tokens[part:part_end] if token.kind == "word"]
            if changed and changed[0] not in tested:
                self.add(OMIT_STEP, part, part_end, f"without {self.shown(part, part_end)}")
        return self.statement(stop + 1, end)

    def is_declaration(self, at: int, stop: int) -> bool:
        """Does this statement declare something?"""
        if self.word(at) in TYPES:
            return True
        if self.tokens[at].kind != "word":
            return False
        name = at + 1
        while self.word(name) == "*":
            name += 1
        return name < stop + 1 and self.tokens[name].kind == "word" and \
            self.word(name + 1) in ("=", ";", ",", "[", "__free")

    def declaration(self, at: int, stop: int) -> None:
        """Conditions in what its variables are initialised with."""
        for part, end in self.split(at, stop, {","}):
            assign = self.top_level(part, end, {"="})
            if assign is not None and self.word(assign + 1) != "{":
                self.expression(assign + 1, end, False)

    def simple(self, at: int, stop: int) -> None:
        """An expression as a statement: an assignment, a step, a call."""
        called = self.word(at + 1) == "(" and self.pair[at + 1] == stop - 1
        if called and ASSERTS.match(self.word(at)):
            return
        if called or self.top_level(at, stop, ASSIGNS | {"++", "--"}) is not None:
            variable = self.word(at) if self.word(at + 1) == "=" else ""
            self.add(OMIT_SET if variable else OMIT, at, stop + 1,
                     f"without {self.shown(at, stop)}", variable)
        self.expression(at, stop, False)

    def top_level(self, at: int, end: int, signs: Set[str]) -> Optional[int]:
        """The first of these signs that is in no brackets."""
        while at < end:
            if self.word(at) in signs and self.tokens[at].kind == "sign":
                return at
            at = self.pair.get(at, at) + 1
        return None

    def split(self, at: int, end: int, signs: Set[str]) -> List[Tuple[int, int]]:
        """The parts between these signs."""
        parts = []
        while True:
            sign = self.top_level(at, end, signs)
            parts.append((at, end if sign is None else sign))
            if sign is None:
                return parts
            at = sign + 1

    def expression(self, at: int, end: int, truth: bool, whole: bool = True) -> None:
        """Finds conditions in an expression.

        truth: only whether it is true is used. whole: it is not the whole of another condition.
        """
        if at >= end:
            return
        parts = self.split(at, end, {","})
        if len(parts) > 1:
            for part, part_end in parts:
                self.expression(part, part_end, False)
            return
        assign = self.top_level(at, end, ASSIGNS)
        if assign is not None:
            self.condition(at, end, truth and whole)
            self.groups(at, assign)
            self.expression(assign + 1, end, False)
            return
        question = self.top_level(at, end, {"?"})
        if question is not None:
            self.ternary(at, question, end)
            return
        for sign in ("||", "&&"):
            parts = self.split(at, end, {sign})
            if len(parts) > 1:
                self.condition(at, end, whole)
                for part, part_end in parts:
                    self.expression(part, part_end, True)
                return
        self.term(at, end, truth, whole)

    def ternary(self, at: int, question: int, end: int) -> None:
        """... ? ... : ..."""
        self.expression(at, question, True)
        depth, colon = 1, question
        while depth:
            colon += 1
            if colon >= end:
                raise self.wrong(question, "a '?' without its ':'")
            if self.word(colon) in "?:":
                depth += 1 if self.word(colon) == "?" else -1
            elif colon in self.pair:
                colon = self.pair[colon]
        self.expression(question + 1, colon, False)
        self.expression(colon + 1, end, False)

    def term(self, at: int, end: int, truth: bool, whole: bool) -> None:
        """An expression without logical signs at its top."""
        first = self.word(at)
        binary = self.top_level(at + 1, end, BINARY) is not None
        if first == "!" and not binary:
            self.condition(at, end, truth and whole)
            self.expression(at + 1, end, truth, False)
        elif first == "(" and self.pair[at] == end - 1:
            if self.word(at + 1) != "{":
                compares = self.top_level(at + 1, end - 1, COMPARES) is not None
                self.expression(at + 1, end - 1, truth or compares, whole)
        elif first in HINTS and self.word(at + 1) == "(" and self.pair[at + 1] == end - 1:
            self.expression(at + 2, end - 1, truth, whole)
        else:
            constant = end - at == 1 and self.tokens[at].kind == "number"
            self.condition(at, end, truth and whole and not constant)
            self.groups(at, end)

    def groups(self, at: int, end: int) -> None:
        """What is in brackets within a term: arguments, indexes, a part in parentheses."""
        while at < end:
            if self.word(at) in ("(", "["):
                before = self.tokens[at - 1]
                called = before.kind == "word" or before.text in (")", "]")
                inner, inner_end = at + 1, self.pair[at]
                if before.text not in UNEVALUATED and self.word(inner) != "{":
                    compares = not called and self.top_level(inner, inner_end, COMPARES) is not None
                    self.expression(inner, inner_end, compares)
            at = self.pair.get(at, at) + 1

    def condition(self, at: int, end: int, wanted: bool) -> None:
        """A condition that can be negated."""
        if wanted:
            self.add(NEGATE, at, end, f"not ({self.shown(at, end)})")

    def errors(self, at: int, end: int) -> None:
        """Error codes."""
        for sign in range(at, end - 1):
            name = self.tokens[sign + 1]
            before = self.tokens[sign - 1]
            if self.word(sign) == "-" and name.kind == "word" and ERROR.match(name.text) and \
                    (before.text in ("return", "case") or before.kind == "sign" and
                     before.text not in (")", "]")):
                other = OTHER_ERROR.get(name.text, "EINVAL")
                self.add(SWAP, sign, sign + 2, f"-{other} for -{name.text}", f"-{other}")

    def shown(self, at: int, end: int) -> str:
        """The text of some tokens on one line."""
        text = COMMENT.sub(" ", self.text[self.tokens[at].start:self.tokens[end - 1].end])
        return " ".join(text.split()).replace("( ", "(")

    def add(self, kind: str, at: int, end: int, change: str, other: str = "") -> None:
        """A place."""
        self.places.append(Place(kind, self._function, self.tokens[at].start,
                                 self.tokens[end - 1].end, change, other))


def mutate(text: str) -> Mutated:
    """The file with all of its mutants, none of which does anything until it is chosen."""
    places = Finder(text).find()
    if len(places) > MOST:
        raise Failure(f"{len(places)} mutants are more than one kernel can have, {MOST}")
    mutants: List[Mutant] = []
    seen: Dict[Tuple[str, str], int] = {}
    openings: Dict[int, List[str]] = {}
    closings: Dict[int, List[Tuple[int, str]]] = {}
    for number, place in enumerate(places, 1):
        key = place.function, place.change
        seen[key] = seen.get(key, 0) + 1
        nth = f" #{seen[key]}" if seen[key] > 1 else ""
        mutants.append(Mutant(number, line_of(text, place.start), place.function,
                              place.change + nth))
        openings.setdefault(place.start, []).append(
            BEFORE[place.kind].format(name=NAME, n=number, other=place.other))
        after = AFTER[place.kind]
        closings.setdefault(place.end, []).append(
            (number, after % place.other if place.kind == OMIT_SET else after))
    head = end_of_includes(text)
    parts = []
    last = 0
    for at in sorted({*openings, *closings, head}):
        parts.append(text[last:at])
        # inner ones, which begin later, end first
        parts += [after for _, after in sorted(closings.get(at, ()), reverse=True)]
        if at == head:
            parts.append(preamble(len(places), line_of(text, head)))
        parts += openings.get(at, [])
        last = at
    return Mutated("".join([*parts, text[last:]]), mutants)


def end_of_includes(text: str) -> int:
    """Where the line behind the last #include begins."""
    ends = [found.end() for found in re.finditer(r"^#include .*\n", text, re.M)]
    return ends[-1] if ends else 0


def preamble(count: int, line: int) -> str:
    """What chooses a mutant. The lines behind it keep their numbers."""
    text = PREAMBLE
    for word, value in (("NAME", NAME), ("PREFIX", PREFIX), ("COUNT", str(count))):
        text = text.replace(f"@{word}@", value)
    return f"{text}#line {line}\n"


def compiled(preprocessed: str) -> FrozenSet[int]:
    """The numbers of the mutants that are left behind the preprocessor."""
    return frozenset(int(number) for number in re.findall(rf"\b{NAME}\((\d+)\)", preprocessed))


def reached(digits: str) -> FrozenSet[int]:
    """The numbers of the mutants that a guest says it has reached."""
    return frozenset(4 * at + bit for at, digit in enumerate(digits.strip())
                     for bit in range(4) if int(digit, 16) >> bit & 1)
