# SPDX-License-Identifier: GPL-2.0
"""The cache: the one place that knows what lies where in it.

    source/linux-X.Y    trees of linux-source packages and of kernel.org's tarballs
    worktree/ID         a commit that -k DIR@REV named, checked out; the date of its stamp tells when
                        it was used last
    package/NAME-VER    unpacked packages of a distribution's kernel
    kernel/ID           a kernel's build, image, and the list of files it was built from
    driver/ID suite/ID upstream/ID agent/ID lib/ID stress/ID
                        programs, each with a stamp
    reintroduce/ID      copies of kernels into which known bugs are brought back
    bisect/ID           worktrees of --bisect
    machine/root        the files of the Debian of --check=machine
    noapt/root          those of the distribution of --check=noapt
    apt                 an apt of our own for the other suites of the archive
    logs/DATE-PID       what a run leaves
    python              compiled modules of the runner (run_tests.sh)
    tmp lock ccache

An entry is used only if its stamp names the state that is wanted. The stamp goes before anything
in the entry is changed. The file "building" stays behind if the process is killed outright; the
entry is then started over. After Ctrl-C or a failed build it is gone, and make goes on where it
was.
"""
from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import random
import shutil
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import AsyncIterator, Iterable, Iterator, List, Optional

from runner.errors import DiskFull, Failure, is_disk_full
from runner.terminal import Terminal

# runs whose logs are kept
KEPT_LOGS = 30


def hash_text(text: str) -> str:
    """A short name for a text."""
    return hashlib.sha1(text.encode()).hexdigest()[:16]


def hash_files(folders: Iterable[Path]) -> str:
    """A short name for the names and contents of all files in these folders."""
    digest = hashlib.sha1()
    for folder in folders:
        for path in files_below(folder):
            digest.update(f"{path}\0".encode())
            digest.update(hashlib.sha1(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def files_below(folder: Path) -> List[Path]:
    """All files in a folder, sorted, without what an editor or Python leaves there."""
    if folder.is_file():
        return [folder]
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "__pycache__"]
        found += [Path(parent, name) for name in names if not name.endswith((".swp", "~"))]
    return sorted(found)


class Cache:
    """The folder, its locks and its temporary folders."""

    def __init__(self, path: Path, terminal: Terminal) -> None:
        self.path = path
        self.terminal = terminal
        if any(sign in str(path) for sign in " \t\n:'\"$%#"):
            raise Failure(f"{path}: make builds nothing in a folder of this name; set "
                          "XDG_CACHE_HOME to one without spaces, colons, quotes, $, % and #")
        try:
            for name in ("tmp", "lock", "logs"):
                (path / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            if is_disk_full(error):
                raise self.disk_full("making the cache") from error
            raise Failure(f"cannot write to {path}; set XDG_CACHE_HOME to a folder of your own") \
                from error
        self._sweep()

    def _sweep(self) -> None:
        """Removes temporary folders of runs that were killed. A living run holds a lock on its own."""
        for folder in (self.path / "tmp").iterdir():
            remove_unless_locked(folder)

    def disk_full(self, what: str) -> DiskFull:
        """The failure of something that found no room in the cache."""
        return DiskFull(f"{what}: the disk of {self.path} is full; free some space or set "
                        "XDG_CACHE_HOME")

    def is_full(self) -> bool:
        """Is there no room left?"""
        return shutil.disk_usage(self.path).free < 1 << 20

    @contextmanager
    def temporary(self, name: str) -> Iterator[Path]:
        """A folder that is gone afterwards, on any way out."""
        path = self.path / "tmp" / f"{name}.{random.randrange(1 << 30)}.{os.getpid()}"
        path.mkdir()
        handle = lock_folder(path)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(handle)

    @asynccontextmanager
    async def lock(self, name: str, doing: str, terminal: Optional[Terminal] = None) \
            -> AsyncIterator[None]:
        """One run at a time; doing says what another one that holds the lock is at."""
        terminal = terminal or self.terminal
        handle = os.open(self.path / "lock" / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        start = time.monotonic()
        try:
            while not try_lock(handle):
                seconds = int(time.monotonic() - start)
                terminal.step(f"waiting for another run to finish {doing}", f"{seconds} s")
                await asyncio.sleep(0.5)
            yield
        finally:
            os.close(handle)

    def entry(self, *names: str) -> Entry:
        """An entry that is made by us and used by many."""
        return Entry(self, self.path.joinpath(*names))

    def remove_worktree(self, name: str) -> None:
        """Removes a commit's checkout with the kernels that were built from it, unless one is used."""
        folder = self.path / "worktree" / name
        remove_unless_locked(folder)
        if folder.exists():
            return
        for kernel in (self.path / "kernel").glob("*"):
            # kbuild leaves a link to the source there
            if os.path.realpath(kernel / "build/source") == os.path.realpath(folder / "tree"):
                remove_unless_locked(kernel)

    def new_logs(self) -> Logs:
        """A folder for this run; of the others all but the newest go."""
        logs = Logs(self.path / "logs" / time.strftime(f"%Y%m%d-%H%M%S-{os.getpid()}"))
        folders = sorted(path for path in logs.path.parent.iterdir() if path.is_dir())
        for folder in folders[:-KEPT_LOGS]:
            if not (folder / "keep").exists():
                remove_unless_locked(folder)
        return logs


class Logs:
    """The folder of one run, which is held while the run lasts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True, exist_ok=True)
        self._handle = lock_folder(path)

    def keep(self) -> None:
        """Never remove this folder."""
        (self.path / "keep").touch()

    def write(self, name: str, text: str) -> Path:
        """Writes a file of this folder."""
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        return path


class Entry:
    """A folder of the cache with a stamp that tells from what it was made."""

    def __init__(self, cache: Cache, path: Path) -> None:
        self.cache = cache
        self.path = path

    def is_current(self, state: str) -> bool:
        """Was it completed from this state?"""
        try:
            return (self.path / "stamp").read_text(encoding="utf-8").rstrip("\n") == state
        except OSError:
            return False

    @asynccontextmanager
    async def make(self, state: str, doing: str, terminal: Optional[Terminal] = None) \
            -> AsyncIterator[bool]:
        """Locks the entry; true if it has to be made, and then the body makes it."""
        name = "-".join(self.path.relative_to(self.cache.path).parts)
        async with self.cache.lock(name, doing, terminal):
            if self.is_current(state):
                yield False
                return
            building = self.path / "building"
            if building.exists():
                shutil.rmtree(self.path, ignore_errors=True)
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / "stamp").unlink(missing_ok=True)
            building.touch()
            try:
                yield True
                (self.path / "stamp").write_text(f"{state}\n", encoding="utf-8")
            except DiskFull:
                # files are cut short, and the room is wanted back
                shutil.rmtree(self.path, ignore_errors=True)
                raise
            finally:
                building.unlink(missing_ok=True)


def try_lock(handle: int) -> bool:
    """Locks an open file or folder unless somebody else has."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False


def lock_folder(path: Path) -> int:
    """Holds a folder until the handle is closed or the process ends, wherever it runs."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    if not try_lock(handle):
        os.close(handle)
        raise Failure(f"{path} is in use by another run; wait for its end")
    return handle


def hold_folder(path: Path) -> None:
    """Keeps others from removing a folder until this process ends; several can hold it."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(handle, fcntl.LOCK_SH)


def remove_unless_locked(path: Path) -> None:
    """Removes a folder that no living run holds."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if try_lock(handle):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    finally:
        os.close(handle)
