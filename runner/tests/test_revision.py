# SPDX-License-Identifier: GPL-2.0
"""-k DIR@REV: names, and worktrees of small repositories."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from runner import revision
from runner.cache import Cache
from runner.errors import Failure
from runner.git import forget_missing
from runner.host import Host
from runner.cells import short_name
from runner.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]


class NameTest(unittest.TestCase):
    """DIR and REV."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        for name in ("linux", "me@work", "both@v1"):
            (self.folder / name).mkdir()

    def test_split(self) -> None:
        linux, work = self.folder / "linux", self.folder / "me@work"
        for name, wanted in ((f"{linux}@v6.12", (linux, "v6.12")),
                             (f"{linux}@origin/master", (linux, "origin/master")),
                             (f"{linux}@HEAD@{{1}}", (linux, "HEAD@{1}")),
                             (f"{work}@v1", (work, "v1")),
                             # a path that is there is a path
                             (f"{self.folder}/both@v1", None),
                             (f"{self.folder}/none@v1", None), (f"{linux}@", None), ("@v1", None),
                             ("6.1", None), (str(linux), None)):
            self.assertEqual(revision.split(name), wanted, name)

    def test_short_name(self) -> None:
        linux = self.folder / "linux"
        self.assertEqual(short_name(f"{linux}@origin/master"), "linux@origin/master")
        self.assertEqual(short_name(f"{linux}@{'a1' * 20}"), "linux@a1a1a1a1a1a1")
        self.assertEqual(short_name(f"{self.folder}/none@v1"), "none@v1")


