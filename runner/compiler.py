# SPDX-License-Identifier: GPL-2.0
"""The compiler of kernels and of the driver: gcc, what CC names, or an older gcc.

A gcc that is newer than a kernel can refuse it. Such errors are known by their text, and by the
release of gcc that brought them, so that an older gcc can be tried.
"""
from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from runner import packages
from runner.errors import Failure
from runner.host import Host

DEFAULT = "gcc"
OLDEST = 5
# programs that can also build what kbuild runs on this machine
NATIVE = re.compile(r"(gcc|clang|cc)(-[\d.]+)?")

# what an older gcc does not say, and the release since which gcc does
SIGNS = (
    # C23 is the language of files for which kbuild names none: the boot code of older kernels
    (re.compile(r"error: (cannot use keyword .{1,3}(?:false|true).{1,3} as enumeration constant)"), 15),
    (re.compile(r"error: (.{1,3}bool.{1,3} cannot be defined via .{1,3}typedef.{1,3})"), 15),
    # warnings that are errors in a kernel, or in its programs
    (re.compile(r"error: .*\[(-Werror=unterminated-string-initialization)\]"), 15),
    (re.compile(r"error: .*\[(-Werror=calloc-transposed-args)\]"), 14),
    (re.compile(r"error: .*\[(-Werror=enum-int-mismatch)\]"), 13),
    (re.compile(r"error: .*\[(-Werror=(?:use-after-free|dangling-pointer)=?)\]"), 12),
    (re.compile(r"error: .*\[(-Werror=stringop-overread)\]"), 11),
)


@dataclass(frozen=True)
class Compiler:
    """A compiler, as make gets it."""

    command: str
    # its own first line
    version: str
    # the user chose it, so no other is tried
    given: bool = False
    # make takes it anyway
    default: bool = False

    @property
    def number(self) -> int:
        """12 of gcc-12."""
        return int(self.command.rpartition("-")[2])

    @property
    def make_words(self) -> Tuple[str, ...]:
        """What tells make about it; nothing about what make takes anyway."""
        if self.default or self.command == DEFAULT:
            return ()
        words = [f"CC={self.command}"]
        if NATIVE.fullmatch(Path(shlex.split(self.command)[-1]).name):
            words.append(f"HOSTCC={self.command}")
        return tuple(words)


async def describe(host: Host, prefix: str, command: str = "", given: bool = False) -> Compiler:
    """A compiler with its version; gcc without a command. prefix is that of a cross compiler."""
    default = f"{prefix}{DEFAULT}"
    command = command or default
    version = (await host.capture([*shlex.split(command), "--version"])).split("\n")[0]
    return Compiler(command, version, given, command == default)


async def choose(host: Host, prefix: str = "") -> Compiler:
    """What CC names, else gcc."""
    command = os.environ.get("CC", "").strip()
    if not command:
        return await describe(host, prefix)
    try:
        programs = shlex.split(command)
    except ValueError as error:
        raise Failure(f"CC={command}: {error}") from error
    missing = [program for program in (programs[0], programs[-1]) if not host.which(program)]
    if missing:
        raise Failure(f"CC={command}: there is no {missing[0]}; install it, or unset CC")
    return await describe(host, prefix, "" if command == DEFAULT else command, given=True)


def too_new(text: str) -> Optional[Tuple[str, int]]:
    """What in a build's output shows that gcc is newer than the kernel, and since which gcc.

    Of several errors that with the oldest gcc counts.
    """
    found = [(sign[1], since) for expression, since in SIGNS
             for sign in [expression.search(text)] if sign]
    return min(found, key=lambda sign: sign[1]) if found else None


async def older(host: Host, since: int, prefix: str = "") -> Optional[Compiler]:
    """The newest gcc before a release that is installed."""
    for number in range(since - 1, OLDEST - 1, -1):
        if packages.has(host, f"{prefix}gcc-{number}"):
            return await describe(host, prefix, f"{prefix}gcc-{number}")
    return None


async def package_before(host: Host, since: int, prefix: str = "") -> str:
    """A package with a gcc before a release."""
    suffix = f"-{prefix}".rstrip("-").replace("_", "-")
    text = await host.capture(["apt-cache", "search", "--names-only", f"^gcc-[0-9]+{suffix}$"]) \
        if host.which("apt-cache") else ""
    numbers: List[int] = [int(number) for number in re.findall(rf"^gcc-(\d+){suffix} ", text, re.M)]
    return f"gcc-{max((number for number in numbers if number < since), default=since - 1)}{suffix}"
