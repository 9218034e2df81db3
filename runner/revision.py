# SPDX-License-Identifier: GPL-2.0
"""-k DIR@REV: a commit of a git repository, checked out in the cache.

Each commit has a worktree of its own, which is made once and never changed. The KEPT that were
used last stay; an older one goes when another is made, and the kernels built from it go with it.
"""
from __future__ import annotations

import contextlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from runner import packages
from runner.cache import Cache, hash_text, hold_folder
from runner.git import add_worktree, commit_of, forget_missing, has_file, repository_of
from runner.host import Host

KEPT = 5


@dataclass(frozen=True)
class Revision:
    """A commit that the user named."""

    # linux@v6.12
    name: str
    repository: Path
    commit: str

    def has(self, file: str) -> bool:
        """Is this file in it?"""
        return has_file(self.repository, self.commit, file)


def split(name: str) -> Optional[Tuple[Path, str]]:
    """DIR and REV of DIR@REV; None if the name is another kind of name."""
    if Path(name).exists():
        return None
    # both parts can have an @: /home/me@work/linux@HEAD@{1}
    for found in re.finditer("@", name):
        folder, revision = Path(name[:found.start()]), name[found.end():]
        if found.start() and revision and folder.is_dir():
            return folder, revision
    return None


def short_name(folder: Path, revision: str) -> str:
    """For tables and messages."""
    if re.fullmatch("[0-9a-f]{13,64}", revision):
        revision = revision[:12]
    return f"{folder.resolve().name}@{revision}"


async def find(host: Host, folder: Path, revision: str) -> Revision:
    """The commit."""
    await packages.require(host, packages.GIT)
    repository = repository_of(folder, "DIR@REV wants one")
    return Revision(short_name(folder, revision), repository, commit_of(folder, revision))


async def check_out(host: Host, revision: Revision) -> Path:
    """The commit's files. Nobody removes them while this process runs."""
    name = hash_text(f"{revision.repository}\n{revision.commit}\n")
    entry = host.cache.entry("worktree", name)
    tree = entry.path / "tree"
    label = f"checking out {revision.name}"
    while True:
        if not tree.is_dir():
            (entry.path / "stamp").unlink(missing_ok=True)
        async with entry.make(revision.commit, label, host.terminal) as fresh:
            if fresh:
                await add_worktree(host, revision.repository, tree, revision.commit, label)
        # another run can remove it until it is held
        with contextlib.suppress(FileNotFoundError):
            hold_folder(entry.path)
            if entry.is_current(revision.commit):
                break
    os.utime(entry.path / "stamp")
    for old in least_used(host.cache):
        repository = repository_of_worktree(old / "tree")
        host.cache.remove_worktree(old.name)
        if repository:
            forget_missing(repository, host.cache.path.resolve())
    return tree


def least_used(cache: Cache) -> List[Path]:
    """The checkouts beyond those that stay."""
    stamps = sorted((cache.path / "worktree").glob("*/stamp"),
                    key=lambda stamp: stamp.stat().st_mtime, reverse=True)
    return [stamp.parent for stamp in stamps[KEPT:]]


def repository_of_worktree(tree: Path) -> Optional[Path]:
    """The repository that has this worktree in its list."""
    try:
        text = (tree / ".git").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.fullmatch(r"gitdir: (.*)/worktrees/[^/\n]+\n", text)
    return Path(found[1]) if found else None
