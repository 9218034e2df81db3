# SPDX-License-Identifier: GPL-2.0
"""The worktrees in which --bisect tests revisions, and git's own state of the bisection."""
from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, List, Optional, TypeVar

from runner.cache import hash_text, lock_folder
from runner.config import read
from runner.errors import Failure
from runner.git import Done, add_worktree, commit_of, git, last_line, remove_worktree, repository_of
from runner.host import Host
from runner.request import Request

# how git's log of a bisection tells that it has come to its end
OVER = re.compile(r"^# (possible )?first bad commit", re.M)
Value = TypeVar("Value")


async def in_thread(work: Callable[[], Value]) -> Value:
    """Calls what takes long beside guests that run. It is not left half done, also on Ctrl-C."""
    call = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        await asyncio.wait([call])
        raise


@dataclass(frozen=True)
class History:
    """The repository and its two ends."""

    repository: Path
    good: str
    bad: str
    # where their branches part, if neither comes after the other; git tests these first
    bases: List[str] = field(default_factory=list)


def find_history(request: Request) -> History:
    """The two revisions, checked."""
    tree = request.tree or Path(".")
    good, bad = request.ends
    if not tree.is_dir():
        raise Failure(f"--tree {tree}: no such folder; give a git checkout of the kernel")
    repository = repository_of(tree, "--tree names one")
    commits = [commit_of(tree, name) for name in (good, bad)]
    if commits[0] == commits[1]:
        raise Failure(f"{good} and {bad} are the same commit")
    if git(tree, "merge-base", "--is-ancestor", *commits).returncode:
        if not git(tree, "merge-base", "--is-ancestor", *reversed(commits)).returncode:
            raise Failure(f"{good} comes after {bad}; the good revision is given first, and has to "
                          "be the older one")
        bases = git(tree, "merge-base", "--all", *commits).stdout.split()
        if not bases:
            raise Failure(f"{good} and {bad} have no commit in common")
        return History(repository, commits[0], commits[1], bases)
    return History(repository, commits[0], commits[1])


class Worktrees:
    """The worktrees of a repository, always in the same folders, so that ccache knows their paths.

    The first one has git's state of the bisection, too. git only names the revision that it wants
    there (--no-checkout), because any of the worktrees can be the one that is free for it.
    """

    def __init__(self, host: Host, history: History, session: Path) -> None:
        self.host = host
        self.history = history
        self.home = host.cache.path / "bisect" / hash_text(f"{history.repository}\n")
        self.home.mkdir(parents=True, exist_ok=True)
        try:
            self._handle = lock_folder(self.home)
        except Failure as failure:
            raise Failure("another bisection of this repository is under way; wait for its end") \
                from failure
        self._session = session

    def tree(self, number: int = 0) -> Path:
        """The folder of one of them, from 0 on."""
        return self.home / (f"tree.{number + 1}" if number else "tree")

    def git(self, *words: str) -> "Done[str]":
        """git in the first worktree."""
        return git(self.tree(), *words)

    async def make(self) -> None:
        """Checks the first one out, or cleans what a run that was killed has left."""
        owner = self.home / "session"
        if not await self._mend(self.tree(), self.history.bad):
            owner.unlink(missing_ok=True)
        # git's state in it is of another session, or nobody's
        if not owner.exists() or read(owner) != str(self._session):
            self.git("bisect", "reset", "HEAD")
            owner.write_text(str(self._session), encoding="utf-8")

    async def _mend(self, tree: Path, revision: str) -> bool:
        """Removes what was left in a worktree; false if it was not there and is made."""
        if not tree.is_dir() or git(tree, "rev-parse", "-q", "--verify", "HEAD").returncode:
            await add_worktree(self.host, self.history.repository, tree, revision,
                               "checking out a worktree")
            return False
        for name in ("index.lock", "HEAD.lock"):
            lock = git(tree, "rev-parse", "--path-format=absolute", "--git-path", name)
            Path(lock.stdout.strip()).unlink(missing_ok=True)
        await in_thread(lambda: git(tree, "reset", "-q", "--hard"))
        return True

    async def check_out(self, host: Host, tree: Path, revision: str) -> None:
        """Checks a revision out in one of the worktrees."""
        if not await self._mend(tree, revision):
            return
        done = await in_thread(lambda: git(tree, "checkout", "-q", "--detach", revision))
        if done.returncode:
            if "No space left on device" in done.stderr or host.cache.is_full():
                raise host.cache.disk_full("checking out a revision")
            raise Failure(f"git cannot check out {revision}: {last_line(done)}")

    def remove(self) -> None:
        """Nothing of them stays in the user's repository."""
        for tree in [*self.home.glob("tree*"), self._next]:
            remove_worktree(self.history.repository, tree)

    def start(self, request: Request) -> "Done[str]":
        """Begins git's bisection, unless it is under way."""
        log = self.git("bisect", "log")
        if log.returncode == 0 and "--no-checkout" in log.stdout:
            return log
        self.git("bisect", "reset", "HEAD")
        words = ["--first-parent"] if request.first_parent else []
        return self.git("bisect", "start", "--no-checkout", *words, self.history.bad,
                        self.history.good, "--", *request.paths)

    def wanted(self) -> str:
        """The revision that git wants to know of."""
        return self.git("rev-parse", "BISECT_HEAD").stdout.strip()

    def log(self) -> str:
        """What git was told, for "git bisect replay"."""
        return self.git("bisect", "log").stdout.replace(" '--no-checkout'", "")

    @property
    def _next(self) -> Path:
        """A worktree without files, for git's state in another case."""
        return self.home / "next"

    def next_after(self, revision: str, word: str) -> Optional[str]:
        """The revision that git will want if this one is good or bad; None if it knows enough then."""
        repository, tree = self.history.repository, self._next
        lines = self.git("bisect", "log").stdout.splitlines()
        ends = [f"git bisect bad {self.history.bad}", f"git bisect good {self.history.good}"]
        # without its two ends "start" only notes its options
        start = [line.replace(f" '{self.history.bad}' '{self.history.good}'", "")
                 for line in lines if line.startswith("git bisect start")]
        told = [line for line in lines if re.match("git bisect (good|bad|skip) ", line)]
        # anew each time: to reset one, git would fill it with files
        remove_worktree(repository, tree)
        git(repository, f"--git-dir={repository}", "worktree", "add", "--force", "--force",
            "--no-checkout", "--detach", str(tree), self.history.bad)
        if not tree.is_dir():
            return None
        script = self.home / "next.log"
        script.write_text("".join(f"{line}\n" for line in
                                  [*start, *ends, *told, f"git bisect {word} {revision}"]),
                          encoding="utf-8")
        git(tree, "bisect", "replay", str(script))
        found = git(tree, "rev-parse", "-q", "--verify", "BISECT_HEAD").stdout.strip()
        return found if found and not OVER.search(git(tree, "bisect", "log").stdout) else None

    def subject(self, revision: str) -> str:
        """Of a commit."""
        return self.git("log", "-1", "--format=%s", revision).stdout.strip()

    def describe(self, revision: str) -> str:
        """A commit in a line."""
        return self.git("log", "-1", "--format=%h %s", revision).stdout.strip()
