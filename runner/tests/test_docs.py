# SPDX-License-Identifier: GPL-2.0
"""The documentation: links, line length, and that options and files that it names exist."""
from __future__ import annotations

import re
import subprocess
import unittest
from pathlib import Path
from typing import Iterator, List, NamedTuple, Set

ROOT = Path(__file__).resolve().parents[2]
COLUMNS = 100

# files that a reader makes
EXAMPLES = {"selftests/walk_fork.c"}
# the kernel has folders of the same names
KERNEL_PATHS = {"lib/test_hmm.c", "lib/test_hmm_uapi.h", "lib/test_hmmirror", "lib/xarray.c",
                "scripts/dtc", "scripts/sign-file"}
# options of other programs
OTHER_OPTIONS = {"--each", "--run", "--allmodconfig", "-accel", "-cpu", "-icount", "-no-reboot",
                 "-seed", "--dirty"}

OWN_FOLDERS = "bench|configs|docs|driver|guest|lib|regressions|runner|scripts|selftests|series|stress"
PATH = re.compile(rf"(?<![\w/.~-])(?:{OWN_FOLDERS})/[\w./*-]*")
PLACEHOLDER = re.compile(r"/[A-Z]+\b(?!\.md)")
# the text of a link can begin in the line before
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE_SPAN = re.compile(r"`([^`]+)`")
OPTION = re.compile(r"(?<![\w-])--?[a-z](?:[a-z-]*[a-z])?")
HEADING = re.compile(r"#+ +(.*)")


class Line(NamedTuple):
    """A line of a document."""

    document: Path
    number: int
    text: str
    is_code: bool

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.document.relative_to(ROOT)}:{self.number}"


def documents() -> List[Path]:
    """All documents of the project."""
    found = [ROOT / "README.md", ROOT / "regressions/README.md"]
    return found + sorted((ROOT / "docs").rglob("*.md"))


def read_lines(document: Path) -> Iterator[Line]:
    """The lines of a document. Indented lines of a list are prose, others are code."""
    fenced = in_list = False
    for number, text in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        fence = text.lstrip().startswith("```")
        if not text.startswith(" ") and text:
            in_list = bool(re.match(r"[-*] |\d+\. ", text))
        # a list's own text is indented by two or three columns
        indent = 6 if in_list else 4
        yield Line(document, number, text, fenced or fence or text.startswith(" " * indent))
        fenced ^= fence


def all_lines() -> List[Line]:
    """The lines of all documents."""
    return [line for document in documents() for line in read_lines(document)]


def anchors(document: Path) -> Set[str]:
    """The anchors that GitHub gives to the headings of a document."""
    found: Set[str] = set()
    for line in read_lines(document):
        heading = HEADING.match(line.text)
        if heading and not line.is_code:
            text = re.sub(r"[^\w\- ]", "", heading[1].lower())
            found.add(text.replace(" ", "-"))
    return found


def exists(path: str) -> bool:
    """Is there such a file in the project? The path can be a glob."""
    return (ROOT / path).exists() or ("*" in path and any(ROOT.glob(path)))


def usage_options() -> Set[str]:
    """The options in the usage text of the runner."""
    usage = subprocess.run([str(ROOT / "run_tests.sh"), "--help"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout
    return set(OPTION.findall(usage))


def commands(line: Line) -> Iterator[str]:
    """What a line gives as arguments to run_tests.sh."""
    texts = [line.text] if line.is_code else CODE_SPAN.findall(line.text)
    for text in texts:
        found = re.search(r"run_tests\.sh\s(.*)", text)
        if found:
            # behind --exec PROGRAM are the program's own arguments, behind # a remark
            yield re.split(r"\s#|(?<=--exec)\s", found[1])[0]
        elif not line.is_code and text.startswith("-"):
            yield text


class Documents(unittest.TestCase):
    """Each test collects all that is wrong before it fails."""

    def expect_none(self, wrong: List[str]) -> None:
        """Fails with a list."""
        self.assertFalse(wrong, "\n" + "\n".join(wrong))

    def test_links(self) -> None:
        """Each relative link leads to a file, and to a heading of it."""
        wrong = []
        for line in all_lines():
            if line.is_code:
                continue
            for target in LINK.findall(line.text):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                path = (line.document.parent / name).resolve() if name else line.document
                if not path.exists():
                    wrong.append(f"{line.place}: {target}: no such file")
                elif anchor and anchor not in anchors(path):
                    wrong.append(f"{line.place}: {target}: no such heading")
        self.expect_none(wrong)

    def test_line_length(self) -> None:
        """Lines of prose can be read side by side with code; tables and code are exempt."""
        self.expect_none([
            f"{line.place}: {len(line.text)} columns" for line in all_lines()
            if len(line.text) > COLUMNS and not line.is_code
            and not line.text.lstrip().startswith("|")])

    def test_options(self) -> None:
        """Each option that a document names is in the usage text."""
        known = usage_options() | OTHER_OPTIONS
        self.assertIn("--kernel", known)
        self.expect_none([
            f"{line.place}: {option}" for line in all_lines() for command in commands(line)
            for option in OPTION.findall(command) if option not in known])

    def test_paths(self) -> None:
        """Each file of ours that a document names exists."""
        wrong = []
        for line in all_lines():
            if line.is_code:
                continue
            for span in CODE_SPAN.findall(line.text):
                for path in PATH.findall(span):
                    path = path.rstrip("/.")
                    if path not in KERNEL_PATHS | EXAMPLES and \
                            not PLACEHOLDER.search(path) and not exists(path):
                        wrong.append(f"{line.place}: {path}")
        self.expect_none(wrong)


if __name__ == "__main__":
    unittest.main()
