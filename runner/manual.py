# SPDX-License-Identifier: GPL-2.0
"""The manual page and the completion for shells, both made of the usage text of cli.py."""
from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Dict, List, Sequence

from runner.arch import native_arch
from runner.errors import Failure
from runner.formats import FORMATS
from runner.request import RACES, STRESS_PROGRAMS

SHELLS = ("bash", "zsh")
# where the text of an option begins
COLUMN = 23
HEAD = re.compile(r" {2,6}(-.*?)(?: {2,}(\S.*))?$")
NAME = re.compile(r"(?<![\w-])--?[a-z][a-z-]*")

BASH = """\
# completion of run_tests.sh for bash; source it, or put it into
# ~/.local/share/bash-completion/completions/run_tests.sh
_hmmirror() {
	local IFS=$'\\n'
	# shellcheck disable=SC2207 # a line each
	COMPREPLY=($("${COMP_WORDS[0]/#\\~/$HOME}" --complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2> /dev/null))
}
complete -o default -F _hmmirror run_tests.sh ./run_tests.sh
"""
ZSH = """\
#compdef run_tests.sh
# completion of run_tests.sh for zsh; source it after compinit, or put it as _run_tests.sh into a
# folder of $fpath
_hmmirror() {
	local -a found
	found=(${(f)"$("${words[1]/#\\~/$HOME}" --complete "${(@)words[2,CURRENT]}" 2> /dev/null)"})
	if (( $#found )); then
		compadd -a found
	else
		_files
	fi
}
compdef _hmmirror run_tests.sh ./run_tests.sh
"""


@dataclass
class Option:
    """An entry of the usage text: one option, or two that belong together."""

    # "-k, --kernel KERNEL"
    head: str
    lines: List[str] = field(default_factory=list)

    @property
    def names(self) -> List[str]:
        """-k and --kernel."""
        return NAME.findall(self.head)


@dataclass
class Usage:
    """The usage text, taken apart."""

    synopsis: str
    about: str
    options: List[Option]
    # "Exit status", "Environment"
    notes: Dict[str, str]


def parse_usage(text: str) -> Usage:
    """Reads it."""
    parts = text.strip("\n").split("\n\n")
    options: List[Option] = []
    for line in "\n".join(parts[2:-1]).split("\n"):
        found = HEAD.match(line)
        if found and len(line) - len(line.lstrip()) <= 6:
            options.append(Option(found[1], [found[2]] if found[2] else []))
        elif line.strip():
            options[-1].lines.append(line[COLUMN:] if not line[:COLUMN].strip() else line.strip())
    notes: Dict[str, str] = {}
    name = ""
    for line in parts[-1].split("\n"):
        found = re.match(r"([A-Z][a-z ]+): (.*)", line)
        if found:
            name = found[1]
            notes[name] = found[2]
        else:
            notes[name] += f" {line}"
    return Usage(parts[0].replace("Usage: ", "", 1), " ".join(parts[1].split()), options, notes)


def roff(text: str) -> str:
    """Text in which nothing means something to roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def manual(text: str) -> str:
    """The manual page."""
    usage = parse_usage(text)
    lines = [".TH HMMIRROR 1", ".SH NAME",
             "hmmirror \\- test hmm_range_fault() and device memory of a kernel in QEMU",
             ".SH SYNOPSIS", f".B {roff(usage.synopsis)}", ".SH DESCRIPTION", roff(usage.about),
             ".SH OPTIONS"]
    for option in usage.options:
        lines += [".TP", f".B {roff(option.head)}", *option_text(option.lines)]
    for name, note in usage.notes.items():
        lines += [f".SH {name.upper()}", roff(note)]
    lines += [".SH FILES", ".TP", ".I ~/.cache/hmmirror", "kernels, programs and logs; removing it "
              "is always safe", ".SH SEE ALSO", "README.md and docs/using/ of the checkout"]
    return "".join(f"{line}\n" for line in lines)


def option_text(lines: Sequence[str]) -> List[str]:
    """The text of an option. Indented lines are a list, and stay as they are."""
    done: List[str] = []
    table = False
    for line in lines:
        if line.startswith(" ") != table:
            table = not table
            done.append(".nf" if table else ".fi")
        done.append(roff(line))
    return [*done, ".fi"] if table else done


def completion(shell: str) -> str:
    """The script for a shell."""
    if shell not in SHELLS:
        raise Failure(f"--completion {shell}: it is {' or '.join(SHELLS)}")
    return BASH if shell == "bash" else ZSH


@dataclass(frozen=True)
class Place:
    """Where names of things are found."""

    root: Path
    cache: Path

    def kernels(self) -> List[str]:
        """Releases whose source is here, and words."""
        trees = [path.name.replace("linux-", "", 1) for path in self.cache.glob("source/linux-*")]
        return [*trees, "all", "native", f"linux-image-{native_arch().debian}"]

    def configs(self) -> List[str]:
        """Fragments."""
        names = [path.stem for path in self.root.glob("configs/*.config")]
        return [name for name in names if name != "base"]

    def entries(self) -> List[str]:
        """Known bugs."""
        return [path.parent.name for path in self.root.glob("regressions/*/about")] + ["all"]

    def tests(self) -> List[str]:
        """Tests of the suite that was built last, and their subjects."""
        lists = sorted(self.cache.glob("suite/*/tests"), key=lambda path: path.stat().st_mtime)
        text = lists[-1].read_text(encoding="utf-8") if lists else ""
        names = [line.split("\t")[1] for line in text.splitlines()]
        return [*names, *dict.fromkeys(name.split(".")[0] for name in names)]


def candidates(text: str, place: Place, words: Sequence[str]) -> List[str]:
    """What the last of these words can become."""
    words = list(words) or [""]
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    start = ""
    # bash takes --format=ktap for three words, zsh for one
    if before == "=" and len(words) > 2:
        before = words[-3]
    elif last == "=":
        before, last = before, ""
    elif re.match("--[a-z-]+=", last):
        before, _, last = last.partition("=")
        start = f"{before}="
    values: Dict[str, Callable[[], List[str]]] = {
        "-k": place.kernels, "--kernel": place.kernels, "--upstream": place.kernels,
        "-c": place.configs, "--config": place.configs,
        "--format": lambda: list(FORMATS), "--reintroduce": place.entries,
        "--regressions": place.entries, "--exclude": place.tests,
        "--stress": lambda: [*STRESS_PROGRAMS, "soak", "all", *(f"race.{race}" for race in RACES)],
        "--check": lambda: ["ci", "all", "machine", "noapt"], "--completion": lambda: list(SHELLS),
    }
    options = parse_usage(text).options
    if start or not last.startswith("-"):
        if before in values and (start or before not in ("--upstream", "--check")):
            return sorted(start + name for name in values[before]() if name.startswith(last))
        if takes_value(options, before):
            return []
    if last.startswith("-"):
        return sorted(name for option in options for name in option.names
                      if name.startswith(last))
    return sorted(name for name in place.tests() if last and name.startswith(last))


def takes_value(options: Sequence[Option], word: str) -> bool:
    """Does a value follow this option, of which nothing is known here?"""
    for option in options:
        for part in option.head.split(", "):
            if word in NAME.findall(part) and part.rpartition("=")[0] == "" and " " in part:
                return True
    return False


def place_of(root: Path) -> Place:
    """The names of this checkout and user, without a run's ways to fail."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Place(root, Path(home) / "hmmirror")
