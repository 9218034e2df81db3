# SPDX-License-Identifier: GPL-2.0
"""git in a repository of the user's, whose checkout, branches and settings stay as they are."""
from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

from runner.config import read
from runner.errors import Failure
from runner.host import Host

# The user's own settings must not get in the way, and no hook of theirs is run. A worktree would
# take over a sparse checkout.
OPTIONS = ("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "gc.auto=0",
           "-c", "core.sparseCheckout=false")
FOREIGN = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")

Done = subprocess.CompletedProcess


def command(folder: Path, *words: str) -> List[str]:
    """The command line of git in a folder."""
    return ["git", "-C", str(folder), *OPTIONS, *words]


def environment() -> Dict[str, str]:
    """Without what a hook or another git has set. git asks for no password: nobody would see it."""
    kept = {key: value for key, value in os.environ.items() if key not in FOREIGN}
    return dict(kept, GIT_TERMINAL_PROMPT="0")


def git(folder: Path, *words: str) -> "Done[str]":
    """Runs git in a folder."""
    return subprocess.run(command(folder, *words), text=True, errors="replace", check=False,
                          capture_output=True, stdin=subprocess.DEVNULL, env=environment())


def last_line(done: "Done[str]") -> str:
    """What git said last."""
    return complaint(done.stdout + done.stderr)


def complaint(text: str) -> str:
    """The line that says what is wrong; git can give advice after it."""
    lines = text.strip().splitlines()
    fatal = [line for line in lines if line.startswith("fatal: ")]
    return (fatal or lines or ["no reason given"])[-1]


def repository_of(folder: Path, hint: str) -> Path:
    """What a checkout and all its worktrees share; a bare repository is that itself."""
    found = git(folder, "rev-parse", "--git-common-dir")
    if found.returncode:
        raise Failure(f"{folder} is no git checkout: {last_line(found)}; {hint}")
    return (folder / found.stdout.strip()).resolve()


def top_of(folder: Path, hint: str) -> Path:
    """The top of the checkout that a folder is in."""
    found = git(folder, "rev-parse", "--show-toplevel")
    if found.returncode:
        raise Failure(f"{folder} is no git checkout: {last_line(found)}; {hint}")
    return Path(found.stdout.strip())


def commit_of(folder: Path, name: str) -> str:
    """The commit that a tag, a branch or anything else stands for."""
    found = git(folder, "rev-parse", "-q", "--verify", f"{name}^{{commit}}")
    if found.returncode or name.startswith("-"):
        raise Failure(f"unknown revision: {name}; it is not in {folder}")
    return found.stdout.strip()


def has_file(folder: Path, commit: str, name: str) -> bool:
    """Does a commit have this file? A partial clone need not fetch its content for that."""
    found = git(folder, "ls-tree", "--full-tree", "--name-only", commit, name)
    return found.stdout.strip() == name


async def add_worktree(host: Host, repository: Path, tree: Path, commit: str, label: str) -> None:
    """Checks a commit out into a folder, on no branch."""
    shutil.rmtree(tree, ignore_errors=True)
    forget_missing(repository, host.cache.path.resolve())
    # twice: what an interrupted call has left can be locked
    words = ("worktree", "add", "--force", "--force", "--detach", str(tree), commit)
    with host.cache.temporary("worktree") as folder:
        log = folder / "log"
        unset = [word for name in FOREIGN for word in ("-u", name)]
        if await host.run(label, ["env", *unset, *command(repository, f"--git-dir={repository}",
                                                          *words)],
                          log, env={"GIT_TERMINAL_PROMPT": "0"}):
            remove_worktree(repository, tree)
            text = read(log)
            if "No space left on device" in text or host.cache.is_full():
                raise host.cache.disk_full(label)
            raise Failure(f"git cannot make a worktree of {repository}: {complaint(text)}")


def remove_worktree(repository: Path, tree: Path) -> None:
    """Nothing of it stays in the user's repository."""
    git(repository, "worktree", "remove", "--force", "--force", str(tree))
    shutil.rmtree(tree, ignore_errors=True)
    # git refuses to remove one that is damaged, and forgets one that is gone
    git(repository, "worktree", "remove", "--force", "--force", str(tree))


def forget_missing(repository: Path, below: Path) -> None:
    """Removes from the repository's list those worktrees of ours whose folders are gone.

    "git worktree prune" would also forget a worktree of the user's on a disk that is not mounted.
    """
    for line in git(repository, "worktree", "list", "--porcelain").stdout.splitlines():
        word, _, path = line.partition(" ")
        if word == "worktree" and Path(path).is_relative_to(below) and not Path(path).exists():
            git(repository, "worktree", "remove", "--force", path)
