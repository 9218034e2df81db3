# SPDX-License-Identifier: GPL-2.0
"""Stamps, locks and temporary folders."""
from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path
from typing import List

from runner.cache import Cache, hash_files, lock_folder
from runner.errors import DiskFull, Failure
from runner.terminal import Terminal


class CacheTest(unittest.IsolatedAsyncioTestCase):
    """An empty cache."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "cache+plus[b]*"
        self.cache = Cache(self.path, Terminal())

    async def test_entry_is_made_once(self) -> None:
        entry = self.cache.entry("kernel", "x")
        made: List[bool] = []
        for _ in range(2):
            async with entry.make("state", "making it") as fresh:
                made.append(fresh)
        self.assertEqual(made, [True, False])
        self.assertTrue(entry.is_current("state"))
        self.assertFalse(entry.is_current("another"))

    async def test_stamp_goes_before_the_entry_is_changed(self) -> None:
        entry = self.cache.entry("x")
        async with entry.make("one", "making it"):
            pass
        with self.assertRaises(ValueError):
            async with entry.make("two", "making it"):
                self.assertFalse(entry.is_current("one"))
                raise ValueError
        self.assertFalse(entry.is_current("one"))
        self.assertFalse(entry.is_current("two"))

    async def test_interrupted_entry_is_gone_on_with(self) -> None:
        entry = self.cache.entry("x")
        with self.assertRaises(asyncio.CancelledError):
            async with entry.make("one", "making it"):
                (entry.path / "half").touch()
                raise asyncio.CancelledError
        async with entry.make("one", "making it"):
            self.assertTrue((entry.path / "half").exists())

    async def test_entry_of_a_killed_run_is_started_over(self) -> None:
        entry = self.cache.entry("x")
        entry.path.mkdir()
        (entry.path / "half").touch()
        (entry.path / "building").touch()
        async with entry.make("one", "making it"):
            self.assertFalse((entry.path / "half").exists())

    async def test_full_disk_leaves_nothing(self) -> None:
        entry = self.cache.entry("x")
        with self.assertRaises(DiskFull):
            async with entry.make("one", "making it"):
                raise self.cache.disk_full("making it")
        self.assertFalse(entry.path.exists())

    async def test_lock_inside_a_lock_keeps_the_outer_one(self) -> None:
        order: List[str] = []

        async def other() -> None:
            async with self.cache.lock("outer", "another"):
                order.append("other")

        async with self.cache.lock("outer", "this"):
            waiting = asyncio.ensure_future(other())
            async with self.cache.lock("inner", "this"):
                pass
            await asyncio.sleep(0.7)
            order.append("this")
        await waiting
        self.assertEqual(order, ["this", "other"])

    def test_temporary_folder_of_the_living_stays(self) -> None:
        with self.cache.temporary("work") as folder:
            Cache(self.path, Terminal())
            self.assertTrue(folder.exists())
        self.assertFalse(folder.exists())
        left = self.path / "tmp/work.1.1"
        left.mkdir()
        Cache(self.path, Terminal())
        self.assertFalse(left.exists())

    def test_name_that_make_cannot_take(self) -> None:
        with self.assertRaisesRegex(Failure, "set XDG_CACHE_HOME"):
            Cache(self.path / "a b", Terminal())

    def test_folder_has_one_holder(self) -> None:
        held = self.path / "held"
        held.mkdir()
        lock_folder(held)
        with self.assertRaises(Failure):
            lock_folder(held)

    def test_hash_sees_names_and_contents(self) -> None:
        folder = self.path / "source"
        folder.mkdir()
        hashes = set()
        for name, text in (("a", "1"), ("a", "2"), ("b", "2")):
            for path in folder.iterdir():
                path.unlink()
            (folder / name).write_text(text)
            hashes.add(hash_files([folder]))
        self.assertEqual(len(hashes), 3)
        (folder / "b~").touch()
        self.assertIn(hash_files([folder]), hashes)


if __name__ == "__main__":
    unittest.main()