class WorktreeTest(unittest.IsolatedAsyncioTestCase):
    """A repository with a few commits."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name).resolve()
        terminal = Terminal()
        self.host = Host(ROOT, Cache(self.folder / "cache", terminal), terminal)
        self.repository = self.folder / "linux"
        self.repository.mkdir()
        self.git("init", "-q", "-b", "main")
        for number in range(revision.KEPT + 3):
            for name in ("n", "sub/n"):
                file = self.repository / name
                file.parent.mkdir(exist_ok=True)
                file.write_text(f"{number}\n")
            self.git("add", "-A")
            self.git("commit", "-q", "-m", f"commit {number}")
            self.git("tag", f"c{number}")

    def git(self, *words: str) -> str:
        """Runs git in the repository."""
        names = [f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
        environment = dict(os.environ, **{name: "dev@example.org" for name in names})
        return subprocess.run(["git", "-C", str(self.repository), *words], check=True, text=True,
                              stdout=subprocess.PIPE, env=environment).stdout

    async def check_out(self, name: str) -> Path:
        """A commit of it."""
        return await revision.check_out(
            self.host, await revision.find(self.host, self.repository, name))

    async def test_commit_has_one_worktree(self) -> None:
        self.git("tag", "same", "c1")
        trees = [await self.check_out(name) for name in ("c1", "same", "c1^0", "c2")]
        self.assertEqual([(tree / "sub/n").read_text() for tree in trees],
                         ["1\n", "1\n", "1\n", "2\n"])
        self.assertEqual(len(set(trees)), 2)

    async def test_repository_stays_as_it_is(self) -> None:
        marker = self.folder / "hook-ran"
        hook = self.repository / ".git/hooks/post-checkout"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
        hook.chmod(0o755)
        (self.repository / "n").write_text("mine\n")

        def state() -> str:
            return self.git("status", "--porcelain", "--branch") + self.git("for-each-ref") + \
                (self.repository / ".git/config").read_text()
        before = state()
        await self.check_out("c1")
        self.assertEqual(state(), before)
        self.assertEqual((self.repository / "n").read_text(), "mine\n")
        self.assertFalse(marker.exists())

    async def test_sparse_checkout_is_not_taken_over(self) -> None:
        self.git("sparse-checkout", "set", "--cone", "other")
        self.assertFalse((self.repository / "sub").exists())
        self.assertTrue((await self.check_out("c1") / "sub/n").exists())

    async def test_bare_repository_and_partial_clone(self) -> None:
        self.git("config", "uploadpack.allowFilter", "true")
        for name, words in (("bare.git", ["--bare"]),
                            ("partial", ["--no-checkout", "--filter=blob:none"])):
            self.git("clone", "-q", *words, f"file://{self.repository}", str(self.folder / name))
            found = await revision.find(self.host, self.folder / name, "c3")
            self.assertEqual(found.name, f"{name}@c3")
            self.assertTrue(found.has("sub/n"))
            self.assertFalse(found.has("sub/other"))
            tree = await revision.check_out(self.host, found)
            self.assertEqual((tree / "n").read_text(), "3\n")

    def other_run(self, name: str) -> Path:
        """A commit's worktree, checked out by a run that has ended: it holds what it used until then."""
        script = f"""
import asyncio
from pathlib import Path
from runner import revision
from runner.cache import Cache
from runner.host import Host
from runner.terminal import Terminal

async def main():
    host = Host(Path({str(ROOT)!r}), Cache(Path({str(self.host.cache.path)!r}), Terminal()), Terminal())
    found = await revision.find(host, Path({str(self.repository)!r}), {name!r})
    print(await revision.check_out(host, found))
asyncio.run(main())
"""
        return Path(subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT, text=True,
                                   stdout=subprocess.PIPE).stdout.strip())

    def test_those_used_last_stay(self) -> None:
        trees = [self.other_run(f"c{number}") for number in range(revision.KEPT)]
        for number, tree in enumerate(trees):
            os.utime(tree.parent / "stamp", (number, number))
        kernels = [self.host.cache.path / f"kernel/{number}/build" for number in (1, 2)]
        for number, kernel in enumerate(kernels, 1):
            kernel.mkdir(parents=True)
            (kernel / "source").symlink_to(trees[number])
        # the oldest is used again, so the second one goes
        self.other_run("c0")
        self.other_run(f"c{revision.KEPT}")
        self.assertEqual([tree.exists() for tree in trees],
                         [True, False, *[True] * (revision.KEPT - 2)])
        self.assertEqual([kernel.exists() for kernel in kernels], [False, True])
        self.assertEqual(self.git("worktree", "list").count("detached"), revision.KEPT)

    async def test_used_one_is_not_removed(self) -> None:
        used = await self.check_out("c0")
        unused = self.other_run("c1")
        for tree in (used, unused):
            os.utime(tree.parent / "stamp", (0, 0))
        for number in range(2, revision.KEPT + 2):
            self.other_run(f"c{number}")
        self.assertTrue((used / "n").exists())
        self.assertFalse(unused.exists())

    async def test_what_is_left_is_made_anew(self) -> None:
        tree = await self.check_out("c1")
        shutil.rmtree(tree)
        self.assertEqual(await self.check_out("c1"), tree)
        self.assertTrue((tree / "n").exists())
        self.git("worktree", "lock", str(tree))
        shutil.rmtree(tree)
        self.assertTrue((await self.check_out("c1") / "n").exists())

    async def test_only_ours_are_forgotten(self) -> None:
        tree = await self.check_out("c1")
        mine = self.folder / "mine"
        self.git("worktree", "add", "-q", "--detach", str(mine), "c2")
        for path in (tree, mine):
            shutil.rmtree(path)
        forget_missing(self.repository, self.host.cache.path)
        listed = self.git("worktree", "list")
        self.assertIn(str(mine), listed)
        self.assertNotIn(str(tree), listed)

    async def test_what_is_not_there(self) -> None:
        with self.assertRaisesRegex(Failure, "unknown revision: v9; it is not in"):
            await self.check_out("v9")
        with self.assertRaisesRegex(Failure, "unknown revision: c1:n"):
            await self.check_out("c1:n")
        with self.assertRaisesRegex(Failure, "is no git checkout: fatal: not a git repository"):
            await revision.find(self.host, self.folder, "v9")


if __name__ == "__main__":
    unittest.main()
