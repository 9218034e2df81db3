# SPDX-License-Identifier: GPL-2.0
"""Names of tests."""
from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Iterable, Sequence

# tests of a list that are shown; results.json has all
SHOWN_NAMES = 6

# what the runner itself can say FAIL of
OWN_NAMES = ("module.load", "module.unload", "module.leaks", "guest.beside")


def base_name(name: str) -> str:
    """Without the number of the run, which --repeat adds: NAME@2."""
    return name.split("@")[0]


def matches(name: str, globs: Iterable[str]) -> bool:
    """Does a name match one of these? "walk_anon" means "walk_anon.*" too."""
    return any(fnmatchcase(name, glob) or fnmatchcase(name, f"{glob}.*") for glob in globs)


def short_names(names: Sequence[str], most: int = SHOWN_NAMES) -> str:
    """a.b.c, .d for a.b.c and a.b.d."""
    words, before = [], ""
    for name in names[:most]:
        stem, _, last = name.rpartition(".")
        words.append(f".{last}" if stem and stem == before else name)
        before = stem
    if len(names) > most:
        words.append(f"and {len(names) - most} more")
    return ", ".join(words)
