# SPDX-License-Identifier: GPL-2.0
"""Fixes of other bugs that a bisection applies at each step: --cherry-pick and --patch."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence

from runner.cache import hash_text
from runner.config import read
from runner.errors import Failure, UnfitKernel
from runner.git import commit_of, git, last_line


@dataclass(frozen=True)
class Patch:
    """A change to a kernel's source: a commit and its parent, or the text of a file."""

    name: str
    commit: str = ""
    parent: str = ""
    text: str = ""

    @property
    def key(self) -> str:
        """By which it is the same in another run."""
        return self.commit or self.text


def read_patches(tree: Path, picks: Sequence[str], files: Sequence[Path]) -> List[Patch]:
    """What the command line names: commits of the repository, and files."""
    patches = []
    for name in picks:
        commit = commit_of(tree, name)
        parents = git(tree, "rev-list", "--parents", "-n", "1", commit).stdout.split()[1:]
        if len(parents) != 1:
            raise Failure(f"--cherry-pick {name}: give a commit that has one parent, and no merge")
        patches.append(Patch(name, commit, parents[0]))
    patches += [Patch(str(file), text=read(file)) for file in files]
    return patches


def apply_patches(tree: Path, patches: Sequence[Patch], scratch: Path) -> None:
    """Applies each that a checkout does not have yet. The index has them, too, so that a reset
    removes them."""
    for patch in patches:
        if patch.commit and git(tree, "merge-base", "--is-ancestor", patch.commit,
                                "HEAD").returncode == 0:
            continue
        file = scratch.resolve() / f"{hash_text(patch.key)}.patch"
        if patch.commit:
            git(tree, "diff-tree", "-p", "--binary", "--full-index", f"--output={file}",
                patch.parent, patch.commit)
        else:
            file.write_text(patch.text, encoding="utf-8")
        # a backport of it is in already
        if git(tree, "apply", "--check", "--reverse", str(file)).returncode == 0:
            continue
        done = git(tree, "apply", "--index", "--3way", str(file))
        if done.returncode:
            git(tree, "reset", "-q", "--hard")
            said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
            raise UnfitKernel(f"{patch.name} does not apply: {(said or [last_line(done)])[0]}")
