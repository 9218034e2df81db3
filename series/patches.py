# SPDX-License-Identifier: GPL-2.0
"""Makes commits, and patches of them, in a repository that has nothing but the files concerned."""
from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Dict, List, Mapping, Optional

from runner.errors import Failure


class Repository:
    """A git repository in an empty folder."""

    def __init__(self, path: Path, identity: Mapping[str, str], date: str) -> None:
        self.path = path
        self.environment = {**os.environ, **identity, "GIT_AUTHOR_DATE": date,
                            "GIT_COMMITTER_DATE": date, "GIT_CONFIG_GLOBAL": "/dev/null",
                            "GIT_CONFIG_NOSYSTEM": "1"}
        self.git("init", "-q")
        self.files: Dict[str, str] = {}

    def git(self, *words: str, text: Optional[str] = None) -> str:
        """Runs git there."""
        done = subprocess.run(["git", *words], cwd=self.path, env=self.environment, input=text,
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failure(f"git {words[0]}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def commit(self, files: Mapping[str, str], message: str, modes: Mapping[str, int]) -> None:
        """Makes the tree what files says, and commits it."""
        for name in set(self.files) - set(files):
            (self.path / name).unlink()
        for name, text in files.items():
            if self.files.get(name) == text:
                continue
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            path.chmod(modes.get(name, 0o644))
        self.files = dict(files)
        self.git("add", "-A", "-f", ".")
        self.git("commit", "-q", "-s", "-F", "-", text=message)

    def format(self, to: Path, cover: str) -> List[Path]:
        """Writes a patch for each commit but the first, and a cover letter."""
        base = self.git("rev-list", "--max-parents=0", "HEAD").strip()
        to.mkdir(parents=True, exist_ok=True)
        for old in to.glob("*.patch"):
            old.unlink()
        self.git("format-patch", "-q", "--no-renames", "--cover-letter", "--zero-commit",
                 "--signature=hmmirror", "-o", str(to), f"{base}..HEAD")
        letter = next(to.glob("0000-*"))
        subject, _, body = cover.partition("\n")
        text = letter.read_text(encoding="utf-8")
        text = text.replace("*** SUBJECT HERE ***", subject).replace("*** BLURB HERE ***",
                                                                     body.strip())
        letter.write_text(text, encoding="utf-8")
        return sorted(to.glob("*.patch"))
