# SPDX-License-Identifier: GPL-2.0
"""The entries of regressions/: known bugs of the kernel. Its README has the format."""
from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Tuple

from runner import sourcecheck
from runner.config import read
from runner.errors import Failure
from runner.host import Host

# a commit's id, where nobody has seen it in a source
UNVERIFIED = "unverified"
SHORT_ID = 12


@dataclass(frozen=True)
class Bug:
    """An entry of the catalogue."""

    name: str
    folder: Path
    # subject and id of the commit that fixed it
    fix: str = ""
    commit: str = ""
    files: Tuple[str, ...] = ()
    tests: Tuple[str, ...] = ()
    kernels: Tuple[str, ...] = ()
    # options of the kernel without which it cannot be seen
    needs: Tuple[str, ...] = ()

    @staticmethod
    def read(folder: Path) -> Bug:
        """Reads the header of "about": lines of "key: value" up to the first empty one."""
        fields: Dict[str, List[str]] = {}
        for line in read(folder / "about").splitlines():
            if not line:
                break
            key, _, value = line.partition(":")
            fields.setdefault(key, []).append(value.strip())
        words = {key: tuple(" ".join(values).split()) for key, values in fields.items()}
        return Bug(folder.name, folder, " ".join(fields.get("fix", ())),
                   " ".join(fields.get("commit", ())),
                   *(words.get(key, ()) for key in ("files", "tests", "kernels", "needs")))

    @property
    def fix_line(self) -> str:
        """The fix as people look for it: subject and short id."""
        known = self.commit and self.commit != UNVERIFIED
        return f"{self.fix} ({self.commit[:SHORT_ID]})" if known else self.fix

    @property
    def check(self) -> Optional[sourcecheck.Check]:
        """What finds it in a source tree, if the entry has that."""
        return sourcecheck.read_check(self.folder / "check")

    @property
    def signature_file(self) -> Path:
        """What --reintroduce has recorded."""
        return self.folder / "signature"

    def spatch(self, file: Path) -> List[str]:
        """The command that brings it into a file."""
        return ["spatch", "--very-quiet", "--no-includes", "--in-place", "--sp-file",
                str(self.folder / "bug.cocci"), str(file)]


def catalogue(host: Host) -> Path:
    """Where the entries are."""
    return host.testing.catalogue or host.root / "regressions"


def all_bugs(folder: Path) -> List[Bug]:
    """All entries."""
    return [Bug.read(path.parent) for path in sorted(folder.glob("*/about"))]


def choose(host: Host, globs: Sequence[str]) -> List[Bug]:
    """The entries that are named, all without a name."""
    bugs = all_bugs(catalogue(host))
    if not bugs:
        raise Failure(f"{catalogue(host)} has no entries")
    chosen: List[Bug] = []
    for glob in globs or ["*"]:
        hits = [bug for bug in bugs if glob == "all" or fnmatchcase(bug.name, glob)]
        if not hits:
            raise Failure(f"no regression is called '{glob}'; they are the folders of regressions/")
        chosen += [bug for bug in hits if bug not in chosen]
    return chosen


def globs_of(bugs: Sequence[Bug]) -> List[str]:
    """The tests of these entries."""
    return sorted({glob for bug in bugs for glob in bug.tests})
