# SPDX-License-Identifier: GPL-2.0
"""Config fragments, which -c names. Beside config lines a fragment can have

    # guest: append=WORD        a word for the guest's kernel command line
    # guest: module=WORD        a parameter of hmmirror.ko
    # guest: cpus=N             so many CPUs
    # guest: hugepages=N        so many times 2 MiB are set aside as huge pages; what is short then
                                is the rest
    # guest: thp=WORD           transparent huge pages: always, madvise (the default) or never
    # guest: slow               it is given three times as long to come up
    # guest: spread             tests start out on all CPUs, not on one
    # guest: beside=COMMAND     a program that runs beside the tests; its libraries go with it
    # make: VAR=VALUE           for every make of the kernel and the driver
    # needs: COMMAND:PACKAGE    to be installed if the command is missing

A fragment that only sets the guest goes with a kernel that is built already.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from runner.arch import Arch, all_archs, native_arch
from runner.errors import Failure
from runner.packages import Need

DIRECTIVE = re.compile(r"^# ((?:guest|make|needs):) ?(.*)$", re.M)
CONFIG_LINE = re.compile(r"^(?:CONFIG_\w+=.*|# CONFIG_\w+ is not set|# make:.*)$", re.M)


@dataclass(frozen=True)
class GuestSettings:
    """What fragments set of the guest."""

    append: Tuple[str, ...] = ()
    module: Tuple[str, ...] = ()
    cpus: int = 2
    hugepages: int = 64
    thp: str = "madvise"
    slow: bool = False
    spread: bool = False
    beside: str = ""


@dataclass(frozen=True)
class Config:
    """What one -c stands for."""

    name: str = ""
    fragments: Tuple[Path, ...] = ()
    guest: GuestSettings = field(default_factory=GuestSettings)
    make: Tuple[str, ...] = ()
    needs: Tuple[Need, ...] = ()

    def with_make(self, *words: str) -> Config:
        """The same, with more variables for make."""
        return replace(self, make=self.make + words)

    def build_lines(self) -> List[str]:
        """The lines that decide about a build."""
        return [line for path in self.fragments for line in build_lines(read(path))]


def read_config(root: Path, name: str, arch: Optional[Arch] = None) -> Config:
    """Reads the fragments that NAME+NAME stands for: files of configs/, or paths.

    arch is that of the kernel: the config also has the variables for make.
    """
    arch = arch or native_arch()
    config = Config(name, make=arch.make_words)
    for word in fragment_names(name):
        path = find_fragment(root, word, arch)
        config = replace(config, fragments=config.fragments + (path,))
        for kind, value in DIRECTIVE.findall(read(path)):
            config = with_directive(config, path, kind, value)
    return config


def fragment_names(name: str) -> List[str]:
    """Splits a+b, unless that is a file."""
    if Path(name).is_file():
        return [name]
    return [word for word in name.split("+") if word]


def base_fragments(root: Path, arch: Arch) -> List[Path]:
    """What every kernel of this architecture that we build has on top of tinyconfig."""
    paths = [root / "configs/base.config", root / "configs" / arch.name / "base.config"]
    return [path for path in paths if path.is_file()]


def find_fragment(root: Path, name: str, arch: Arch) -> Path:
    """A file of configs/, or of its folder for the architecture, or a path."""
    folders = [root / "configs", root / "configs" / arch.name]
    if "/" not in name:
        for folder in folders:
            if (folder / f"{name}.config").is_file():
                return folder / f"{name}.config"
    if Path(name).is_file():
        return Path(name).resolve()
    others = [other for other in sorted(all_archs())
              if (root / "configs" / other / f"{name}.config").is_file()]
    if "/" not in name and others:
        raise Failure(f"-c {name} is for {' and '.join(others)} only, and this kernel is {arch.name}; "
                      f"give -a {others[0]}, or another -c")
    known = sorted(path.stem for folder in folders for path in folder.glob("*.config"))
    names = " ".join(name for name in known if name != "base")
    raise Failure(f"unknown config: {name}; give a file or one of: {names}")


def with_directive(config: Config, path: Path, kind: str, value: str) -> Config:
    """The config with one more directive."""
    key, _, word = value.partition("=")
    guest = config.guest
    if kind == "make:" and re.match(r"[A-Z][\w.]*=", value):
        return config.with_make(value)
    if kind == "needs:" and re.match(r"[^:]+:.+$", value):
        return replace(config, needs=config.needs + (Need(*value.rsplit(":", 1)),))
    if kind == "guest:":
        changed: Dict[str, GuestSettings] = {}
        if word and key in ("append", "module"):
            changed = {"guest": replace(guest, **{key: getattr(guest, key) + (word,)})}
        elif key == "cpus" and re.fullmatch("[1-9]", word):
            changed = {"guest": replace(guest, cpus=int(word))}
        elif key == "hugepages":
            if not re.fullmatch("[0-9]+", word):
                raise Failure(f"{path}: '# {kind} {value}': a number is wanted")
            changed = {"guest": replace(guest, hugepages=int(word))}
        elif key == "thp" and word in ("always", "madvise", "never"):
            changed = {"guest": replace(guest, thp=word)}
        elif value in ("slow", "spread"):
            changed = {"guest": replace(guest, **{value: True})}
        elif key == "beside" and word[:1].isalpha():
            if guest.beside:
                raise Failure(f"{path}: another fragment has a program beside the tests already; "
                              "take one")
            changed = {"guest": replace(guest, beside=word)}
        if changed:
            return replace(config, **changed)
    raise Failure(f"{path}: '# {kind} {value}' is not understood; see docs/using/kernels.md")


def read(path: Path) -> str:
    """The text of a file that the user named."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}") from error


def build_lines(text: str) -> List[str]:
    """What of a fragment goes into a build."""
    return CONFIG_LINE.findall(text)


def unmet(config: str, wanted: Sequence[str]) -> List[str]:
    """Lines of fragments that did not come true, as the tree lacks the option or overrides it."""
    lines = set(config.splitlines())
    missed = []
    for line in wanted:
        if line.startswith("CONFIG_"):
            if line not in lines:
                missed.append(line)
        elif line.startswith("# CONFIG_"):
            option = line.split()[1]
            if any(have.startswith(f"{option}=") for have in lines):
                missed.append(f"{option}=n")
    return missed
